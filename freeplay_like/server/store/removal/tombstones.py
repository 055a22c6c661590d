"""Records that were deleted: one of them that a sender still has, and sends late, is not stored again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.digests import sha256
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.tables import deleted_record

KEPT: Final = timedelta(days=30)
"""How long a deletion is remembered: longer than any sender keeps what it cannot deliver."""
PURGE_ROWS: Final = 1_000

_ANY: Final = sa.select(deleted_record.c.project_key).limit(1)


def bury(connection: sa.Connection, project_key: int, record_ids: Iterable[str], now_micros: int) -> None:
    """Remember that these records were deleted. Only a hash is kept: an id may tell who it was about.

    What another server is storing just now is there when this returns, and can be deleted.
    """
    ids = sorted(set(record_ids))
    digests = {sha256(record_id) for record_id in ids}
    known = deleted_record.c.project_key == project_key, deleted_record.c.record_sha256.in_(digests)
    connection.execute(sa.delete(deleted_record).where(*known))
    if digests:
        connection.execute(
            sa.insert(deleted_record),
            [{"project_key": project_key, "record_sha256": each, "deleted_at": now_micros} for each in digests],
        )
        database_of(connection).await_records(connection, project_key, ids)


def buried(connection: sa.Connection, ids: Mapping[int, Iterable[str]]) -> set[tuple[int, str]]:
    """Which of these records, by the key of their project, were deleted lately: `(project_key, record_id)`.

    Where nothing was deleted at all, this is one question, and none where nothing is asked for.
    """
    if not ids or connection.scalar(_ANY) is None:
        return set()
    found: set[tuple[int, str]] = set()
    for project_key, record_ids in ids.items():
        by_digest = {sha256(record_id): record_id for record_id in record_ids}
        digests = connection.scalars(
            sa.select(deleted_record.c.record_sha256).where(
                deleted_record.c.project_key == project_key, deleted_record.c.record_sha256.in_(by_digest)
            )
        )
        found.update((project_key, by_digest[bytes(digest)]) for digest in digests)
    return found


def purge(connection: sa.Connection, before_micros: int) -> bool:
    """Forget some of the deletions before a moment; True where more are left."""
    old = sa.select(deleted_record.c.project_key, deleted_record.c.record_sha256).where(
        deleted_record.c.deleted_at < before_micros
    )
    key = sa.tuple_(deleted_record.c.project_key, deleted_record.c.record_sha256)
    gone = connection.execute(sa.delete(deleted_record).where(key.in_(old.limit(PURGE_ROWS))))
    return gone.rowcount == PURGE_ROWS
