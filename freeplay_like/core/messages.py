"""Messages of a conversation.

A user sees plain dicts in the shape every provider's documentation uses (`{"role": ..., "content": ...}`): they
are easy to write, to store and to send on. Inside they are frozen values, so that a record is what was sent and
no list is shared between a caller and a session.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Final, Literal, NotRequired, Protocol, TypeAlias, TypedDict, cast, get_args

import attrs

from freeplay_like.core.frozen import frozen
from freeplay_like.core.media import Media
from freeplay_like.core.parts import part_of, plain, problem_with_part
from freeplay_like.core.wire import JsonObject, to_wire
from freeplay_like.errors import MessageError

Role = Literal["system", "developer", "user", "assistant", "tool"]
ROLES: Final[frozenset[str]] = frozenset(get_args(Role))


class ChatMessage(TypedDict):
    """A message as users write and read it. `content` is text, a list of content parts, or None beside tool calls."""

    role: Role
    content: str | list[JsonObject] | None
    name: NotRequired[str]
    tool_calls: NotRequired[list[JsonObject]]
    tool_call_id: NotRequired[str]
    reasoning: NotRequired[str]
    reasoning_blocks: NotRequired[list[JsonObject]]


@attrs.frozen(kw_only=True)
class ToolCall:
    """A call of a tool that the model asks for. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"


@attrs.frozen(kw_only=True)
class Message:
    """One message. `content` is text, or the parts of a message of several, or None.

    Parts are copied when the message is made and refuse to be written to; `to_chat` gives copies that do not.

    A provider may want the reasoning that led to a tool call back with the call's result: `reasoning` is its text (kept
    beside tool calls only), `reasoning_blocks` the provider's own signed or encrypted blocks, as they came.
    """

    role: Role
    content: str | tuple[JsonObject, ...] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str = ""
    reasoning_blocks: tuple[JsonObject, ...] = ()

    def __attrs_post_init__(self) -> None:
        if isinstance(self.content, (list, tuple)):
            object.__setattr__(self, "content", tuple(map(frozen, self.content)))
        if self.reasoning_blocks:
            object.__setattr__(self, "reasoning_blocks", tuple(map(frozen, self.reasoning_blocks)))

    @property
    def text(self) -> str:
        """The text of the message; parts that are not text are left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(str(part.get("text", "")) for part in self.content or () if part.get("type") == "text")

    def to_chat(self) -> ChatMessage:
        """The message as a plain dict of its own."""
        content = self.content if isinstance(self.content, (str, type(None))) else copy.deepcopy(list(self.content))
        message: ChatMessage = {"role": self.role, "content": content}
        if self.name is not None:
            message["name"] = self.name
        if self.tool_calls:
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in self.tool_calls
            ]
        if self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        if self.reasoning:
            message["reasoning"] = self.reasoning
        if self.reasoning_blocks:
            message["reasoning_blocks"] = copy.deepcopy(list(self.reasoning_blocks))
        return message


class MessageObject(Protocol):
    """A message of somebody else's: a provider client's, or a class of the caller's own.

    Pydantic models are asked for `model_dump()`; of any other object the attributes are read that a `ChatMessage` has
    keys for.
    """

    @property
    def role(self) -> object:
        """Who speaks."""
        ...

    @property
    def content(self) -> object:
        """What is said."""
        ...


MessageLike: TypeAlias = Message | Mapping[str, object] | MessageObject
"""What is taken wherever a message is asked for."""

MessagesLike: TypeAlias = str | MessageLike | Sequence[MessageLike]
"""What is taken wherever messages are asked for (a `ChatHistory` too); text alone is one message of the user."""


def message_from(value: MessageLike | ChatMessage, *, index: int | None = None) -> Message:
    """A message out of what a caller gave.

    Content may be text or a list of parts, `Media` among them. Tool calls may be OpenAI's
    (`{"id", "function": {"name", "arguments"}}`) or plain (`{"id", "name", "arguments"}`), their arguments JSON text or
    an object. Names that a message has no field for are left out.

    Raises:
        MessageError: not a message; says what is wrong and where.
    """
    place = _Place(index)
    if isinstance(value, Message):
        message = value
        _check_parts(value.content if isinstance(value.content, tuple) else (), place, "a content part")
    else:
        message = _message(_fields(value, place), place)
    _check(message, place)
    return message


def messages_from(value: MessagesLike, *, is_required: bool = False) -> tuple[Message, ...]:
    """Messages out of what a caller gave; text alone is one message of the user.

    Raises:
        MessageError: names the first message that is wrong by its index; or `is_required`, and nothing is said.
    """
    given: object = value  # callers without a type checker give anything
    if isinstance(given, str):
        messages: tuple[Message, ...] = (Message(role="user", content=given),)
    elif isinstance(given, (Message, Mapping)) or _is_message_object(given):
        messages = (message_from(cast("MessageLike", given)),)
    elif isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray)):
        messages = tuple(message_from(item, index=index) for index, item in enumerate(given))
    else:
        raise MessageError(f"messages are text, a message or a list of messages, not {type(given).__name__}")
    if is_required and (not messages or given == ""):
        raise MessageError(f"there is nothing to send in {given!r}; give at least one message")
    return messages


def to_chat(messages: Iterable[Message]) -> list[ChatMessage]:
    """Plain dicts of their own, one for each message."""
    return [message.to_chat() for message in messages]


def instructions_of(messages: Sequence[Message]) -> tuple[int, ...]:
    """The places of the messages that instruct the model rather than speak to it.

    These are the system's messages wherever they stand, and the developer's before the conversation begins; what a
    developer says in its middle belongs to the conversation.
    """
    begin = next((i for i, m in enumerate(messages) if m.role not in ("system", "developer")), len(messages))
    return tuple(i for i, m in enumerate(messages) if m.role == "system" or (i < begin and m.role == "developer"))


def without_instructions(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation alone: for where other instructions take the place of its own."""
    dropped = set(instructions_of(messages))
    return tuple(message for i, message in enumerate(messages) if i not in dropped)


# --- out of what a caller gave ----------------------------------------------------------------------------

_NAMES: Final = tuple(ChatMessage.__annotations__)


@attrs.frozen
class _Place:
    """Where a message stands among those that were given."""

    index: int | None

    def wrong(self, what: str) -> MessageError:
        where = "the message" if self.index is None else f"message {self.index}"
        return MessageError(f"{where} {what}", index=self.index)


def _is_message_object(value: object) -> bool:
    return not isinstance(value, type) and hasattr(value, "role") and hasattr(value, "content")


def _fields(value: object, place: _Place) -> Mapping[str, object]:
    found = plain(value)
    if isinstance(found, Mapping):
        return found
    if _is_message_object(value):
        return {name: getattr(value, name, None) for name in _NAMES}
    raise place.wrong(f"must be a mapping or an object with 'role' and 'content', not {type(value).__name__}")


def _message(fields: Mapping[str, object], place: _Place) -> Message:
    """The message that the fields spell, not yet looked into."""
    content = fields.get("content")
    if isinstance(content, (list, tuple)):
        content = _frozen_parts(content, place, "a content part")
    elif content is None:
        content = fields.get("refusal")
    elif isinstance(content, Media):
        content = (frozen(content.to_part()),)
    role = fields.get("role")
    reasoning = fields.get("reasoning") or fields.get("reasoning_content")
    return Message(
        role=cast("Role", role.value if isinstance(role, Enum) else role),
        content=cast("str | tuple[JsonObject, ...] | None", content),
        name=cast("str | None", fields.get("name")),
        tool_calls=tuple(_tool_call(call, place) for call in _listed(fields, "tool_calls", place)),
        tool_call_id=cast("str | None", fields.get("tool_call_id")),
        reasoning=reasoning if isinstance(reasoning, str) else "",
        reasoning_blocks=_frozen_parts(_listed(fields, "reasoning_blocks", place), place, "a reasoning block"),
    )


def _frozen_parts(values: Sequence[object], place: _Place, what: str) -> tuple[JsonObject, ...]:
    parts = [part_of(value) for value in values]
    _check_parts(parts, place, what)
    return cast("tuple[JsonObject, ...]", tuple(map(frozen, parts)))


def _check_parts(parts: Iterable[object], place: _Place, what: str) -> None:
    problem = next(filter(None, map(problem_with_part, parts)), None)
    if problem is not None:
        raise place.wrong(f"has {what} that {problem}")


def _listed(fields: Mapping[str, object], name: str, place: _Place) -> Sequence[object]:
    value = fields.get(name)
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return value
    raise place.wrong(f"has {name} of type {type(value).__name__}; use a list")


def _tool_call(value: object, place: _Place) -> ToolCall:
    if isinstance(value, ToolCall):
        return value
    call = plain(value)
    function = call.get("function", call) if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping) or not isinstance(name, str) or not name:
        raise place.wrong("has a tool call without a function name; expected {'id', 'name', 'arguments'}")
    given = function.get("arguments")
    arguments = to_wire(given).decode() if isinstance(given, Mapping) else given or "{}"
    call_id = "" if call.get("id") is None else call["id"]
    if not isinstance(arguments, str):
        raise place.wrong(f"calls tool {name!r} with arguments of type {type(given).__name__}; use JSON text or a dict")
    if not isinstance(call_id, str):
        raise place.wrong(f"calls tool {name!r} with id {call_id!r}; use text")
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _check(message: Message, place: _Place) -> None:
    role: object = message.role
    content: object = message.content
    if not isinstance(role, str) or role not in ROLES:
        raise place.wrong(f"has role {role!r}; known roles: {', '.join(sorted(ROLES))}")
    if not isinstance(content, (str, tuple, type(None))):
        raise place.wrong(f"has content of type {type(content).__name__}; use text or a list of parts")
    if content in (None, ()) and role != "assistant":
        raise place.wrong(f"({role}) has no content; give text or parts")
    if role == "tool" and not message.tool_call_id:
        raise place.wrong("(tool) has no tool_call_id; it names the call that this is the answer to")
    if message.tool_calls and role != "assistant":
        raise place.wrong(f"({role}) has tool_calls; only the assistant calls tools")
    for name in ("name", "tool_call_id"):
        value = getattr(message, name)
        if value is not None and not isinstance(value, str):
            raise place.wrong(f"has {name} {value!r}; use text")
