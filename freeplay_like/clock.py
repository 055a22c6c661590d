"""The one place that reads the time, waits and makes ids, so that tests can hand in another."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Protocol

from freeplay_like.core.ids import uuid7


class Clock(Protocol):
    """Where time and ids come from."""

    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never run backwards; only differences mean anything."""
        ...

    def new_id(self) -> str:
        """A fresh UUIDv7."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let the time go by."""
        ...

    async def asleep(self, seconds: float) -> None:
        """The async twin of `sleep`."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """Nanoseconds of the monotonic clock."""
        return time.monotonic_ns()

    def new_id(self) -> str:
        """A fresh UUIDv7."""
        return uuid7(time.time_ns() // 1_000_000, os.urandom(10))

    def sleep(self, seconds: float) -> None:
        """Let the time go by."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """The async twin of `sleep`."""
        import asyncio

        await asyncio.sleep(seconds)
