"""What spans belong to, kept right in whatever order spans and records come.

The rules stand in `spans.nesting`. They are asked again for a trace whenever something of it arrives: a span that no
longer counts gives its place up, and the record that was made from it goes, in the same transaction.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.spans.calls import reading_of
from freeplay_like.server.spans.nesting import Node, owners
from freeplay_like.server.spans.span import Span
from freeplay_like.server.store.bodies import Packer, unpack
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.engines.database import database_of, is_one_of, many
from freeplay_like.server.store.records.span_tables import otel_span
from freeplay_like.server.store.records.tables import amendment, record, score
from freeplay_like.server.store.removal.belonging import delete_whole, tables_with
from freeplay_like.server.store.tables import project

NODES_LIMIT: Final = 5_000
"""How many spans of a trace, the newest to arrive, are looked at to tell what a call belongs to."""
TWINS_LIMIT: Final = 200
LONGEST_CALL_MICROS: Final = 3_600_000_000
"""How long before a call another one may have begun that is looked for by its response id."""
_AT_ONCE: Final = 500

_CALLS: Final = (
    sa.select(otel_span.c.trace_id, otel_span.c.own_record_id)
    .where(
        otel_span.c.project_key == sa.bindparam("project_key"),
        is_one_of(otel_span.c.trace_id, "trace_ids"),
        otel_span.c.role == "call",
    )
    .limit(NODES_LIMIT)
)
"""The calls of some traces. Asked with each group of records that name their spans, so it is put together once."""

Place: TypeAlias = tuple[str, str]
"""A span by its trace's id and its own."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


def slices(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """The values, as many at once as one question may name."""
    rest = list(values)
    for start in range(0, len(rest), _AT_ONCE):
        yield rest[start : start + _AT_ONCE]


@attrs.frozen
class _Row:
    """A span that was read back; `record_id` is what it belongs to by now."""

    key: int
    node: Node
    record_id: str | None
    session_id: str | None

    @property
    def is_source(self) -> bool:
        """Whether a record was made from it."""
        return self.node.role == "call" and self.record_id == self.node.record_id


def settle(connection: sa.Connection, project_key: int, trace_ids: Iterable[str]) -> frozenset[Place]:
    """Tell the spans of traces what they belong to; answers the calls that now count, and have no record yet."""
    counting: list[Place] = []
    for some in slices(sorted(set(trace_ids))):
        counting += _settle(connection, project_key, some)
    return frozenset(counting)


def retract_for(connection: sa.Connection, project_key: int, records: Iterable[Record]) -> list[Record]:
    """Take back what was recorded from spans of calls that our SDK recorded itself; ask after these were stored.

    Answers the records that are to be stored instead: a call that was taken for one with another may stand alone now.
    """
    traced = [one for one in records if one.otel_span_id is not None and one.otel_trace_id is not None]
    if not traced:
        return []
    made: set[tuple[str, str]] = set()
    trace_ids = {one.otel_trace_id for one in traced if one.otel_trace_id is not None}
    there: set[str] = set()
    for ids in slices(sorted(trace_ids)):
        for trace_id, own_record_id in connection.execute(_CALLS, {"project_key": project_key, "trace_ids": many(ids)}):
            there.add(trace_id)
            made.add((trace_id, own_record_id))
    touched = {
        one.otel_trace_id
        for one in traced
        if one.otel_trace_id in there and (one.otel_trace_id, one.record_id) not in made
    }
    if not touched:
        return []
    database_of(connection).lock(connection)
    return records_of(connection, project_key, settle(connection, project_key, touched))


def records_of(connection: sa.Connection, project_key: int, places: Iterable[Place]) -> list[Record]:
    """The records of calls, made again from their spans as these were kept."""
    found: list[Record] = []
    for place in sorted(places):
        trace_id, span_id = place
        is_it = otel_span.c.trace_id == trace_id, otel_span.c.span_id == span_id
        row = connection.execute(
            sa.select(otel_span.c.zstd, project.c.id)
            .join_from(otel_span, project)
            .where(otel_span.c.project_key == project_key, *is_it)
        ).one()
        try:
            made = reading_of(unpack(row.zstd, Span), row.id).record
        except Exception:  # whoever's arrival made us look must not pay for it
            logger.exception("the stored span %s of trace %s cannot be read, and its call has no record", *place)
            continue
        if made is not None:
            found.append(made)
    return found


def _settle(connection: sa.Connection, project_key: int, trace_ids: Sequence[str]) -> list[Place]:
    """Traces are looked at together, unless they are too large for that."""
    of_them = sa.and_(otel_span.c.project_key == project_key, otel_span.c.trace_id.in_(trace_ids))
    rows = _rows(connection, of_them, NODES_LIMIT)
    if len(rows) == NODES_LIMIT and len(trace_ids) > 1:
        return [place for each in trace_ids for place in _settle(connection, project_key, [each])]
    _spread_sessions(connection, project_key, rows.values())
    calls = [row.node for row in rows.values() if row.node.role == "call"]
    if not calls:
        return []
    twins = _twins(connection, project_key, trace_ids, calls)
    recorded = _recorded(connection, project_key, rows, calls)
    recorded |= {place: row.record_id for place, row in twins.items() if row.record_id and not row.is_source}
    everything = {**rows, **twins}
    found = owners((row.node for row in everything.values()), recorded)
    if len(rows) == NODES_LIMIT:  # what a call belonged to may be out of sight: then that stands
        found = {place: to for place, to in found.items() if _is_news(everything[place], to)}
    return _apply(connection, project_key, everything, found)


def _apply(
    connection: sa.Connection, project_key: int, rows: Mapping[Place, _Row], found: Mapping[Place, str]
) -> list[Place]:
    """Write down what calls belong to; answers those that now count."""
    counting: list[Place] = []
    linked: list[dict[str, object]] = []
    retracted: dict[str, str] = {}
    for place, record_id in found.items():
        row = rows[place]
        own = row.node.record_id
        if record_id == row.record_id:
            continue
        if record_id == own:
            counting.append(place)
        elif row.is_source and own is not None:
            retracted[own] = record_id
        linked.append({"of_key": row.key, "to_record": record_id})
    if linked:
        is_it = otel_span.c.key == sa.bindparam("of_key")
        connection.execute(sa.update(otel_span).where(is_it).values(record_id=sa.bindparam("to_record")), linked)
    for old, new in retracted.items():
        _retract(connection, project_key, old, new)
    return counting


def _is_news(row: _Row, record_id: str) -> bool:
    return row.record_id is None or record_id != row.node.record_id


def _retract(connection: sa.Connection, project_key: int, old: str, new: str) -> None:
    """Take back the record of a span, and give what was said of it, and what belongs to it, to another record."""
    seqs = list(database_of(connection).seqs_of(connection, project_key, [old]).values())
    _move_amendments(connection, project_key, old, new)
    for table in tables_with("project_key", "record_id"):
        where = sa.and_(table.c.project_key == project_key, table.c.record_id == old)
        if table in (score, otel_span):
            connection.execute(sa.update(table).where(where).values(record_id=new))
        elif table is not record:
            delete_whole(connection, table, where)
    if seqs:
        following.forget(connection, seqs)
        delete_whole(connection, record, record.c.seq.in_(seqs))
        database_of(connection).forget_records(connection, project_key, [old])


def _move_amendments(connection: sa.Connection, project_key: int, old: str, new: str) -> None:
    is_of = sa.and_(amendment.c.project_key == project_key, amendment.c.record_id == old)
    packer = Packer()
    for amendment_id, packed in connection.execute(sa.select(amendment.c.amendment_id, amendment.c.zstd).where(is_of)):
        moved = attrs.evolve(unpack(packed, Amendment), record_id=new)
        connection.execute(
            sa.update(amendment)
            .where(amendment.c.project_key == project_key, amendment.c.amendment_id == amendment_id)
            .values(record_id=new, zstd=packer.pack(to_wire(moved)))
        )


def _spread_sessions(connection: sa.Connection, project_key: int, rows: Iterable[_Row]) -> None:
    """A trace of one session is that session's as a whole: so that it goes where the session is deleted."""
    by_trace: dict[str, set[str | None]] = defaultdict(set)
    for row in rows:
        by_trace[row.node.trace_id].add(row.session_id)
    for trace_id, sessions in by_trace.items():
        named = [session_id for session_id in sessions if session_id is not None]
        if len(named) == 1 and None in sessions:
            lacks_one = otel_span.c.trace_id == trace_id, otel_span.c.session_id.is_(None)
            of_trace = sa.update(otel_span).where(otel_span.c.project_key == project_key, *lacks_one)
            connection.execute(of_trace.values(session_id=named[0]))


def _rows(connection: sa.Connection, where: sa.ColumnElement[bool], limit: int) -> dict[Place, _Row]:
    statement = sa.select(*(column for column in otel_span.c if column.name != "zstd")).where(where)
    rows = connection.execute(statement.order_by(otel_span.c.key.desc()).limit(limit))
    found = (
        _Row(
            key=row.key,
            node=Node(
                trace_id=row.trace_id,
                span_id=row.span_id,
                parent_id=row.parent_id,
                role=row.role,
                scope=row.scope,
                model=row.model,
                response_id=row.response_id,
                started_at=row.started_at,
                ended_at=row.ended_at,
                record_id=row.own_record_id,
            ),
            record_id=row.record_id,
            session_id=row.session_id,
        )
        for row in rows
    )
    return {row.node.place: row for row in found}


def _twins(
    connection: sa.Connection, project_key: int, trace_ids: Sequence[str], calls: Sequence[Node]
) -> dict[Place, _Row]:
    """Calls of other traces with the response ids of these, and about their times."""
    ids = {call.response_id for call in calls if call.response_id is not None}
    first, last = min(call.started_at for call in calls), max(call.ended_at for call in calls)
    found: dict[Place, _Row] = {}
    for some in slices(sorted(ids)):
        where = sa.and_(
            otel_span.c.project_key == project_key,
            otel_span.c.response_id.in_(some),
            otel_span.c.started_at.between(first - LONGEST_CALL_MICROS, last),
            otel_span.c.ended_at >= first,
            otel_span.c.trace_id.not_in(trace_ids),
            otel_span.c.role == "call",
        )
        found |= _rows(connection, where, TWINS_LIMIT)
    return found


def _recorded(
    connection: sa.Connection, project_key: int, rows: Mapping[Place, _Row], calls: Sequence[Node]
) -> dict[Place, str]:
    """The records that our SDK made of the calls, or of spans that they lie in."""
    wanted: set[str] = set()
    for call in calls:
        at: Node | None = call
        while at is not None and at.span_id not in wanted:
            wanted.add(at.span_id)
            parent = None if at.parent_id is None else rows.get((at.trace_id, at.parent_id))
            if parent is None and at.parent_id is not None:
                wanted.add(at.parent_id)  # it may never come: our SDK's spans need not be sent here
            at = None if parent is None else parent.node
    own = {row.node.record_id for row in rows.values() if row.node.role == "call"}
    found: dict[Place, str] = {}
    for ids in slices(sorted(wanted)):
        statement = sa.select(record.c.otel_trace_id, record.c.otel_span_id, record.c.record_id)
        of_them = statement.where(record.c.project_key == project_key, record.c.otel_span_id.in_(ids))
        for trace_id, span_id, record_id in connection.execute(of_them):
            if record_id not in own:
                found[trace_id, span_id] = record_id
    return found
