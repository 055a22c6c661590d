"""Where a backend's database is, as the commands see it: in a folder, or at the address of a PostgreSQL."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import sqlalchemy as sa

from freeplay_like.cli.database_options import DATABASE_VARIABLE
from freeplay_like.errors import ConfigurationError
from freeplay_like.server.store import schema
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.engines.sqlite_files import DatabaseDamaged
from freeplay_like.server.store.moving import copying
from freeplay_like.server.store.schema import DatabaseTooNew
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import StoreUnavailable

DATA_MODE: Final = 0o700
LOCK_NAME: Final = "server.lock"
"""The file in a data folder that servers over it hold."""


def make_folder(data: Path) -> None:
    """Make a data folder, where it is not there yet, that only its owner can look into.

    Raises:
        ConfigurationError: the folder cannot be used; says why.
    """
    try:
        data.mkdir(mode=DATA_MODE, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"the data folder {str(data)!r} cannot be made: {exc.strerror}; see --data") from exc
    if not os.access(data, os.W_OK):
        raise ConfigurationError(f"the data folder {str(data)!r} cannot be written to; see --data")


def database_at(data: Path | None, database_url: str | None, *, is_fsync: bool = False) -> Database:
    """The database in a data folder, or at an address; nothing is opened yet.

    Raises:
        ConfigurationError: neither or both are given, or the address is none.
    """
    if data is not None and database_url is not None:
        raise ConfigurationError(f"both --data and --database-url ({DATABASE_VARIABLE}) are given; leave one out")
    if data is not None:
        return SqliteDatabase(data / DATABASE_NAME, is_fsync=is_fsync)
    if database_url is not None:
        return _postgres(database_url)
    raise ConfigurationError("say where the database is: --data DIR, or --database-url postgresql://...")


def open_store(
    data: Path | None,
    database_url: str | None = None,
    *,
    is_fsync: bool = False,
    min_free_bytes: int | None = 0,
    read_database_url: str | None = None,
) -> Store:
    """The store in a data folder, both made where they are not there yet, or at an address.

    `is_fsync` and `min_free_bytes` are for a folder, see `SqliteDatabase` and `Store`; `read_database_url` leads to a
    standby of the database at `database_url`.

    Raises:
        ConfigurationError: neither or both are given, or what is cannot be used; says why.
    """
    database = database_at(data, database_url, is_fsync=is_fsync)
    if read_database_url is not None and data is not None:
        raise ConfigurationError("--read-database-url names a standby of what --database-url names; --data has none")
    standby = None if read_database_url is None else _postgres(read_database_url, is_standby=True)
    if data is not None:
        make_folder(data)
    with told(database.name):
        if data is None or (data / DATABASE_NAME).is_file():
            _require_whole(database)
        return Store(database, min_free_bytes=min_free_bytes, standby=standby)


def existing_store(data: Path | None, database_url: str | None) -> Store:
    """As `open_store`, of a database that is there already.

    Raises:
        ConfigurationError: there is none; and as `open_store`.
    """
    require_existing(data, database_url)
    return open_store(data, database_url)


def require_existing(data: Path | None, database_url: str | None) -> Database:
    """The database, which has tables of ours.

    Raises:
        ConfigurationError: it has none, or cannot be reached.
    """
    if data is not None and database_url is None:
        existing_database(data)
    database = database_at(data, database_url)
    if database_url is not None:
        with told(database.name), reading(database) as connection:
            if schema.current(connection) is None:
                raise ConfigurationError(
                    f"there is nothing of ours in the database {database.name}: `freeplay-like init` makes its tables"
                )
    return database


@contextmanager
def reading(database: Database) -> Iterator[sa.Connection]:
    """A connection that sees one moment."""
    engine = database.open(is_writer=False)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def told(name: str) -> Iterator[None]:
    """What can go wrong with a database becomes an error that says so; never with a password."""
    try:
        yield
    except (DatabaseDamaged, DatabaseTooNew, StoreUnavailable) as exc:
        raise ConfigurationError(str(exc)) from exc
    except sa.exc.DBAPIError as exc:
        raise ConfigurationError(f"the database {name} cannot be used: {str(exc.orig).strip()}") from exc
    except (sa.exc.TimeoutError, sqlite3.Error, OSError) as exc:
        raise ConfigurationError(f"the database {name} cannot be used: {exc}") from exc


def _require_whole(database: Database) -> None:
    with reading(database) as connection:
        if copying.is_under_way(connection):
            raise ConfigurationError(
                f"a copy into {database.name} is not complete: see `freeplay-like db copy --finish`"
            )


def _postgres(url: str, *, is_standby: bool = False) -> Database:
    try:
        from freeplay_like.server.store.engines.postgres import PostgresDatabase
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f'PostgreSQL needs {exc.name!r}, which is not installed: pip install "freeplay-like[server,postgres]"'
        ) from exc
    return PostgresDatabase(url, is_standby=is_standby)


def existing_database(data: Path) -> Path:
    """The database file of a data folder.

    Raises:
        ConfigurationError: there is none.
    """
    path = data / DATABASE_NAME
    if not path.is_file():
        raise ConfigurationError(f"there is no database in {str(data)!r}: {DATABASE_NAME} is missing; see --data")
    return path


@contextmanager
def served(data: Path | None) -> Iterator[None]:
    """Say that a server runs over a data folder, which is made where it is not there yet, as any number may.

    Raises:
        ConfigurationError: somebody has the folder to themselves.
    """
    if data is None:
        yield
        return
    make_folder(data)
    with (data / LOCK_NAME).open("a") as file:
        _lock(file, fcntl.LOCK_SH, f"{str(data)!r} is being restored or compacted; wait until that has ended")
        yield


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Have a data folder to oneself: no server runs over it, and none can start.

    Raises:
        ConfigurationError: a server runs over it.
    """
    with (data / LOCK_NAME).open("a") as file:
        _lock(file, fcntl.LOCK_EX, f"a server runs over {str(data)!r}; stop it first")
        yield


def _lock(file: IO[str], kind: int, problem: str) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise ConfigurationError(problem) from exc
