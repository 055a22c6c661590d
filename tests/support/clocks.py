"""Clocks for tests: one that does not wait, and one that stands."""

from __future__ import annotations

from datetime import UTC, datetime

from freeplay_like.clock import SystemClock


class SleeplessClock(SystemClock):
    """A clock that does not wait. `slept` holds every pause, in seconds; the monotonic clock counts them."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + int(sum(self.slept) * 1e9)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class SetClock(SystemClock):
    """A clock that stands where it is set."""

    moment = datetime(2026, 11, 21, 18, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment
