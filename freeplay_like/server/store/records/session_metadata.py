"""What is said of sessions themselves, beside what their records say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from freeplay_like.core.wire import JsonObject, from_wire, to_wire
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.records.trace_tables import session_metadata, trace
from freeplay_like.server.store.records.traces import merged
from freeplay_like.server.store.tables import to_micros
from freeplay_like.server.store.views import NotFound, Project


class SessionNotFound(NotFound):
    """Nothing in that project belongs to such a session."""


def of_sessions(connection: sa.Connection, of: Project, session_ids: Sequence[str]) -> dict[str, JsonObject]:
    """The metadata of those sessions that have some."""
    rows = connection.execute(
        sa.select(session_metadata.c.session_id, session_metadata.c.content).where(
            session_metadata.c.project_key == of.key, session_metadata.c.session_id.in_(session_ids)
        )
    )
    return {row.session_id: from_wire(row.content, dict) for row in rows}


def merge(connection: sa.Connection, of: Project, session_id: str, said: JsonObject, now: datetime) -> None:
    """Add to the metadata of a session; None takes a name away.

    Raises:
        SessionNotFound: it has no records and no traces.
        Refused: it would have too many names.
    """
    before = of_sessions(connection, of, [session_id]).get(session_id)
    if before is None and not _is_known(connection, of, session_id):
        raise SessionNotFound(f"no session {session_id!r} in project {of.name!r}: it has no records and no traces here")
    content = to_wire(merged(before or {}, said, f"the metadata of session {session_id!r}"))
    values = {"content": content, "updated_at": to_micros(now)}
    if before is None:
        statement = sa.insert(session_metadata).values(project_key=of.key, session_id=session_id, **values)
        connection.execute(statement)
        return
    is_it = sa.and_(session_metadata.c.project_key == of.key, session_metadata.c.session_id == session_id)
    connection.execute(sa.update(session_metadata).where(is_it).values(**values))


def _is_known(connection: sa.Connection, of: Project, session_id: str) -> bool:
    return any(
        connection.scalar(
            sa.select(sa.literal(1)).where(table.c.project_key == of.key, table.c.session_id == session_id).limit(1)
        )
        for table in (record, trace)
    )


class SessionMetadata(Part):
    """The metadata of sessions."""

    def of(self, project_id: str, session_ids: Sequence[str]) -> dict[str, JsonObject]:
        """The metadata of those sessions that have some."""
        return self._access.ask_of(project_id, of_sessions, {}, session_ids)

    def merge(self, project: Project, session_id: str, said: JsonObject) -> None:
        """Add to the metadata of a session; None takes a name away.

        Raises:
            SessionNotFound, Refused: see `merge`.
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        self._access.change(lambda connection: merge(connection, project, session_id, said, now))
