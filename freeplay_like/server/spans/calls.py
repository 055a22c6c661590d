"""Which spans are calls of a model, and the record that such a span makes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

import attrs

from freeplay_like.core.completion import Choice, CompletionResponse
from freeplay_like.core.ids import uuid7
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.records import ErrorInfo, Outcome, Record, TemplateRef, outcome_of_finish
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.server.spans import anthropic_client, genai, openinference, traceloop
from freeplay_like.server.spans.attributes import TEXT_LIMIT, Attributes
from freeplay_like.server.spans.facts import Facts, finish_reason_of, merged
from freeplay_like.server.spans.span import Span

Role = Literal["call", "own", "step", "plain"]
"""What a span is to us.

- call: somebody's instrumentation saw a call of a model, and names the model
- own: our SDK's span of a call, which has a record already, or will have
- step: work around calls (an agent, a tool, a retrieval): what lies inside it is not the call that lies around it
- plain: anything else
"""

RECORD_ID: Final = "freeplay_like.record.id"
_ID_LIMIT: Final = 64
_LABELS_LIMIT: Final = 32
_LABEL_LIMIT_BYTES: Final = 4_096

_READERS: Final[tuple[Callable[[Span], Facts | None], ...]] = (
    genai.read,
    openinference.read,
    traceloop.read,
    anthropic_client.read,
)
_TEXT_OPERATIONS: Final = frozenset({"text_completion", "completion"})
_CALLS: Final = frozenset({"chat", "generate_content", *_TEXT_OPERATIONS})
_CANCELLED: Final = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt", "ClientDisconnect"})
_FLAVORS: Final = {"openai": "openai_chat", "azure": "azure_openai_chat", "anthropic": "anthropic_chat"}
_RESOURCE_LABELS: Final = {
    "service.name": "service.name",
    "deployment.environment.name": "deployment.environment",
    "deployment.environment": "deployment.environment",
}


@attrs.frozen(kw_only=True)
class Reading:
    """What a span was found to be. `record` is that of a call, `record_id` the one our SDK's span names."""

    role: Role
    session_id: str | None = None
    record: Record | None = None
    record_id: str | None = None


def reading_of(span: Span, project_id: str) -> Reading:
    """What a span is, and the record it makes."""
    said = Attributes(span.attributes)
    session_id = said.label("session.id", "gen_ai.conversation.id")
    own = said.text(RECORD_ID)
    if own is not None and len(own) <= _ID_LIMIT:
        return Reading(role="own", session_id=session_id, record_id=own)
    found = [facts for read in _READERS if (facts := read(span)) is not None]
    if not found:
        return Reading(role="plain", session_id=session_id)
    facts = merged(found)
    session_id = facts.session_id or session_id
    if facts.operation is not None and facts.operation.lower() not in _CALLS:
        return Reading(role="step", session_id=session_id)
    if facts.requested_model is None and facts.model is None:
        return Reading(role="plain", session_id=session_id)
    return Reading(role="call", session_id=session_id, record=_record(span, facts, project_id))


def record_id_of(span: Span) -> str:
    """The id of the record that a span makes: the same whenever the span comes again."""
    digest = hashlib.sha256(f"{span.trace_id}{span.span_id}".encode()).digest()
    return uuid7(span.started_ns // 1_000_000, digest)


def _record(span: Span, facts: Facts, project_id: str) -> Record:
    error = _error(span, facts)
    choices = facts.choices or tuple(
        Choice(index=index, finish_reason=finish_reason_of(word), finish_reason_raw=word)
        for index, word in enumerate(facts.finish_reasons[:8])
    )
    ended_ns = span.ended_ns if span.ended_ns is None or span.ended_ns >= span.started_ns else span.started_ns
    return Record(
        record_id=record_id_of(span),
        project_id=project_id,
        session_id=facts.session_id,
        template=_template(facts),
        variables=facts.variables,
        messages=facts.messages,
        metadata=_metadata(span, facts),
        provider=facts.provider or "",
        endpoint=facts.endpoint,
        flavor=_flavor(span, facts),
        requested_model=facts.requested_model or facts.model,
        model=facts.model,
        parameters={n: ParameterSetting(value=value, layer="call") for n, value in facts.parameters.items()},
        is_stream=facts.is_stream or facts.first_chunk_at_ns is not None,
        request=_request(facts),
        outcome=_outcome(ended_ns, error, choices),
        choices=choices,
        usage=facts.usage,
        error=error,
        response_id=facts.response_id,
        request_id=facts.request_id,
        otel_trace_id=span.trace_id,
        otel_span_id=span.span_id,
        started_at=span.started_at,
        ended_at=None if ended_ns is None else attrs.evolve(span, ended_ns=ended_ns).ended_at,
        latency_ms=None if ended_ns is None else round((ended_ns - span.started_ns) / 1e6, 3),
        time_to_first_chunk_ms=_first_chunk_ms(span, facts),
        sdk=f"{span.scope}/{span.scope_version}".strip("/")[:TEXT_LIMIT] or None,
    )


def _template(facts: Facts) -> TemplateRef | None:
    if facts.prompt_name is None:
        return None
    return TemplateRef(name=facts.prompt_name, version=facts.prompt_version)


def _flavor(span: Span, facts: Facts) -> str:
    """The wire format, where the span lets no doubt of it; else empty."""
    if facts.provider in ("openai", "azure"):
        if (facts.operation or "").lower() in _TEXT_OPERATIONS:
            return "openai_text"
        is_responses = span.attributes.get("openai.api.type") == "responses" or "input" in (facts.request or {})
        if is_responses or span.name in ("openai.response", "openai.responses"):
            return "openai_responses"
    return _FLAVORS.get(facts.provider or "", "")


def _request(facts: Facts) -> JsonObject | None:
    """The body of the request where the span has it; else what is known of it beside messages and parameters."""
    if facts.request is not None or not facts.tools:
        return facts.request
    return {"model": facts.requested_model, "tools": list(facts.tools)}


def _first_chunk_ms(span: Span, facts: Facts) -> float | None:
    if facts.first_chunk_ms is not None:
        return facts.first_chunk_ms
    if facts.first_chunk_at_ns is None or facts.first_chunk_at_ns < span.started_ns:
        return None
    return round((facts.first_chunk_at_ns - span.started_ns) / 1e6, 3)


def _error(span: Span, facts: Facts) -> ErrorInfo | None:
    said = Attributes(span.attributes)
    raised = next((Attributes(e.attributes) for e in span.events if e.name == "exception"), None)
    kind = said.label("error.type") or (raised.label("exception.type") if raised and span.is_error else None)
    if kind is None and not span.is_error:
        return None
    message = span.status_message or (raised.text("exception.message") if raised else None) or ""
    status = facts.status or said.count("http.status_code")
    name = (kind or "error").rpartition(".")[2] or "error"
    return ErrorInfo(
        type=name,
        message=message.removeprefix(f"{name}: "),
        status=status if status is not None and 400 <= status <= 599 else None,
    )


def _outcome(ended_ns: int | None, error: ErrorInfo | None, choices: tuple[Choice, ...]) -> Outcome:
    """How the call ended. A span that ended well and does not say why the model stopped is taken at its word."""
    if error is not None:
        return "cancelled" if error.type in _CANCELLED else "error"
    if ended_ns is None:
        return "interrupted"
    if not any(choice.finish_reason or choice.refusal for choice in choices):
        return "complete"
    return outcome_of_finish(CompletionResponse(content="", is_complete=True, choices=choices))


def _metadata(span: Span, facts: Facts) -> JsonObject:
    labels: JsonObject = {}
    resource = Attributes(span.resource)
    for theirs, ours in _RESOURCE_LABELS.items():
        text = resource.label(theirs)
        if text is not None:
            labels.setdefault(ours, text)
    if facts.user_id is not None:
        labels["user_id"] = facts.user_id
    return {**dict(_small(facts.labels)), **labels}


def _small(labels: Mapping[str, JsonValue]) -> Iterator[tuple[str, JsonValue]]:
    """Labels that are few and small; what is left out is still on the span."""
    for name, value in [*labels.items()][:_LABELS_LIMIT]:
        if value is not None and len(to_wire(value)) <= _LABEL_LIMIT_BYTES:
            yield name, value
