"""How numbers are spread, in buckets that never move: histograms of any two hours can be put together.

Bucket k holds the numbers from `GROWTH`**k to `GROWTH`**(k+1): whatever is read from it is wrong by at most half a
bucket, `RELATIVE_ERROR`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs
import msgspec

GROWTH = 1.1
RELATIVE_ERROR = math.sqrt(GROWTH) - 1
"""4.9 %: how far a quantile can be from the number that has its rank."""

_LOG = math.log(GROWTH)
_SMALLEST = 0.001
"""What is smaller counts as this."""
_LARGEST = 1e12


def bucket_of(number: float) -> int:
    """The bucket of a number."""
    return math.floor(math.log(min(max(number, _SMALLEST), _LARGEST)) / _LOG)


@attrs.define
class Histogram:
    """How many numbers are in each bucket. Numbers may be taken out again, if they were put in."""

    buckets: dict[int, int] = attrs.field(factory=dict)

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Histogram:
        """The histogram of some numbers."""
        made = cls()
        for number in numbers:
            made.add(number)
        return made

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return sum(self.buckets.values())

    def add(self, number: float, times: int = 1) -> None:
        """Put a number in, or take it out (`times` -1)."""
        self._change(bucket_of(number), times)

    def merge(self, other: Histogram, times: int = 1) -> None:
        """Put all of another's numbers in, or take them out (`times` -1)."""
        for bucket, count in other.buckets.items():
            self._change(bucket, count * times)

    def _change(self, bucket: int, by: int) -> None:
        count = self.buckets.get(bucket, 0) + by
        if count:
            self.buckets[bucket] = count
        else:
            self.buckets.pop(bucket, None)

    def quantile(self, share: float) -> float | None:
        """About the number that `share` of all do not exceed; None where there are none."""
        total = self.count
        if total <= 0:
            return None
        rank = max(1, math.ceil(share * total))
        for bucket in sorted(self.buckets):
            rank -= self.buckets[bucket]
            if rank <= 0:
                return float(GROWTH ** (bucket + 0.5))
        raise AssertionError("a rank is at most the count")

    def pack(self) -> bytes:
        """The histogram as bytes."""
        return msgspec.msgpack.encode(self.buckets)

    @classmethod
    def unpack(cls, packed: bytes) -> Histogram:
        """The histogram that was packed."""
        return cls(msgspec.msgpack.decode(packed, type=dict[int, int]))
