"""The folder that holds a backend's database, as the commands see it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from freeplay_like.errors import ConfigurationError
from freeplay_like.server.store.schema import DatabaseTooNew
from freeplay_like.server.store.store import DATABASE_NAME, Store

DATA_MODE: Final = 0o700


def open_store(data: Path, *, is_fsync: bool = False) -> Store:
    """The store in a data folder, both made where they are not there yet.

    Raises:
        ConfigurationError: the folder cannot be used; says why.
    """
    from sqlalchemy.exc import DatabaseError

    try:
        data.mkdir(mode=DATA_MODE, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"the data folder {str(data)!r} cannot be made: {exc.strerror}; see --data") from exc
    if not os.access(data, os.W_OK):
        raise ConfigurationError(f"the data folder {str(data)!r} cannot be written to; see --data")
    try:
        return Store(data / DATABASE_NAME, is_fsync=is_fsync)
    except DatabaseTooNew as exc:
        raise ConfigurationError(str(exc)) from exc
    except DatabaseError as exc:
        raise ConfigurationError(f"the database in {str(data)!r} cannot be opened: {exc.orig}; see --data") from exc
