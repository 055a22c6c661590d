"""The partitions in which records lie, as retention sees them: a whole one is dropped sooner than its rows are deleted.

A partition is falling once all of its records are soon to be deleted. Then they are only taken out of `record`, which
takes them out of every answer; their bodies and words, nearly all there is, go with the partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import sqlalchemy as sa

from freeplay_like.server.store.engines import failures, postgres_tables
from freeplay_like.server.store.records.tables import record

_LOCK_TIMEOUT: Final = "55P03"
_DROP_PATIENCE: Final = "200ms"
"""How long intake and questions may wait behind a partition that is to be dropped, and that somebody reads."""
_ROOM_PATIENCE: Final = "2s"

_FALLING: Final = sa.text("SELECT first_seq FROM falling_span ORDER BY first_seq")
_FALL: Final = sa.text("INSERT INTO falling_span (first_seq) VALUES (:first) ON CONFLICT DO NOTHING")
_FORGET: Final = sa.text("DELETE FROM falling_span WHERE first_seq = :first")
_WAITING: Final = sa.text("SELECT 1 FROM text_slice WHERE first_seq < :stop AND last_seq >= :first LIMIT 1")
_PATIENCE: Final = sa.text("SELECT set_config('lock_timeout', :patience, true)")
_DROP_WORDS: Final = sa.text(
    "WITH looked_at AS (SELECT key, text FROM word WHERE key > :after ORDER BY key LIMIT :limit), "
    "gone AS (DELETE FROM word USING looked_at WHERE word.key = looked_at.key AND NOT EXISTS ("
    "SELECT 1 FROM record_search WHERE words @@ "
    "('''' || replace(replace(looked_at.text, '\\', '\\\\'), '''', '''''') || '''')::tsquery) "
    "RETURNING word.key), "
    "parts AS (DELETE FROM word_search USING gone WHERE word_search.key = gone.key) "
    "SELECT max(key) FROM looked_at"
)


class Divided(Protocol):
    """What the partitions are asked of."""

    def settled_seq(self, connection: sa.Connection) -> int:
        """As `Database.settled_seq`."""
        ...

    def lock_texts(self, connection: sa.Connection) -> None:
        """Keep all workers from the index of texts, up to the end of the transaction."""
        ...

    def make_ahead(self, connection: sa.Connection) -> None:
        """Make the partitions that are to be there beyond the one that is being filled."""
        ...


class PostgresSpans:
    """Makes and drops partitions; see `Spans`."""

    def __init__(self, database: Divided) -> None:
        self._database = database

    def make_room(self, connection: sa.Connection) -> None:
        connection.execute(_PATIENCE, {"patience": _ROOM_PATIENCE})
        self._database.make_ahead(connection)

    def full(self, connection: sa.Connection) -> Sequence[range]:
        settled = self._database.settled_seq(connection)
        return [span for span in map(_span, postgres_tables.partitions(connection)) if span.stop - 1 <= settled]

    def falling(self, connection: sa.Connection) -> Sequence[range]:
        return [_span(first // postgres_tables.PARTITION) for first in connection.scalars(_FALLING)]

    def fall(self, connection: sa.Connection, span: range) -> None:
        connection.execute(_FALL, {"first": span.start})

    def keep(self, connection: sa.Connection, span: range) -> None:
        for name in postgres_tables.PARTITIONED:
            if name != record.name:
                part = postgres_tables.part_of(name, span.start // postgres_tables.PARTITION)
                connection.execute(
                    sa.text(
                        f"DELETE FROM {part} AS part WHERE NOT EXISTS "  # noqa: S608  names of ours and numbers
                        "(SELECT 1 FROM record WHERE record.seq = part.seq)"
                    )
                )
        connection.execute(_FORGET, {"first": span.start})

    def drop(self, connection: sa.Connection, span: range) -> bool:
        is_in_it = record.c.seq >= span.start, record.c.seq < span.stop
        if connection.scalar(sa.select(record.c.seq).where(*is_in_it).limit(1)) is not None:
            return False
        if connection.scalar(_WAITING, {"first": span.start, "stop": span.stop}) is not None:
            return False  # a worker may be about to put words there
        try:
            with connection.begin_nested():
                connection.execute(_PATIENCE, {"patience": _DROP_PATIENCE})
                for name in postgres_tables.PARTITIONED:
                    part = postgres_tables.part_of(name, span.start // postgres_tables.PARTITION)
                    connection.execute(sa.text(f"DROP TABLE {part}"))
                connection.execute(_FORGET, {"first": span.start})
        except sa.exc.OperationalError as exc:
            if failures.sqlstate(exc) != _LOCK_TIMEOUT:
                raise
            return False  # somebody reads it: there is time
        return True

    def drop_words(self, connection: sa.Connection, after: int, limit: int) -> int | None:
        self._database.lock_texts(connection)
        last = connection.scalar(_DROP_WORDS, {"after": after, "limit": limit})
        return None if last is None else int(last)


def _span(number: int) -> range:
    return range(number * postgres_tables.PARTITION, (number + 1) * postgres_tables.PARTITION)
