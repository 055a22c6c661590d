"""Deadlines of streams that block a thread.

A thread that waits for bytes cannot look at a clock. So one daemon thread looks for all of them, and closes the
connection of a stream that is late; the thread that waits then finds out. A stream moves its deadline with every
chunk; it is looked at only when the deadline that was known before has come, so a chunk costs nothing here.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import weakref
from collections.abc import Callable

import attrs

from freeplay_like.clock import SystemClock

logger = logging.getLogger("freeplay_like")


@attrs.define(eq=False, slots=True, weakref_slot=True)
class Deadline:
    """What one stream is watched by. `at_ns` is of the monotonic clock; None where nobody waits just now."""

    on_late: Callable[[], None]
    at_ns: int | None = None
    watched_ns: int | None = None

    def set(self, at_ns: int) -> None:
        """Somebody waits until then."""
        self.at_ns = at_ns
        # The watch forgets what it knew before it looks at `at_ns`, so one of the two sees the other.
        if self.watched_ns is None or self.watched_ns > at_ns:
            _watch.add(self, at_ns)

    def clear(self) -> None:
        """Nobody waits any more."""
        self.at_ns = None


class _Watch:
    """A heap of deadlines and the thread that waits for the first; made on first use and again after a fork."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._news = threading.Condition()
        self._heap: list[tuple[int, int, weakref.ref[Deadline]]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline, at_ns: int) -> None:
        if self._pid != os.getpid():
            self._begin()
        with self._news:
            deadline.watched_ns = at_ns
            heapq.heappush(self._heap, (at_ns, next(self._order), weakref.ref(deadline)))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="freeplay_like-watch", daemon=True)
                self._thread.start()
            elif self._heap[0][0] == at_ns:
                self._news.notify()

    def _run(self) -> None:
        while True:
            late = self._next()
            if late is not None:
                try:
                    late.on_late()
                except Exception:
                    logger.exception("a stream that is late could not be closed")
            del late

    def _next(self) -> Deadline | None:
        """Wait for the first deadline; the one that was missed, if it was."""
        with self._news:
            while not self._heap:
                self._news.wait()
            now_ns = self._clock.monotonic_ns()
            if self._heap[0][0] > now_ns:
                self._news.wait((self._heap[0][0] - now_ns) / 1e9)
                return None
            deadline = heapq.heappop(self._heap)[2]()
        if deadline is None:
            return None
        deadline.watched_ns = None
        at_ns = deadline.at_ns
        if at_ns is None:
            return None
        if at_ns > now_ns:
            self.add(deadline, at_ns)
            return None
        return deadline


_watch = _Watch()
