"""Brings records and amendments to the backend, and decides what an answer means for them.

One window is under way at a time. What the backend cannot take now is tried again after a pause that grows; what
it will never take is set aside; and whatever happens to one batch, the others get their turn.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from freeplay_like.clock import Clock
from freeplay_like.recording.frames import Lane
from freeplay_like.recording.sources import Limits, Pending, Source, Window
from freeplay_like.recording.transport import Answer, Sender, Transport
from freeplay_like.recording.troubles import Troubles

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
HURRIED_PAUSE_S: Final = 1.0
HOLD_S: Final = 30.0
SUSPECT_AFTER: Final = 5
"""How often a batch gets a 500 before it is suspected of being the cause."""

Reject = Callable[[Pending, str], None]
"""Sets a record or an amendment aside for good, with the reason."""


@attrs.define(eq=False)
class _Batch:
    """What is of one lane, on its way."""

    source: Source
    window: Window
    lane: Lane
    items: list[Pending]
    failures: int = 0


class Courier:
    """Takes windows from sources and delivers them. For one thread."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        limits: Limits,
        sender: Callable[[], Sender],
        reject: Reject,
        troubles: Troubles,
    ) -> None:
        self.is_hurried = False
        """Somebody waits: pauses are short."""
        self._transport = transport
        self._clock = clock
        self._limits = limits
        self._sender = sender
        self._reject = reject
        self._troubles = troubles
        self._random = random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._batches: deque[_Batch] = deque()
        self._current: tuple[Source, Window] | None = None
        self.is_filling = False
        """The last window was full: there is more where it came from."""
        self._tries = 0
        self._pause_until_s = float("-inf")
        self._is_pause_asked = False
        self._turn = 0

    def now_s(self) -> float:
        """The monotonic clock, which all times here are of."""
        return self._clock.monotonic_ns() / 1e9

    @property
    def pause_until_s(self) -> float:
        """Nothing is sent before."""
        return self._pause_until_s

    @property
    def is_busy(self) -> bool:
        """Whether a window is under way."""
        return self._current is not None

    def hurry(self) -> None:
        """Try now, unless the backend itself has asked for the pause."""
        if not self._is_pause_asked:
            self._pause_until_s = float("-inf")

    def step(self, sources: Sequence[Source]) -> bool:
        """Do the next thing there is to do; False where there is nothing, or the pause is not over."""
        if self.now_s() < self._pause_until_s:
            return False
        if self._batches:
            self._send(self._batches[0])
            return True
        if self._current is not None:
            source, window = self._current
            self._current = None
            source.settle(window)
            return True
        return self._take(sources)

    def _take(self, sources: Sequence[Source]) -> bool:
        for turn in range(self._turn, self._turn + len(sources)):
            source = sources[turn % len(sources)]
            try:
                window = source.take(self._limits, self.now_s())
            except OSError as exc:
                self._troubles.note("read", f"records on disk cannot be read now: {exc}")
                self._pause_until_s = self.now_s() + HURRIED_PAUSE_S
                return False
            if window is not None:
                self._turn = (turn + 1) % len(sources)
                self._current = (source, window)
                self.is_filling = len(window.items) > self._limits.records // 2
                self._batches.extend(_batches(source, window))
                return True
        return False

    def _send(self, batch: _Batch) -> None:
        answer = self._post(batch.lane, batch.items)
        if answer.verdict == "stored":
            self._stored(batch, answer)
        elif answer.verdict in ("denied", "unheard"):
            self._hold(batch, answer)
        elif answer.verdict == "too_large":
            self._divide(batch, answer)
        elif answer.verdict == "unreachable":
            self._back_off(answer)
        else:
            self._suspect(batch, answer)

    def _post(self, lane: Lane, items: Sequence[Pending]) -> Answer:
        oldest = min((pending.head.at for pending in items if pending.head.at is not None), default=None)
        sender = attrs.evolve(self._sender(), oldest_unsent_at=oldest)
        return self._transport.send(lane, sender, [pending.data for pending in items])

    def _stored(self, batch: _Batch, answer: Answer) -> None:
        self._batches.popleft()
        self._tries, self._is_pause_asked = 0, False
        rejected = {r.index: r.message for r in answer.rejected if 0 <= r.index < len(batch.items)}
        for index, message in rejected.items():
            self._reject(batch.items[index], message)
        batch.source.counts.rejected += len(rejected)
        batch.source.counts.sent += len(batch.items) - len(rejected)

    def _hold(self, batch: _Batch, answer: Answer) -> None:
        """The key or the project is wrong, or the backend knows no amendments. Keep everything of the lane, let the
        others pass, and look again later."""
        until_s = self.now_s() + HOLD_S * self._random.uniform(0.8, 1.2)
        batch.source.hold(batch.window, batch.lane, until_s)
        self._batches = deque(other for other in self._batches if other.lane != batch.lane)
        project_id, kind = batch.lane
        way_out = "check the API key" if answer.verdict == "denied" else "bring the backend up to date"
        self._troubles.note(
            f"{answer.verdict} {kind} {project_id}",
            f"{kind}s of project {project_id!r} are kept, but not delivered: {answer.message}; {way_out}",
        )

    def _divide(self, batch: _Batch, answer: Answer) -> None:
        """Send the halves on their own; a single one cannot be divided and is set aside."""
        self._batches.popleft()
        if len(batch.items) == 1:
            self._reject(batch.items[0], answer.message)
            batch.source.counts.rejected += 1
            return
        middle = len(batch.items) // 2
        for half in (batch.items[middle:], batch.items[:middle]):
            self._batches.appendleft(attrs.evolve(batch, items=half))

    def _suspect(self, batch: _Batch, answer: Answer) -> None:
        """Find out whether it is the batch or the backend: an empty batch must pass where the backend is well."""
        batch.failures += 1
        if answer.verdict == "failed" and batch.failures < SUSPECT_AFTER:
            self._back_off(answer)
        elif self._post(Lane(batch.lane.project_id, "record"), ()).verdict == "stored":
            self._divide(batch, answer)
        else:
            self._back_off(answer)

    def _back_off(self, answer: Answer) -> None:
        self._tries += 1
        longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._tries, 16))
        pause_s = self._random.uniform(FIRST_PAUSE_S, longest_s)
        if self.is_hurried:
            pause_s = min(pause_s, HURRIED_PAUSE_S)
        self._is_pause_asked = answer.retry_after_s is not None
        self._pause_until_s = self.now_s() + max(pause_s, answer.retry_after_s or 0.0)
        self._troubles.note(answer.verdict, f"delivery is delayed: {answer.message}")


def _batches(source: Source, window: Window) -> list[_Batch]:
    """One batch for each lane in the window: records first, so that mostly an amendment finds its record there."""
    lanes: dict[Lane, list[Pending]] = {}
    for pending in window.items:
        lanes.setdefault(pending.head.lane, []).append(pending)
    batches = [_Batch(source, window, lane, items) for lane, items in lanes.items()]
    return sorted(batches, key=lambda batch: batch.lane.kind == "amendment")
