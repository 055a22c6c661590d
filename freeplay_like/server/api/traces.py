"""Traces in Freeplay's words: recorded, added to, read back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.api.completions import THUMB, feedback_of
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, operation
from freeplay_like.server.checks import as_utc, check_depth, check_uuid, is_name, said_of_name
from freeplay_like.server.foreign.bodies import Scores, TestRunInfo, Text, Value
from freeplay_like.server.store.records.trace_views import Trace, TraceChange
from freeplay_like.server.store.records.traces import TraceNotFound
from freeplay_like.server.store.views import Refused

B = TypeVar("B")

_TRACE: Final = f"{PROJECT}/sessions/{{session_id}}/traces/id/{{trace_id}}"

Metadata = dict[str, Value | None]
"""A flat object; null takes a name away."""


@attrs.frozen(kw_only=True)
class NewTrace:
    """The body that records a trace. Times are ISO 8601; one without a time zone is UTC."""

    input: JsonValue = None
    output: JsonValue = None
    agent_name: Text | None = None
    kind: Text | None = None
    name: Text | None = None
    parent_id: Text | None = None
    custom_metadata: Metadata | None = None
    eval_results: Scores | None = None
    test_run_info: TestRunInfo | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


@attrs.frozen(kw_only=True)
class TraceUpdate:
    """The body that adds to a trace: what is not there stays."""

    output: JsonValue = None
    metadata: Metadata | None = None
    feedback: Metadata | None = None
    eval_results: Scores | None = None
    test_run_info: TestRunInfo | None = None


@attrs.frozen(kw_only=True)
class TraceAnswer:
    """What recording a trace, or adding to it, answers."""

    trace_id: str


@operation("POST", _TRACE, scope="ingest", body=NewTrace, status=201, returns=TraceAnswer, mends_text=True)
def record_trace(ask: Ask[NewTrace]) -> TraceAnswer:
    """Record a trace. Its calls, its parent and what is said of it may have come before."""
    body, test_run = ask.body, ask.body.test_run_info
    try:
        check_depth("input", body.input)
        change = TraceChange(
            parent_id=body.parent_id,
            kind=body.kind,
            name=body.name,
            agent_name=body.agent_name,
            input=body.input,
            output=_output(body.output),
            metadata=metadata_of("custom_metadata", body.custom_metadata),
            scores=_scores(body.eval_results),
            test_run_id=test_run.test_run_id if test_run else None,
            test_case_id=test_run.test_case_id if test_run else None,
            started_at=body.start_time and as_utc("start_time", body.start_time),
            ended_at=body.end_time and as_utc("end_time", body.end_time),
        )
    except ValueError as exc:
        raise Refused(str(exc)) from exc
    return _save(ask, change)


@operation("PATCH", _TRACE, scope="ingest", body=TraceUpdate, returns=TraceAnswer, mends_text=True)
def update_trace(ask: Ask[TraceUpdate]) -> TraceAnswer:
    """Add to a trace, also to one that has not arrived yet; metadata, feedback and scores join those there are."""
    body, test_run = ask.body, ask.body.test_run_info
    if body == TraceUpdate():
        raise Refused(
            "the body changes nothing: give 'output', 'metadata', 'feedback', 'eval_results', 'test_run_info'"
        )
    try:
        change = TraceChange(
            output=_output(body.output),
            metadata=metadata_of("metadata", body.metadata),
            feedback=_feedback(body.feedback) if body.feedback else {},
            scores=_scores(body.eval_results),
            test_run_id=test_run.test_run_id if test_run else None,
            test_case_id=test_run.test_case_id if test_run else None,
        )
    except ValueError as exc:
        raise Refused(str(exc)) from exc
    return _save(ask, change)


@operation("PATCH", f"{_TRACE}/metadata", scope="ingest", body=dict[str, Value | None], returns=TraceAnswer)
def update_trace_metadata(ask: Ask[Metadata]) -> TraceAnswer:
    """Add to the metadata of a trace; null takes a name away."""
    change = TraceChange(metadata=metadata_of("the body", ask.body))
    ask.store.traces.save_known(ask.project, ask.path("session_id"), ask.path("trace_id"), change)
    return TraceAnswer(trace_id=ask.path("trace_id"))


@operation(
    "POST",
    f"{PROJECT}/trace-feedback/id/{{trace_id}}",
    scope="ingest",
    body=dict[str, Value | None],
    status=201,
    returns=TraceAnswer,
    mends_text=True,
)
def give_trace_feedback(ask: Ask[Metadata]) -> TraceAnswer:
    """Keep a person's feedback on a trace: a flat object, in which `freeplay_feedback` is the thumb."""
    change = TraceChange(feedback=_feedback(ask.body))
    ask.store.traces.save_known(ask.project, None, ask.path("trace_id"), change)
    return TraceAnswer(trace_id=ask.path("trace_id"))


@operation("GET", f"{PROJECT}/traces/{{trace_id}}", scope="read")
def get_trace(ask: Ask[None]) -> JsonObject:
    """A trace, its calls and the traces in it by id; known also where its calls arrived and itself did not."""
    trace_id = ask.path("trace_id")
    whole = ask.store.traces.get(ask.project.id, trace_id)
    if whole is None:
        raise TraceNotFound(f"no trace {trace_id!r} in project {ask.project.name!r}")
    return {**trace_to_wire(whole.trace), "completion_ids": whole.record_ids, "child_trace_ids": whole.child_ids}


@operation("GET", f"{PROJECT}/sessions/{{session_id}}/traces", scope="read", query=PAGE)
def list_traces(ask: Ask[None]) -> JsonObject:
    """The traces of a session, in the order they began."""
    page = ask.page()
    found = ask.store.traces.of_session(ask.project.id, ask.path("session_id"), page.offset, page.limit)
    return page.answer([trace_to_wire(trace) for trace in found])


OPERATIONS: Final = (
    record_trace,
    update_trace,
    update_trace_metadata,
    give_trace_feedback,
    get_trace,
    list_traces,
)


def metadata_of(where: str, said: Mapping[str, Value | None] | None) -> JsonObject:
    """Metadata whose names can be kept.

    Raises:
        Refused: a name is none.
    """
    for name in said or {}:
        if not is_name(name):
            raise Refused(f"{where}: a field's {said_of_name(name)}")
    return dict(said or {})


def _save(ask: Ask[B], change: TraceChange) -> TraceAnswer:
    session_id, trace_id = ask.path("session_id"), ask.path("trace_id")
    try:
        check_uuid("Session ID", session_id)
        check_uuid("Trace ID", trace_id)
    except ValueError as exc:
        raise Refused(str(exc)) from exc
    ask.store.traces.save(ask.project, session_id, trace_id, change)
    return TraceAnswer(trace_id=trace_id)


def _output(said: JsonValue) -> JsonValue:
    check_depth("output", said)
    return said


def _feedback(said: Metadata) -> JsonObject:
    thumb, rest = feedback_of(said)
    return {**metadata_of("feedback", rest), **({THUMB: thumb} if thumb else {})}


def _scores(said: Scores | None) -> Scores:
    metadata_of("eval_results", said)
    return dict(said or {})


def trace_to_wire(trace: Trace) -> JsonObject:
    """A trace in Freeplay's words."""
    has_run = trace.test_run_id is not None
    return {
        "trace_id": trace.trace_id,
        "session_id": trace.session_id,
        "parent_id": trace.parent_id,
        "kind": trace.kind,
        "name": trace.name,
        "agent_name": trace.agent_name,
        "input": trace.input,
        "output": trace.output,
        "custom_metadata": trace.metadata,
        "feedback": trace.feedback,
        "eval_results": trace.scores,
        "test_run_info": {"test_run_id": trace.test_run_id, "test_case_id": trace.test_case_id} if has_run else None,
        "start_time": trace.started_at,
        "end_time": trace.ended_at,
        "created_at": trace.created_at,
        "updated_at": trace.updated_at,
    }
