"""Traces: named groups of calls, made by whoever speaks of them first, and added to since."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import ScoreValue
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.bodies import Packer, unpack
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.records.trace_tables import trace
from freeplay_like.server.store.records.trace_views import Trace, TraceChange, WholeTrace
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import Conflict, NotFound, Project, Refused

NAMES_LIMIT: Final = 200
"""The most names of the metadata, the feedback or the scores of one trace, and of the metadata of one session."""
READ_LIMIT: Final = 1_000
"""The most records and traces of a trace that are read back."""

_COLUMNS: Final = ("parent_id", "kind", "name", "agent_name", "test_run_id", "test_case_id")
_MAPPINGS: Final = ("metadata", "feedback", "scores")


class TraceNotFound(NotFound):
    """Nothing in that project is, or points at, such a trace."""


class TraceElsewhere(Conflict):
    """The trace is of another session."""


@attrs.frozen(kw_only=True)
class _Content:
    """What of a trace lies compressed."""

    input: JsonValue = None
    output: JsonValue = None
    metadata: JsonObject = attrs.field(factory=dict)
    feedback: JsonObject = attrs.field(factory=dict)
    scores: dict[str, ScoreValue] = attrs.field(factory=dict)


def merged(before: JsonObject, said: JsonObject, what: str) -> JsonObject:
    """Two mappings, the later one over the earlier one; None takes a name away.

    Raises:
        Refused: there would be too many names.
    """
    together = {name: value for name, value in {**before, **said}.items() if value is not None}
    if len(together) > NAMES_LIMIT:
        raise Refused(f"{what} would have {len(together)} names; at most {NAMES_LIMIT} are kept")
    return together


def get(connection: sa.Connection, of: Project, trace_id: str) -> Trace | None:
    """A trace that somebody recorded."""
    row = connection.execute(sa.select(trace).where(_is(of, trace_id))).mappings().one_or_none()
    return None if row is None else _trace(row)


def get_whole(connection: sa.Connection, of: Project, trace_id: str) -> WholeTrace | None:
    """A trace and what belongs to it; one that records or other traces only point at is known by that alone."""
    calls = connection.execute(
        sa.select(record.c.record_id, record.c.session_id, record.c.started_at)
        .where(record.c.project_key == of.key, record.c.trace_id == trace_id)
        .order_by(record.c.started_at, record.c.seq)
        .limit(READ_LIMIT)
    ).all()
    children = connection.execute(
        sa.select(trace.c.trace_id, trace.c.session_id, trace.c.started_at)
        .where(trace.c.project_key == of.key, trace.c.parent_id == trace_id)
        .order_by(trace.c.started_at, trace.c.key)
        .limit(READ_LIMIT)
    ).all()
    found = get(connection, of, trace_id)
    if found is None:
        if not (calls or children):
            return None
        _, session_id, began = (calls or children)[0]
        at = from_micros(began)
        found = Trace(trace_id=trace_id, session_id=session_id, started_at=at, created_at=at, updated_at=at)
    return WholeTrace(
        trace=found,
        record_ids=tuple(each.record_id for each in calls),
        child_ids=tuple(each.trace_id for each in children),
    )


def of_session(connection: sa.Connection, of: Project, session_id: str, offset: int, limit: int) -> tuple[Trace, ...]:
    """The traces of a session, in the order they began."""
    rows = connection.execute(
        sa.select(trace)
        .where(trace.c.project_key == of.key, trace.c.session_id == session_id)
        .order_by(trace.c.started_at, trace.c.key)
        .offset(offset)
        .limit(limit)
    )
    return tuple(_trace(row) for row in rows.mappings())


def of_test_run(connection: sa.Connection, of: Project, test_run_id: str, limit: int) -> tuple[Trace, ...]:
    """The newest traces that name a test run, in the order they began."""
    rows = connection.execute(
        sa.select(trace)
        .where(trace.c.project_key == of.key, trace.c.test_run_id == test_run_id)
        .order_by(trace.c.started_at.desc(), trace.c.key.desc())
        .limit(limit)
    )
    return tuple(_trace(row) for row in rows.mappings())[::-1]


def save(
    connection: sa.Connection, of: Project, session_id: str | None, trace_id: str, change: TraceChange, now: datetime
) -> None:
    """Add what is said to a trace, which is made if there is none.

    Raises:
        TraceElsewhere: it is there, in another session.
        Refused: it would have too many names.
    """
    before = get(connection, of, trace_id)
    if before is None:
        began = change.started_at or now
        before = Trace(trace_id=trace_id, session_id=session_id, started_at=began, created_at=now, updated_at=now)
        connection.execute(sa.insert(trace).values(project_key=of.key, **_values(_with(before, change, now))))
        return
    if None not in (before.session_id, session_id) and before.session_id != session_id:
        raise TraceElsewhere(f"trace {trace_id!r} is of session {before.session_id!r}, not of {session_id!r}")
    after = attrs.evolve(_with(before, change, now), session_id=before.session_id or session_id)
    connection.execute(sa.update(trace).where(_is(of, trace_id)).values(**_values(after)))


def save_known(
    connection: sa.Connection, of: Project, session_id: str | None, trace_id: str, change: TraceChange, now: datetime
) -> None:
    """Add what is said to a trace that is there, or that something points at.

    Raises:
        TraceNotFound: neither, or it is in another session.
        Refused: it would have too many names.
    """
    known = get_whole(connection, of, trace_id)
    if known is None or (session_id is not None and known.trace.session_id not in (None, session_id)):
        where = "" if session_id is None else f" in session {session_id!r}"
        raise TraceNotFound(f"no trace {trace_id!r}{where} in project {of.name!r}")
    save(connection, of, session_id or known.trace.session_id, trace_id, change, now)


def _is(of: Project, trace_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(trace.c.project_key == of.key, trace.c.trace_id == trace_id)


def _with(before: Trace, change: TraceChange, now: datetime) -> Trace:
    said = {
        field.name: value
        for field in attrs.fields(TraceChange)
        if field.name not in _MAPPINGS and (value := getattr(change, field.name)) is not None
    }
    for name in _MAPPINGS:
        what = f"the {name} of trace {before.trace_id!r}"
        said[name] = merged(getattr(before, name), getattr(change, name), what)
    return attrs.evolve(before, **said, updated_at=now)


def _values(value: Trace) -> dict[str, object]:
    content = _Content(**{field.name: getattr(value, field.name) for field in attrs.fields(_Content)})
    return {
        "trace_id": value.trace_id,
        "session_id": value.session_id,
        **{name: getattr(value, name) for name in _COLUMNS},
        "started_at": to_micros(value.started_at),
        "ended_at": None if value.ended_at is None else to_micros(value.ended_at),
        "created_at": to_micros(value.created_at),
        "updated_at": to_micros(value.updated_at),
        "zstd": Packer().pack(to_wire(content)),
    }


def _trace(row: sa.RowMapping) -> Trace:
    content = unpack(row["zstd"], _Content)
    return Trace(
        trace_id=row["trace_id"],
        session_id=row["session_id"],
        **{name: row[name] for name in _COLUMNS},
        **{field.name: getattr(content, field.name) for field in attrs.fields(_Content)},
        started_at=from_micros(row["started_at"]),
        ended_at=None if row["ended_at"] is None else from_micros(row["ended_at"]),
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
    )


class Traces(Part):
    """Traces."""

    def get(self, project_id: str, trace_id: str) -> WholeTrace | None:
        """A trace and what belongs to it, None where nothing is or points at such a trace."""
        return self._access.ask_of(project_id, get_whole, None, trace_id)

    def of_session(self, project_id: str, session_id: str, offset: int, limit: int) -> tuple[Trace, ...]:
        """The traces of a session, in the order they began."""
        return self._access.ask_of(project_id, of_session, (), session_id, offset, limit)

    def save(self, project: Project, session_id: str, trace_id: str, change: TraceChange) -> None:
        """Add what is said to a trace, which is made if there is none.

        Raises:
            TraceElsewhere, Refused: see `save`.
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        self._access.change(lambda connection: save(connection, project, session_id, trace_id, change, now))

    def save_known(self, project: Project, session_id: str | None, trace_id: str, change: TraceChange) -> None:
        """Add what is said to a trace that is there, or that something points at.

        Raises:
            TraceNotFound, Refused: see `save_known`.
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        self._access.change(lambda connection: save_known(connection, project, session_id, trace_id, change, now))
