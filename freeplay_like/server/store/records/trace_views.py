"""Traces as the store takes and gives them."""

from __future__ import annotations

from datetime import datetime

import attrs

from freeplay_like.core.records import ScoreValue
from freeplay_like.core.wire import JsonObject, JsonValue


@attrs.frozen(kw_only=True)
class TraceChange:
    """What is said of a trace. None, and an empty mapping, say nothing; a mapping is added to what is there.

    A metadata value of None takes the name away.
    """

    parent_id: str | None = None
    kind: str | None = None
    name: str | None = None
    agent_name: str | None = None
    input: JsonValue = None
    output: JsonValue = None
    metadata: JsonObject = attrs.field(factory=dict)
    feedback: JsonObject = attrs.field(factory=dict)
    scores: dict[str, ScoreValue] = attrs.field(factory=dict)
    test_run_id: str | None = None
    test_case_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Trace:
    """A trace: a named group of calls in a session.

    `parent_id` is a trace or a record. `feedback` is from people, `scores` from checks and judges. `started_at` is when
    it was first heard of, where nobody said more.
    """

    trace_id: str
    session_id: str | None
    parent_id: str | None = None
    kind: str | None = None
    name: str | None = None
    agent_name: str | None = None
    input: JsonValue = None
    output: JsonValue = None
    metadata: JsonObject = attrs.field(factory=dict)
    feedback: JsonObject = attrs.field(factory=dict)
    scores: dict[str, ScoreValue] = attrs.field(factory=dict)
    test_run_id: str | None = None
    test_case_id: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


@attrs.frozen(kw_only=True)
class WholeTrace:
    """A trace, and what belongs to it: its records and the traces in it, by id, in the order they began."""

    trace: Trace
    record_ids: tuple[str, ...]
    child_ids: tuple[str, ...]
