"""PostgreSQL 15 and later: any number of servers over one database, none of which knows what the others do not.

New records are added by all servers at once. Everything else that changes what is stored is done under one advisory
lock, held to the end of a transaction: so it is one after another over all servers, as it is by SQLite's one writer.

Numbers of records come from a sequence, and transactions end in another order than they took their numbers in. Each
holds a shared advisory lock that names a number below its own; `settled_seq` looks for the lowest. Locks are let go of
after the commit can be seen, so what is below and not there will not come.
"""

from __future__ import annotations

import functools
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
from freeplay_like.server.store.engines import postgres_tables, postgres_words
from freeplay_like.server.store.engines.database import OPTION, Change, RecordKey, Sizes

LEAST_VERSION: Final = 15
READERS: Final = 8
"""How many questions a server asks at once."""
READER_WAIT_S: Final = 5.0
"""How long a question waits for its turn, before it is refused."""

_DEFAULTS: Final = {
    "application_name": "freeplay_like",
    "connect_timeout": "3",
    "target_session_attrs": "read-write",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""Stand where the address says nothing else: among several hosts the one that can be written to is taken, and a server
that is gone without a word is noticed within 15 s."""
_OPTIONS: Final = "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s -c timezone=UTC"

_LOCKS: Final = 0x66706C6B
"""The first half of the store's advisory locks; the second says which."""
_STORE, _PARTITIONS = 1, 2
_INTAKE_LOCKS: Final = _LOCKS + 1
"""The first half of the locks of transactions that took numbers."""
_INTAKE_SHIFT: Final = 8
"""How much of a number the second half leaves out: it has 31 bits."""

_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(:locks, :which)")
_TRY_LOCK: Final = sa.text("SELECT pg_try_advisory_xact_lock(:locks, :which)")
_BEGIN_INTAKE: Final = sa.text(
    "SELECT pg_advisory_xact_lock_shared(:locks, (last_value >> :shift)::int) FROM record_number"
)
_CLAIM: Final = sa.text(
    "INSERT INTO record_key (project_key, record_id, seq) "
    "SELECT project_key, record_id, nextval('record_number') FROM ("
    "SELECT * FROM unnest(CAST(:keys AS bigint[]), CAST(:ids AS text[])) "
    "WITH ORDINALITY AS new(project_key, record_id, place) ORDER BY place) AS new "
    "ON CONFLICT DO NOTHING RETURNING project_key, record_id, seq"
)
_LAST_NUMBER: Final = sa.text("SELECT last_value FROM record_number")
_LOWEST_INTAKE: Final = sa.text(
    "SELECT min(objid::bigint) FROM pg_locks WHERE locktype = 'advisory' AND classid = :locks AND objsubid = 2 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_FORGET: Final = sa.text("DELETE FROM record_key WHERE project_key = :project_key AND record_id = ANY(:ids)")


class PostgresDatabase:
    """A database that is reached by a libpq address (`postgresql://`), with several hosts where it has standbys.

    Raises:
        ConfigurationError: the address is none.
    """

    def __init__(self, url: str) -> None:
        try:
            said = conninfo_to_dict(url)
        except psycopg.ProgrammingError as exc:
            raise ConfigurationError(f"the database's address cannot be read: {exc}; see --database-url") from exc
        self._said = {name: str(value) for name, value in said.items() if value is not None}
        options = f"{_OPTIONS} {self._said.get('options', '')}".strip()
        self._conninfo = make_conninfo(**{**_DEFAULTS, **self._said, "options": options})
        self._partitions = 0

    @property
    def name(self) -> str:
        said = self._said
        return f"{said.get('dbname', '')} on {said.get('host', 'this machine')}:{said.get('port', 5432)}"

    @property
    def folder(self) -> Path | None:
        return None

    def connect(self) -> psycopg.Connection:
        """A connection of one's own.

        Raises:
            psycopg.OperationalError: none could be had.
        """
        connection = psycopg.connect(self._conninfo)
        for dumper in (_Text, _TextBinary, _TextUnknown):
            connection.adapters.register_dumper(str, dumper)
        return connection

    def open(self, *, is_writer: bool) -> sa.Engine:
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self.connect,
            pool_size=1 if is_writer else READERS,
            max_overflow=0,
            pool_timeout=READER_WAIT_S,
            execution_options={OPTION: self},
        )
        if is_writer:
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

    # --- records ----------------------------------------------------------------------------------------

    def claim(self, connection: sa.Connection, keys: Sequence[RecordKey]) -> Mapping[RecordKey, int]:
        by_stored = {(project_key, _storable(record_id)): (project_key, record_id) for project_key, record_id in keys}
        connection.execute(_BEGIN_INTAKE, {"locks": _INTAKE_LOCKS, "shift": _INTAKE_SHIFT})
        asked = {"keys": [key for key, _ in by_stored], "ids": [record_id for _, record_id in by_stored]}
        rows = connection.execute(_CLAIM, asked).all()
        numbers = {by_stored[project_key, record_id]: seq for project_key, record_id, seq in rows}
        if numbers:
            self._make_room(connection, max(numbers.values()))
        return dict(sorted(numbers.items(), key=lambda item: item[1]))

    def settled_seq(self, connection: sa.Connection) -> int:
        last = int(connection.execute(_LAST_NUMBER).scalar_one())
        lowest = connection.scalar(_LOWEST_INTAKE, {"locks": _INTAKE_LOCKS})
        return last if lowest is None else min(last, (int(lowest) << _INTAKE_SHIFT) - 1)

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
        except psycopg.OperationalError as exc:
            raise sa.exc.OperationalError(statement, None, exc) from exc

    def forget_records(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
        connection.execute(_FORGET, {"project_key": project_key, "ids": list(record_ids)})

    def _make_room(self, connection: sa.Connection, seq: int) -> None:
        """See that the partitions for numbers up to this one are there, and the next ones."""
        wanted = seq // postgres_tables.PARTITION + 1
        if wanted > self._partitions:
            connection.execute(_LOCK, {"locks": _LOCKS, "which": _PARTITIONS})
            self._partitions = postgres_tables.make_partitions(connection, wanted)

    # --- words of texts ---------------------------------------------------------------------------------

    def index_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        postgres_words.index(connection, texts)

    def unindex_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        postgres_words.unindex(connection, texts)

    def words_with(self, connection: sa.Connection, piece: Piece, limit: int) -> list[str]:
        return postgres_words.words_with(connection, piece, limit)

    def seqs_with_words(
        self,
        connection: sa.Connection,
        words: Sequence[Sequence[str]],
        span: range,
        limit: int,
        *,
        is_newest_first: bool,
    ) -> list[int]:
        return postgres_words.seqs_with(connection, words, span, limit, is_newest_first=is_newest_first)

    # --- what it takes, and what is left of what was deleted ----------------------------------------------

    def sizes(self, connection: sa.Connection) -> Sizes:
        size = connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one()
        return Sizes(database_bytes=int(size), log_bytes=0, free_bytes=0)

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
