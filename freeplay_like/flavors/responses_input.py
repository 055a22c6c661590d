"""Messages as the items that OpenAI's responses take."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from freeplay_like.core.messages import Message
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ConfigurationError, MessageError
from freeplay_like.flavors.content import Content, contents_of, unsayable

_NAME: Final = "openai_responses"


def input_of(
    messages: Sequence[Message], customs: frozenset[str], *, has_instructions: bool
) -> tuple[str | None, list[JsonObject]]:
    """The instructions, None where there are none, and the items of the input.

    The texts of the system's and the developer's messages before the conversation are its instructions; they stay items
    where instructions are set already, where one of them is more than text, or where nothing follows them. `customs`
    names the custom tools.

    Raises:
        ConfigurationError: no message at all.
        MessageError: something that this wire format cannot say.
    """
    if not messages:
        raise ConfigurationError(f"{_NAME} needs a message; add one of the user")
    begin = next((i for i, m in enumerate(messages) if m.role not in ("system", "developer")), 0)
    texts = [message.content for message in messages[:begin] if isinstance(message.content, str)]
    if has_instructions or len(texts) < begin:
        begin = 0
    custom_calls = {call.id for message in messages for call in message.tool_calls if call.name in customs}
    items = [
        item for i, message in enumerate(messages[begin:], start=begin) for item in _items(message, i, custom_calls)
    ]
    return "\n\n".join(texts) if begin else None, items


def _items(message: Message, index: int, custom_calls: set[str]) -> Iterator[JsonObject]:
    """The items of one message: what it says, and each of its tool calls."""
    if message.role == "tool":
        yield _result(message, index, custom_calls)
        return
    if message.role != "assistant":
        content = message.content if isinstance(message.content, str) else _parts(message, index)
        yield {"role": message.role, "content": content}
        return
    yield from (dict(copy.deepcopy(block)) for block in message.reasoning_blocks if block.get("type") == "reasoning")
    if message.content:
        yield {"type": "message", "role": "assistant", "content": _said_parts(message, index)}
    elif not message.tool_calls:
        raise MessageError(f"message {index} (assistant) has no content, which {_NAME} needs", index=index)
    for call in message.tool_calls:
        head: JsonObject = {"call_id": call.id, "name": call.name}
        if call.id in custom_calls:
            yield {"type": "custom_tool_call", **head, "input": call.arguments}
        else:
            yield {"type": "function_call", **head, "arguments": call.arguments}


def _result(message: Message, index: int, custom_calls: set[str]) -> JsonObject:
    if message.tool_call_id is None:
        raise MessageError(f"message {index} (tool) has no tool_call_id; it says which call it answers", index=index)
    kind = "custom_tool_call_output" if message.tool_call_id in custom_calls else "function_call_output"
    output = message.content if isinstance(message.content, str) else _parts(message, index)
    return {"type": kind, "call_id": message.tool_call_id, "output": output}


def _said_parts(message: Message, index: int) -> list[JsonObject]:
    """What the assistant said before: texts, and parts in this API's own words."""
    parts: list[JsonObject] = []
    for content in contents_of(message, index):
        if content.kind == "own":
            parts.append(content.raw)
        elif content.kind == "text":
            parts.append({"type": "output_text", "text": content.text, "annotations": []})
        else:
            raise unsayable(content, message, index, _NAME)
    return parts


def _parts(message: Message, index: int) -> list[JsonObject]:
    return [_part(content, message, index) for content in contents_of(message, index)]


def _part(content: Content, message: Message, index: int) -> JsonObject:
    """A part of what the model is told; one in this API's own words passes as it is."""
    if content.kind == "own":
        return content.raw
    if content.kind == "text":
        return {"type": "input_text", "text": content.text}
    address = content.url if content.data is None else f"data:{content.media_type};base64,{content.data}"
    if content.kind == "image":
        image: JsonObject = {"type": "input_image", "detail": _detail(content)}
        return {**image, "image_url": address} if content.file_id is None else {**image, "file_id": content.file_id}
    if content.kind != "file":
        raise unsayable(content, message, index, _NAME)
    if content.file_id is not None:
        return {"type": "input_file", "file_id": content.file_id}
    name = {} if content.filename is None else {"filename": content.filename}
    return {"type": "input_file", **name, "file_data" if content.url is None else "file_url": address}


def _detail(content: Content) -> object:
    inside = content.raw.get("image_url")
    return inside.get("detail", "auto") if isinstance(inside, Mapping) else "auto"
