"""SQLite: one file, one process that writes, and its index of words (FTS5).

WAL, so that readers never wait. A commit is in the kernel's hands when it returns, so it survives the death of every
process; with `is_fsync` it is on the disk, and survives a power cut too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as SQLiteDialect
from sqlalchemy.pool import ConnectionPoolEntry

from freeplay_like.server.store.derived.words import Piece
from freeplay_like.server.store.engines import sqlite_files
from freeplay_like.server.store.engines.database import (
    OPTION,
    Change,
    ClusterFigures,
    Hits,
    Line,
    RecordKey,
    Sizes,
    Spans,
    is_one_of,
    many,
)
from freeplay_like.server.store.live import SharedCalls
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import store_state

DATABASE_NAME: Final = "freeplay_like.db"
"""The file in a data folder."""
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

_SEQS: Final = sa.select(record.c.record_id, record.c.seq).where(
    record.c.project_key == sa.bindparam("project_key"), is_one_of(record.c.record_id, "record_ids")
)
_BY_PLACE: Final = SQLiteDialect(paramstyle="qmark")
_sequence: Final = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq", sa.Integer))
_LAST_SEQ: Final = sa.select(_sequence.c.seq).where(_sequence.c.name == "record")

_IS_INDEXED_SEQ: Final = store_state.c.name == "indexed_seq"
_INDEXED_SEQ: Final = sa.select(store_state.c.value).where(_IS_INDEXED_SEQ)

_SHORTEST_PART: Final = 3
"""The fewest characters that SQLite's index of parts of words can look for; it is made of threes."""


_DROP_UNUSED_WORDS: Final = sa.text(
    "DELETE FROM word WHERE text IN (SELECT value FROM json_each(:words) WHERE NOT EXISTS "
    "(SELECT 1 FROM record_search WHERE record_search MATCH '\"' || value || '\"')) RETURNING key, text"
)
_OLDEST_WITH_WORDS: Final = sa.text(
    "SELECT rowid FROM record_search WHERE record_search MATCH :words AND rowid BETWEEN :lowest AND :highest "
    "ORDER BY rowid LIMIT :limit"
)
_NEWEST_WITH_WORDS: Final = sa.text(
    "SELECT rowid FROM record_search WHERE record_search MATCH :words AND rowid BETWEEN :lowest AND :highest "
    "ORDER BY rowid DESC LIMIT :limit"
)


class SqliteDatabase:
    """A database in a file. Only the writer's transactions begin with the write lock, so they are one after another."""

    def __init__(self, path: Path, *, is_fsync: bool = False) -> None:
        self._path = path
        self._is_fsync = is_fsync

    @property
    def name(self) -> str:
        return str(self._path)

    @property
    def is_shared(self) -> bool:
        return False

    @property
    def folder(self) -> Path | None:
        return self._path.parent

    def open(self, *, is_writer: bool) -> sa.Engine:
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self._path)),
            pool_size=1 if is_writer else 4,
            max_overflow=0,
            pool_timeout=30,
            execution_options={OPTION: self},
        )

        def connected(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
            connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where sqlite3 guesses
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            connection.execute(f"PRAGMA synchronous={'FULL' if self._is_fsync else 'NORMAL'}")
            if not is_writer:
                connection.execute("PRAGMA query_only=ON")

        begin = "BEGIN IMMEDIATE" if is_writer else "BEGIN"
        sa.event.listen(engine, "connect", connected)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    def create(self, connection: sa.Connection) -> bool:
        return False

    def lock(self, connection: sa.Connection) -> None:
        """The transaction began with it."""

    def try_lock(self, connection: sa.Connection) -> bool:
        return True

    def lock_traces(self, connection: sa.Connection, *, is_shared: bool) -> None:
        """As for `lock`."""

    def be_brief(self, connection: sa.Connection) -> None:
        """Whoever writes waits for the whole transaction anyway."""

    def oldest_server(self, connection: sa.Connection) -> int | None:
        return None

    def line(self, step: int) -> AbstractContextManager[Line] | None:
        return None

    def live_calls(self) -> SharedCalls | None:
        return None

    def claim(self, connection: sa.Connection, keys: Sequence[RecordKey]) -> Mapping[RecordKey, int]:
        last = connection.scalar(_LAST_SEQ) or 0
        return {key: seq for seq, key in enumerate(keys, last + 1)}

    def seqs_of(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> Mapping[str, int]:
        rows = connection.execute(_SEQS, {"project_key": project_key, "record_ids": many(record_ids)})
        return {record_id: seq for record_id, seq in rows}

    def settled_seq(self, connection: sa.Connection) -> int:
        return connection.scalar(_LAST_SEQ) or 0

    def insert_many(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]) -> None:
        # What SQLAlchemy does for a row as wide as a record costs as much as adding it, and so does finding its values
        # by their names: here the driver takes the rows as they are.
        if rows:
            connection.exec_driver_sql(_insert(table), list(rows))

    def await_records(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
        """Nobody else is storing any."""

    def forget_records(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
        """Nothing but the records themselves knows their ids."""

    def adopt(self, connection: sa.Connection, numbers: Mapping[RecordKey, int]) -> None:
        """Nothing is to be made ready."""

    def resume_numbers(self, connection: sa.Connection, last_seq: int) -> None:
        if connection.scalar(_LAST_SEQ) is None:
            connection.execute(sa.insert(_sequence).values(name="record", seq=last_seq))
        is_less = _sequence.c.name == "record", _sequence.c.seq < last_seq
        connection.execute(sa.update(_sequence).where(*is_less).values(seq=last_seq))

    def take_texts(self, connection: sa.Connection, limit: int) -> Sequence[int] | None:
        is_next = record.c.seq > self.indexed_seq(connection)
        seqs = connection.scalars(sa.select(record.c.seq).where(is_next).order_by(record.c.seq).limit(limit)).all()
        if seqs:
            connection.execute(sa.update(store_state).where(_IS_INDEXED_SEQ).values(value=seqs[-1]))
        return seqs

    def indexed_seq(self, connection: sa.Connection) -> int:
        return int(connection.execute(_INDEXED_SEQ).scalar_one())

    def indexed_among(self, connection: sa.Connection, seqs: Sequence[int]) -> Sequence[int]:
        indexed = self.indexed_seq(connection)
        return [seq for seq in seqs if seq <= indexed]

    def index_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
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

    def unindex_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        # The words must be those that were put in, for the index keeps no copy.
        if not texts:
            return
        take = sa.text("INSERT INTO record_search(record_search, rowid, content) VALUES ('delete', :seq, :words)")
        connection.execute(take, [{"seq": seq, "words": _joined(words)} for seq, words in texts])
        every = sorted(set[str]().union(*(words for _, words in texts)))
        gone = connection.execute(_DROP_UNUSED_WORDS, {"words": msgspec.json.encode(every).decode()}).all()
        take_word = sa.text("INSERT INTO word_search(word_search, rowid, content) VALUES ('delete', :key, :text)")
        if gone:
            connection.execute(take_word, [{"key": key, "text": text} for key, text in gone])

    def words_with(self, connection: sa.Connection, piece: Piece, limit: int) -> list[str]:
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
            threes = dict.fromkeys(
                part[begin : begin + _SHORTEST_PART] for begin in range(len(part) - _SHORTEST_PART + 1)
            )
            asked["threes"] = " AND ".join(map(_quoted, threes))
            words = "word_search JOIN word ON word.key = word_search.rowid"
            where = f"word_search MATCH :threes AND {where}"
        statement = f"SELECT text FROM {words} WHERE {where} LIMIT :limit"  # noqa: S608  put together from the words above
        return list(connection.scalars(sa.text(statement), asked))

    def hits(
        self,
        connection: sa.Connection,
        words: Sequence[Sequence[str]],
        span: range,
        size: int,
        *,
        is_newest_first: bool,
    ) -> Hits:
        statement = _NEWEST_WITH_WORDS if is_newest_first else _OLDEST_WITH_WORDS
        asked = {"words": _query(words), "lowest": span.start, "highest": span.stop - 1, "limit": size}
        seqs = connection.scalars(statement, asked).all()
        if len(seqs) < size:
            return Hits(seqs=seqs, looked=span)
        return Hits(
            seqs=seqs, looked=range(seqs[-1], span.stop) if is_newest_first else range(span.start, seqs[-1] + 1)
        )

    def hits_among(
        self, connection: sa.Connection, words: Sequence[Sequence[str]], seqs: Sequence[int]
    ) -> Sequence[int] | None:
        return None  # each question opens the lists of all words, and reading on in them costs little

    def keeping_house(self) -> AbstractContextManager[bool]:
        return nullcontext(enter_result=True)

    def cluster(self, connection: sa.Connection) -> ClusterFigures | None:
        return None

    @property
    def spans(self) -> Spans | None:
        return None

    def sizes(self, connection: sa.Connection) -> Sizes:
        return sqlite_files.file_sizes(connection, self._path)

    def wiping(self, connection: sa.Connection) -> AbstractContextManager[None]:
        return sqlite_files.wiping(connection)

    def wipe(self, reading: sa.Engine, change: Change, pause: Callable[[], bool]) -> bool:
        for index in sqlite_files.TEXT_INDEXES:
            change(functools.partial(sqlite_files.begin_merge, index=index))
            while change(functools.partial(sqlite_files.merge_slice, index=index)):
                if pause():
                    return False
        while change(sqlite_files.fill_free_pages):
            if pause():
                return False
        change(sqlite_files.give_back)
        return sqlite_files.empty_log(reading)

    def wipe_log(self, reading: sa.Engine) -> bool:
        return sqlite_files.empty_log(reading)


@functools.cache
def _insert(table: sa.Table) -> str:
    return str(sa.insert(table).compile(dialect=_BY_PLACE))


def _joined(words: set[str]) -> str:
    return " ".join(sorted(words))


def _query(words: Sequence[Sequence[str]]) -> str:
    return " AND ".join("(" + " OR ".join(map(_quoted, group)) + ")" for group in words)


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
