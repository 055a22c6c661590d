"""A clock that does not wait: what is slept is written down, and the time has gone by."""

from __future__ import annotations

from freeplay_like.clock import SystemClock


class SleeplessClock(SystemClock):
    """`slept` holds every pause, in seconds; the monotonic clock counts them."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + int(sum(self.slept) * 1e9)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)
