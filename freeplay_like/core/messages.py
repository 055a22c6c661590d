"""Messages of a conversation.

A user sees plain dicts in the shape every provider's documentation uses (`{"role": ..., "content": ...}`): they
are easy to write, to store and to send on. Inside they are frozen values, so that a record is what was sent and
no list is shared between a caller and a session.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NotRequired, TypeAlias, TypedDict, cast, get_args

import attrs

from freeplay_like.core.wire import JsonObject
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


@attrs.frozen(kw_only=True)
class ToolCall:
    """A call of a tool that the model asks for. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"


@attrs.frozen(kw_only=True)
class Message:
    """One message. `content` is text, or the parts of a message of several, or None."""

    role: Role
    content: str | tuple[JsonObject, ...] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

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
        return message


MessageLike: TypeAlias = Message | Mapping[str, object]
"""What is taken wherever a message is asked for."""

MessagesLike: TypeAlias = str | MessageLike | Sequence[MessageLike]
"""What is taken wherever messages are asked for; text alone is one message of the user."""


def message_from(value: MessageLike | ChatMessage, *, index: int | None = None) -> Message:
    """A message out of what a caller gave.

    Raises:
        MessageError: not a message; says what is wrong and where.
    """
    if isinstance(value, Message):
        return value
    where = "message" if index is None else f"message {index}"
    if not isinstance(value, Mapping):
        raise MessageError(
            f"{where} must be a mapping with 'role' and 'content', not {type(value).__name__}", index=index
        )
    role = value.get("role")
    if role not in ROLES:
        raise MessageError(f"{where} has role {role!r}; known roles: {', '.join(sorted(ROLES))}", index=index)
    tool_calls = tuple(_tool_call(call, where, index) for call in _listed(value.get("tool_calls"), where, index))
    content = value.get("content")
    if isinstance(content, (list, tuple)):
        if not all(isinstance(part, Mapping) for part in content):
            raise MessageError(f"{where} has a content part that is not a mapping", index=index)
        content = tuple(copy.deepcopy(dict(part)) for part in content)
    elif content is None:
        if not tool_calls and role != "assistant":
            raise MessageError(f"{where} ({role}) has no content", index=index)
    elif not isinstance(content, str):
        raise MessageError(f"{where} has content of type {type(content).__name__}; use text or parts", index=index)
    name, call_id = value.get("name"), value.get("tool_call_id")
    return Message(
        role=cast("Role", role),
        content=content,
        name=None if name is None else str(name),
        tool_calls=tool_calls,
        tool_call_id=None if call_id is None else str(call_id),
    )


def messages_from(value: MessagesLike) -> tuple[Message, ...]:
    """Messages out of what a caller gave; text alone is one message of the user.

    Raises:
        MessageError: names the first message that is wrong by its index.
    """
    if isinstance(value, str):
        return (Message(role="user", content=value),)
    if isinstance(value, (Message, Mapping)):
        return (message_from(value),)
    return tuple(message_from(item, index=index) for index, item in enumerate(value))


def to_chat(messages: Iterable[Message]) -> list[ChatMessage]:
    """Plain dicts of their own, one for each message."""
    return [message.to_chat() for message in messages]


def _listed(value: object, where: str, index: int | None) -> Sequence[object]:
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return value
    raise MessageError(f"{where} has tool_calls of type {type(value).__name__}; use a list", index=index)


def _tool_call(value: object, where: str, index: int | None) -> ToolCall:
    if isinstance(value, ToolCall):
        return value
    function = value.get("function", value) if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(function, Mapping) or "name" not in function:
        raise MessageError(f"{where} has a tool call without a function name", index=index)
    arguments = function.get("arguments", "{}")
    if not isinstance(arguments, str):
        raise MessageError(f"{where} has a tool call whose arguments are not JSON text", index=index)
    return ToolCall(id=str(value.get("id", "")), name=str(function["name"]), arguments=arguments)
