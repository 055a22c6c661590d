"""OpenTelemetry's conventions for generative AI, of all ages: attributes, and older forms with contents on events.

Names: the repository `open-telemetry/semantic-conventions-genai` and `opentelemetry-util-genai` 1.3b0; older ones as
the instrumentations of anthropic, openai, openlit and traceloop emit or emitted them (read and recorded in November
2026).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from freeplay_like.core.chunks import Usage
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.foreign.messages import messages_of
from freeplay_like.server.spans.attributes import Attributes
from freeplay_like.server.spans.facts import Facts, choices_of, provider_of, usage_of
from freeplay_like.server.spans.span import Span, SpanEvent

_NUMBERS: Final = {
    "temperature": ("gen_ai.request.temperature",),
    "top_p": ("gen_ai.request.top_p",),
    "top_k": ("gen_ai.request.top_k",),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", "llm.frequency_penalty"),
    "presence_penalty": ("gen_ai.request.presence_penalty", "llm.presence_penalty"),
    "seed": ("gen_ai.request.seed", "gen_ai.openai.request.seed"),
}
_COUNTS: Final = {
    "max_tokens": ("gen_ai.request.max_tokens", "gen_ai.request.max_completion_tokens"),
    "n": ("gen_ai.request.choice.count",),
}
"""Counts from 1; openlit says -1 where nothing was asked for."""

_STREAM: Final = (
    "gen_ai.request.stream",
    "gen_ai.request.is_stream",
    "gen_ai.is_streaming",
    "llm.is_streaming",
)
_FIRST_CHUNK_S: Final = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
    "gen_ai.server.ttft",
)
_DETAILS: Final = "gen_ai.client.inference.operation.details"
_CHUNK_EVENT: Final = "gen_ai.content.completion.chunk"
_MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_SPEAKER: Final = re.compile(r"^(system|developer|user|assistant|tool): ", re.MULTILINE)


def read(span: Span) -> Facts | None:
    """What the span says in these words; None where it does not speak them."""
    attributes = Attributes(span.attributes)
    if not any(name.startswith("gen_ai.") for name in span.attributes):
        return None
    details = next((Attributes(event.attributes) for event in span.events if event.name == _DETAILS), None)
    said = attributes if details is None else Attributes({**details.values, **span.attributes})
    reasons = said.texts("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason")
    answers = _answers(said, span)
    first_s = said.number(*_FIRST_CHUNK_S)
    return Facts(
        operation=said.text("gen_ai.operation.name", "llm.request.type"),
        provider=provider_of(said.label("gen_ai.provider.name", "gen_ai.system")),
        requested_model=said.label("gen_ai.request.model"),
        model=said.label("gen_ai.response.model"),
        messages=messages_of(_messages(said, span)),
        choices=choices_of(answers, reasons),
        finish_reasons=tuple(reasons),
        usage=_usage(said),
        parameters=_parameters(said),
        tools=tuple(said.objects("gen_ai.tool.definitions", "gen_ai.request.tools")),
        is_stream=said.flag(*_STREAM),
        first_chunk_ms=None if first_s is None or first_s < 0 else round(first_s * 1000, 3),
        first_chunk_at_ns=next((event.at_ns for event in span.events if event.name == _CHUNK_EVENT), None),
        response_id=said.label("gen_ai.response.id"),
        session_id=said.label("gen_ai.conversation.id"),
        user_id=said.label("gen_ai.request.user"),
        prompt_name=said.label("gen_ai.prompt.name"),
        prompt_version=said.label("gen_ai.prompt.version"),
        variables=dict(said.under("gen_ai.prompt.variable.").values),
        endpoint=_endpoint(said),
    )


def _parameters(said: Attributes) -> JsonObject:
    found: JsonObject = {name: said.number(*names) for name, names in _NUMBERS.items()}
    found |= {name: said.count(*names) or None for name, names in _COUNTS.items()}
    found["stop"] = said.texts("gen_ai.request.stop_sequences") or None
    found["reasoning_effort"] = said.text("gen_ai.request.reasoning.level", "gen_ai.request.reasoning_effort")
    return {name: value for name, value in found.items() if value is not None}


def _usage(said: Attributes) -> Usage | None:
    return usage_of(
        input_tokens=said.count("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        output_tokens=said.count("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        cached=said.count(
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.input_tokens.cached",
        ),
        written=said.count(
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ),
        reasoning=said.count("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
        raw=dict(said.under("gen_ai.usage.").values),
    )


def _endpoint(said: Attributes) -> str | None:
    """`host:port`, as records have it."""
    address, port = said.label("server.address"), said.count("server.port")
    if address is not None:
        return address if port is None else f"{address}:{port}"
    base = said.label("gen_ai.openai.api_base", "url.full")
    try:
        return None if base is None else urlsplit(base).netloc.rpartition("@")[2] or None
    except ValueError:
        return None  # an address that is none


# --- contents -----------------------------------------------------------------------------------------------


def _messages(said: Attributes, span: Span) -> list[JsonObject]:
    """The messages that were sent: as attributes, flat lists, or events, whichever there is."""
    instructions = said.json("gen_ai.system_instructions")
    asked = said.objects("gen_ai.input.messages")
    if not asked:
        asked = [_unflattened(one) for one in said.numbered("gen_ai.prompt")] or [*_event_messages(span)]
    if not asked:
        asked = [*_told(_event_text(span, "gen_ai.content.prompt", "gen_ai.prompt") or said.text("gen_ai.prompt"))]
    if instructions:
        return [{"role": "system", "content": instructions}, *asked]
    return asked


def _answers(said: Attributes, span: Span) -> list[JsonObject]:
    answers = said.objects("gen_ai.output.messages")
    if not answers:
        answers = [_unflattened(one) for one in said.numbered("gen_ai.completion")] or [*_event_choices(span)]
    if not answers:
        text = _event_text(span, "gen_ai.content.completion", "gen_ai.completion") or said.text("gen_ai.completion")
        answers = [] if text is None else [{"content": text}]
    return answers


def _unflattened(one: Attributes) -> JsonObject:
    """A message of traceloop's older form: `role`, `content`, `tool_calls.0.name`, … each an attribute."""
    message: JsonObject = {name: one.values[name] for name in ("role", "tool_call_id") if name in one.values}
    structured = one.json("content")
    message["content"] = one.text("content") if structured is None else structured
    reason = one.text("finish_reason")
    if reason is not None:
        message["finish_reason"] = reason
    calls: list[JsonValue] = [
        {"id": call.text("id"), "name": call.text("name"), "arguments": call.text("arguments") or "{}"}
        for call in one.numbered("tool_calls")
    ]
    if calls:
        message["tool_calls"] = calls
    return message


def _event_messages(span: Span) -> Iterator[JsonObject]:
    """Messages that were events of their own (`gen_ai.user.message`), their content in attributes or in one JSON."""
    for event in span.events:
        role = _MESSAGE_EVENTS.get(event.name)
        if role is not None:
            yield {"role": role, **_event_body(event)}


def _event_choices(span: Span) -> Iterator[JsonObject]:
    for event in span.events:
        if event.name == "gen_ai.choice":
            body = _event_body(event)
            inside = body.get("message")
            message = dict(inside) if isinstance(inside, Mapping) else body
            yield {**message, "finish_reason": body.get("finish_reason")}


def _event_body(event: SpanEvent) -> JsonObject:
    attributes = Attributes(event.attributes)
    body: JsonObject = dict(attributes.object("gen_ai.event.content"))
    for name in ("role", "content", "tool_calls", "message", "id", "finish_reason"):
        if name in event.attributes:
            structured = attributes.json(name)
            body[name] = event.attributes[name] if structured is None else structured
    if "id" in body:
        body.setdefault("tool_call_id", body.pop("id"))
    return body


def _event_text(span: Span, event_name: str, name: str) -> str | None:
    return next((Attributes(e.attributes).text(name) for e in span.events if e.name == event_name), None)


def _told(text: str | None) -> Iterator[JsonObject]:
    """Messages out of one text with a line `role: …` for each, as openlit writes them."""
    if text is None:
        return
    begins = [*_SPEAKER.finditer(text)]
    if not begins or begins[0].start() != 0:
        yield {"role": "user", "content": text}
        return
    ends = [begin.start() for begin in begins[1:]] + [len(text)]
    for begin, end in zip(begins, ends, strict=True):
        yield {"role": begin[1], "content": text[begin.end() : end].removesuffix("\n")}
