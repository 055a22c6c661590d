"""What a conversation remembers: its messages, and what it has used."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Outcome


@attrs.frozen(kw_only=True)
class Totals:
    """What a session has used so far. Calls that ended badly count; tokens only where the provider told them."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, response: CompletionResponse) -> Totals:
        """The totals with one more call."""
        usage = response.usage
        return Totals(
            calls=self.calls + 1,
            input_tokens=self.input_tokens + ((usage and usage.input_tokens) or 0),
            output_tokens=self.output_tokens + ((usage and usage.output_tokens) or 0),
        )


@attrs.define
class Conversation:
    """The messages of a session and its totals.

    A turn, the messages sent and the answer, is remembered whole or not at all: only where the provider ended its
    answer. After an error or a stream that was left early the conversation stands where it stood before, so that the
    next call does not send two questions in a row.
    """

    messages: tuple[Message, ...] = ()
    totals: Totals = attrs.field(factory=Totals)

    def turn(self, sent: tuple[Message, ...]) -> Callable[[Outcome, CompletionResponse], None]:
        """What to tell when the call with these messages has ended."""

        def ended(outcome: Outcome, response: CompletionResponse) -> None:
            self.totals = self.totals.plus(response)
            if outcome in ("complete", "truncated", "refused"):
                self.messages = (*sent, response.message)

        return ended
