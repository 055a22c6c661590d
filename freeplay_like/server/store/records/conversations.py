"""Sessions as they are read: where a call stands in its own, what the list says of each, and a page of whole calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import from_wire
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.bodies import raw
from freeplay_like.server.store.derived.lists import COLUMNS, row_of
from freeplay_like.server.store.records import amendments
from freeplay_like.server.store.records.calls import READ_LIMIT_BYTES
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import CallRow, Project

CHILDREN_LIMIT: Final = 20
"""The most calls that are named as made after one and because of it."""

MODELS_LIMIT: Final = 3
"""The most models that a line of the list of sessions names."""


@attrs.frozen(kw_only=True)
class Place:
    """Where a call stands in its session, counted from 1, and the calls of the session that name it their parent."""

    position: int
    calls: int
    children: tuple[CallRow, ...]


@attrs.frozen(kw_only=True)
class SessionFigures:
    """What the list says of a session. A sum leaves out what nobody said.

    `cost_nano_usd` is that of the `priced_calls`, those whose price is known; `failed_calls` are those that ended in an
    error. `models` are the names that answered, or were asked for, at most `MODELS_LIMIT` of `model_count`.
    """

    session_id: str
    first_user: str
    calls: int
    failed_calls: int
    input_tokens: int
    output_tokens: int
    priced_calls: int
    cost_nano_usd: int
    latency_ms: float
    first_started_at: datetime
    last_started_at: datetime
    models: tuple[str, ...]
    model_count: int


@attrs.frozen(kw_only=True)
class SessionCall:
    """One call of a session, whole, and what was said of it."""

    row: CallRow
    record: Record
    amendments: tuple[Amendment, ...]


@attrs.frozen(kw_only=True)
class SessionPage:
    """Calls of a session in the order they began, from `offset` on; `has_more` where later ones were left out.

    `before` is the call ahead of them, `cost_before_nano_usd` and `tokens_before` sums over all that are.
    """

    offset: int
    calls: tuple[SessionCall, ...]
    has_more: bool
    before: SessionCall | None = None
    cost_before_nano_usd: int = 0
    tokens_before: int = 0


def _in_session(of: Project, session_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(record.c.project_key == of.key, record.c.session_id == session_id)


def place(connection: sa.Connection, of: Project, row: CallRow) -> Place | None:
    """Where a call stands in its session; None where it has none."""
    if row.session_id is None:
        return None
    in_it = _in_session(of, row.session_id)
    here = sa.tuple_(sa.literal(to_micros(row.started_at)), sa.literal(row.seq))
    is_before = sa.tuple_(record.c.started_at, record.c.seq) <= here
    children = connection.execute(
        sa.select(*COLUMNS)
        .where(in_it, record.c.parent_id == row.record_id)
        .order_by(record.c.started_at, record.c.seq)
        .limit(CHILDREN_LIMIT)
    )
    return Place(
        position=connection.scalar(sa.select(sa.func.count()).where(in_it, is_before)) or 0,
        calls=connection.scalar(sa.select(sa.func.count()).where(in_it)) or 0,
        children=tuple(row_of(of, child) for child in children.mappings()),
    )


def figures(connection: sa.Connection, of: Project, names: Sequence[str]) -> tuple[SessionFigures, ...]:
    """What the list says of these sessions, in that order; one without a call is left out."""
    found = (_figures(connection, of, name) for name in names)
    return tuple(each for each in found if each is not None)


def _figures(connection: sa.Connection, of: Project, name: str) -> SessionFigures | None:
    in_it = _in_session(of, name)
    # summed as floats: a sum of whole numbers that a sender made up can be larger than a database can keep
    sums = [sa.func.sum(sa.cast(column, sa.Double)) for column in (record.c.input_tokens, record.c.output_tokens)]
    counted = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.count(sa.case((record.c.outcome == "error", 1))),
            *sums,
            sa.func.count(record.c.cost_nano_usd),
            sa.func.sum(record.c.cost_nano_usd),
            sa.func.sum(record.c.latency_ms),
            sa.func.min(record.c.started_at),
            sa.func.max(record.c.started_at),
        ).where(in_it)
    ).one()
    calls, failed, input_tokens, output_tokens, priced, cost, latency_ms, first, last = counted
    if not calls:
        return None
    model = sa.func.coalesce(record.c.model, record.c.requested_model)
    models = connection.scalars(sa.select(model).where(in_it, model.is_not(None)).group_by(model).order_by(model)).all()
    first_user = connection.scalar(
        sa.select(record.c.first_user).where(in_it).order_by(record.c.started_at, record.c.seq).limit(1)
    )
    return SessionFigures(
        session_id=name,
        first_user=first_user or "",
        calls=calls,
        failed_calls=failed,
        input_tokens=int(input_tokens or 0),
        output_tokens=int(output_tokens or 0),
        priced_calls=priced,
        cost_nano_usd=int(cost or 0),
        latency_ms=latency_ms or 0.0,
        first_started_at=from_micros(first),
        last_started_at=from_micros(last),
        models=tuple(models[:MODELS_LIMIT]),
        model_count=len(models),
    )


def page(connection: sa.Connection, of: Project, session_id: str, offset: int, limit: int) -> SessionPage:
    """Calls of a session, at most `limit` and about `READ_LIMIT_BYTES`, unless a single one is larger."""
    found: list[SessionCall] = []
    size = 0
    rows = _rows(connection, of, session_id, offset, limit + 1)
    for row in rows[:limit]:
        call, call_size = _whole(connection, of, row)
        size += call_size
        if found and size > READ_LIMIT_BYTES:
            break
        found.append(call)
    calls, has_more = tuple(found), len(found) < len(rows)
    if not offset:
        return SessionPage(offset=0, calls=calls, has_more=has_more)
    cost, tokens = _sums_before(connection, of, session_id, offset)
    before = next((_whole(connection, of, row)[0] for row in _rows(connection, of, session_id, offset - 1, 1)), None)
    return SessionPage(
        offset=offset,
        calls=calls,
        has_more=has_more,
        before=before,
        cost_before_nano_usd=cost,
        tokens_before=tokens,
    )


def _rows(connection: sa.Connection, of: Project, session_id: str, offset: int, limit: int) -> Sequence[CallRow]:
    statement = sa.select(*COLUMNS).where(_in_session(of, session_id)).order_by(record.c.started_at, record.c.seq)
    return [row_of(of, row) for row in connection.execute(statement.offset(offset).limit(limit)).mappings()]


def _whole(connection: sa.Connection, of: Project, row: CallRow) -> tuple[SessionCall, int]:
    """A call, and how much JSON it is."""
    body = raw(connection.execute(sa.select(record_body.c.zstd).where(record_body.c.seq == row.seq)).scalar_one())
    said = amendments.of_record(connection, of, row.record_id)
    told = tuple(from_wire(each, Amendment) for each in said)
    call = SessionCall(row=row, record=from_wire(body, Record), amendments=told)
    return call, len(body) + sum(map(len, said))


def _sums_before(connection: sa.Connection, of: Project, session_id: str, offset: int) -> tuple[int, int]:
    """What the first calls of a session cost, and their tokens."""
    first = (
        sa.select(record.c.cost_nano_usd, record.c.input_tokens, record.c.output_tokens)
        .where(_in_session(of, session_id))
        .order_by(record.c.started_at, record.c.seq)
        .limit(offset)
        .subquery()
    )
    sums = [sa.func.sum(sa.cast(column, sa.Double)) for column in first.c]
    cost, *tokens = connection.execute(sa.select(*sums)).one()
    return int(cost or 0), sum(int(each or 0) for each in tokens)


class Conversations(Part):
    """Sessions as they are read."""

    def place(self, project_id: str, row: CallRow) -> Place | None:
        """Where a call stands in its session; None where it has none."""
        return self._access.ask_of(project_id, place, None, row)

    def figures(self, project_id: str, session_ids: Sequence[str]) -> tuple[SessionFigures, ...]:
        """What the list says of these sessions, in that order; one without a call is left out."""
        return self._access.ask_of(project_id, figures, (), session_ids)

    def page(self, project_id: str, session_id: str, offset: int, limit: int) -> SessionPage:
        """Calls of a session in the order they began, whole, from `offset` on."""
        return self._access.ask_of(
            project_id, page, SessionPage(offset=offset, calls=(), has_more=False), session_id, offset, limit
        )
