"""Calls that have not ended yet, as they grow: for those who watch, and gone when their record is stored.

Nothing rests on this. What is kept of a call is its record, which comes by itself; this forgets as it pleases.
Where one server is alone they are in its memory, and else in the database, see `live_shared`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import attrs

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store import live
from freeplay_like.server.store.engines.database import RecordKey
from freeplay_like.server.store.live import FORGOTTEN_S, TEXT_LIMIT, Growth, LiveCall


class LiveCalls(Protocol):
    """The calls that run now."""

    failures: int
    issue: int
    """Counts the changes that those who wait were woken for."""

    # --- what calls do ------------------------------------------------------------------------------------

    def tell(self, told: Mapping[RecordKey, Growth]) -> list[RecordKey]:
        """Programs tell of their calls; those that they have to tell of whole, from the beginning. Blocks.

        Raises:
            StoreUnavailable: it cannot be taken down now.
        """
        ...

    def begin(self, call: RecordKey, record: Record) -> None:
        """A call of this server's own runs. Never waits, as the next two."""
        ...

    def grow(self, call: RecordKey, text: str = "") -> None:
        """It has that much more text; without any it is a sign of life."""
        ...

    def end(self, call: RecordKey) -> None:
        """Any call has ended. Nothing happens where it is not known."""
        ...

    # --- who watches --------------------------------------------------------------------------------------

    def get(self, call: RecordKey) -> LiveCall | None:
        """A call, None where it does not run. Blocks, as the next three."""
        ...

    def of(self, project_key: int) -> tuple[LiveCall, ...]:
        """The calls of a project, newest first."""
        ...

    def ids(self, project_key: int) -> tuple[str, ...]:
        """Their ids alone."""
        ...

    def text(self, call: RecordKey, seen: int) -> str | None:
        """What a call said after its first `seen` characters, None where it does not run.

        Raises:
            StoreUnavailable: that cannot be known now.
        """
        ...

    async def wait(self, timeout_s: float, issue: int) -> None:
        """Return when any call has changed since that issue, or after the time."""
        ...

    # --- the server ---------------------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on `wait` is woken in that loop."""
        ...

    def hear(self) -> None:
        """Calls have changed at another server. From any thread."""
        ...

    def close(self) -> None:
        """Wake everybody who waits, on the event loop."""
        ...

    def stop(self) -> None:
        """Nothing more is told. Blocks."""
        ...


class Waiting:
    """Those who wait for changes, in an event loop. What changes within `gather_s` wakes them once."""

    def __init__(self, gather_s: float = 0.0) -> None:
        self.issue = 0
        self._gather_s = gather_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._is_told = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """See `LiveCalls.start`."""
        self._loop = loop

    async def wait(self, timeout_s: float, issue: int) -> None:
        """See `LiveCalls.wait`."""
        if issue == self.issue:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), timeout_s)

    def hear(self) -> None:
        """See `LiveCalls.hear`."""
        loop = self._loop
        if loop is None or self._is_told:
            return
        self._is_told = True
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits in it
            loop.call_soon_threadsafe(loop.call_later, self._gather_s, self.close)

    def close(self) -> None:
        """See `LiveCalls.close`."""
        self._is_told = False
        self.issue += 1
        self._changed.set()
        self._changed = asyncio.Event()


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


class MemoryLiveCalls(Waiting):
    """The calls that run now, in memory. For any thread, but for `wait`, which is for the event loop."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.failures = 0
        self._now_s = now_s
        self._lock = threading.Lock()
        self._entries: dict[RecordKey, _Entry] = {}  # the quietest first
        self._total = 0

    def tell(self, told: Mapping[RecordKey, Growth]) -> list[RecordKey]:
        """See `LiveCalls.tell`."""
        unknown = []
        for call, growth in told.items():
            if growth.record is not None:
                self.begin(call, growth.record)
            if not self._grow(call, growth.text, growth.at):
                unknown.append(call)
        return unknown

    def begin(self, call: RecordKey, record: Record) -> None:
        """See `LiveCalls.begin`; said again, it begins anew."""
        size = len(to_wire(record))
        with self._lock:
            self._drop(call)
            self._entries[call] = _Entry(record=record, size=size, heard_at_s=self._now_s(), grown_at=datetime.now(UTC))
            self._total += size
            self._forget()
        self.hear()

    def grow(self, call: RecordKey, text: str = "") -> None:
        """See `LiveCalls.grow`."""
        self._grow(call, text, None)

    def _grow(self, call: RecordKey, text: str, at: int | None) -> bool:
        with self._lock:
            entry = self._entries.get(call)
            if entry is None or (at is not None and at != entry.length and not entry.is_cut):
                return False
            before = entry.length
            entry.add(text)
            entry.heard_at_s = self._now_s()
            self._entries[call] = self._entries.pop(call)
            if entry.length == before:
                return True
            entry.grown_at = datetime.now(UTC)
            self._total += entry.length - before
            self._forget()
        self.hear()
        return True

    def end(self, call: RecordKey) -> None:
        """See `LiveCalls.end`."""
        with self._lock:
            is_known = self._drop(call)
        if is_known:
            self.hear()

    def _drop(self, call: RecordKey) -> bool:
        entry = self._entries.pop(call, None)
        if entry is not None:
            self._total -= entry.size + entry.length
        return entry is not None

    def _forget(self) -> None:
        """Let go of what nobody has heard of for long, and of the quietest where there is too much."""
        latest_s = self._now_s() - FORGOTTEN_S
        while self._entries:
            call, entry = next(iter(self._entries.items()))
            is_lost = entry.heard_at_s < latest_s
            if not (is_lost or len(self._entries) > live.MOST_CALLS or self._total > live.TOTAL_LIMIT):
                return
            self._drop(call)

    def get(self, call: RecordKey) -> LiveCall | None:
        """See `LiveCalls.get`."""
        with self._lock:
            self._forget()
            entry = self._entries.get(call)
            return None if entry is None else entry.seen()

    def of(self, project_key: int) -> tuple[LiveCall, ...]:
        """See `LiveCalls.of`."""
        with self._lock:
            self._forget()
            seen = [entry.seen() for (of_key, _), entry in self._entries.items() if of_key == project_key]
        return tuple(sorted(seen, key=lambda call: call.record.started_at, reverse=True))

    def ids(self, project_key: int) -> tuple[str, ...]:
        """See `LiveCalls.ids`."""
        return tuple(call.record.record_id for call in self.of(project_key))

    def text(self, call: RecordKey, seen: int) -> str | None:
        """See `LiveCalls.text`."""
        found = self.get(call)
        return None if found is None else found.text[seen:]

    def stop(self) -> None:
        """See `LiveCalls.stop`."""
