"""What only SQLite knows: how to open it, how rows get their numbers, and the text index (FTS5, trigrams).

WAL, so that readers never wait. A commit is in the kernel's hands when it returns, so it survives the death of every
process; with `is_fsync` it is on the disk, and survives a power cut too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_MS: Final = 10_000
"""How long a statement waits for another process (`init` beside `serve`) to finish its transaction."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA wal_autocheckpoint=4000",  # 16 MB: pages that many commits touch are copied into the file less often
    "PRAGMA cache_size=-8000",
    "PRAGMA temp_store=MEMORY",
)

SEARCH_MINIMUM: Final = 3
"""The fewest characters that the text index can look for."""

S = TypeVar("S", bound=sa.Select[*tuple[object, ...]])

_search: Final = sa.table("record_search", sa.column("rowid", sa.Integer), sa.column("content", sa.Text))


def open_engine(path: Path, *, is_writer: bool, is_fsync: bool = False) -> sa.Engine:
    """An engine over the file: the writer's transactions begin with the write lock, readers cannot write at all."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        pool_size=1 if is_writer else 4,
        max_overflow=0,
        pool_timeout=30,
    )

    def connected(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where sqlite3 guesses
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        connection.execute(f"PRAGMA synchronous={'FULL' if is_fsync else 'NORMAL'}")
        if not is_writer:
            connection.execute("PRAGMA query_only=ON")

    begin = "BEGIN IMMEDIATE" if is_writer else "BEGIN"
    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def reserve_seqs(connection: sa.Connection, count: int) -> range:
    """The numbers of the next `count` records. Only within the writer's transaction, which nobody else is in."""
    sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq", sa.Integer))
    last = connection.scalar(sa.select(sequence.c.seq).where(sequence.c.name == "record")) or 0
    return range(last + 1, last + 1 + count)


def index_texts(connection: sa.Connection, texts: Sequence[tuple[int, str]]) -> None:
    """Put `(seq, text)` into the text index."""
    if texts:
        connection.execute(sa.insert(_search), [{"rowid": seq, "content": text} for seq, text in texts])


def unindex_text(connection: sa.Connection, seq: int, text: str) -> None:
    """Take a text out of the index again; `text` must be what was put in, for the index keeps no copy."""
    connection.execute(
        sa.text("INSERT INTO record_search(record_search, rowid, content) VALUES ('delete', :seq, :text)"),
        {"seq": seq, "text": text},
    )


def narrow_by_text(statement: S, seq: sa.ColumnElement[int], text: str) -> S:
    """Narrow a statement to records whose indexed text has `text` as a part, upper and lower case alike.

    It is narrowed and ordered by the index's own number: then the index answers from the newest hit on, and does not
    gather all of them first.
    """
    quoted = '"' + text.replace("\0", "").replace('"', '""') + '"'
    matches = sa.literal_column("record_search").op("MATCH")(quoted)
    return statement.join(_search, seq == _search.c.rowid).where(matches)
