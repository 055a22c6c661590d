"""Spans of OpenTelemetry, read back, and what is said of the calls that they were. They come in through `otlp`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, cast

import attrs
import msgspec
from starlette.exceptions import HTTPException

from freeplay_like.clock import SystemClock
from freeplay_like.core.records import Amendment, Feedback, ScoreValue
from freeplay_like.server.api.operations import PROJECT, Ask, operation
from freeplay_like.server.checks import SCORES_LIMIT, check_amendment
from freeplay_like.server.spans.calls import Role
from freeplay_like.server.store.views import NotFound

_THUMB: Final = "freeplay_feedback"
_COMMENTS_LIMIT: Final = 100
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")


@attrs.frozen(kw_only=True)
class TracedSpan:
    """A span in its trace. `record_id` is the record that it belongs to, `span` all that was sent of it."""

    span_id: str
    parent_id: str | None
    depth: int
    role: Role
    name: str
    record_id: str | None
    started_at: datetime
    ended_at: datetime
    span: msgspec.Raw


@attrs.frozen(kw_only=True)
class Trace:
    """The spans of a trace, each before those that lie in it."""

    trace_id: str
    spans: tuple[TracedSpan, ...]
    has_more: bool


@attrs.frozen(kw_only=True)
class SpanUpdate:
    """The body that says something of the call that a span was."""

    feedback: Annotated[dict[str, ScoreValue | None], msgspec.Meta(max_length=_COMMENTS_LIMIT)] | None = None
    eval_results: Annotated[dict[str, ScoreValue], msgspec.Meta(max_length=SCORES_LIMIT)] | None = None


@attrs.frozen(kw_only=True)
class Updated:
    """The record that something was said of."""

    completion_id: str


@operation("GET", f"{PROJECT}/otel-traces/{{trace_id}}", scope="read", returns=Trace)
def get_otel_trace(ask: Ask[None]) -> Trace:
    """The spans of an OpenTelemetry trace as a tree: in its order, each with its depth."""
    trace_id = _id(_TRACE_ID, ask.path("trace_id"), "a trace id has 32 hex digits")
    found = ask.store.spans.tree(ask.project.id, trace_id)
    if not found.spans:
        raise NotFound(f"no trace {trace_id!r} in project {ask.project.name!r}")
    spans = tuple(
        TracedSpan(
            span_id=row.span_id,
            parent_id=row.parent_id,
            depth=row.depth,
            role=row.role,
            name=row.name,
            record_id=row.record_id,
            started_at=row.started_at,
            ended_at=row.ended_at,
            span=msgspec.Raw(row.body),
        )
        for row in found.spans
    )
    return Trace(trace_id=trace_id, spans=spans, has_more=found.has_more)


@operation("PATCH", f"{PROJECT}/traces/otel-span-id/{{span_id}}", scope="ingest", body=SpanUpdate, returns=Updated)
def update_by_span(ask: Ask[SpanUpdate]) -> Updated:
    """Keep feedback and scores on the call that a span was: `{"feedback": {"freeplay_feedback": "positive"}}`."""
    span_id = _id(_SPAN_ID, ask.path("span_id"), "a span id has 16 hex digits")
    said = dict(ask.body.feedback or {})
    thumb = said.pop(_THUMB, None)
    scores = ask.body.eval_results or {}
    if thumb not in (None, "positive", "negative"):
        raise HTTPException(400, f"{_THUMB!r} is 'positive' or 'negative', not {str(thumb)[:100]!r}")
    if thumb is None and not said and not scores:
        raise HTTPException(400, "the body says nothing: give 'feedback' or 'eval_results'")
    record_id = ask.store.spans.record_of_span(ask.project.id, span_id)
    if record_id is None:
        raise NotFound(f"no call of span {span_id!r} in project {ask.project.name!r}")
    clock = SystemClock()
    amendment = Amendment(
        amendment_id=clock.new_id(),
        record_id=record_id,
        project_id=ask.project.id,
        made_at=clock.now(),
        feedback=cast("Feedback | None", thumb),
        comments=dict(said),
        scores=scores,
    )
    try:
        check_amendment(amendment, ask.project)
    except ValueError as exc:
        raise HTTPException(400, str(exc)) from exc
    if not ask.store.calls.amend(ask.project, amendment):
        raise NotFound(f"the record {record_id!r} of span {span_id!r} has not arrived; say it again when it has")
    return Updated(completion_id=record_id)


def _id(form: re.Pattern[str], text: str, what: str) -> str:
    found = text.lower()
    if not form.fullmatch(found):
        raise HTTPException(400, f"{what}, not {text[:100]!r}")
    return found


OPERATIONS: Final = (get_otel_trace, update_by_span)
