"""Messages in any provider's shape as the messages of a record. Pure; nothing is refused, what is unknown is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

import attrs

from freeplay_like.core.messages import ROLES, Message, Role, ToolCall
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.foreign.blocks import (
    UNNAMED,
    Block,
    Result,
    Said,
    Thought,
    block_of,
    content_of_parts,
    json_text,
    result_content,
    thought,
    tool_call_of,
)

_OTHER_ROLES: Final[Mapping[str, Role]] = {
    "model": "assistant",
    "ai": "assistant",
    "chatbot": "assistant",
    "human": "user",
    "function": "tool",
    "ipython": "tool",
}
"""The names that some formats have for the roles of a record."""

_SAYING: Final = frozenset({"content", "parts", "tool_calls", "function_call", "audio", "refusal"})
"""The fields of which one must be there for a message to be read field by field."""


def messages_of(values: Iterable[JsonValue]) -> tuple[Message, ...]:
    """The messages of a conversation. One of theirs can be several of ours: a tool's results are messages each."""
    messages: list[Message] = []
    is_open = False  # whether the last message is an answer that the next item of OpenAI's Responses belongs to
    for value in values:
        found = _item(value)
        is_assistants = found is not None and found.role == "assistant"
        if found is None:
            messages += _message(value)
        elif is_assistants and is_open:
            messages[-1] = _joined(messages[-1], found)
        else:
            messages.append(found)
        is_open = is_assistants
    return tuple(messages)


def refusal_of(value: JsonValue) -> str:
    """What a message of OpenAI's says where the model declined to answer; empty where it did not."""
    if not isinstance(value, Mapping):
        return ""
    content = value.get("content")
    blocks = [value, *(content if isinstance(content, list) else ())]
    said = [block.get("refusal") for block in blocks if isinstance(block, Mapping)]
    return "".join(each for each in said if isinstance(each, str))


# --- OpenAI's Responses: a conversation of items ------------------------------------------------------------


def _item(value: JsonValue) -> Message | None:
    """An item that is no message of its own, as the piece of a message that it is; None where it is none."""
    if not isinstance(value, Mapping) or "role" in value:
        is_message = isinstance(value, Mapping) and value.get("type") == "message" and value.get("role") == "assistant"
        found = _message(value) if is_message else ()
        return found[0] if len(found) == 1 else None
    kind = value.get("type")
    if kind in ("function_call", "custom_tool_call"):
        arguments = value.get("arguments", value.get("input"))
        call = tool_call_of({"id": value.get("call_id"), "name": value.get("name"), "arguments": arguments})
        return Message(role="assistant", tool_calls=(call,))
    if kind in ("function_call_output", "custom_tool_call_output"):
        call_id = value.get("call_id")
        content = result_content(value.get("output"))
        return Message(role="tool", tool_call_id=_text_or(call_id, UNNAMED), content=content)
    if kind == "reasoning":
        summary = value.get("summary")
        texts = [block_of(each) for each in summary] if isinstance(summary, list) else []
        text = "\n\n".join(str(each.part.get("text", "")) for each in texts if isinstance(each, Said))
        block = thought(text, value).block
        return Message(role="assistant", reasoning=text, reasoning_blocks=(block,) if block else ())
    if isinstance(kind, str) and kind.endswith("_call"):  # a tool that the provider runs
        part = block_of(value)
        return Message(role="assistant", content=(part.part,) if isinstance(part, Said) else None)
    return None


def _joined(first: Message, second: Message) -> Message:
    """Two pieces of one answer."""
    parts = [*_parts(first), *_parts(second)]
    return attrs.evolve(
        first,
        content=content_of_parts(parts) if parts else None,
        tool_calls=(*first.tool_calls, *second.tool_calls),
        reasoning="\n\n".join(filter(None, (first.reasoning, second.reasoning))),
        reasoning_blocks=(*first.reasoning_blocks, *second.reasoning_blocks),
    )


def _parts(message: Message) -> Sequence[JsonObject]:
    if isinstance(message.content, str):
        return ({"type": "text", "text": message.content},)
    return message.content or ()


# --- messages with a role -----------------------------------------------------------------------------------


def _message(value: JsonValue) -> tuple[Message, ...]:
    fields = _fields(value)
    if fields is None:
        return (Message(role="user", content=json_text(value)),)
    said = fields.get("role") or fields.get("type")
    role, name = _role(said), fields.get("name")
    if role == "tool" and not isinstance(fields.get("parts"), list):
        call_id = fields.get("tool_call_id") or name
        return (
            Message(
                role="tool",
                tool_call_id=_text_or(call_id, UNNAMED),
                name=name if isinstance(name, str) else None,
                content=result_content(_content(fields)),
            ),
        )
    if role is None:
        role, name = "user", name or said
    if role == "tool":  # each of its parts names its call
        role = "user"
    gathered = _Gathered(role=role, name=name if isinstance(name, str) else None)
    for block in _blocks(_content(fields)):
        gathered.take(block)
    if not _SAYING.intersection(fields):
        gathered.take(block_of(json_text(value)))
    if role == "assistant":
        _take_fields(gathered, fields)
    return gathered.end()


def _fields(value: JsonValue) -> Mapping[str, object] | None:
    """The mapping that a message is; that inside where it came as a choice or a candidate. None where it is none."""
    if not isinstance(value, Mapping):
        return None
    for inside in (value.get("message"), value.get("content")):
        if "role" not in value and isinstance(inside, Mapping) and "role" in inside:
            return cast("Mapping[str, object]", inside)
    if "role" in value or (isinstance(value.get("type"), str) and _role(value["type"]) is not None):
        return cast("Mapping[str, object]", value)
    return None


def _role(said: JsonValue) -> Role | None:
    word = said.lower() if isinstance(said, str) else ""
    return cast("Role", word) if word in ROLES else _OTHER_ROLES.get(word)


def _content(fields: Mapping[str, object]) -> JsonValue:
    content = fields.get("content")
    return fields.get("parts") if content is None else content


def _blocks(content: JsonValue) -> Sequence[Block]:
    if isinstance(content, Mapping) and isinstance(content.get("parts"), list):
        content = content["parts"]
    if content is None:
        return ()
    return [block_of(each) for each in content] if isinstance(content, list) else [block_of(content)]


def _take_fields(gathered: _Gathered, fields: Mapping[str, object]) -> None:
    """What an answer says beside its content, in the words of OpenAI's chat API."""
    calls = fields.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        gathered.take(tool_call_of(call))
    function_call = fields.get("function_call")
    if isinstance(function_call, Mapping):
        gathered.take(tool_call_of(function_call))
    audio = fields.get("audio")
    if isinstance(audio, Mapping) and isinstance(audio.get("transcript"), str):
        gathered.take(block_of(audio["transcript"]))
    reasoning = fields.get("reasoning_content") or fields.get("reasoning")
    if isinstance(reasoning, str):
        gathered.reasoning.append(reasoning)
    refusal = fields.get("refusal")
    if isinstance(refusal, str) and refusal:
        gathered.take(block_of(refusal))


@attrs.define
class _Gathered:
    """The blocks of one message of theirs, on their way to messages of ours."""

    role: Role
    name: str | None
    parts: list[JsonObject] = attrs.field(factory=list)
    tool_calls: list[ToolCall] = attrs.field(factory=list)
    reasoning: list[str] = attrs.field(factory=list)
    reasoning_blocks: list[JsonObject] = attrs.field(factory=list)
    done: list[Message] = attrs.field(factory=list)

    def take(self, block: Block) -> None:
        if isinstance(block, Result):
            self._flush()
            self.done.append(Message(role="tool", tool_call_id=block.call_id, content=block.content))
        elif isinstance(block, ToolCall) and self.role == "assistant":
            self.tool_calls.append(block)
        elif isinstance(block, ToolCall):  # only the assistant calls tools
            self.parts.append({"type": "text", "text": f"{block.name}({block.arguments})"})
        elif isinstance(block, Thought):
            self.reasoning.append(block.text)
            if block.block:
                self.reasoning_blocks.append(block.block)
        else:
            self.parts.append(block.part)

    def end(self) -> tuple[Message, ...]:
        self._flush()
        return tuple(self.done) or (Message(role=self.role, name=self.name, content=self._nothing()),)

    def _flush(self) -> None:
        if not (self.parts or self.tool_calls or self.reasoning or self.reasoning_blocks):
            return
        self.done.append(
            Message(
                role=self.role,
                name=self.name,
                content=content_of_parts(self.parts) if self.parts else self._nothing(),
                tool_calls=tuple(self.tool_calls),
                reasoning="\n\n".join(filter(None, self.reasoning)),
                reasoning_blocks=tuple(self.reasoning_blocks),
            )
        )
        self.parts, self.tool_calls, self.reasoning, self.reasoning_blocks = [], [], [], []

    def _nothing(self) -> str | None:
        return None if self.role == "assistant" else ""


def _text_or(value: JsonValue, otherwise: str) -> str:
    return value if isinstance(value, str) and value else otherwise
