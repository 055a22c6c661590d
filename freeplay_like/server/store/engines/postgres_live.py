"""The calls that run, where every server over one PostgreSQL sees them.

In tables that are not written to the log: they are empty after a crash, they are not on standbys, and nothing waits for
a disk. A call is a row, and what it said are rows with their places: what comes is added, and nothing is written twice.

Rows of calls are locked in the order of their keys, so that servers which are told of the same calls wait in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.store import live
from freeplay_like.server.store.engines.database import RecordKey, is_one_of, many
from freeplay_like.server.store.live import FORGOTTEN_S, TEXT_LIMIT, Growth, LiveCall
from freeplay_like.server.store.tables import to_micros
from freeplay_like.server.store.views import StoreUnavailable

_metadata: Final = sa.MetaData()
_call: Final = sa.Table(
    "live_call",
    _metadata,
    sa.Column("project_key", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("record_id", sa.String(64, collation="C"), primary_key=True),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("grown_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
    prefixes=["UNLOGGED"],
)
"""`length` counts what was told, also what is not kept any more. Times are the database's: servers' clocks differ."""
_text: Final = sa.Table(
    "live_text",
    _metadata,
    sa.Column("project_key", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("record_id", sa.String(64, collation="C"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["project_key", "record_id"], ["live_call.project_key", "live_call.record_id"], ondelete="CASCADE"
    ),
    prefixes=["UNLOGGED"],
)

_NOW: Final = sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))
_IS_HEARD: Final = _call.c.heard_at > _NOW - timedelta(seconds=FORGOTTEN_S)
_IS_ITS_TEXT: Final = sa.and_(_text.c.project_key == _call.c.project_key, _text.c.record_id == _call.c.record_id)
_KEY: Final = _call.c.project_key, _call.c.record_id


def create(connection: sa.Connection) -> None:
    """Make the tables."""
    _metadata.create_all(connection, checkfirst=False)


class PostgresLive:
    """The calls that run, over an engine that is this object's own. See `SharedCalls`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def tell(self, told: Mapping[RecordKey, Growth]) -> list[RecordKey]:
        unknown = []
        with self._begin() as connection:
            for call, growth in sorted(told.items(), key=lambda item: item[0]):
                if growth.record is not None:
                    _begin(connection, call, growth.record)
                if not _grow(connection, call, growth):
                    unknown.append(call)
        return unknown

    def end(self, calls: Sequence[RecordKey]) -> bool:
        by_project: dict[int, list[str]] = {}
        for project_key, record_id in calls:
            by_project.setdefault(project_key, []).append(record_id)
        has_ended = False
        with self._begin() as connection:
            if connection.execute(sa.select(_call.c.record_id).limit(1)).first() is None:
                return False  # most records are of calls that nobody told of
            for project_key, record_ids in sorted(by_project.items()):
                is_one = sa.and_(_call.c.project_key == project_key, is_one_of(_call.c.record_id, "ids"))
                ended = sa.select(*_KEY).where(is_one).order_by(*_KEY).with_for_update()
                has_ended |= _delete(connection, ended, {"ids": many(record_ids)})
        return has_ended

    def forget(self) -> None:
        latest: sa.Over[int] = sa.func.row_number().over(order_by=(_call.c.heard_at.desc(), *_KEY))
        size = sa.func.length(_call.c.body) + sa.func.least(_call.c.length, TEXT_LIMIT)
        total: sa.Over[int] = sa.func.sum(size).over(order_by=(_call.c.heard_at.desc(), *_KEY))
        ranked = sa.select(*_KEY, _IS_HEARD.label("is_heard"), latest.label("place"), total.label("total")).subquery()
        is_too_much = sa.or_(~ranked.c.is_heard, ranked.c.place > live.MOST_CALLS, ranked.c.total > live.TOTAL_LIMIT)
        found = sa.select(ranked.c.project_key, ranked.c.record_id).where(is_too_much)
        gone = sa.select(*_KEY).where(sa.tuple_(*_KEY).in_(found)).order_by(*_KEY)
        with self._begin() as connection:
            _delete(connection, gone.with_for_update(skip_locked=True), {})

    def of(self, project_key: int) -> tuple[LiveCall, ...]:
        return self._seen(_call.c.project_key == project_key)

    def get(self, call: RecordKey) -> LiveCall | None:
        return next(iter(self._seen(_is(call))), None)

    def ids(self, project_key: int) -> tuple[str, ...]:
        statement = sa.select(_call.c.record_id).where(_call.c.project_key == project_key, _IS_HEARD)
        with self._begin() as connection:
            return tuple(connection.scalars(statement.order_by(_call.c.started_at.desc(), _call.c.record_id)))

    def text(self, call: RecordKey, seen: int) -> str | None:
        with self._begin() as connection:
            found = connection.execute(sa.select(_said(seen)).where(_is(call), _IS_HEARD)).one_or_none()
        return None if found is None else str(found[0])

    def close(self) -> None:
        self._engine.dispose()

    def _seen(self, which: sa.ColumnElement[bool]) -> tuple[LiveCall, ...]:
        columns = _call.c.body, _said(0).label("said"), _call.c.grown_at, _call.c.length
        statement = sa.select(*columns).where(which, _IS_HEARD)
        with self._begin() as connection:
            rows = connection.execute(statement.order_by(_call.c.started_at.desc(), _call.c.record_id)).all()
        return tuple(
            LiveCall(
                record=from_wire(row.body, Record), text=row.said, grown_at=row.grown_at, is_cut=row.length > TEXT_LIMIT
            )
            for row in rows
        )

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (sa.exc.OperationalError, sa.exc.TimeoutError) as exc:
            raise StoreUnavailable(f"calls that run cannot be shown now: {exc}") from exc


def _is(call: RecordKey) -> sa.ColumnElement[bool]:
    return sa.and_(_call.c.project_key == call[0], _call.c.record_id == call[1])


def _begin(connection: sa.Connection, call: RecordKey, record: Record) -> None:
    values = {
        "project_key": call[0],
        "record_id": call[1],
        "started_at": to_micros(record.started_at),
        "body": to_wire(record),
        "length": 0,
        "grown_at": _NOW,
        "heard_at": _NOW,
    }
    changed = {name: value for name, value in values.items() if name not in ("project_key", "record_id")}
    statement = postgresql.insert(_call).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["project_key", "record_id"], set_=changed))
    connection.execute(sa.delete(_text).where(_text.c.project_key == call[0], _text.c.record_id == call[1]))


def _grow(connection: sa.Connection, call: RecordKey, growth: Growth) -> bool:
    """Add what a call said; False where it is not known, or not up to where that begins."""
    more = len(growth.text)
    grown = {"length": _call.c.length + more, "grown_at": _NOW} if more else {}
    statement = sa.update(_call).where(_is(call), _IS_HEARD).values(heard_at=_NOW, **grown)
    if growth.at is not None:
        statement = statement.where(_call.c.length == growth.at)
    length = connection.execute(statement.returning(_call.c.length)).scalar_one_or_none()
    if length is None:
        return False
    place = length - more
    kept = growth.text[: max(0, TEXT_LIMIT - place)]
    if kept:
        values = {"project_key": call[0], "record_id": call[1], "place": place, "text": kept}
        connection.execute(sa.insert(_text).values(values))
    return True


def _delete(connection: sa.Connection, locked: sa.Select[int, str], values: Mapping[str, object]) -> bool:
    """Delete the calls that a statement finds and locks; False where there were none."""
    statement = sa.delete(_call).where(sa.tuple_(*_KEY).in_(sa.select(locked.cte("locked"))))
    return connection.execute(statement, values).rowcount > 0


def _said(seen: int) -> sa.ScalarSelect[str]:
    """What a call said after so many characters."""
    after = sa.func.substr(_text.c.text, sa.func.greatest(seen - _text.c.place, 0) + 1)
    joined = sa.func.string_agg(after, postgresql.aggregate_order_by(sa.literal(""), _text.c.place))
    is_after = _text.c.place + sa.func.length(_text.c.text) > seen
    statement = sa.select(sa.func.coalesce(joined, "")).where(_IS_ITS_TEXT, is_after)
    return statement.correlate(_call).scalar_subquery()
