"""What a search finds: whole calls, or the sessions and traces that they are in."""

from __future__ import annotations

from itertools import islice
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.bodies import raw
from freeplay_like.server.store.derived.filters import Filter
from freeplay_like.server.store.derived.lists import find_calls
from freeplay_like.server.store.derived.matching import Matcher
from freeplay_like.server.store.records import amendments
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.views import CallRow, Project, SentRecord

PAGE_BYTES: Final = 32 * 1024 * 1024
"""About the most JSON of records that one page holds."""
_AT_ONCE: Final = 400
"""How many calls are looked at together."""


@attrs.frozen(kw_only=True)
class FoundCall:
    """A call as a list shows it, and as it was sent: None where its page holds `PAGE_BYTES` already."""

    row: CallRow
    sent: SentRecord | None


@attrs.frozen(kw_only=True)
class Found:
    """A page of calls, the newest first. `is_partial`: looking took too long; there may be more."""

    calls: tuple[FoundCall, ...]
    is_partial: bool


@attrs.frozen(kw_only=True)
class FoundNames:
    """A page of ids of sessions or traces, the one with the newest call first; `is_partial` as in `Found`."""

    names: tuple[str, ...]
    is_partial: bool


def find_whole_calls(connection: sa.Connection, of: Project, which: Filter, offset: int, limit: int) -> Found:
    """A page of the calls of a filter, whole."""
    found = find_calls(connection, of, which, limit, offset=offset)
    left_bytes, calls = PAGE_BYTES, []
    for row in found.rows:
        sent = _sent(connection, of, row) if left_bytes > 0 else None
        left_bytes -= 0 if sent is None else len(sent.body) + sum(map(len, sent.amendments))
        calls.append(FoundCall(row=row, sent=sent))
    return Found(calls=tuple(calls), is_partial=found.reached is not None)


def _sent(connection: sa.Connection, of: Project, row: CallRow) -> SentRecord:
    body = connection.execute(sa.select(record_body.c.zstd).where(record_body.c.seq == row.seq)).scalar_one()
    return SentRecord(body=raw(body), amendments=amendments.of_record(connection, of, row.record_id))


def find_names(
    connection: sa.Connection, of: Project, which: Filter, column: sa.Column[str | None], offset: int, limit: int
) -> FoundNames:
    """A page of the different values that the calls of a filter have in a column of `record`."""
    names: dict[str, None] = {}
    matcher = Matcher(connection, of, which)
    seqs = matcher.seqs()
    while len(names) < offset + limit and (some := list(islice(seqs, _AT_ONCE))):
        rows = connection.execute(sa.select(record.c.seq, column).where(record.c.seq.in_(some)))
        found = {seq: name for seq, name in rows}
        names.update({name: None for seq in some if (name := found[seq]) is not None})
    return FoundNames(names=tuple(names)[offset : offset + limit], is_partial=matcher.is_partial)


def find_traces(connection: sa.Connection, of: Project, which: Filter, offset: int, limit: int) -> FoundNames:
    """A page of the traces that hold a call of a filter."""
    return find_names(connection, of, which, record.c.trace_id, offset, limit)


class Search(Part):
    """Looking for calls and for what they are in, a page at a time."""

    def calls(self, project_id: str, filter: Filter, offset: int, limit: int) -> Found:
        """The calls of a filter, whole, the newest first."""
        return self._access.ask_list_of(
            project_id, find_whole_calls, Found(calls=(), is_partial=False), filter, offset, limit
        )

    def traces(self, project_id: str, filter: Filter, offset: int, limit: int) -> FoundNames:
        """The traces that hold a call of a filter."""
        nothing = FoundNames(names=(), is_partial=False)
        return self._access.ask_list_of(project_id, find_traces, nothing, filter, offset, limit)
