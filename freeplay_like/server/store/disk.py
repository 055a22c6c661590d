"""How much room the disk has left, and whether that is enough to go on taking records.

A database that meets a full disk in the middle of a transaction loses nothing, but it cannot even delete any more: so
the store stops taking while there is still room to look, to export and to delete.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from freeplay_like.server.store.views import StoreUnavailable

logger = logging.getLogger(__name__)

MIN_FREE_BYTES: Final = 256 * 1024 * 1024
MIN_FREE_SHARE: Final = 0.01
RECOVERY_SHARE: Final = 0.1
"""How much more than the least must be free again before records are taken: no going back and forth at the edge."""


class StoreReadOnly(StoreUnavailable):
    """The disk is nearly full: nothing is taken, but everything that is stored can be read and deleted."""


@attrs.frozen(kw_only=True)
class Room:
    """The disk under the database, in bytes, when it was last looked at."""

    free_bytes: int
    total_bytes: int


def room_of(folder: Path) -> Room:
    """The disk that a folder lies on."""
    usage = shutil.disk_usage(folder)
    return Room(free_bytes=usage.free, total_bytes=usage.total)


class Disk:
    """Watches the disk of one database. `look` is called now and then; the questions cost nothing.

    Without a `folder` the database is elsewhere: its disk is not ours to watch, and `room` is None.

    `min_free_bytes` is what must stay free: None takes the larger of 256 MiB and one hundredth of the disk, 0 never
    stops taking.
    """

    def __init__(
        self, folder: Path | None, min_free_bytes: int | None = 0, *, ask: Callable[[Path], Room] = room_of
    ) -> None:
        self._folder = folder
        self._ask = ask
        self._lock = threading.Lock()
        self.room = None if folder is None else ask(folder)
        default = 0 if self.room is None else max(MIN_FREE_BYTES, int(self.room.total_bytes * MIN_FREE_SHARE))
        self.min_free_bytes = default if min_free_bytes is None else min_free_bytes
        self.is_full = False
        self.look()

    def look(self) -> None:
        """Look at the disk again."""
        if self._folder is None:
            return
        with self._lock:
            self.room = self._ask(self._folder)
            wanted = self.min_free_bytes * (1 + RECOVERY_SHARE if self.is_full else 1)
            is_full = self.room.free_bytes < wanted
            if is_full and not self.is_full:
                logger.error("%s", self._problem())
            elif self.is_full and not is_full:
                logger.warning("%d bytes are free again: records are taken", self.room.free_bytes)
            self.is_full = is_full

    @property
    def problem(self) -> str | None:
        """Why nothing is taken, None where there is room."""
        return self._problem() if self.is_full else None

    def require_room(self) -> None:
        """Nothing where there is room.

        Raises:
            StoreReadOnly: there is none.
        """
        if self.is_full:
            raise StoreReadOnly(self._problem())

    def _problem(self) -> str:
        free_bytes = 0 if self.room is None else self.room.free_bytes
        return (
            f"the server's disk is nearly full: {_mib(free_bytes)} MiB are free, and "
            f"{_mib(self.min_free_bytes)} must be (--min-free). Nothing is taken until there is room; what is stored "
            "can be read, exported and deleted, and senders keep what they have"
        )


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1024 * 1024):,.1f}"
