"""Calls that have not ended yet, as they grow: in memory, for those who watch, and gone when their record is stored.

Nothing rests on this. What is kept of a call is its record, which comes by itself; this forgets as it pleases.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import attrs

from freeplay_like.core.records import Record

MOST_CALLS: Final = 1_000
TEXT_LIMIT: Final = 256 * 1024
"""The most characters that are shown of a call while it runs; its record has them all."""
TOTAL_LIMIT: Final = 64 * 1024 * 1024
"""The most characters of all calls together, their records counted; the quietest are forgotten first."""
FORGOTTEN_S: Final = 30.0
"""How long after its last sign of life a call is taken for lost: its process says something at least every 10 s."""


@attrs.frozen(kw_only=True)
class LiveCall:
    """A call that runs: the record it began with, and the text of its first choice so far.

    `is_cut`: there is more text than is shown. `grown_at` is when it last grew, or began.
    """

    record: Record
    text: str
    grown_at: datetime
    is_cut: bool = False


@attrs.define(eq=False)
class _Entry:
    record: Record
    size: int
    heard_at_s: float
    grown_at: datetime
    parts: list[str] = attrs.field(factory=list)
    length: int = 0
    is_cut: bool = False

    def text(self) -> str:
        if len(self.parts) > 1:
            self.parts = ["".join(self.parts)]
        return self.parts[0] if self.parts else ""

    def add(self, text: str) -> None:
        room = TEXT_LIMIT - self.length
        self.is_cut = self.is_cut or len(text) > room
        if text and room:
            self.parts.append(text[:room])
            self.length += len(text[:room])

    def seen(self) -> LiveCall:
        return LiveCall(record=self.record, text=self.text(), grown_at=self.grown_at, is_cut=self.is_cut)


class LiveCalls:
    """The calls that run now. For any thread, but for `wait`, which is for the event loop."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._entries: dict[tuple[int, str], _Entry] = {}  # the quietest first
        self._total = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._is_told = False

    # --- what calls do ------------------------------------------------------------------------------------

    def begin(self, project_key: int, record: Record, *, size: int = 0) -> None:
        """A call runs; said again, it begins anew. `size` is about how many characters its record takes."""
        key = project_key, record.record_id
        with self._lock:
            self._drop(key)
            entry = _Entry(record=record, size=size, heard_at_s=self._now_s(), grown_at=datetime.now(UTC))
            self._entries[key] = entry
            self._total += size
            self._forget()
        self._tell()

    def grow(self, project_key: int, record_id: str, text: str = "", *, at: int | None = None) -> bool:
        """The call has that much more text; without any it is a sign of life.

        `at` says how much text came before, where that is known. False where the call is not known, or where what is
        known of it does not reach up to there: then it has to begin again.
        """
        key = project_key, record_id
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or (at is not None and at != entry.length and not entry.is_cut):
                return False
            before = entry.length
            entry.add(text)
            entry.heard_at_s = self._now_s()
            self._entries[key] = self._entries.pop(key)
            if entry.length == before:
                return True
            entry.grown_at = datetime.now(UTC)
            self._total += entry.length - before
            self._forget()
        self._tell()
        return True

    def end(self, project_key: int, record_id: str) -> None:
        """The call has ended. Nothing happens where it is not known."""
        with self._lock:
            is_known = self._drop((project_key, record_id))
        if is_known:
            self._tell()

    def _drop(self, key: tuple[int, str]) -> bool:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._total -= entry.size + entry.length
        return entry is not None

    def _forget(self) -> None:
        """Let go of what nobody has heard of for long, and of the quietest where there is too much."""
        latest_s = self._now_s() - FORGOTTEN_S
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            is_lost = entry.heard_at_s < latest_s
            if not (is_lost or len(self._entries) > MOST_CALLS or self._total > TOTAL_LIMIT):
                return
            self._drop(key)

    # --- who watches --------------------------------------------------------------------------------------

    def get(self, project_key: int, record_id: str) -> LiveCall | None:
        """A call, None where it does not run."""
        with self._lock:
            self._forget()
            entry = self._entries.get((project_key, record_id))
            return None if entry is None else entry.seen()

    def of(self, project_key: int) -> tuple[LiveCall, ...]:
        """The calls of a project, newest first."""
        with self._lock:
            self._forget()
            seen = [entry.seen() for (of_key, _), entry in self._entries.items() if of_key == project_key]
        return tuple(sorted(seen, key=lambda call: call.record.started_at, reverse=True))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on `wait` is woken in that loop."""
        self._loop = loop

    def close(self) -> None:
        """Wake everybody who waits, on the event loop."""
        self._announce()

    async def wait(self, timeout_s: float) -> None:
        """Return when any call has changed, or after the time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)

    def _tell(self) -> None:
        """Wake those who wait, from any thread; many changes in a row wake them once."""
        loop = self._loop
        if loop is None or self._is_told:
            return
        self._is_told = True
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits in it
            loop.call_soon_threadsafe(self._announce)

    def _announce(self) -> None:
        self._is_told = False
        self._changed.set()
        self._changed = asyncio.Event()
