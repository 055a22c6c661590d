"""Counting calls into their sessions, behind the commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.derived.facet_index import chunks
from freeplay_like.server.store.derived.facets import Facts
from freeplay_like.server.store.derived.tables import session_summary
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import store_state


@attrs.frozen
class SessionSums:
    """What is kept of a session; times are microseconds."""

    calls: int
    first_started_at: int
    last_started_at: int
    last_seq: int

    def __add__(self, other: SessionSums) -> SessionSums:
        return SessionSums(
            self.calls + other.calls,
            min(self.first_started_at, other.first_started_at),
            max(self.last_started_at, other.last_started_at),
            max(self.last_seq, other.last_seq),
        )


_COLUMNS: Final = tuple(session_summary.c[field.name] for field in attrs.fields(SessionSums))
COUNTED: Final = (
    sa.func.count(),
    sa.func.min(record.c.started_at),
    sa.func.max(record.c.started_at),
    sa.func.max(record.c.seq),
)
"""The same, asked of the records themselves."""


def add(connection: sa.Connection, project_key: int, calls: Iterable[Facts]) -> None:
    """Count calls of a project into their sessions."""
    more: dict[str, SessionSums] = {}
    for facts in calls:
        if facts.session_id is not None:
            one = SessionSums(1, facts.started_at, facts.started_at, facts.seq)
            more[facts.session_id] = more[facts.session_id] + one if facts.session_id in more else one
    stored = stored_sums(connection, project_key, list(more))
    _write(
        connection,
        project_key,
        {name: stored[name] + sums if name in stored else sums for name, sums in more.items()},
        stored,
    )


def remove(connection: sa.Connection, project_key: int, calls: Iterable[Facts]) -> None:
    """Count the sessions of some calls again, without them, while their rows are still there."""
    gone = {facts.seq: facts.session_id for facts in calls if facts.session_id is not None}
    stored = stored_sums(connection, project_key, sorted(set(gone.values())))
    derived = connection.scalar(sa.select(store_state.c.value).where(store_state.c.name == "derived_seq")) or 0
    left: dict[str, SessionSums] = {}
    for name in stored:
        without = [seq for seq, session_id in gone.items() if session_id == name]
        row = connection.execute(
            sa.select(*COUNTED).where(
                record.c.project_key == project_key,
                record.c.session_id == name,
                record.c.seq + 0 <= derived,  # a sum, so that SQLite takes the index of sessions, not that of numbers
                record.c.seq.not_in(without),
            )
        ).one()
        if row[0]:
            left[name] = SessionSums(*row)
    _write(connection, project_key, left, stored)
    for some in chunks([name for name in stored if name not in left]):
        connection.execute(
            sa.delete(session_summary).where(
                session_summary.c.project_key == project_key, session_summary.c.session_id.in_(some)
            )
        )


def stored_sums(connection: sa.Connection, project_key: int, names: Sequence[str]) -> dict[str, SessionSums]:
    """What is kept of sessions, by their names."""
    found: dict[str, SessionSums] = {}
    for some in chunks(names):
        rows = connection.execute(
            sa.select(session_summary.c.session_id, *_COLUMNS).where(
                session_summary.c.project_key == project_key, session_summary.c.session_id.in_(some)
            )
        )
        found.update({name: SessionSums(*sums) for name, *sums in rows})
    return found


def _write(
    connection: sa.Connection, project_key: int, sums: dict[str, SessionSums], stored: dict[str, SessionSums]
) -> None:
    changed = [{"of": name, **attrs.asdict(each)} for name, each in sums.items() if name in stored]
    new = [
        {"project_key": project_key, "session_id": name, **attrs.asdict(each)}
        for name, each in sums.items()
        if name not in stored
    ]
    if changed:
        is_it = sa.and_(
            session_summary.c.project_key == project_key, session_summary.c.session_id == sa.bindparam("of")
        )
        connection.execute(sa.update(session_summary).where(is_it), changed)
    if new:
        connection.execute(sa.insert(session_summary), new)
