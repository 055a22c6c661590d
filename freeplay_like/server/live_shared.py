"""Calls that run, in the database: a page at one server shows a call that another is told of, as it grows.

What programs tell is written as it comes, once a second and call, and answered by what stands there. What this server
says of its own calls, and which ones have ended, is gathered and written by a thread, for nobody may wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import attrs

from freeplay_like.core.records import Record
from freeplay_like.server.live_calls import Waiting
from freeplay_like.server.store.engines.database import RecordKey
from freeplay_like.server.store.live import Growth, LiveCall, SharedCalls
from freeplay_like.server.store.views import StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

WRITE_EVERY_S: Final = 0.25
"""How often at most what was gathered is written."""
GATHER_S: Final = 0.2
"""How often at most those who watch are woken: each of them asks the database then."""
FORGET_EVERY_S: Final = 2.0
"""How often at most, while calls begin, old ones are forgotten."""
STOP_S: Final = 3.0
"""How long the end waits for a database that does not answer."""


class SharedLiveCalls(Waiting):
    """The calls that run now, shared with other servers; see `LiveCalls`. `tell_others` says that some have changed."""

    def __init__(self, calls: SharedCalls, tell_others: Callable[[], None]) -> None:
        super().__init__(GATHER_S)
        self.failures = 0
        self._calls = calls
        self._tell_others = tell_others
        self._lock = threading.Lock()
        self._grown: dict[RecordKey, Growth] = {}
        self._ended: list[RecordKey] = []
        self._due = threading.Event()
        self._over = threading.Event()
        self._forget_at_s = 0.0
        self._is_failing = False
        self._thread: threading.Thread | None = None

    # --- what calls do ------------------------------------------------------------------------------------

    def tell(self, told: Mapping[RecordKey, Growth]) -> list[RecordKey]:
        """See `LiveCalls.tell`."""
        unknown = self._calls.tell(told)
        self._forget(told)
        self._changed_here()
        return unknown

    def begin(self, call: RecordKey, record: Record) -> None:
        """See `LiveCalls.begin`."""
        with self._lock:
            self._grown[call] = Growth(record=record)
        self._due.set()

    def grow(self, call: RecordKey, text: str = "") -> None:
        """See `LiveCalls.grow`."""
        text = text.encode(errors="replace").decode()  # half a character cannot be stored
        with self._lock:
            before = self._grown.get(call, Growth())
            self._grown[call] = attrs.evolve(before, text=before.text + text)
        self._due.set()

    def end(self, call: RecordKey) -> None:
        """See `LiveCalls.end`."""
        with self._lock:
            self._grown.pop(call, None)
            self._ended.append(call)
        self._due.set()

    # --- who watches --------------------------------------------------------------------------------------

    def get(self, call: RecordKey) -> LiveCall | None:
        """See `LiveCalls.get`."""
        return self._ask(lambda: self._calls.get(call), None)

    def of(self, project_key: int) -> tuple[LiveCall, ...]:
        """See `LiveCalls.of`."""
        return self._ask(lambda: self._calls.of(project_key), ())

    def ids(self, project_key: int) -> tuple[str, ...]:
        """See `LiveCalls.ids`."""
        return self._ask(lambda: self._calls.ids(project_key), ())

    def text(self, call: RecordKey, seen: int) -> str | None:
        """See `LiveCalls.text`."""
        return self._calls.text(call, seen)

    # --- the server ---------------------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """See `LiveCalls.start`."""
        super().start(loop)
        self._thread = threading.Thread(target=self._write_all, name="freeplay-like-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """See `LiveCalls.stop`."""
        self._over.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
        self._calls.close()

    def _write_all(self) -> None:
        while not self._over.is_set():
            self._due.wait()
            self._due.clear()
            self._ask(self._write, None)  # what cannot be written is forgotten: the records come by themselves
            self._over.wait(WRITE_EVERY_S)
        self._ask(self._write, None)

    def _write(self) -> None:
        with self._lock:
            grown, self._grown = self._grown, {}
            ended, self._ended = self._ended, []
        has_changed = bool(ended) and self._calls.end(ended)
        if grown:
            self._calls.tell(grown)
            self._forget(grown)
        if grown or has_changed:
            self._changed_here()

    def _forget(self, told: Mapping[RecordKey, Growth]) -> None:
        now_s = time.monotonic()
        if now_s >= self._forget_at_s and any(growth.record is not None for growth in told.values()):
            self._forget_at_s = now_s + FORGET_EVERY_S
            self._calls.forget()

    def _changed_here(self) -> None:
        self.hear()
        self._tell_others()

    def _ask(self, question: Callable[[], T], otherwise: T) -> T:
        """An answer, or what there is to see without: that no call runs."""
        try:
            answer = question()
        except StoreUnavailable as exc:
            self.failures += 1
            if not self._is_failing:  # said once, until it goes well again
                self._is_failing = True
                logger.warning("%s", exc)
            return otherwise
        self._is_failing = False
        return answer
