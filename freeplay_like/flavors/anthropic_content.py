"""Messages in the shape of Anthropic's API: system text apart, blocks for everything that is not plain text."""

from __future__ import annotations

import base64
import binascii
import copy
from collections.abc import Sequence
from typing import Final

from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.wire import JsonObject, WireError, from_wire
from freeplay_like.errors import ConfigurationError, MessageError
from freeplay_like.flavors.content import Content, contents_of, unsayable

_REASONING_BLOCKS: Final = frozenset({"thinking", "redacted_thinking"})


def system_of(messages: Sequence[Message], who: str) -> str | list[JsonObject]:
    """The system text; as blocks where a message came in parts (they may carry cache marks)."""
    contents = [
        message.content if isinstance(message.content, str) else _text_blocks(message, index, who)
        for index, message in enumerate(messages)
        if message.role in ("system", "developer")
    ]
    texts = [content for content in contents if isinstance(content, str)]
    if len(texts) == len(contents):
        return "\n\n".join(texts)
    blocks: list[JsonObject] = []
    for content in contents:
        blocks.extend([{"type": "text", "text": content}] if isinstance(content, str) else content)
    return blocks


def turns_of(messages: Sequence[Message], who: str) -> list[JsonObject]:
    """The messages without the system's; results of tools that follow one another share one message of the user.

    Raises:
        MessageError: something that the format cannot say; names the message by its place.
        ConfigurationError: nothing but system messages.
    """
    turns: list[JsonObject] = []
    results: list[JsonObject] | None = None
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            continue
        if message.role == "tool":
            if results is None:
                results = []
                turns.append({"role": "user", "content": results})
            results.append(_tool_result(message, index, who))
            continue
        results = None
        turns.append({"role": message.role, "content": _content(message, index, who)})
    if not turns:
        raise ConfigurationError(f"{who} needs a message that is not the system's; add one of the user")
    return turns


def _content(message: Message, index: int, who: str) -> str | list[JsonObject]:
    reasoning = [copy.deepcopy(dict(b)) for b in message.reasoning_blocks if b.get("type") in _REASONING_BLOCKS]
    if isinstance(message.content, str) and not message.tool_calls and not reasoning:
        return message.content
    if message.content is None and not message.tool_calls:
        raise MessageError(f"message {index} ({message.role}) has no content, which {who} needs", index=index)
    # The API wants reasoning back as it came, and before anything else of its turn.
    blocks: list[JsonObject] = reasoning
    if message.content:
        blocks.extend(_blocks(message, index, who))
    blocks.extend(_tool_use(call, index) for call in message.tool_calls)
    return blocks


def _tool_use(call: ToolCall, index: int) -> JsonObject:
    try:
        arguments = from_wire(call.arguments or "{}", dict)
    except WireError as exc:
        raise MessageError(
            f"message {index} calls tool {call.name!r} with arguments that are not a JSON object: "
            f"{call.arguments[:200]!r}",
            index=index,
        ) from exc
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _tool_result(message: Message, index: int, who: str) -> JsonObject:
    if message.tool_call_id is None:
        raise MessageError(f"message {index} (tool) has no tool_call_id; it says which call it answers", index=index)
    content = message.content if isinstance(message.content, str) else _blocks(message, index, who)
    return {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content}


def _text_blocks(message: Message, index: int, who: str) -> list[JsonObject]:
    """The parts of a system message, all of which must be text."""
    contents = contents_of(message, index)
    for content in contents:
        if content.kind != "text":
            raise unsayable(content, message, index, f"the system text of {who}")
    return [content.raw for content in contents]


def _blocks(message: Message, index: int, who: str) -> list[JsonObject]:
    return [_block(content, message, index, who) for content in contents_of(message, index)]


def _block(content: Content, message: Message, index: int, who: str) -> JsonObject:
    """A part as a block. A block in this API's own words passes as it is."""
    if content.kind in ("text", "own"):
        return content.raw
    kind, source = "image" if content.kind == "image" else "document", _source(content, message, index)
    if source is None:
        raise unsayable(content, message, index, who)
    if content.media_type is not None and content.media_type.startswith("image/"):
        kind = "image"
    block: JsonObject = {"type": kind, "source": source}
    if kind == "document" and content.filename is not None:
        block["title"] = content.filename
    if "cache_control" in content.raw:
        block["cache_control"] = content.raw["cache_control"]
    return block


def _source(content: Content, message: Message, index: int) -> JsonObject | None:
    """Where a medium is, None where the API has no words for it: it takes images, PDF and plain text."""
    if content.kind not in ("image", "file"):
        return None
    if content.url is not None:
        return {"type": "url", "url": content.url}
    if content.file_id is not None:
        return {"type": "file", "file_id": content.file_id}
    media_type = content.media_type or ""
    if media_type.startswith("image/") or (media_type == "application/pdf" and content.kind == "file"):
        return {"type": "base64", "media_type": media_type, "data": content.data}
    if media_type.startswith("text/") and content.kind == "file":
        return {"type": "text", "media_type": "text/plain", "data": _text(content, message, index)}
    return None


def _text(content: Content, message: Message, index: int) -> str:
    try:
        return base64.b64decode(content.data or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise MessageError(
            f"message {index} ({message.role}) has a {content.media_type} file that is not UTF-8 text in base64: {exc}",
            index=index,
        ) from exc
