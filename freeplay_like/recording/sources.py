"""Where delivery takes records and amendments from: a folder of the spool, living or dead, and the ring in memory.

A source hands out one window at a time and forgets what it held only when the window is settled. So memory stays
at one window, however much waits on disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import attrs

from freeplay_like.core.wire import WireError
from freeplay_like.recording.frames import Head, Lane, amend_frame, end_frame, head_of
from freeplay_like.recording.gates import Tally


@attrs.frozen(kw_only=True)
class Limits:
    """How much goes into one batch, records and amendments alike; one larger than that goes alone."""

    records: int = 500
    record_bytes: int = 1024 * 1024


@attrs.frozen(kw_only=True)
class Pending:
    """A record or an amendment that is to be sent, as its JSON."""

    head: Head
    data: bytes

    @property
    def frame(self) -> bytes:
        """How it stands in a journal."""
        return end_frame(self.data) if self.head.amendment_id is None else amend_frame(self.data)


@attrs.define(eq=False, kw_only=True)
class Window:
    """What is being delivered.

    `lane` is set where all of it is of a lane that was held and is tried again; `held` are those refused meanwhile.
    """

    items: list[Pending] = attrs.field(factory=list)
    lane: Lane | None = None
    held: set[Lane] = attrs.field(factory=set)
    size_bytes: int = 0

    def has_room(self, size_bytes: int, limits: Limits) -> bool:
        """Whether one more of that size fits; the first always does."""
        if not self.items:
            return True
        return len(self.items) < limits.records and self.size_bytes + size_bytes <= limits.record_bytes

    def add(self, pending: Pending) -> None:
        """Take one more."""
        self.items.append(pending)
        self.size_bytes += len(pending.data)


@attrs.define(eq=False)
class Counts:
    """What became of the records and amendments of a source. Written by the thread that delivers."""

    sent: int = 0
    rejected: int = 0


class Source(Protocol):
    """Something that has records and amendments."""

    counts: Counts

    def take(self, limits: Limits, now_s: float) -> Window | None:
        """What is next, None where there is nothing now. The window before must be settled.

        Raises:
            OSError: what holds them cannot be read.
        """
        ...

    def hold(self, window: Window, lane: Lane, until_s: float) -> None:
        """The backend does not take what is of that lane: keep it, and let the others pass."""
        ...

    def settle(self, window: Window) -> None:
        """Everything in the window was stored, set aside or held."""
        ...

    def release_held(self) -> None:
        """Try what is held again at the next `take`."""
        ...

    @property
    def next_try_s(self) -> float | None:
        """When something held is to be tried again, on the clock of `take`."""
        ...


def _nothing(_record_id: str) -> None:
    """Nobody wants to know."""


RING_BYTES: Final = 8 * 1024 * 1024


class Ring:
    """Records and amendments in memory, where the disk does not take them. Bounded; what does not fit is dropped and
    counted.

    `offer` is for any thread and takes no lock; the rest is for the thread that delivers. The bound is checked
    before one is added, so that it may be passed by as many as threads offer at the same instant.
    """

    def __init__(self, limit_bytes: int = RING_BYTES) -> None:
        self.counts = Counts()
        self.dropped = Tally()
        self.on_settled: Callable[[str], None] = _nothing
        """Told the id of each record that was delivered from here."""
        self._limit_bytes = limit_bytes
        self._waiting: deque[bytes] = deque()
        self._held: dict[Lane, tuple[float, list[Pending]]] = {}
        self._window: list[Pending] = []
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._window) + sum(len(items) for _, items in list(self._held.values()))

    def offer(self, data: bytes) -> None:
        """Keep the JSON of a record or an amendment, or count it as dropped."""
        if self._size_bytes + len(data) > self._limit_bytes:
            self.dropped.add()
            return
        self._size_bytes += len(data)
        self._waiting.append(data)

    def take(self, limits: Limits, now_s: float) -> Window | None:
        """What is next; what is of a held lane goes to a list of its own."""
        window = self._due(now_s, limits)
        if window is None:
            window = Window()
            while self._waiting and window.has_room(len(self._waiting[0]), limits):
                self._sort_in(window, self._waiting.popleft())
        self._window = list(window.items)
        self._measure()
        return window if window.items else None

    def _sort_in(self, window: Window, data: bytes) -> None:
        pending = self._read(data)
        held = None if pending is None else self._held.get(pending.head.lane)
        if pending is not None and held is None:
            window.add(pending)
        elif pending is not None and held is not None:
            held[1].append(pending)

    def _read(self, data: bytes) -> Pending | None:
        try:
            return Pending(head=head_of(data), data=data)
        except WireError:
            self.dropped.add()  # the recorder wrote it itself, so this is a defect; it is counted, not hidden
            return None

    def _due(self, now_s: float, limits: Limits) -> Window | None:
        for lane, (until_s, items) in self._held.items():
            if until_s <= now_s:
                window = Window(lane=lane)
                while items and window.has_room(len(items[0].data), limits):
                    window.add(items.pop(0))
                if not items:
                    del self._held[lane]
                return window
        return None

    def hold(self, window: Window, lane: Lane, until_s: float) -> None:
        """Keep what is of the lane in this window, ahead of what came later."""
        window.held.add(lane)
        later = self._held.get(lane, (until_s, []))[1]
        mine = [pending for pending in window.items if pending.head.lane == lane]
        self._held[lane] = (until_s, mine + later)

    def settle(self, window: Window) -> None:
        """The window is done with."""
        for pending in window.items:
            if pending.head.amendment_id is None and pending.head.lane not in window.held:
                self.on_settled(pending.head.record_id)
        self._window = []
        self._measure()

    def release_held(self) -> None:
        """Try what is held at once."""
        self._held = {lane: (float("-inf"), items) for lane, (_, items) in self._held.items()}

    @property
    def next_try_s(self) -> float | None:
        """When something held is to be tried again."""
        return min((until_s for until_s, _ in self._held.values()), default=None)

    def drain(self) -> list[Pending]:
        """Everything that is still here, taken out, oldest first."""
        held = [pending for _, items in self._held.values() for pending in items]
        waiting = [pending for data in self._waiting if (pending := self._read(data)) is not None]
        items = [*self._window, *held, *waiting]
        self._window, self._held = [], {}
        self._waiting.clear()
        self._measure()
        return items

    def _measure(self) -> None:
        """Set the size right, which may have drifted where threads offered at once."""
        held = sum(len(pending.data) for _, items in self._held.values() for pending in items)
        taken = sum(len(pending.data) for pending in self._window)
        self._size_bytes = sum(map(len, self._waiting.copy())) + held + taken
