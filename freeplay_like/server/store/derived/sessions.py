"""The list of sessions: a row for each is derived behind the commits, and what came since is counted in at reading."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.derived.facet_index import chunks
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter
from freeplay_like.server.store.derived.finding import find_names
from freeplay_like.server.store.derived.following import derived_seq
from freeplay_like.server.store.derived.session_sums import COUNTED, SessionSums, stored_sums
from freeplay_like.server.store.derived.tables import session_summary
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import from_micros
from freeplay_like.server.store.views import Project


@attrs.frozen(kw_only=True)
class SessionRow:
    """One line of the list of sessions: all of its calls, also where a filter asks for some."""

    session_id: str
    calls: int
    first_started_at: datetime
    last_started_at: datetime


def list_sessions(
    connection: sa.Connection, of: Project, which: Filter, offset: int, limit: int
) -> tuple[SessionRow, ...]:
    """Sessions that hold a call of the filter; the one whose call arrived last comes first."""
    if which == EVERYTHING:
        names: Sequence[str] = _all(connection, of, offset, limit)
    else:
        names = find_names(connection, of, which, record.c.session_id, offset, limit).names
    sums = _sums(connection, of, names)
    return tuple(
        SessionRow(
            session_id=name,
            calls=sums[name].calls,
            first_started_at=from_micros(sums[name].first_started_at),
            last_started_at=from_micros(sums[name].last_started_at),
        )
        for name in names
    )


def _all(connection: sa.Connection, of: Project, offset: int, limit: int) -> Sequence[str]:
    """The names on a page of all sessions: those of calls that are not derived yet are the newest."""
    tail = connection.scalars(
        sa.select(record.c.session_id)
        .where(record.c.project_key == of.key, record.c.seq > derived_seq(connection))
        .order_by(record.c.seq.desc())
    )
    names = list(dict.fromkeys(name for name in tail if name is not None))
    if len(names) < offset + limit:
        older = connection.scalars(
            sa.select(session_summary.c.session_id)
            .where(session_summary.c.project_key == of.key)
            .order_by(session_summary.c.last_seq.desc())
            .limit(offset + limit)
        )
        names = list(dict.fromkeys([*names, *older]))
    return names[offset : offset + limit]


def _sums(connection: sa.Connection, of: Project, names: Sequence[str]) -> dict[str, SessionSums]:
    sums = stored_sums(connection, of.key, names)
    derived = derived_seq(connection)
    for some in chunks(names):
        rows = connection.execute(
            sa.select(record.c.session_id, *COUNTED)
            .where(record.c.project_key == of.key, record.c.session_id.in_(some), record.c.seq > derived)
            .group_by(record.c.session_id)
        )
        for name, *counted in rows:
            tail = SessionSums(*counted)
            sums[name] = sums[name] + tail if name in sums else tail
    return sums


class Sessions(Part):
    """The sessions of a project."""

    def page(self, project_id: str, filter: Filter, offset: int, limit: int) -> tuple[SessionRow, ...]:
        """Sessions that hold a call of the filter; the one whose call arrived last comes first.

        Where looking takes too long, those that were found.
        """
        return self._access.ask_list_of(project_id, list_sessions, (), filter, offset, limit)
