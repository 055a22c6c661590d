"""What the store asks of a database beyond SQL that every one understands. `sqlite` and `postgres` answer it.

Parts of the store are given a connection and nothing else; `database_of` tells which database it leads to.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import attrs
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from freeplay_like.server.store.derived.words import Piece

if TYPE_CHECKING:
    from freeplay_like.server.store.live import SharedCalls

T = TypeVar("T")

OPTION: Final = "freeplay_like_database"
"""The execution option under which an engine knows its database."""

RecordKey = tuple[int, str]
"""A record by the key of its project and its own id."""


class Change(Protocol):
    """Does a job in a transaction of its own, as `Access.change_anyway` does."""

    def __call__(self, job: Callable[[sa.Connection], T]) -> T:
        """Do it, and wait for its commit."""
        ...


@attrs.frozen(kw_only=True)
class Sizes:
    """What a database takes, in bytes; `free_bytes` of `database_bytes` hold nothing."""

    database_bytes: int
    log_bytes: int
    free_bytes: int


class Line(Protocol):
    """Leads to the other servers over the same database. For one thread at a time."""

    def tell(self, said: str) -> None:
        """Say a few words to all others.

        Raises:
            StoreUnavailable: the line is broken.
        """
        ...

    def hear(self, timeout_s: float, bell: socket.socket) -> list[str]:
        """What others said since this was last called; waited for, unless the bell has something to be read.

        Raises:
            StoreUnavailable: the line is broken.
        """
        ...

    def settled_seq(self) -> int:
        """As `Database.settled_seq`, now.

        Raises:
            StoreUnavailable: the line is broken.
        """
        ...


@attrs.frozen(kw_only=True)
class StandbyFigures:
    """A standby of a database. What it is behind is None where the database does not tell us."""

    name: str
    is_synchronous: bool
    lag_s: float | None
    lag_bytes: int | None


@attrs.frozen(kw_only=True)
class ClusterFigures:
    """How a database is that several servers share. `server` is this one, `servers` all that are connected.

    `is_synchronous`: a commit is to wait for a standby. `tables` is what each takes, in bytes, the largest first.
    `unsettled` is how many numbers of records are given out of which it is not known yet what becomes of them.
    """

    server: str
    servers: tuple[str, ...]
    connections: int
    max_connections: int
    oldest_transaction_s: float
    is_synchronous: bool
    standbys: tuple[StandbyFigures, ...]
    tables: Mapping[str, int]
    partitions_ahead: int
    unsettled: int


class Spans(Protocol):
    """Stretches of numbers whose records can be dropped as a whole. Each question is asked under the store's lock."""

    def make_room(self, connection: sa.Connection) -> None:
        """See that there is room for records to come, so that whoever takes them need not."""
        ...

    def full(self, connection: sa.Connection) -> Sequence[range]:
        """Those to which no record comes any more, the oldest first."""
        ...

    def falling(self, connection: sa.Connection) -> Sequence[range]:
        """Those that are to be dropped: of what is deleted there only the row of `record` must go."""
        ...

    def fall(self, connection: sa.Connection, span: range) -> None:
        """Let one be dropped, once it has no records any more."""
        ...

    def keep(self, connection: sa.Connection, span: range) -> None:
        """Let one not be dropped after all: what was left there of deleted records goes."""
        ...

    def drop(self, connection: sa.Connection, span: range) -> bool:
        """Drop one that has no records; False where it has, or somebody is in the way."""
        ...

    def drop_words(self, connection: sa.Connection, after: int, limit: int) -> int | None:
        """Drop those of the next words after a key that no text has any more; the last key that was looked at."""
        ...


@attrs.frozen(kw_only=True)
class Hits:
    """The numbers of texts that were found, in no order, and the part of the span in which all were."""

    seqs: Sequence[int]
    looked: range


class Database(Protocol):
    """One of the databases that the store can lie in."""

    @property
    def name(self) -> str:
        """What messages call it; never with a password."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other servers may add to it and change it at the same time."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder whose disk it fills, where that is this machine's."""
        ...

    def open(self, *, is_writer: bool) -> sa.Engine:
        """Connections to it: each question of a reader sees one moment, and a reader cannot write."""
        ...

    def create(self, connection: sa.Connection) -> bool:
        """Make all tables in an empty database; False where the migrations do that."""
        ...

    # --- who may change what is stored ------------------------------------------------------------------

    def lock(self, connection: sa.Connection) -> None:
        """Be the only one, up to the end of the transaction, that changes anything but by adding records."""
        ...

    def try_lock(self, connection: sa.Connection) -> bool:
        """As `lock`, but False at once where somebody else is."""
        ...

    def lock_traces(self, connection: sa.Connection, *, is_shared: bool) -> None:
        """Up to the end of the transaction let spans come, or `is_shared` records that name theirs, but not both.

        Whoever wants the store alone as well asks for this before.
        """
        ...

    def be_brief(self, connection: sa.Connection) -> None:
        """Let what changes tables, in this transaction, fail before others who come after it wait for long."""
        ...

    # --- other servers ----------------------------------------------------------------------------------

    def oldest_server(self, connection: sa.Connection) -> int | None:
        """The lowest schema step among the servers that have a line; None where there are none."""
        ...

    def line(self, step: int) -> AbstractContextManager[Line] | None:
        """A line to the other servers, for one that knows this schema step; None where one server is alone.

        Entering raises StoreUnavailable where it cannot be opened.
        """
        ...

    def live_calls(self) -> SharedCalls | None:
        """The calls that run now, shared with its other servers; None where there is one server alone."""
        ...

    # --- records ----------------------------------------------------------------------------------------

    def claim(self, connection: sa.Connection, keys: Sequence[RecordKey]) -> Mapping[RecordKey, int]:
        """Number new records, in this order; those are left out that another server stores or has stored."""
        ...

    def seqs_of(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> Mapping[str, int]:
        """The numbers of those of these records that are stored: what is asked with them looks in one place."""
        ...

    def settled_seq(self, connection: sa.Connection) -> int:
        """A number up to which no record can appear any more: what is not there will not come.

        Ask it before the moment at which the records are looked at.
        """
        ...

    def insert_many(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]) -> None:
        """Add rows, each with the values of all columns in the order of the table, as fast as may be."""
        ...

    def await_records(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
        """Wait until those of these ids are stored that were claimed before; nobody claims one up to the end."""
        ...

    def forget_records(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
        """Let these ids be stored again; their records are being deleted."""
        ...

    def adopt(self, connection: sa.Connection, numbers: Mapping[RecordKey, int]) -> None:
        """Make ready for records that are added with numbers which another database gave them."""
        ...

    def resume_numbers(self, connection: sa.Connection, last_seq: int) -> None:
        """Number new records after this one, and new rows of other tables after those that are there."""
        ...

    # --- words of texts ---------------------------------------------------------------------------------

    def take_texts(self, connection: sa.Connection, limit: int) -> Sequence[int] | None:
        """The numbers of about the next `limit` records whose texts are to be indexed in this transaction.

        Nobody else gets them, unless the transaction fails. None: others are at work, and there may be more later.
        """
        ...

    def indexed_seq(self, connection: sa.Connection) -> int:
        """The number up to which every text is in the index."""
        ...

    def indexed_among(self, connection: sa.Connection, seqs: Sequence[int]) -> Sequence[int]:
        """Those of some numbers whose texts are in the index; nobody adds to it up to the end of the transaction."""
        ...

    def index_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        """Put the words of texts into the index, each text under its number."""
        ...

    def unindex_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        """Take texts out of the index again, and the words that no other text has."""
        ...

    def words_with(self, connection: sa.Connection, piece: Piece, limit: int) -> list[str]:
        """Words of the index in which a piece is; at most `limit`, in no order."""
        ...

    def hits(
        self,
        connection: sa.Connection,
        words: Sequence[Sequence[str]],
        span: range,
        size: int,
        *,
        is_newest_first: bool,
    ) -> Hits:
        """Texts at the near end of a span that have one word of every group: about `size` of them, or all there are.

        The span is not empty, and neither is a group.
        """
        ...

    def hits_among(
        self, connection: sa.Connection, words: Sequence[Sequence[str]], seqs: Sequence[int]
    ) -> Sequence[int] | None:
        """Those of a few texts that have one word of every group; None where `hits` finds them with less."""
        ...

    # --- what it takes, and what is left of what was deleted ----------------------------------------------

    def sizes(self, connection: sa.Connection) -> Sizes:
        """What it takes."""
        ...

    def keeping_house(self) -> AbstractContextManager[bool]:
        """Be the server that keeps house, for what is done within it; False where another is just now."""
        ...

    def cluster(self, connection: sa.Connection) -> ClusterFigures | None:
        """How it is; None where one server has it to itself."""
        ...

    @property
    def spans(self) -> Spans | None:
        """The stretches of numbers that can be dropped; None where records are only deleted."""
        ...

    def wiping(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Within it, what is deleted leaves as little behind as this database can do at once."""
        ...

    def wipe(self, reading: sa.Engine, change: Change, pause: Callable[[], bool]) -> bool:
        """Take the traces of what was deleted out; True where nothing is left of them.

        `pause` is called between slices of it, and says whether to break off.
        """
        ...

    def wipe_log(self, reading: sa.Engine) -> bool:
        """Take the traces of changes out; False where somebody is in the way."""
        ...


def database_of(connection: sa.Connection) -> Database:
    """The database that a connection leads to."""
    return cast("Database", connection.get_execution_options()[OPTION])


# --- statements that are put together once ----------------------------------------------------------------


class _Each(FunctionElement[str]):
    """The texts of a JSON list, a row each, in a column named `value`."""

    name = "each"
    inherit_cache = True


@compiles(_Each, "sqlite")
def _each_in_sqlite(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Each, "postgresql")
def _each_in_postgres(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS JSON))"


class _EachRow(FunctionElement[str]):
    """The lists of a JSON list of lists, a row each, in a column named `value`."""

    name = "each_row"
    inherit_cache = True


@compiles(_EachRow, "sqlite")
def _each_row_in_sqlite(element: _EachRow, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_EachRow, "postgresql")
def _each_row_in_postgres(element: _EachRow, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


class _Item(FunctionElement[str]):
    """An item of a JSON list, by its place in it."""

    name = "item"
    inherit_cache = True


@compiles(_Item, "sqlite")
def _item_in_sqlite(element: _Item, compiler: SQLCompiler, **options: Any) -> str:
    row, place = (compiler.process(each, **options) for each in element.clauses)
    return f"json_extract({row}, '$[{place}]')"


@compiles(_Item, "postgresql")
def _item_in_postgres(element: _Item, compiler: SQLCompiler, **options: Any) -> str:
    row, place = (compiler.process(each, **options) for each in element.clauses)
    return f"({row} ->> {place})"


def is_one_of(column: sa.ColumnElement[str], parameter: str) -> sa.ColumnElement[bool]:
    """Whether a text is among many, which are given when the statement is executed: `parameter=many(values)`.

    So the statement is the same for any number of them, and is put together once.
    """
    each = _Each(sa.bindparam(parameter)).table_valued("value")
    return column.in_(sa.select(each.c.value))


def is_row_of(columns: Sequence[sa.ColumnElement[Any]], parameter: str) -> sa.ColumnElement[bool]:
    """As `is_one_of`, of the values of some columns together: `parameter=many(rows)`."""
    each = _EachRow(sa.bindparam(parameter)).table_valued("value")
    items = (_Item(each.c.value, sa.literal_column(str(place))) for place in range(len(columns)))
    typed = (sa.cast(item, column.type) for item, column in zip(items, columns, strict=True))
    return sa.tuple_(*columns).in_(sa.select(*typed))


def many(values: Sequence[str] | Sequence[Sequence[object]]) -> str:
    """What `is_one_of` and `is_row_of` take. No text in it has the character NUL."""
    return msgspec.json.encode(values).decode()


def upsert(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> None:
    """Add a row, or replace what stands under its primary key."""
    connection.execute(_upsert(connection.dialect.name, table, tuple(values)), values)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows, but those under whose primary key one stands."""
    if rows:
        connection.execute(_insert_new(connection.dialect.name, table), list(rows))


@functools.cache
def _upsert(dialect: str, table: sa.Table, names: tuple[str, ...]) -> postgresql.Insert | sqlite.Insert:
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


@functools.cache
def _insert_new(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


def _insert(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
