"""PostgreSQL 15 and later: any number of servers over one database, none of which knows what the others do not.

New records are added by all servers at once. Everything else that changes what is stored is done under one advisory
lock, held to the end of a transaction: so it is one after another over all servers, as it is by SQLite's one writer.

Numbers of records come from a sequence, and transactions end in another order than they took their numbers in. Each
holds a shared advisory lock that names a number below its own; `settled_seq` looks for the lowest. Locks are let go of
after the commit can be seen, so what is below and not there will not come.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final, cast

import psycopg
import sqlalchemy as sa
from psycopg.abc import Buffer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier
from psycopg.types.string import StrBinaryDumper, StrDumper, StrDumperUnknown

from freeplay_like.errors import ConfigurationError
from freeplay_like.server.store.derived.words import Piece
from freeplay_like.server.store.engines import (
    postgres_figures,
    postgres_line,
    postgres_live,
    postgres_slices,
    postgres_spans,
    postgres_tables,
    postgres_words,
)
from freeplay_like.server.store.engines.database import (
    OPTION,
    Change,
    ClusterFigures,
    Hits,
    Line,
    RecordKey,
    Sizes,
    Spans,
)
from freeplay_like.server.store.live import SharedCalls
from freeplay_like.server.store.views import StoreUnavailable

LEAST_VERSION: Final = 15
READERS: Final = 8
"""How many questions a server asks at once."""
READER_WAIT_S: Final = 5.0
"""How long a question waits for its turn, before it is refused."""

QUESTION_S: Final = 60
"""How long an answer may take before it is given up."""

LIVE_CONNECTIONS: Final = 2
"""How many words and questions about calls that run are under way at once."""

_DEFAULTS: Final = {
    "application_name": f"{postgres_figures.APPLICATION}{socket.gethostname()[:40]}:{os.getpid()}",
    "connect_timeout": "3",
    "target_session_attrs": "read-write",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""Stand where the address says nothing else: among several hosts the one that can be written to is taken, and a server
that is gone without a word is noticed within 15 s."""
_STANDBY_DEFAULTS: Final = {
    "target_session_attrs": "any",
    "keepalives_idle": "1",
    "keepalives_interval": "1",
    "keepalives_count": "2",
    "tcp_user_timeout": "3000",
}
"""Of a standby it is known sooner that it is gone: there is a primary to ask instead."""
_OPTIONS: Final = (
    "-c lock_timeout=10s -c timezone=UTC -c idle_in_transaction_session_timeout=15s "
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=15000"
)
"""And the other way about: the locks of a server that is gone, or hangs, without a word hold up the others for 15 s."""
_READING: Final = f"-c statement_timeout={QUESTION_S}s -c plan_cache_mode=force_custom_plan -c jit=off -c work_mem=32MB"
"""How questions are answered.

A plan for any word reads all texts backwards: 700 ms among 200,000, where the plan for a rare one takes 2 ms. Compiling
a plan takes 30 ms. With less memory, of a common word not every hit is remembered, and texts are read to tell again.
"""

_LOCKS: Final = 0x66706C6B
"""The first half of the store's advisory locks; the second says which."""
_STORE, _PARTITIONS, _TEXTS, _SLICES, _HOUSE, _TRACES = 1, 2, 3, 4, 5, 6
_INTAKES: Final = 0x6670
"""The first 16 bits of the locks of transactions that took numbers; the other 48 are the last number before theirs."""
_SERVER_LOCKS: Final = _LOCKS + 1
"""The first half of the locks that servers hold while they run; the second is the schema step that they know."""

_BE_BRIEF: Final = sa.text("SET LOCAL lock_timeout = '500ms'")  # within deadlock_timeout: it gives way to the others
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(:locks, :which)")
_LOCK_SHARED: Final = sa.text("SELECT pg_advisory_xact_lock_shared(:locks, :which)")
_TRY_LOCK: Final = sa.text("SELECT pg_try_advisory_xact_lock(:locks, :which)")
_CLAIM: Final = sa.text(
    "WITH intake AS MATERIALIZED ("
    "SELECT pg_advisory_xact_lock_shared((CAST(:intakes AS bigint) << 48) | last_value) FROM record_number) "
    "INSERT INTO record_key (project_key, record_id, seq) "
    "SELECT project_key, record_id, nextval('record_number') FROM ("
    "SELECT new.project_key, new.record_id FROM intake, unnest(CAST(:keys AS bigint[]), CAST(:ids AS text[])) "
    "WITH ORDINALITY AS new(project_key, record_id, place) WHERE NOT EXISTS (SELECT 1 FROM record_key AS known "
    "WHERE known.project_key = new.project_key AND known.record_id = new.record_id) ORDER BY place) AS new "
    "ON CONFLICT DO NOTHING RETURNING project_key, record_id, seq"
)
"""No number is taken before the lock is held, and none for a record that is known."""
_SEQS: Final = sa.text(
    "SELECT record_id, seq FROM record_key WHERE project_key = :project_key AND record_id = ANY(:ids) AND seq > 0"
)
_ADOPT: Final = sa.text(
    "INSERT INTO record_key (project_key, record_id, seq) "
    "SELECT * FROM unnest(CAST(:keys AS bigint[]), CAST(:ids AS text[]), CAST(:seqs AS bigint[]))"
)
_RESUME: Final = sa.text("SELECT setval('record_number', greatest(last_value, :last)) FROM record_number")
_LAST_NUMBER: Final = sa.text("SELECT last_value FROM record_number")
_HELD_HERE: Final = (
    "FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_LOWEST_STEP: Final = sa.text(f"SELECT min(objid::bigint) {_HELD_HERE} AND classid = :locks AND objsubid = 2")
_LOWEST_INTAKE: Final = sa.text(
    "SELECT min(((classid::bigint & 65535) << 32) | objid::bigint) "
    f"{_HELD_HERE} AND classid::bigint >> 16 = :intakes AND objsubid = 1"
)
"""`pg_locks` shows a lock that is named by one number as its two halves."""
_AWAIT: Final = sa.text(
    "INSERT INTO record_key (project_key, record_id, seq) SELECT :project_key, unnest(CAST(:ids AS text[])), 0 "
    "ON CONFLICT DO NOTHING"
)
_FORGET_AWAITED: Final = sa.text(
    "DELETE FROM record_key WHERE project_key = :project_key AND record_id = ANY(:ids) AND seq = 0"
)
_FORGET: Final = sa.text("DELETE FROM record_key WHERE project_key = :project_key AND record_id = ANY(:ids)")


class PostgresDatabase:
    """A database that is reached by a libpq address (`postgresql://`), with several hosts where it has standbys.

    `is_standby`: one of them is meant, which can be read alone.

    Raises:
        ConfigurationError: the address is none.
    """

    def __init__(self, url: str, *, is_standby: bool = False) -> None:
        try:
            said = conninfo_to_dict(url)
        except psycopg.ProgrammingError as exc:
            option = "--read-database-url" if is_standby else "--database-url"
            # what the driver says repeats parts of the address, which may be the password
            raise ConfigurationError(
                "the database's address cannot be read: it is postgresql://user:password@host:port/database, with %XX "
                f"for characters that mean something in an address; see {option}"
            ) from exc
        self._said = {name: str(value) for name, value in said.items() if value is not None}
        options = f"{_OPTIONS} {self._said.get('options', '')}".strip()
        defaults = {**_DEFAULTS, **_STANDBY_DEFAULTS} if is_standby else _DEFAULTS
        self._conninfo = make_conninfo(**{**defaults, **self._said, "options": options})
        self._reading = make_conninfo(self._conninfo, options=f"{_READING} {options}")
        self._partitions = 0

    @property
    def name(self) -> str:
        said = self._said
        return f"{said.get('dbname', '')} on {said.get('host', 'this machine')}:{said.get('port', 5432)}"

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def folder(self) -> Path | None:
        return None

    def connect(self, *, is_writer: bool = True) -> psycopg.Connection:
        """A connection of one's own.

        Raises:
            psycopg.OperationalError: none could be had.
        """
        connection = psycopg.connect(self._conninfo if is_writer else self._reading)
        for dumper in (_Text, _TextBinary, _TextUnknown):
            connection.adapters.register_dumper(str, dumper)
        return connection

    def open(self, *, is_writer: bool) -> sa.Engine:
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=functools.partial(self.connect, is_writer=is_writer),
            pool_size=1 if is_writer else READERS,
            max_overflow=0,
            pool_timeout=READER_WAIT_S,
            execution_options={OPTION: self},
        )
        if is_writer:
            sa.event.listen(engine, "handle_error", _leave_standby)
            return engine
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def create(self, connection: sa.Connection) -> bool:
        version, encoding = connection.execute(
            sa.text("SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')")
        ).one()
        if version < LEAST_VERSION or encoding != "UTF8":
            raise ConfigurationError(
                f"the database {self.name} is PostgreSQL {version} with encoding {encoding}; {LEAST_VERSION} or later "
                "with UTF8 is needed"
            )
        postgres_tables.create(connection)
        return True

    # --- who may change what is stored ------------------------------------------------------------------

    def lock(self, connection: sa.Connection) -> None:
        connection.execute(_LOCK, {"locks": _LOCKS, "which": _STORE})

    def try_lock(self, connection: sa.Connection) -> bool:
        return bool(connection.scalar(_TRY_LOCK, {"locks": _LOCKS, "which": _STORE}))

    def lock_traces(self, connection: sa.Connection, *, is_shared: bool) -> None:
        connection.execute(_LOCK_SHARED if is_shared else _LOCK, {"locks": _LOCKS, "which": _TRACES})

    def be_brief(self, connection: sa.Connection) -> None:
        connection.execute(_BE_BRIEF)

    # --- other servers ----------------------------------------------------------------------------------

    def oldest_server(self, connection: sa.Connection) -> int | None:
        step = connection.scalar(_LOWEST_STEP, {"locks": _SERVER_LOCKS})
        return None if step is None else int(step)

    def line(self, step: int) -> AbstractContextManager[Line] | None:
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self.connect,
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",
            execution_options={OPTION: self},
        )
        return postgres_line.opened(engine, (_SERVER_LOCKS, step))

    def live_calls(self) -> SharedCalls | None:
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self.connect,
            pool_size=LIVE_CONNECTIONS,
            max_overflow=0,
            pool_timeout=READER_WAIT_S,
            pool_pre_ping=True,
        )
        return postgres_live.PostgresLive(engine)

    # --- records ----------------------------------------------------------------------------------------

    def claim(self, connection: sa.Connection, keys: Sequence[RecordKey]) -> Mapping[RecordKey, int]:
        by_stored = {(project_key, _storable(record_id)): (project_key, record_id) for project_key, record_id in keys}
        keys_and_ids = {"keys": [key for key, _ in by_stored], "ids": [record_id for _, record_id in by_stored]}
        rows = connection.execute(_CLAIM, {"intakes": _INTAKES, **keys_and_ids}).all()
        numbers = {by_stored[project_key, record_id]: seq for project_key, record_id, seq in rows}
        if numbers:
            self._make_room(connection, max(numbers.values()))
        return dict(sorted(numbers.items(), key=lambda item: item[1]))

    def seqs_of(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> Mapping[str, int]:
        by_stored = {_storable(record_id): record_id for record_id in record_ids}
        rows = connection.execute(_SEQS, {"project_key": project_key, "ids": list(by_stored)})
        return {by_stored[record_id]: seq for record_id, seq in rows}

    def settled_seq(self, connection: sa.Connection) -> int:
        last = int(connection.execute(_LAST_NUMBER).scalar_one())
        lowest = connection.scalar(_LOWEST_INTAKE, {"intakes": _INTAKES})
        return last if lowest is None else min(last, int(lowest))

    def insert_many(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        statement, types = _copy(table)
        try:
            driver = cast("psycopg.Connection", connection.connection.driver_connection)
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as exc:
            raise _failed(connection, statement, exc) from exc

    def await_records(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
        asked = {"project_key": project_key, "ids": list(record_ids)}
        connection.execute(_AWAIT, asked)
        connection.execute(_FORGET_AWAITED, asked)

    def forget_records(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
        connection.execute(_FORGET, {"project_key": project_key, "ids": list(record_ids)})

    def adopt(self, connection: sa.Connection, numbers: Mapping[RecordKey, int]) -> None:
        if numbers:
            keys, ids = zip(*numbers, strict=True)
            connection.execute(_ADOPT, {"keys": list(keys), "ids": list(ids), "seqs": list(numbers.values())})
            connection.execute(_RESUME, {"last": max(numbers.values())})
            self._make_room(connection, max(numbers.values()))

    def resume_numbers(self, connection: sa.Connection, last_seq: int) -> None:
        connection.execute(_RESUME, {"last": last_seq})
        postgres_tables.resume_numbers(connection)

    def make_ahead(self, connection: sa.Connection) -> None:
        """Make the partitions that are to be there beyond the one that is being filled."""
        self._make_partitions(connection, connection.execute(_LAST_NUMBER).scalar_one())

    def _make_room(self, connection: sa.Connection, seq: int) -> None:
        """See that the partitions for numbers up to this one are there, where nobody made them ahead."""
        if seq // postgres_tables.PARTITION >= self._partitions:
            self._make_partitions(connection, seq)

    def _make_partitions(self, connection: sa.Connection, seq: int) -> None:
        connection.execute(_LOCK, {"locks": _LOCKS, "which": _PARTITIONS})
        self._partitions = postgres_tables.make_partitions(connection, seq // postgres_tables.PARTITION + 1)

    # --- words of texts ---------------------------------------------------------------------------------

    def take_texts(self, connection: sa.Connection, limit: int) -> Sequence[int] | None:
        connection.execute(_LOCK_SHARED, {"locks": _LOCKS, "which": _TEXTS})
        seqs = postgres_slices.take(connection)
        if seqs is not None:
            return seqs
        if not connection.scalar(_TRY_LOCK, {"locks": _LOCKS, "which": _SLICES}):
            return None
        return postgres_slices.cut(connection, self.settled_seq, limit)

    def indexed_seq(self, connection: sa.Connection) -> int:
        return postgres_slices.indexed_seq(connection)

    def lock_texts(self, connection: sa.Connection) -> None:
        """Keep all workers from the index, up to the end of the transaction."""
        connection.execute(_LOCK, {"locks": _LOCKS, "which": _TEXTS})

    def indexed_among(self, connection: sa.Connection, seqs: Sequence[int]) -> Sequence[int]:
        if not seqs:
            return ()
        self.lock_texts(connection)
        return postgres_slices.indexed_among(connection, seqs)

    def index_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        postgres_words.index(connection, texts)

    def unindex_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        postgres_words.unindex(connection, texts)

    def words_with(self, connection: sa.Connection, piece: Piece, limit: int) -> list[str]:
        return postgres_words.words_with(connection, piece, limit)

    def hits(
        self,
        connection: sa.Connection,
        words: Sequence[Sequence[str]],
        span: range,
        size: int,
        *,
        is_newest_first: bool,
    ) -> Hits:
        return postgres_words.hits(connection, words, span, size, is_newest_first=is_newest_first)

    def hits_among(
        self, connection: sa.Connection, words: Sequence[Sequence[str]], seqs: Sequence[int]
    ) -> Sequence[int] | None:
        return postgres_words.hits_among(connection, words, seqs)

    # --- what it takes, and what is left of what was deleted ----------------------------------------------

    def sizes(self, connection: sa.Connection) -> Sizes:
        size = connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one()
        return Sizes(database_bytes=int(size), log_bytes=0, free_bytes=0)

    def cluster(self, connection: sa.Connection) -> ClusterFigures | None:
        settled = self.settled_seq(connection)
        last = connection.execute(_LAST_NUMBER).scalar_one()
        newest = max(postgres_tables.partitions(connection))
        ahead = newest - last // postgres_tables.PARTITION
        return postgres_figures.cluster(connection, partitions_ahead=ahead, unsettled=last - settled)

    @contextmanager
    def keeping_house(self) -> Iterator[bool]:
        try:
            connection = self.connect()
            with connection:
                connection.autocommit = True
                row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCKS, _HOUSE)).fetchone()
                yield bool(row and row[0])
        except psycopg.OperationalError as exc:
            raise StoreUnavailable(f"the store cannot be reached: {exc}") from exc

    @property
    def spans(self) -> Spans | None:
        return postgres_spans.PostgresSpans(self)

    def wiping(self, connection: sa.Connection) -> AbstractContextManager[None]:
        return nullcontext()

    def wipe(self, reading: sa.Engine, change: Change, pause: Callable[[], bool]) -> bool:
        with self._vacuuming() as vacuum:
            for table in postgres_tables.VACUUMED:
                vacuum(table)
                if pause():
                    return False
        return True

    def wipe_log(self, reading: sa.Engine) -> bool:
        return True

    @contextmanager
    def _vacuuming(self) -> Iterator[Callable[[str], None]]:
        with self.connect() as connection:
            connection.autocommit = True

            def vacuum(table: str) -> None:
                connection.execute(SQL("VACUUM {}").format(Identifier(table)))

            yield vacuum


def _leave_standby(context: sa.ExceptionContext) -> None:
    """Let go of a server that takes no writes any more: among several hosts another one may be the primary now."""
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


def _failed(connection: sa.Connection, statement: str, exc: psycopg.Error) -> BaseException:
    """What SQLAlchemy raises for a failure of the driver, had it given the statement to it."""
    is_lost = cast("psycopg.Connection", connection.connection.driver_connection).closed
    if is_lost:
        connection.invalidate(exc)
    return sa.exc.DBAPIError.instance(
        statement, None, exc, psycopg.Error, connection_invalidated=is_lost, dialect=connection.dialect
    )


@functools.cache
def _copy(table: sa.Table) -> tuple[str, list[str]]:
    """The statement that takes rows of a table in PostgreSQL's binary form, and the types of its columns."""
    names = ", ".join(column.name for column in table.columns)
    return f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)", [_type(column) for column in table.columns]


def _type(column: sa.Column[object]) -> str:
    for kind, name in (
        (sa.BigInteger, "int8"),
        (sa.Integer, "int4"),
        (sa.Boolean, "bool"),
        (sa.Float, "float8"),
        (sa.LargeBinary, "bytea"),
        (sa.String, "text"),
    ):
        if isinstance(column.type, kind):
            return name
    raise TypeError(f"{column} is of a type that is not copied yet")


def _storable(text: str) -> str:
    """A text as PostgreSQL can keep it: no text of its has the character NUL."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


class _Text(StrDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(_storable(obj))


class _TextBinary(StrBinaryDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(_storable(obj))


class _TextUnknown(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(_storable(obj))
