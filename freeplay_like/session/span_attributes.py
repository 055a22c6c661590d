"""A record in the words of OpenTelemetry's conventions for generative AI. Pure.

The names are those of the repository `open-telemetry/semantic-conventions-genai` (read 2026-11, all of them marked as
in development). They stand here as text because the constants in `opentelemetry-semantic-conventions` are deprecated
and no package has the new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final, TypeAlias

from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.records import Outcome, Record
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.recording.redaction import mask_bytes

Attributes: TypeAlias = dict[str, str | bool | int | float | Sequence[str]]

FAILED: Final[frozenset[Outcome]] = frozenset({"error", "interrupted"})
"""Outcomes that are failures; a caller who closes or drops a stream stopped it, and nothing failed."""

_MOST_VARIABLES: Final = 64
"""A span holds 128 attributes unless told otherwise, and lets the first go for the last."""

_PROVIDERS: Final = {"azure": "azure.ai.openai"}
"""Our names of providers where the conventions have another."""

_NUMBERS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
}
_EFFORTS: Final = (("reasoning_effort",), ("reasoning", "effort"), ("output_config", "effort"))
_FORMATS: Final = (("response_format", "type"), ("text", "format", "type"), ("output_config", "format", "type"))


def span_name(record: Record) -> str:
    """`chat gpt-4o`."""
    return f"{_operation(record)} {record.requested_model}" if record.requested_model else _operation(record)


def request_attributes(record: Record) -> Attributes:
    """What is known of a call before it is made; a sampler decides by it. Nothing of its contents."""
    template = record.template
    host, _, port = (record.endpoint or "").rpartition(":")
    found: dict[str, JsonValue] = {
        "gen_ai.operation.name": _operation(record),
        "gen_ai.provider.name": _PROVIDERS.get(record.provider, record.provider),
        "gen_ai.request.model": record.requested_model,
        "gen_ai.request.stream": record.is_stream or None,
        "gen_ai.conversation.id": record.session_id,
        "gen_ai.prompt.name": None if template is None else template.name,
        "gen_ai.prompt.version": None if template is None else template.version or template.version_id,
        "server.address": host or None,
        "server.port": int(port) if host and port.isdecimal() else None,
        "freeplay_like.record.id": record.record_id,
        **_parameters(record.request or {}),
    }
    return _present(found)


def response_attributes(record: Record) -> Attributes:
    """What is known of a call that has ended. Nothing of its contents."""
    usage, first_ms = record.usage, record.time_to_first_chunk_ms
    found: dict[str, JsonValue] = {
        "gen_ai.response.id": record.response_id,
        "gen_ai.response.model": record.model,
        "gen_ai.response.finish_reasons": _finish_reasons(record),
        "gen_ai.response.time_to_first_chunk": None if first_ms is None else first_ms / 1000,
        "http.request.resend_count": len(record.attempts) or None,
        "error.type": _error_type(record),
        "freeplay_like.outcome": record.outcome,
    }
    if usage is not None:
        found |= {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
            "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        }
    return _present(found)


def content_attributes(record: Record) -> Attributes:
    """What was said, for those who want it on their spans; without what has the shape of a key.

    Messages are JSON of `[{"role", "parts": [{"type", "content"}]}]`, as the conventions have it. Media are named by
    their kind: the bytes of an image are no attribute.
    """
    found: Attributes = {
        f"gen_ai.prompt.variable.{name}": mask_bytes(_text(value).encode()).decode()
        if isinstance(value, str)
        else _json(value)
        for name, value in islice(record.variables.items(), _MOST_VARIABLES)
    }
    if record.messages:
        found["gen_ai.input.messages"] = _json([_message(message) for message in record.messages])
    if record.choices:
        found["gen_ai.output.messages"] = _json([_choice(choice) for choice in record.choices])
    tools = (record.request or {}).get("tools")
    if tools:
        found["gen_ai.tool.definitions"] = _json(tools)
    return found


def _operation(record: Record) -> str:
    return "text_completion" if record.flavor == "openai_text" else "chat"


def _parameters(body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The parameters as they were sent, whatever the wire format calls them."""
    found: dict[str, JsonValue] = {
        attribute: value
        for name, attribute in _NUMBERS.items()
        if isinstance(value := body.get(name), (int, float)) and not isinstance(value, bool)
    }
    if found.get("gen_ai.request.choice.count") == 1:
        del found["gen_ai.request.choice.count"]  # the conventions want it only where it is not 1
    stop = body.get("stop", body.get("stop_sequences"))
    found["gen_ai.request.stop_sequences"] = [stop] if isinstance(stop, str) else stop
    found["gen_ai.request.reasoning.level"] = _first(body, _EFFORTS)
    format_ = _first(body, _FORMATS)
    found["gen_ai.output.type"] = "json" if format_ is not None and format_.startswith("json") else format_
    return found


def _first(body: Mapping[str, JsonValue], paths: Sequence[Sequence[str]]) -> str | None:
    """The first of these paths that leads to a text."""
    for path in paths:
        value: JsonValue = body
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            return value
    return None


def _finish_reasons(record: Record) -> list[str] | None:
    """The provider's own words; `error` for an answer that failed before one came."""
    missing = "error" if record.outcome in FAILED else None
    reasons = [choice.finish_reason_raw or choice.finish_reason or missing for choice in record.choices]
    return [reason for reason in reasons if reason is not None] or None


def _error_type(record: Record) -> str | None:
    if record.outcome not in FAILED:
        return None
    return record.error.type if record.error is not None else record.outcome


def _present(found: Mapping[str, JsonValue]) -> Attributes:
    """What is there, of the kinds that an attribute can be."""
    attributes: Attributes = {}
    for name, value in found.items():
        if isinstance(value, str):
            attributes[name] = _text(value)
        elif isinstance(value, (bool, int, float)):
            attributes[name] = value
        elif isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            attributes[name] = [_text(item) for item in value]
    return attributes


# --- contents ---------------------------------------------------------------------------------------------


def _message(message: Message) -> JsonObject:
    if message.role == "tool":
        answer: JsonObject = {"type": "tool_call_response", "id": message.tool_call_id, "response": message.text}
        return {"role": message.role, "parts": [answer]}
    return {"role": message.role, "parts": [*_content(message), *map(_tool_call, message.tool_calls)]}


def _content(message: Message) -> list[JsonObject]:
    if message.content is None:
        return []
    if isinstance(message.content, str):
        return [{"type": "text", "content": message.content}]
    return [
        {"type": "text", "content": part.get("text")} if part.get("type") == "text" else {"type": part.get("type")}
        for part in message.content
    ]


def _choice(choice: Choice) -> JsonObject:
    texts = (("reasoning", choice.reasoning), ("text", choice.text), ("refusal", choice.refusal))
    parts: list[JsonObject] = [{"type": kind, "content": text} for kind, text in texts if text]
    parts.extend(map(_tool_call, choice.tool_calls))
    return {"role": "assistant", "parts": parts, "finish_reason": choice.finish_reason_raw or choice.finish_reason}


def _tool_call(call: ToolCall) -> JsonObject:
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}


def _json(value: JsonValue) -> str:
    return mask_bytes(to_wire(value)).decode()


def _text(value: str) -> str:
    """Without lone surrogates, which no exporter can encode, and which would cost its whole batch."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()
