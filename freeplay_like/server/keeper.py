"""The thread that keeps house: the disk, the ends of retention, what was deleted, when keys were used."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final

import attrs

from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import StoreUnavailable

logger = logging.getLogger(__name__)

DISK_EVERY_S: Final = 2.0
KEYS_EVERY_S: Final = 60.0
"""How often it is kept when keys were last used."""
ROOM_EVERY_S: Final = 10.0
RETENTION_EVERY_S: Final = 60.0
WIPE_EVERY_S: Final = 10.0
PACE_EVERY_S: Final = 2.0
SIZE_EVERY_S: Final = 60.0
"""How often it is looked whether it is time again."""
TOMBSTONES_EVERY_S: Final = 3_600.0
SHARE: Final = 0.2
"""The part of the writer's time that a long piece of work takes: after each slice it rests four times as long."""


@attrs.define(eq=False)
class _Chore:
    name: str
    every_s: float
    do: Callable[[], None]
    due_at_s: float
    is_failing: bool = False


class Keeper:
    """Does what nobody waits for. `used_keys` gives, and forgets, which keys were used and when."""

    def __init__(self, store: Store, used_keys: Callable[[], Mapping[str, datetime]]) -> None:
        self.failures = 0
        self._store = store
        self._used_keys = used_keys
        self._stop = threading.Event()
        self._slice_began_s = 0.0
        now = time.monotonic()
        self._keys_chore = _Chore("keeping when keys were used", KEYS_EVERY_S, self._keep_used_keys, now + KEYS_EVERY_S)
        chores = [
            _Chore("looking at the disk", DISK_EVERY_S, store.disk.look, now),
            self._keys_chore,
            _Chore("measuring the intake", PACE_EVERY_S, store.figures.mark, now),
        ]
        shared = [
            _Chore("making room for records", ROOM_EVERY_S, store.retention.make_room, now),
            _Chore("deleting what is kept no longer", RETENTION_EVERY_S, self._expire, now),
            _Chore("wiping what was deleted", WIPE_EVERY_S, self._wipe, now),
            _Chore("writing down the database's size", SIZE_EVERY_S, store.sizes.sample, now),
            _Chore("forgetting old deletions", TOMBSTONES_EVERY_S, self._purge, now),
        ]
        self._chores = [*chores, *(attrs.evolve(chore, do=partial(self._alone, chore.do)) for chore in shared)]
        self._thread = threading.Thread(target=self._loop, name="freeplay-like-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, between two slices, and keep what is left to be kept. Blocks."""
        self._stop.set()
        self._thread.join()
        self._try(self._keys_chore)

    def _loop(self) -> None:
        while not self._stop.is_set():
            now = time.monotonic()
            for chore in self._chores:
                if chore.due_at_s <= now and not self._stop.is_set():
                    self._try(chore)
                    chore.due_at_s = time.monotonic() + chore.every_s
            self._stop.wait(max(0.0, min(chore.due_at_s for chore in self._chores) - time.monotonic()))

    def _try(self, chore: _Chore) -> None:
        self._slice_began_s = time.monotonic()
        try:
            chore.do()
        except StoreUnavailable as exc:
            self.failures += 1
            if not chore.is_failing:
                chore.is_failing = True
                logger.error("%s failed: %s; it is tried again every %g s", chore.name, exc, chore.every_s)
        except Exception:
            self.failures += 1
            if not chore.is_failing:  # said once, until it goes well again
                chore.is_failing = True
                logger.exception("%s failed; it is tried again every %g s", chore.name, chore.every_s)
        else:
            chore.is_failing = False

    def _keep_used_keys(self) -> None:
        self._store.keys.touch(self._used_keys())

    def _alone(self, do: Callable[[], None]) -> None:
        """Do what one server at a time does for all."""
        with self._store.database.keeping_house() as is_ours:
            if is_ours:
                do()

    def _expire(self) -> None:
        self._store.retention.expire(self._pause)

    def _wipe(self) -> None:
        if self._store.deletion.is_wipe_due():
            self._store.deletion.wipe(self._pause)

    def _purge(self) -> None:
        while self._store.deletion.purge_tombstones():
            if self._pause():
                return

    def _pause(self) -> bool:
        """Rest after a slice of work, in proportion to it; True when it is time to stop."""
        now = time.monotonic()
        is_stopping = self._stop.wait((now - self._slice_began_s) * (1 / SHARE - 1))
        self._slice_began_s = time.monotonic()
        return is_stopping
