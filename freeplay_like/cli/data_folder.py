"""The folder that holds a backend's database, as the commands see it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from freeplay_like.errors import ConfigurationError
from freeplay_like.server.store.schema import DatabaseTooNew
from freeplay_like.server.store.store import DATABASE_NAME, Store

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


def open_store(data: Path, *, is_fsync: bool = False, min_free_bytes: int | None = 0) -> Store:
    """The store in a data folder, both made where they are not there yet; the rest as `Store` takes it.

    Raises:
        ConfigurationError: the folder cannot be used; says why.
    """
    from sqlalchemy.exc import DatabaseError

    make_folder(data)
    try:
        return Store(data / DATABASE_NAME, is_fsync=is_fsync, min_free_bytes=min_free_bytes)
    except DatabaseTooNew as exc:
        raise ConfigurationError(str(exc)) from exc
    except DatabaseError as exc:
        raise ConfigurationError(f"the database in {str(data)!r} cannot be opened: {exc.orig}; see --data") from exc


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
def served(data: Path) -> Iterator[None]:
    """Say that a server runs over a data folder, as any number may.

    Raises:
        ConfigurationError: somebody has the folder to themselves.
    """
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
