"""The net under dropped streams.

A stream that nobody closed is noticed by the garbage collector, at any moment, inside any other code, perhaps under
the very lock that closing a connection needs. So `__del__` only puts the stream on a `SimpleQueue` (re-entrant, takes
no lock that could be held), and this one daemon thread does the rest.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger("freeplay_like")


class _Net:
    """A queue and the thread that empties it, made on first use and again after a fork."""

    def __init__(self) -> None:
        self._pid = 0
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def ready(self) -> None:
        """Make sure that the thread runs. Called when a stream is opened, never when one is dropped."""
        if self._pid == os.getpid() and self._thread is not None:
            return
        with self._lock:
            if self._pid != os.getpid() or self._thread is None:
                self._start()
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="freeplay_like-net", daemon=True)
                self._thread.start()

    def catch(self, drop: Callable[[], None]) -> None:
        """Have `drop` called soon, on the net's thread."""
        self._queue.put(drop)

    def after_fork(self) -> None:
        """Forget the parent's thread and lock; what the parent dropped is the parent's to settle."""
        self._lock = threading.Lock()
        self._start()

    def _run(self) -> None:
        while True:
            drop = self._queue.get()
            try:
                drop()
            except Exception:
                logger.exception("a dropped stream could not be let go of")
            del drop


net = _Net()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=net.after_fork)
