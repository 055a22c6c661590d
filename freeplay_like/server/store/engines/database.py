"""What the store asks of a database beyond SQL that every one understands. `sqlite` and `postgres` answer it.

Parts of the store are given a connection and nothing else; `database_of` tells which database it leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

import attrs
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from freeplay_like.server.store.derived.words import Piece

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


class Database(Protocol):
    """One of the databases that the store can lie in."""

    @property
    def name(self) -> str:
        """What messages call it; never with a password."""
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

    # --- records ----------------------------------------------------------------------------------------

    def claim(self, connection: sa.Connection, keys: Sequence[RecordKey]) -> Mapping[RecordKey, int]:
        """Number new records, in this order; those are left out that another server stores or has stored."""
        ...

    def settled_seq(self, connection: sa.Connection) -> int:
        """A number up to which no record can appear any more: what is not there will not come.

        Ask it before the moment at which the records are looked at.
        """
        ...

    def insert_many(self, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]) -> None:
        """Add rows, each with the values of all columns in the order of the table, as fast as may be."""
        ...

    def forget_records(self, connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
        """Let these ids be stored again; their records are being deleted."""
        ...

    # --- words of texts ---------------------------------------------------------------------------------

    def index_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        """Put the words of texts into the index, each text under its number."""
        ...

    def unindex_words(self, connection: sa.Connection, texts: Sequence[tuple[int, set[str]]]) -> None:
        """Take texts out of the index again, and the words that no other text has."""
        ...

    def words_with(self, connection: sa.Connection, piece: Piece, limit: int) -> list[str]:
        """Words of the index in which a piece is; at most `limit`, in no order."""
        ...

    def seqs_with_words(
        self,
        connection: sa.Connection,
        words: Sequence[Sequence[str]],
        span: range,
        limit: int,
        *,
        is_newest_first: bool,
    ) -> list[int]:
        """The first numbers within a span of texts that have one word of every group; at most `limit`."""
        ...

    # --- what it takes, and what is left of what was deleted ----------------------------------------------

    def sizes(self, connection: sa.Connection) -> Sizes:
        """What it takes."""
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


def is_one_of(column: sa.ColumnElement[str], parameter: str) -> sa.ColumnElement[bool]:
    """Whether a text is among many, which are given when the statement is executed: `parameter=many(values)`.

    So the statement is the same for any number of them, and is put together once.
    """
    each = _Each(sa.bindparam(parameter)).table_valued("value")
    return column.in_(sa.select(each.c.value))


def many(values: Sequence[str]) -> str:
    """What `is_one_of` takes."""
    return msgspec.json.encode(values).decode()


def upsert(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> None:
    """Add a row, or replace what stands under its primary key."""
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in values.items() if name not in keys}
    statement = _insert(connection, table).values(**values).on_conflict_do_update(index_elements=keys, set_=changed)
    connection.execute(statement)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows, but those under whose primary key one stands."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def _insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
