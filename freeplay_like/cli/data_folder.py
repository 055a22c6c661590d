"""Where a backend's database is, as the commands see it: in a folder, or at the address of a PostgreSQL."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeVar

import click

from freeplay_like.errors import ConfigurationError
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.schema import DatabaseTooNew
from freeplay_like.server.store.store import Store

C = TypeVar("C", bound=Callable[..., object])

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


def database_options(command: C) -> C:
    """The options that say where the database is."""
    for option in (
        click.option(
            "--database-url",
            envvar="FREEPLAY_LIKE_DATABASE_URL",
            help="The address of a PostgreSQL database instead (postgresql://...); better set by environment.",
        ),
        click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The folder with the database."),
    ):
        command = option(command)
    return command


def open_store(
    data: Path | None, database_url: str | None = None, *, is_fsync: bool = False, min_free_bytes: int | None = 0
) -> Store:
    """The store in a data folder, both made where they are not there yet, or at an address.

    `is_fsync` and `min_free_bytes` are for a folder; see `SqliteDatabase` and `Store`.

    Raises:
        ConfigurationError: neither or both are given, or what is cannot be used; says why.
    """
    from sqlalchemy.exc import DBAPIError

    if (data is None) == (database_url is None):
        raise ConfigurationError("say where the database is: --data DIR, or --database-url postgresql://...")
    database: Database
    if data is not None:
        make_folder(data)
        database = SqliteDatabase(data / DATABASE_NAME, is_fsync=is_fsync)
        hint = f"the database in {str(data)!r} cannot be opened: %s; see --data"
    else:
        database = _postgres(str(database_url))
        hint = f"the database {database.name} cannot be opened: %s; see --database-url"
    try:
        return Store(database, min_free_bytes=min_free_bytes)
    except DatabaseTooNew as exc:
        raise ConfigurationError(str(exc)) from exc
    except DBAPIError as exc:
        raise ConfigurationError(hint % str(exc.orig).strip()) from exc


def _postgres(url: str) -> Database:
    try:
        from freeplay_like.server.store.engines.postgres import PostgresDatabase
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f'PostgreSQL needs {exc.name!r}, which is not installed: pip install "freeplay-like[server,postgres]"'
        ) from exc
    return PostgresDatabase(url)


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
