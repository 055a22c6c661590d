"""How threads that write and the one that tidies up stay out of each other's way without a lock.

A caller must never wait for another thread, so there is nothing here to wait for: `deque.append` and `deque.pop`
are one step each in CPython, and whoever closes looks again later.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque


class Gate:
    """Lets writers in until it is shut, and knows when the last of them has left."""

    __slots__ = ("_inside", "_is_shut")

    def __init__(self) -> None:
        self._inside: deque[None] = deque()
        self._is_shut = False

    def enter(self) -> bool:
        """True where the caller may go on, and must `leave`; False where the gate is shut."""
        self._inside.append(None)
        if self._is_shut:
            self._inside.pop()
            return False
        return True

    def leave(self) -> None:
        """Take back one `enter`."""
        self._inside.pop()

    def shut(self) -> None:
        """Let nobody in from now on. Those inside go on."""
        self._is_shut = True

    @property
    def is_quiet(self) -> bool:
        """Shut, and nobody inside: nothing will ever be written behind it again."""
        return self._is_shut and not self._inside


class Tally:
    """A count that many threads add to, without a lock on their side and without losing one."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._looks = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """Count one."""
        next(self._count)

    @property
    def value(self) -> int:
        """The count. Reading steps the counter too; the lock is among readers only."""
        with self._lock:
            value = next(self._count) - self._looks
            self._looks += 1
        return value
