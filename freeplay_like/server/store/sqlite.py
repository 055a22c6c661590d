"""What only SQLite knows: how to open it, how rows get their numbers, and the index of words (FTS5).

WAL, so that readers never wait. A commit is in the kernel's hands when it returns, so it survives the death of every
process; with `is_fsync` it is on the disk, and survives a power cut too.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as SQLiteDialect
from sqlalchemy.pool import ConnectionPoolEntry

from freeplay_like.server.store.derived.words import Piece

BUSY_TIMEOUT_MS: Final = 10_000
"""How long a statement waits for another process (`init` beside `serve`) to finish its transaction."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA wal_autocheckpoint=4000",  # 16 MB: pages that many commits touch are copied into the file less often
    "PRAGMA cache_size=-8000",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA secure_delete=FAST",  # zeros where they cost no writing; the rest when something was deleted (sqlite_files)
)

_BY_PLACE: Final = SQLiteDialect(paramstyle="qmark")
_sequence: Final = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq", sa.Integer))
_LAST_SEQ: Final = sa.select(_sequence.c.seq).where(_sequence.c.name == "record")

_SHORTEST_PART: Final = 3
"""The fewest characters that SQLite's index of parts of words can look for; it is made of threes."""


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
    last = connection.scalar(_LAST_SEQ) or 0
    return range(last + 1, last + 1 + count)


def insert_many(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Add rows, each with the values of all columns in the order of the table.

    What SQLAlchemy does for a row as wide as a record costs as much as adding it, and so does finding its values by
    their names: here the driver takes the rows as they are.
    """
    if rows:
        connection.exec_driver_sql(_insert(table), list(rows))


@functools.cache
def _insert(table: sa.Table) -> str:
    return str(sa.insert(table).compile(dialect=_BY_PLACE))


def is_one_of(column: sa.ColumnElement[str], parameter: str) -> sa.ColumnElement[bool]:
    """Whether a text is among many, which are given when the statement is executed: `parameter=many(values)`.

    So the statement is the same for any number of them, and is put together once.
    """
    each = sa.func.json_each(sa.bindparam(parameter)).table_valued("value")
    return column.in_(sa.select(each.c.value))


def many(values: Sequence[str]) -> str:
    """What `is_one_of` takes."""
    return msgspec.json.encode(values).decode()


def index_words(connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
    """Put the words of texts into the index, each text under its number."""
    if not texts:
        return
    every = sorted(set[str]().union(*(words for _, words in texts)))
    new = connection.execute(
        sa.text(
            "INSERT INTO word(text) SELECT value FROM json_each(:words) WHERE true "
            "ON CONFLICT(text) DO NOTHING RETURNING key, text"
        ),
        {"words": msgspec.json.encode(every).decode()},
    ).all()
    put_word = sa.text("INSERT INTO word_search(rowid, content) VALUES (:key, :text)")
    if new:
        connection.execute(put_word, [{"key": key, "text": text} for key, text in new])
    put = sa.text("INSERT INTO record_search(rowid, content) VALUES (:seq, :words)")
    connection.execute(put, [{"seq": seq, "words": _joined(words)} for seq, words in texts])


_DROP_UNUSED_WORDS: Final = sa.text(
    "DELETE FROM word WHERE text IN (SELECT value FROM json_each(:words) WHERE NOT EXISTS "
    "(SELECT 1 FROM record_search WHERE record_search MATCH '\"' || value || '\"')) RETURNING key, text"
)


def unindex_words(connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
    """Take texts out of the index again, and the words that no other text has.

    The words must be those that were put in, for the index keeps no copy.
    """
    if not texts:
        return
    take = sa.text("INSERT INTO record_search(record_search, rowid, content) VALUES ('delete', :seq, :words)")
    connection.execute(take, [{"seq": seq, "words": _joined(words)} for seq, words in texts])
    every = sorted(set[str]().union(*(words for _, words in texts)))
    gone = connection.execute(_DROP_UNUSED_WORDS, {"words": msgspec.json.encode(every).decode()}).all()
    take_word = sa.text("INSERT INTO word_search(word_search, rowid, content) VALUES ('delete', :key, :text)")
    if gone:
        connection.execute(take_word, [{"key": key, "text": text} for key, text in gone])


def _joined(words: set[str]) -> str:
    return " ".join(sorted(words))


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def words_with(connection: sa.Connection, piece: Piece, limit: int) -> list[str]:
    """Words of the index in which a piece is; at most `limit`, in no order."""
    part = piece.text
    asked: dict[str, object] = {"part": part, "limit": limit}
    if piece.kind == "exact":
        where = "text = :part"
    elif piece.kind == "prefix":
        where, asked["end"] = "text >= :part AND text < :end", part + chr(0x10FFFF)
    elif piece.kind == "suffix":
        where, asked["length"] = "substr(text, -:length) = :part", len(part)
    else:
        where = "instr(text, :part) > 0"
    words = "word"
    if piece.kind in ("part", "suffix") and len(part) >= _SHORTEST_PART:
        threes = dict.fromkeys(part[begin : begin + _SHORTEST_PART] for begin in range(len(part) - _SHORTEST_PART + 1))
        asked["threes"] = " AND ".join(map(_quoted, threes))
        words = "word_search JOIN word ON word.key = word_search.rowid"
        where = f"word_search MATCH :threes AND {where}"
    statement = f"SELECT text FROM {words} WHERE {where} LIMIT :limit"  # noqa: S608  put together from the words above
    return list(connection.scalars(sa.text(statement), asked))


_OLDEST_WITH_WORDS: Final = sa.text(
    "SELECT rowid FROM record_search WHERE record_search MATCH :words AND rowid BETWEEN :lowest AND :highest "
    "ORDER BY rowid LIMIT :limit"
)
_NEWEST_WITH_WORDS: Final = sa.text(
    "SELECT rowid FROM record_search WHERE record_search MATCH :words AND rowid BETWEEN :lowest AND :highest "
    "ORDER BY rowid DESC LIMIT :limit"
)


def seqs_with_words(
    connection: sa.Connection, words: Sequence[Sequence[str]], span: range, limit: int, *, is_newest_first: bool
) -> list[int]:
    """The first numbers within a span of texts that have one word of every group; at most `limit`."""
    groups = ("(" + " OR ".join(map(_quoted, group)) + ")" for group in words)
    statement = _NEWEST_WITH_WORDS if is_newest_first else _OLDEST_WITH_WORDS
    asked = {"words": " AND ".join(groups), "lowest": span.start, "highest": span.stop - 1, "limit": limit}
    return list(connection.scalars(statement, asked))
