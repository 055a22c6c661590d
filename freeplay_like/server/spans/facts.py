"""What a span says of a call, in our words, whichever convention it speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from freeplay_like.core.chunks import FinishReason, Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.foreign.messages import messages_of, refusal_of

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "complete": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_call": "tool_calls",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
}
"""Providers' words and the conventions' own, in lower case."""

_NO_REASONS: Final = frozenset({"", "error", "none", "unknown"})
"""Words for an answer that did not come to its end."""

PROVIDERS: Final[Mapping[str, str]] = {
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "azure_openai": "azure",
    "azure_ai_openai": "azure",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "gcp.gemini": "google",
    "gemini": "google",
    "gcp.gen_ai": "google",
    "google_genai": "google",
}
"""The conventions' names of providers, in lower case, where ours is another."""


@attrs.frozen(kw_only=True)
class Facts:
    """What one convention found on a span; what it found nothing of is None or empty.

    `operation` is the conventions' word (`chat`, `embeddings`, `execute_tool`, …). `first_chunk_at_ns` and
    `first_chunk_ms` are two ways to say when the first text came. `labels` are further words to find a call by.
    """

    operation: str | None = None
    provider: str | None = None
    requested_model: str | None = None
    model: str | None = None
    messages: tuple[Message, ...] = ()
    choices: tuple[Choice, ...] = ()
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    parameters: JsonObject = attrs.field(factory=dict)
    tools: tuple[JsonValue, ...] = ()
    request: JsonObject | None = None
    is_stream: bool = False
    first_chunk_ms: float | None = None
    first_chunk_at_ns: int | None = None
    response_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    variables: JsonObject = attrs.field(factory=dict)
    labels: JsonObject = attrs.field(factory=dict)
    endpoint: str | None = None
    error_type: str | None = None
    status: int | None = None


_NAMES: Final = tuple(field.name for field in attrs.fields(Facts))


def merged(found: Sequence[Facts]) -> Facts:
    """Facts of several conventions about one span: each from the first that has it."""
    if len(found) == 1:
        return found[0]
    values = {name: next((v for v in (getattr(one, name) for one in found) if v), None) for name in _NAMES}
    return Facts(**{name: value for name, value in values.items() if value is not None})


def provider_of(name: str | None) -> str | None:
    """Our name of a provider."""
    if name is None:
        return None
    known = name.strip().lower()
    return PROVIDERS.get(known, known)


def finish_reason_of(word: str | None) -> FinishReason | None:
    """Our word for why a model stopped."""
    known = (word or "").strip().lower()
    return None if known in _NO_REASONS else FINISH_REASONS.get(known, "other")


def choices_of(answers: Iterable[Mapping[str, JsonValue]], reasons: Sequence[str] = ()) -> tuple[Choice, ...]:
    """Choices out of answers in any provider's shape; `reasons` where an answer does not have its own."""
    choices = []
    for index, answer in enumerate(answers):
        own = answer.get("finish_reason")
        raw = own if isinstance(own, str) and own else reasons[index] if index < len(reasons) else None
        choices.append(_choice(index, answer, raw))
    return tuple(choices)


def _choice(index: int, answer: Mapping[str, JsonValue], raw: str | None) -> Choice:
    messages = messages_of([{"role": "assistant", **answer}])
    refusal = refusal_of(answer)
    return Choice(
        index=index,
        text="" if refusal else "".join(message.text for message in messages),
        reasoning="\n\n".join(message.reasoning for message in messages if message.reasoning),
        reasoning_blocks=tuple(block for message in messages for block in message.reasoning_blocks),
        refusal=refusal,
        tool_calls=tuple(call for message in messages for call in message.tool_calls),
        finish_reason=finish_reason_of(raw),
        finish_reason_raw=raw,
    )


def usage_of(
    *,
    input_tokens: int | None,
    output_tokens: int | None,
    cached: int | None = None,
    written: int | None = None,
    reasoning: int | None = None,
    raw: JsonObject,
) -> Usage | None:
    """Token counts, the input with what was read from a cache and written to one.

    The conventions want it so. Some instrumentations pass on a provider's own count, which leaves that out: where the
    parts are more than the whole, they were.
    """
    if all(count is None for count in (input_tokens, output_tokens, cached, written, reasoning)):
        return None
    parts = (cached or 0) + (written or 0)
    if input_tokens is not None and parts > input_tokens:
        input_tokens += parts
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
        raw=raw,
    )
