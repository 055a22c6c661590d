"""The tries of one call: when each may start, which failure is followed by another, and when the whole is over.

Decisions only. Waiting and opening are the shells' part, in `streams.py`.
"""

from __future__ import annotations

import logging
import random
from typing import Final

import attrs

from freeplay_like.clock import Clock
from freeplay_like.core.limits import Attempt, AttemptPhase, Timeout
from freeplay_like.core.tokens import estimate_tokens
from freeplay_like.errors import ProviderError, ProviderTimeout
from freeplay_like.session.calls import Call

logger = logging.getLogger("freeplay_like")

_NS: Final = 1_000_000_000


class Attempts:
    """What is known of a call's tries. `started_ns` is the call's start on the monotonic clock."""

    def __init__(self, call: Call, clock: Clock, started_ns: int) -> None:
        self._call = call
        self._clock = clock
        self._started_ns = started_ns
        self._attempt_ns = started_ns
        self._head_ns = 0
        self._options = call.options
        total_s = call.options.timeout.total_s
        self._total_ns = None if total_s is None else started_ns + int(total_s * _NS)
        self.failed: list[Attempt] = []
        self.limited_by = ""

    def line_up(self) -> float:
        """How long to wait until the rate limit lets the next try go, in seconds.

        Raises:
            ProviderTimeout: longer than the whole call may take; nothing was sent.
        """
        limit = self._options.rate_limit
        if limit is None:
            return 0.0
        tokens = estimate_tokens(self._call.record.messages) if limit.counts_tokens else 0
        left_s = self._left_s()
        wait_s = limit.wait_s(self._clock.monotonic_ns(), tokens, within_s=left_s)
        if wait_s is None:
            raise self._late("total_s", "the rate limit would let it go only after that")
        return wait_s

    def begin(self) -> Timeout:
        """A try starts now; the limits that it has."""
        self._attempt_ns = self._clock.monotonic_ns()
        left_s = self._left_s()
        if left_s is None:
            return self._options.timeout
        if left_s <= 0:
            raise self._late("total_s")
        return attrs.evolve(self._options.timeout, total_s=left_s)

    def connected(self) -> None:
        """The head of the answer is there; the wait for it is part of the wait for the first chunk."""
        self._head_ns = self._clock.monotonic_ns() - self._attempt_ns

    def deadline_ns(self, *, has_delivered: bool) -> int | None:
        """Until when the next chunk may come, for one who begins to wait for it now; `limited_by` is what says so.

        Only waiting counts against a chunk's limit: a caller who comes late finds what has come meanwhile.
        """
        timeout = self._options.timeout
        limit_s = timeout.between_chunks_s if has_delivered else timeout.first_chunk_s
        at_ns, self.limited_by = self._total_ns, "total_s"
        if limit_s is not None:
            waited_ns = 0 if has_delivered else self._head_ns
            chunk_ns = self._clock.monotonic_ns() + int(limit_s * _NS) - waited_ns
            if at_ns is None or chunk_ns < at_ns:
                at_ns, self.limited_by = chunk_ns, "between_chunks_s" if has_delivered else "first_chunk_s"
        return at_ns

    def late(self) -> ProviderTimeout:
        """The error of a call that has passed the deadline told last."""
        return self._late(self.limited_by)

    def pause_after(self, error: BaseException, phase: AttemptPhase) -> float | None:
        """A try failed before it delivered anything: how long to wait for the next one, None where there is none."""
        if not isinstance(error, ProviderError) or not error.retryable:
            return None
        number = len(self.failed) + 1
        asked_s = error.retry_after_s
        pause_s = self._options.retry.pause_s(number, asked_s, random.random())  # noqa: S311 - jitter, not a secret
        left_s = self._left_s()
        if pause_s is None or (left_s is not None and pause_s >= left_s):
            return None
        now_ns = self._clock.monotonic_ns()
        attempt = Attempt(
            number=number,
            started_ms=_ms(self._attempt_ns - self._started_ns),
            latency_ms=_ms(now_ns - self._attempt_ns),
            waited_ms=round(pause_s * 1000, 3),
            error=type(error).__name__,
            message=str(error),
            phase=phase,
            status=error.status,
            request_id=error.request_id,
        )
        self.failed.append(attempt)
        if self._options.retry.on_retry is not None:
            try:
                self._options.retry.on_retry(attempt)
            except Exception:
                logger.exception("on_retry failed; the call goes on")
        return pause_s

    def _left_s(self) -> float | None:
        return None if self._total_ns is None else (self._total_ns - self._clock.monotonic_ns()) / _NS

    def _late(self, limit: str, why: str = "") -> ProviderTimeout:
        record = self._call.record
        limit_s: float | None = getattr(self._options.timeout, limit)
        what = {
            "first_chunk_s": "sent no first chunk within",
            "between_chunks_s": "sent no further chunk within",
            "total_s": "was not done within",
        }[limit]
        error = ProviderTimeout(
            f"{record.provider} {what} {limit_s:g} s (Timeout.{limit})" + (f": {why}" if why else ""),
            provider=record.provider,
            model=record.requested_model,
            retryable=limit == "first_chunk_s",
        )
        error.attempts = tuple(self.failed)
        return error


def _ms(ns: int) -> float:
    return round(max(0, ns) / 1e6, 3)
