"""What the writer has done since the store was opened, counted in its thread."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import attrs

from freeplay_like.server.store.views import Batch, StoreResult, StoreUnavailable

TIME_ENDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper ends of the buckets of times."""


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
