"""One limit for all calls that share it: sync, async, streams and every try of each."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Final

import attrs

from freeplay_like.errors import ConfigurationError

_NS: Final = 1_000_000_000


@attrs.define
class _Window:
    """What was let through in the last `per_ns`, and what has a place in line after it; in order of time."""

    limit: int
    per_ns: int
    taken: deque[tuple[int, int]] = attrs.field(factory=deque)
    weight: int = 0

    def earliest(self, now_ns: int, weight: int) -> int:
        """The first moment at which `weight` more fits; one that never fits goes when it would be alone."""
        while self.taken and self.taken[0][0] + self.per_ns <= now_ns:
            self.weight -= self.taken.popleft()[1]
        at_ns, held = now_ns, self.weight
        for taken_ns, taken in self.taken:
            if held + weight <= self.limit:
                break
            at_ns, held = taken_ns + self.per_ns, held - taken
        return at_ns

    def take(self, at_ns: int, weight: int) -> None:
        self.taken.append((at_ns, weight))
        self.weight += weight


class RateLimit:
    """At most `calls` tries in any `per_s` seconds, and at most `tokens` of input, first come, first served.

    Give the same one to several clients to have them share it. Every try counts, also one that is made again. Input
    tokens are estimated (see `core.tokens`): a call that is larger than the whole limit goes alone.

    Args:
        calls: how many tries; None is no limit.
        per_s: in how many seconds.
        tokens: how many tokens of input; None is no limit.
    """

    def __init__(self, calls: int | None, per_s: float = 1.0, *, tokens: int | None = None) -> None:
        _check("calls", calls, is_whole=True)
        _check("per_s", per_s, is_whole=False)
        _check("tokens", tokens, is_whole=True)
        if calls is None and tokens is None:
            raise ConfigurationError("RateLimit limits nothing: give calls or tokens")
        per_ns = int(per_s * _NS)
        self._calls = None if calls is None else _Window(calls, per_ns)
        self._tokens = None if tokens is None else _Window(tokens, per_ns)
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @property
    def counts_tokens(self) -> bool:
        """Whether a call's tokens need to be estimated."""
        return self._tokens is not None

    def wait_s(self, now_ns: int, tokens: int = 0, *, within_s: float | None = None) -> float | None:
        """Take a place in line; how long until it is this one's turn.

        None where that would be later than `within_s` from now: no place was taken.
        """
        with self._own_lock():
            at_ns = now_ns  # who came before is counted where its turn is, so nobody overtakes
            if self._calls is not None:
                at_ns = max(at_ns, self._calls.earliest(now_ns, 1))
            if self._tokens is not None:
                at_ns = max(at_ns, self._tokens.earliest(now_ns, tokens))
            wait_s = (at_ns - now_ns) / _NS
            if within_s is not None and wait_s > within_s:
                return None
            if self._calls is not None:
                self._calls.take(at_ns, 1)
            if self._tokens is not None:
                self._tokens.take(at_ns, tokens)
            return wait_s

    def _own_lock(self) -> threading.Lock:
        """A lock that another thread held at a fork stays locked in the child, so a child makes its own."""
        if self._pid != os.getpid():
            self._lock, self._pid = threading.Lock(), os.getpid()
        return self._lock


def _check(name: str, value: object, *, is_whole: bool) -> None:
    if value is None and is_whole:
        return
    wanted = "a whole number from 1, or None" if is_whole else "a number of seconds above 0"
    is_number = isinstance(value, int if is_whole else (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf"):  # type: ignore[operator]  # it is a number
        raise ConfigurationError(f"RateLimit({name}={value!r}): {wanted}")


def rate_limit_from(value: object) -> RateLimit | None:
    """A limit out of what a caller gave: `(10, 60)` is ten calls a minute."""
    if value is None or isinstance(value, RateLimit):
        return value
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return RateLimit(*value)
    raise ConfigurationError(f"rate_limit={value!r}: a RateLimit, or (calls, seconds)")
