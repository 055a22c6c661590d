"""How long a call may take, and how often it is tried: values, decided on in `session`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import attrs

from freeplay_like.errors import ConfigurationError

AttemptPhase = Literal["open", "first_chunk", "body"]
"""How far a failed attempt came: no good status, a status but no chunk, or (never streamed) part of the body."""


def _positive(instance: object, attribute: attrs.Attribute[float], value: float | None) -> None:
    if value is None and attribute.default is None:
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf"):  # type: ignore[operator]  # it is a number
        raise ConfigurationError(f"{type(instance).__name__}({attribute.name}={value!r}): a number of seconds above 0")


def _not_negative(instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf"):  # type: ignore[operator]  # it is a number
        raise ConfigurationError(f"{type(instance).__name__}({attribute.name}={value!r}): a number of seconds from 0")


def _count(instance: object, attribute: attrs.Attribute[int], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{type(instance).__name__}({attribute.name}={value!r}): a whole number from 1")


@attrs.frozen(kw_only=True)
class Timeout:
    """How long a call may take, in seconds; each limit works alone, None is no limit.

    `connect_s` for the connection; `read_s` for the longest silence on the wire, keep-alive bytes not counted as
    silence; `first_chunk_s` for the wait from sending to the first text, reasoning or tool call; `between_chunks_s` for
    the wait for each such chunk after it (the caller's own time between two chunks does not count); `total_s` for the
    whole call, retries and their waits included.
    """

    connect_s: float = attrs.field(default=5.0, validator=_positive)
    read_s: float = attrs.field(default=600.0, validator=_positive)
    first_chunk_s: float | None = attrs.field(default=None, validator=_positive)
    between_chunks_s: float | None = attrs.field(default=None, validator=_positive)
    total_s: float | None = attrs.field(default=None, validator=_positive)

    @property
    def head_s(self) -> float:
        """The longest wait for the head of an answer: no limit that is running may be passed by it."""
        return min(limit for limit in (self.read_s, self.first_chunk_s, self.total_s) if limit is not None)


@attrs.frozen(kw_only=True)
class Attempt:
    """One try of a call that failed and was made again.

    `started_ms` counts from the start of the call; `waited_ms` is the pause after it. `error` is the class name.
    """

    number: int
    started_ms: float
    latency_ms: float
    waited_ms: float
    error: str
    message: str
    phase: AttemptPhase = "open"
    status: int | None = None
    request_id: str | None = None


@attrs.frozen(kw_only=True)
class Retry:
    """How a call that failed before it delivered anything is tried again.

    Only what may succeed later is tried again (connection failures, timeouts, 408, 409, 429, 5xx). A pause is what the
    provider asked for (`Retry-After`), where that is at most `retry_after_limit_s`; else it grows from `wait_s` by
    doubling up to `max_wait_s`, less a random part of up to a quarter. A stream that has delivered a chunk is never
    started again.

    Args:
        attempts: how many tries in all; 1 is none again.
        wait_s: the first pause.
        max_wait_s: the longest pause of our own.
        retry_after_limit_s: where the provider asks for a longer pause, the call fails at once.
        on_retry: told of each failed attempt before its pause; what it raises is logged and goes no further.
    """

    attempts: int = attrs.field(default=3, validator=_count)
    wait_s: float = attrs.field(default=0.5, validator=_not_negative)
    max_wait_s: float = attrs.field(default=8.0, validator=_not_negative)
    retry_after_limit_s: float = attrs.field(default=60.0, validator=_not_negative)
    on_retry: Callable[[Attempt], None] | None = None

    def pause_s(self, number: int, asked_s: float | None, random: float) -> float | None:
        """The pause after failed attempt `number` (from 1); None where no other attempt is to be made.

        `asked_s` is what the provider asked for, `random` a number from 0 to 1.
        """
        if number >= self.attempts:
            return None
        if asked_s is not None:
            return asked_s if asked_s <= self.retry_after_limit_s else None
        return min(self.wait_s * 2.0 ** min(number - 1, 60), self.max_wait_s) * (1 - random / 4)


DEFAULT_TIMEOUT: Final = Timeout()
