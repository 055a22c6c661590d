"""The list of calls: pages of it, in the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.derived.facet_index import chunks
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter
from freeplay_like.server.store.derived.matching import Matcher
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import from_micros
from freeplay_like.server.store.views import CallPage, CallRow, Project

COLUMNS: Final = tuple(record.c[field.name] for field in attrs.fields(CallRow) if field.name != "project_id")


def list_calls(
    connection: sa.Connection, of: Project, which: Filter, before: str | None, after: str | None, limit: int
) -> CallPage:
    """A page of the list, newest first.

    Raises:
        ValueError: a cursor that no page gave out.
    """
    if after is not None:
        return _newer_page(connection, of, which, _position(after), limit)
    position = None if before is None else _position(before)
    found = find_calls(connection, of, which, limit + 1, before=position)
    rows = found.rows[:limit]
    newer = None if position is None else str(rows[0].seq if rows else position - 1)
    older = str(rows[-1].seq) if len(found.rows) > limit else None
    if found.reached is not None and older is None:
        return CallPage(rows=rows, older=str(found.reached), newer=newer, is_partial=True)
    return CallPage(rows=rows, older=older, newer=newer)


def _newer_page(connection: sa.Connection, of: Project, which: Filter, position: int, limit: int) -> CallPage:
    found = find_calls(connection, of, which, limit + 1, after=position)
    rows = found.rows[:limit][::-1]
    older = str(rows[-1].seq) if rows else str(position + 1)
    newer = str(rows[0].seq) if len(found.rows) > limit else None
    if found.reached is not None and newer is None:
        return CallPage(rows=rows, older=older, newer=str(found.reached), is_partial=True)
    return CallPage(rows=rows, older=older, newer=newer)


def calls_after(
    connection: sa.Connection, of: Project, which: Filter, after_seq: int, limit: int
) -> tuple[CallRow, ...]:
    """What arrived after a row, in the order of arrival."""
    return find_calls(connection, of, which, limit, after=after_seq).rows


@attrs.frozen(kw_only=True)
class FoundCalls:
    """The first calls of a filter from one end; `reached` is how far was looked where time ran out before the end."""

    rows: tuple[CallRow, ...]
    reached: int | None


def find_calls(
    connection: sa.Connection,
    of: Project,
    which: Filter,
    limit: int,
    *,
    before: int | None = None,
    after: int | None = None,
    offset: int = 0,
) -> FoundCalls:
    """The first calls of a filter: the oldest after a number where one is given, else the newest before one."""
    if which == EVERYTHING:
        return FoundCalls(rows=_any_calls(connection, of, limit, before, after, offset), reached=None)
    matcher = Matcher(connection, of, which, is_newest_first=after is None)
    seqs = list(islice(matcher.seqs(before=before, after=after or 0), offset, offset + limit))
    reached = None
    if matcher.is_partial and len(seqs) < limit:
        reached = matcher.reached
        if reached is None:  # not even the first stretch was looked at: stay where we are
            reached = after if after is not None else before or newest_seq(connection, of) + 1
    return FoundCalls(rows=read_rows(connection, of, seqs), reached=reached)


def _any_calls(
    connection: sa.Connection, of: Project, limit: int, before: int | None, after: int | None, offset: int
) -> tuple[CallRow, ...]:
    statement = sa.select(*COLUMNS).where(record.c.project_key == of.key)
    if after is not None:
        statement = statement.where(record.c.seq > after).order_by(record.c.seq)
    else:
        statement = statement.order_by(record.c.seq.desc())
        if before is not None:
            statement = statement.where(record.c.seq < before)
    return tuple(row_of(of, row) for row in connection.execute(statement.limit(limit).offset(offset)).mappings())


def read_rows(connection: sa.Connection, of: Project, seqs: Sequence[int]) -> tuple[CallRow, ...]:
    """The rows of calls by their numbers, in that order."""
    found: dict[int, CallRow] = {}
    for some in chunks(seqs):
        rows = connection.execute(sa.select(*COLUMNS).where(record.c.seq.in_(some))).mappings()
        found.update({row["seq"]: row_of(of, row) for row in rows})
    return tuple(found[seq] for seq in seqs)


def newest_seq(connection: sa.Connection, of: Project) -> int:
    """The number of the newest call, 0 where there is none."""
    return connection.scalar(sa.select(sa.func.max(record.c.seq)).where(record.c.project_key == of.key)) or 0


def row_of(of: Project, row: sa.RowMapping) -> CallRow:
    """The row of a list, from `COLUMNS`."""
    values = {column.name: row[column] for column in COLUMNS}
    values["started_at"] = from_micros(values["started_at"])
    return CallRow(project_id=of.id, **values)


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise ValueError(f"{cursor!r} is not a place in the list; leave it out for the newest calls")
    return int(cursor)
