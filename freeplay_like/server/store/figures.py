"""What the writer has done since the store was opened, counted in its thread."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from freeplay_like.server.store.views import Batch, StoreResult, StoreUnavailable

TIME_ENDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper ends of the buckets of times."""

MARKS: Final = 31
"""How many marks are kept of how much was stored: a minute's, where one is made every two seconds."""


class Times:
    """Counts how long something took: in each bucket, what was at most its end and more than the one before."""

    ends = TIME_ENDS_S

    def __init__(self) -> None:
        self.counts = [0] * (len(self.ends) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.ends, seconds)] += 1
        self.sum_s += seconds

    def at_most_s(self, share: float) -> float | None:
        """What that share of them did not exceed, as the end of its bucket; None where nothing was counted."""
        wanted, total = share * sum(self.counts), 0
        for end, count in zip((*self.ends, float("inf")), self.counts, strict=True):
            total += count
            if total and total >= wanted:
                return end
        return None


@attrs.define
class Figures:
    """Counts of batches and of what was in them. For the writer's thread; anybody may read."""

    batches: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    amendments: int = 0
    size_bytes: int = 0
    unavailable: int = 0
    """Batches that could not be stored when they came."""
    _marks: deque[tuple[float, int]] = attrs.field(init=False, factory=lambda: deque(maxlen=MARKS))

    def mark(self) -> None:
        """Write down how much was stored up to now, to know how fast it comes."""
        self._marks.append((time.monotonic(), self.stored))

    def stored_a_second(self) -> float:
        """How many records were stored a second, over about the last minute."""
        marks = self._marks.copy()  # the thread that keeps house adds to it meanwhile
        if not marks:
            return 0.0
        (then_s, before), now_s = marks[0], time.monotonic()
        return (self.stored - before) / (now_s - then_s) if now_s > then_s else 0.0

    def count(self, settled: Sequence[tuple[Batch, StoreResult | StoreUnavailable]]) -> None:
        """Count what became of a group of batches."""
        for batch, result in settled:
            self.batches += 1
            if isinstance(result, StoreUnavailable):
                self.unavailable += 1
                continue
            self.stored += result.stored
            self.duplicates += result.duplicates
            self.rejected += len(result.rejected) + len(result.amendments_rejected)
            self.amendments += result.amendments_stored
            self.size_bytes += batch.size_bytes
