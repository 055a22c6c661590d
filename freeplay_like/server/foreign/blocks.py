"""What stands in a message of some provider, block by block, in the one form that records have.

Shapes are those of the providers' own references (OpenAI chat and Responses, Anthropic messages, Gemini, Bedrock
Converse, OpenTelemetry's GenAI events, Freeplay's own), read in November 2026. A block that none of them knows is kept:
as it is where it names its type, else as its JSON text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast

import attrs

from freeplay_like.core.media import MEDIA_KINDS, Media, MediaKind
from freeplay_like.core.messages import ToolCall
from freeplay_like.core.parts import problem_with_part
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.errors import ConfigurationError

UNNAMED: Final = "unnamed"
"""Stands for the id of a tool call, or the name of a tool, that was not said."""


@attrs.frozen
class Said:
    """Text, or a part that is not text."""

    part: JsonObject


@attrs.frozen
class Thought:
    """Reasoning: its text, and the block as the provider wants it back (empty where it cannot be kept)."""

    text: str
    block: JsonObject


@attrs.frozen
class Result:
    """What a tool answered to the call `call_id`."""

    call_id: str
    content: str | tuple[JsonObject, ...]


Block: TypeAlias = Said | Thought | ToolCall | Result


def block_of(value: JsonValue) -> Block:
    """One block of a message's content."""
    if isinstance(value, str):
        return Said(_text(value))
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value)
        kind = fields.get("type")
        found = _TYPED[kind](fields) if isinstance(kind, str) and kind in _TYPED else _untyped(fields)
        if found is not None:
            return found
    return Said(_kept(value))


def json_text(value: JsonValue) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_wire(value).decode()


def result_content(value: JsonValue) -> str | tuple[JsonObject, ...]:
    """What a tool answered, as the content of a message: text where it is nothing else."""
    if not isinstance(value, (list, tuple)):
        return "" if value is None else json_text(value)
    parts = []
    for each in value:
        block = block_of(each)
        parts.append(block.part if isinstance(block, Said) else _text(json_text(each)))
    return content_of_parts(parts)


def content_of_parts(parts: Sequence[JsonObject]) -> str | tuple[JsonObject, ...]:
    """The content of a message of these parts: one text is text."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return tuple(parts)


def tool_call_of(value: JsonValue) -> ToolCall:
    """A tool call in OpenAI's shape, or the plain `{"id", "name", "arguments"}`."""
    fields = value if isinstance(value, Mapping) else {}
    function = fields.get("function")
    inside = function if isinstance(function, Mapping) else fields
    custom = fields.get("custom")
    if isinstance(custom, Mapping):  # a tool whose input is text
        return _tool_call(fields.get("id"), custom.get("name"), custom.get("input"))
    arguments = inside.get("arguments", inside.get("args", inside.get("input")))
    return _tool_call(fields.get("id") or fields.get("call_id"), inside.get("name"), arguments)


def thought(text: JsonValue, block: Mapping[str, object]) -> Thought:
    """Reasoning of which `text`, where it is any, can be read."""
    blocks = dict(block) if problem_with_part(block) is None else {}
    return Thought(text if isinstance(text, str) else "", blocks)


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _kept(value: JsonValue) -> JsonObject:
    """A block that is not understood, as a part: itself where it can be one, else its JSON text."""
    if isinstance(value, Mapping) and problem_with_part(value) is None:
        return dict(value)
    return _text(json_text(value))


def _name(value: JsonValue) -> str:
    return value if isinstance(value, str) and value else UNNAMED


def _tool_call(call_id: JsonValue, name: JsonValue, arguments: JsonValue) -> ToolCall:
    return ToolCall(
        id=call_id if isinstance(call_id, str) and call_id else _name(name),
        name=_name(name),
        arguments="{}" if arguments is None else json_text(arguments),
    )


def _medium(kind: MediaKind, **fields: JsonValue) -> Block | None:
    """A medium of what was said about it, None where that makes none."""
    known = {name: value for name, value in fields.items() if isinstance(value, str) and value}
    try:
        return Said(Media(kind=kind, **known).to_part())
    except (ConfigurationError, TypeError):
        return None  # kept as it came


def _kind_of(content_type: JsonValue) -> MediaKind:
    family = content_type.partition("/")[0].lower() if isinstance(content_type, str) else ""
    return family if family in MEDIA_KINDS else "file"


def _object(value: JsonValue) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


# --- blocks that name their type --------------------------------------------------------------------------


def _of_text(fields: Mapping[str, object]) -> Block | None:
    text = fields.get("text", fields.get("content", fields.get("refusal")))
    return Said(_text(text)) if isinstance(text, str) else None


def _of_thinking(fields: Mapping[str, object]) -> Block | None:
    return thought(fields.get("thinking", fields.get("content")), fields)


def _of_call(fields: Mapping[str, object]) -> Block | None:
    return tool_call_of(fields)


def _of_result(fields: Mapping[str, object]) -> Block | None:
    call_id = fields.get("tool_use_id") or fields.get("tool_call_id") or fields.get("id")
    said = next((fields[name] for name in ("content", "response", "result") if name in fields), None)
    return Result(_name(call_id), result_content(said))


def _of_medium(fields: Mapping[str, object]) -> Block | None:
    """Anthropic's `source`, Freeplay's `media_reference`; `type` tells the kind."""
    kind = _kind_of(fields["type"])
    reference = fields.get("media_reference")
    if isinstance(reference, Mapping):
        return _medium(
            kind,
            data=reference.get("base64Data"),
            content_type=reference.get("contentType"),
            filename=reference.get("filename"),
            url=reference.get("url"),
        )
    source = _object(fields.get("source"))
    if source.get("type") == "text":
        return _of_text({"text": source.get("data")})
    title = fields.get("title")
    return _medium(
        kind,
        data=source.get("data"),
        content_type=source.get("media_type"),
        url=source.get("url"),
        filename=title,
    )


def _of_input_image(fields: Mapping[str, object]) -> Block | None:
    return _medium("image", url=fields.get("image_url"))


def _of_input_file(fields: Mapping[str, object]) -> Block | None:
    inside = {
        name: fields[name]
        for name in ("file_data", "file_id", "file_url", "filename")
        if isinstance(fields.get(name), str)
    }
    part: JsonObject = {"type": "file", "file": inside}
    return Said(part) if problem_with_part(part) is None else None


def _of_blob(fields: Mapping[str, object]) -> Block | None:
    content_type = fields.get("mime_type")
    return _medium(_kind_of(content_type), data=fields.get("content"), content_type=content_type)


_TYPED: Final[Mapping[str, Callable[[Mapping[str, object]], Block | None]]] = {
    "text": _of_text,
    "input_text": _of_text,
    "output_text": _of_text,
    "summary_text": _of_text,
    "refusal": _of_text,
    "thinking": _of_thinking,
    "redacted_thinking": _of_thinking,
    "reasoning": _of_thinking,
    "tool_use": _of_call,
    "tool_call": _of_call,
    "function": _of_call,
    "tool_result": _of_result,
    "tool_call_response": _of_result,
    "image": _of_medium,
    "audio": _of_medium,
    "video": _of_medium,
    "file": lambda fields: _of_medium(fields) if "media_reference" in fields else None,
    "document": _of_medium,
    "input_image": _of_input_image,
    "input_file": _of_input_file,
    "blob": _of_blob,
}


# --- blocks that are told by their one name: Gemini, Bedrock ------------------------------------------------


def _untyped(fields: Mapping[str, object]) -> Block | None:
    if "type" in fields:
        return None
    text = fields.get("text")
    if isinstance(text, str):
        return thought(text, {"type": "thought", **fields}) if fields.get("thought") is True else Said(_text(text))
    for names, read in _NAMED:
        inside = next((fields[name] for name in names if isinstance(fields.get(name), Mapping)), None)
        if inside is not None:
            return read(cast("Mapping[str, object]", inside), fields)
    return None


def _of_function_call(inside: Mapping[str, object], _: Mapping[str, object]) -> Block | None:
    return _tool_call(inside.get("id") or inside.get("toolUseId"), inside.get("name"), _arguments(inside))


def _arguments(inside: Mapping[str, object]) -> JsonValue:
    return next((inside[name] for name in ("args", "input", "arguments") if name in inside), None)


def _of_function_response(inside: Mapping[str, object], _: Mapping[str, object]) -> Block | None:
    return Result(_name(inside.get("id") or inside.get("name")), result_content(inside.get("response")))


def _of_tool_result(inside: Mapping[str, object], _: Mapping[str, object]) -> Block | None:
    content = inside.get("content")
    if isinstance(content, list):  # Bedrock: {"json": ...} beside its other blocks
        content = [each["json"] if isinstance(each, Mapping) and set(each) == {"json"} else each for each in content]
    return Result(_name(inside.get("toolUseId")), result_content(content))


def _of_inline_data(inside: Mapping[str, object], _: Mapping[str, object]) -> Block | None:
    content_type = inside.get("mimeType", inside.get("mime_type"))
    return _medium(_kind_of(content_type), data=inside.get("data"), content_type=content_type)


def _of_file_data(inside: Mapping[str, object], _: Mapping[str, object]) -> Block | None:
    content_type = inside.get("mimeType", inside.get("mime_type"))
    url = inside.get("fileUri", inside.get("file_uri"))
    return _medium(_kind_of(content_type), url=url, content_type=content_type)


def _of_bedrock_medium(kind: MediaKind) -> Callable[[Mapping[str, object], Mapping[str, object]], Block | None]:
    family = "application" if kind == "file" else kind

    def read(inside: Mapping[str, object], _: Mapping[str, object]) -> Block | None:
        source = _object(inside.get("source"))
        data, address = source.get("bytes"), _object(source.get("s3Location")).get("uri")
        content_type = f"{family}/{inside.get('format')}"
        return _medium(kind, data=data, content_type=content_type, url=address, filename=inside.get("name"))

    return read


def _of_reasoning_content(inside: Mapping[str, object], fields: Mapping[str, object]) -> Block | None:
    text = _object(inside.get("reasoningText")).get("text")
    return thought(text, {"type": "reasoningContent", **fields})


_NAMED: Final[
    Sequence[tuple[tuple[str, ...], Callable[[Mapping[str, object], Mapping[str, object]], Block | None]]]
] = (
    (("functionCall", "function_call", "toolUse"), _of_function_call),
    (("functionResponse", "function_response"), _of_function_response),
    (("toolResult",), _of_tool_result),
    (("inlineData", "inline_data"), _of_inline_data),
    (("fileData", "file_data"), _of_file_data),
    (("image",), _of_bedrock_medium("image")),
    (("video",), _of_bedrock_medium("video")),
    (("audio",), _of_bedrock_medium("audio")),
    (("document",), _of_bedrock_medium("file")),
    (("reasoningContent",), _of_reasoning_content),
)
