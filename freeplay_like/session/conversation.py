"""What a session remembers: the conversation's messages, and what its calls have used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

import attrs

from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice, CompletionResponse
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Outcome, Record
from freeplay_like.errors import SessionBusyError
from freeplay_like.prices import price_of


@attrs.frozen(kw_only=True)
class Used:
    """What one call has used: enough to count and to price it."""

    provider: str
    model: str | None
    usage: Usage | None
    has_answer: bool
    at: datetime
    service_tier: str | None = None


def used_by(record: Record, answer: CompletionResponse | Record) -> Used:
    """What the call of a record has used, which the answer tells."""
    tier = (record.request or {}).get("service_tier")
    return Used(
        provider=record.provider,
        model=answer.model or record.requested_model,
        usage=answer.usage,
        has_answer=_has_answer(answer.choices),
        at=record.started_at,
        service_tier=tier if isinstance(tier, str) else None,
    )


def _has_answer(choices: Sequence[Choice]) -> bool:
    return any(c.text or c.reasoning or c.refusal or c.tool_calls for c in choices)


@attrs.frozen(kw_only=True)
class Totals:
    """What a session has used so far. Calls that ended badly count; tokens only where the provider told them."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    _used: tuple[Used, ...] = attrs.field(default=(), repr=False, eq=False)

    @classmethod
    def of(cls, used: tuple[Used, ...]) -> Totals:
        """The sum of these calls."""
        usages = [call.usage for call in used if call.usage is not None]
        return cls(
            calls=len(used),
            input_tokens=sum(usage.input_tokens or 0 for usage in usages),
            output_tokens=sum(usage.output_tokens or 0 for usage in usages),
            cached_input_tokens=sum(usage.cached_input_tokens or 0 for usage in usages),
            cache_write_tokens=sum(usage.cache_write_tokens or 0 for usage in usages),
            reasoning_tokens=sum(usage.reasoning_tokens or 0 for usage in usages),
            used=used,
        )

    @property
    def cost_usd(self) -> Decimal | None:
        """What the calls have cost, reckoned from published prices when it is asked for.

        None where the price of any of them is not known: an unknown model, an answer whose tokens were not told, or
        no price list here (`pip install 'freeplay-like[prices]'`). A call that failed without an answer costs nothing.
        """
        total = Decimal(0)
        for call in self._used:
            if call.usage is None and not call.has_answer:
                continue
            if call.usage is None or call.model is None:
                return None
            price = price_of(
                call.usage, provider=call.provider, model=call.model, at=call.at, service_tier=call.service_tier
            )
            if price is None:
                return None
            total += price.total_usd
        return total


@attrs.define
class Conversation:
    """The messages of a session, its totals, and whether one of its calls runs.

    A turn, the messages sent and the answer, is remembered whole or not at all: only where the provider ended its
    answer. After an error or a stream that was left early the conversation stands where it stood before, so that the
    next call does not send two questions in a row.
    """

    session_id: str = ""
    messages: tuple[Message, ...] = ()
    used: deque[Used] = attrs.field(factory=deque)
    _running: dict[str, str] = attrs.field(factory=dict)

    @property
    def totals(self) -> Totals:
        """What the calls so far have used."""
        return Totals.of(tuple(self.used))

    def count(self, record: Record) -> Callable[[Outcome, CompletionResponse], None]:
        """What to tell when the call of this record has ended; such calls may run side by side."""

        def ended(outcome: Outcome, response: CompletionResponse) -> None:
            self.used.append(used_by(record, response))

        return ended

    def turn(self, record: Record, *, allow_incomplete: bool = False) -> Callable[[Outcome, CompletionResponse], None]:
        """The same for the one call at a time that continues the conversation.

        With `allow_incomplete` an answer that ended without a finish reason is one.

        Raises:
            SessionBusyError: such a call still runs.
        """
        running_id = self._running.setdefault("turn", record.record_id)  # one step, so that of two threads one wins
        if running_id != record.record_id:
            raise SessionBusyError(
                f"session {self.session_id} is still in call {running_id}: read its stream to the end, or close it, "
                "before the next call; calls that may run side by side belong in sessions of their own",
                session_id=self.session_id,
            )
        counted = self.count(record)

        def ended(outcome: Outcome, response: CompletionResponse) -> None:
            counted(outcome, response)
            if outcome in ("complete", "truncated", "refused") or (allow_incomplete and outcome == "interrupted"):
                self.messages = (*record.messages, response.message)
            self.free(record)

        return ended

    def free(self, record: Record) -> None:
        """The call of this record does not run any more, or never began."""
        if self._running.get("turn") == record.record_id:
            self._running.pop("turn", None)
