"""The thread that puts texts into the index where several servers share a database: each has one, and all help.

It has a connection of its own, so that neither records nor jobs wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.derived import following
from freeplay_like.server.store.engines import failures
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.writer import IDLE_S, LATER_S, LOOK_EVERY_S, Progress, Writer

logger = logging.getLogger(__name__)

BUSY_SHARE: Final = 0.25
"""The part of its time that the thread works while records wait to be stored: it takes the processor from them."""


class Indexer:
    """Indexes what the workers of other servers have not taken. What one leaves behind that is killed, others do."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self.failures = 0
        self._engine = database.open(is_writer=True)
        self._writer = writer
        self._is_failing = False
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="freeplay-like-indexer", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Records were stored. Never waits."""
        self._woken.set()

    def close(self) -> None:
        """End the thread after its slice. Safe to call twice."""
        self._stop.set()
        self._woken.set()
        self._thread.join()
        self._engine.dispose()

    def _loop(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            progress = self._slice()
            if progress == "more":
                if self._writer.pending_bytes:
                    self._stop.wait((time.monotonic() - began) * (1 / BUSY_SHARE - 1))
                continue
            self._woken.wait(LATER_S if progress == "later" else LOOK_EVERY_S)
            self._woken.clear()
            self._stop.wait(IDLE_S)  # more will come: together they are one transaction

    def _slice(self) -> Progress:
        try:
            with self._engine.begin() as connection:
                progress = following.index_slice(connection)
        except Exception as exc:
            self.failures += 1
            if not self._is_failing:  # said once, until it goes well again
                self._is_failing = True
                if isinstance(exc, sa.exc.DBAPIError) and failures.is_passing(exc):
                    logger.error("texts are not indexed: %s", failures.reason_of(exc))
                else:
                    logger.exception("texts are not indexed")
            return "done"
        self._is_failing = False
        return progress
