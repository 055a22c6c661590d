"""Where delivery takes records from: a folder of the spool, living or dead, and the ring in memory.

A source hands out one window at a time and forgets what it held only when the window is settled. So memory stays
at one window, however much waits on disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import attrs

from freeplay_like.core.wire import WireError
from freeplay_like.recording.frames import Head, head_of
from freeplay_like.recording.gates import Tally


@attrs.frozen(kw_only=True)
class Limits:
    """How much goes into one batch; a record larger than that goes alone."""

    records: int = 500
    record_bytes: int = 1024 * 1024


@attrs.frozen(kw_only=True)
class Pending:
    """A record that is to be sent, as its JSON."""

    head: Head
    record: bytes


@attrs.define(eq=False, kw_only=True)
class Window:
    """Records that are being delivered.

    `lane` is set where they are a held project's, tried again; `held` are the projects refused meanwhile.
    """

    records: list[Pending] = attrs.field(factory=list)
    lane: str | None = None
    held: set[str] = attrs.field(factory=set)
    size_bytes: int = 0

    def has_room(self, size_bytes: int, limits: Limits) -> bool:
        """Whether one more record of that size fits; the first always does."""
        if not self.records:
            return True
        return len(self.records) < limits.records and self.size_bytes + size_bytes <= limits.record_bytes

    def add(self, pending: Pending) -> None:
        """Take one more."""
        self.records.append(pending)
        self.size_bytes += len(pending.record)


@attrs.define(eq=False)
class Counts:
    """What became of the records of a source. Written by the thread that delivers."""

    sent: int = 0
    rejected: int = 0


class Source(Protocol):
    """Something that has records."""

    counts: Counts

    def take(self, limits: Limits, now_s: float) -> Window | None:
        """The next records, None where there are none now. The window before must be settled.

        Raises:
            OSError: what holds them cannot be read.
        """
        ...

    def hold(self, window: Window, project_id: str, until_s: float) -> None:
        """The backend does not let us deliver to that project: keep its records, and let the others pass."""
        ...

    def settle(self, window: Window) -> None:
        """Everything in the window was stored, set aside or held."""
        ...

    def release_held(self) -> None:
        """Try held projects again at the next `take`."""
        ...

    @property
    def next_try_s(self) -> float | None:
        """When a held project is to be tried again, on the clock of `take`."""
        ...


def _nothing(_record_id: str) -> None:
    """Nobody wants to know."""


RING_BYTES: Final = 8 * 1024 * 1024


class Ring:
    """Records in memory, where the disk does not take them. Bounded; what does not fit is counted as dropped.

    `offer` is for any thread and takes no lock; the rest is for the thread that delivers. The bound is checked
    before a record is added, so that it may be passed by as many records as threads offer at the same instant.
    """

    def __init__(self, limit_bytes: int = RING_BYTES) -> None:
        self.counts = Counts()
        self.dropped = Tally()
        self.on_settled: Callable[[str], None] = _nothing
        """Told the id of each record that was delivered from here."""
        self._limit_bytes = limit_bytes
        self._waiting: deque[bytes] = deque()
        self._held: dict[str, tuple[float, list[Pending]]] = {}
        self._window: list[Pending] = []
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._window) + sum(len(records) for _, records in list(self._held.values()))

    def offer(self, record: bytes) -> None:
        """Keep a record's JSON, or count it as dropped."""
        if self._size_bytes + len(record) > self._limit_bytes:
            self.dropped.add()
            return
        self._size_bytes += len(record)
        self._waiting.append(record)

    def take(self, limits: Limits, now_s: float) -> Window | None:
        """The next records; those of held projects go to their own list."""
        window = self._due(now_s, limits)
        if window is None:
            window = Window()
            while self._waiting and window.has_room(len(self._waiting[0]), limits):
                self._sort_in(window, self._waiting.popleft())
        self._window = list(window.records)
        self._measure()
        return window if window.records else None

    def _sort_in(self, window: Window, record: bytes) -> None:
        try:
            pending = Pending(head=head_of(record), record=record)
        except WireError:
            self.dropped.add()  # the recorder wrote it itself, so this is a defect; it is counted, not hidden
            return
        held = self._held.get(pending.head.project_id)
        if held is None:
            window.add(pending)
        else:
            held[1].append(pending)

    def _due(self, now_s: float, limits: Limits) -> Window | None:
        for project_id, (until_s, records) in self._held.items():
            if until_s <= now_s:
                window = Window(lane=project_id)
                while records and window.has_room(len(records[0].record), limits):
                    window.add(records.pop(0))
                if not records:
                    del self._held[project_id]
                return window
        return None

    def hold(self, window: Window, project_id: str, until_s: float) -> None:
        """Keep the project's records of this window, ahead of those that came later."""
        window.held.add(project_id)
        later = self._held.get(project_id, (until_s, []))[1]
        mine = [pending for pending in window.records if pending.head.project_id == project_id]
        self._held[project_id] = (until_s, mine + later)

    def settle(self, window: Window) -> None:
        """The window is done with."""
        for pending in window.records:
            if pending.head.project_id not in window.held:
                self.on_settled(pending.head.record_id)
        self._window = []
        self._measure()

    def release_held(self) -> None:
        """Try held projects at once."""
        self._held = {project_id: (float("-inf"), records) for project_id, (_, records) in self._held.items()}

    @property
    def next_try_s(self) -> float | None:
        """When a held project is to be tried again."""
        return min((until_s for until_s, _ in self._held.values()), default=None)

    def drain(self) -> list[bytes]:
        """Everything that is still here, taken out, oldest first."""
        held = [pending.record for _, records in self._held.values() for pending in records]
        records = [*(pending.record for pending in self._window), *held, *self._waiting]
        self._window, self._held = [], {}
        self._waiting.clear()
        self._measure()
        return records

    def _measure(self) -> None:
        """Set the size right, which may have drifted where threads offered at once."""
        held = sum(len(pending.record) for _, records in self._held.values() for pending in records)
        taken = sum(len(pending.record) for pending in self._window)
        self._size_bytes = sum(map(len, self._waiting.copy())) + held + taken
