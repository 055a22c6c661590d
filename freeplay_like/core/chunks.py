"""One step of an answer, in one form for every flavor."""

from __future__ import annotations

from typing import Literal

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue, from_wire

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "other"]
"""Why the model stopped. The provider's own word is kept beside it (`finish_reason_raw`)."""


@attrs.frozen(kw_only=True)
class Usage:
    """Token counts of one call. None means that the provider did not say.

    `input_tokens` and `output_tokens` are totals; the other counts are parts of them: `cached_input_tokens`
    (read from a cache) and `cache_write_tokens` of the input, `reasoning_tokens` of the output. `raw` is the
    provider's own usage object.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    raw: JsonObject | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input and output together, None unless both are known."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


@attrs.frozen(kw_only=True)
class ToolCallDelta:
    """A piece of a tool call. `index` tells the calls of one choice apart; `arguments` is JSON text to be joined."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@attrs.frozen(kw_only=True)
class CompletionChunk:
    """What a stream yields.

    `text` is the new text (may be empty where the chunk carries something else), `choice` the choice it belongs
    to. Exactly one chunk of a stream has `is_final`: the last one; it carries no text, and the finish reason and
    usage of the whole.
    """

    text: str = ""
    choice: int = 0
    reasoning: str = ""
    reasoning_blocks: tuple[JsonObject, ...] = ()
    """Whole blocks that the provider wants back in the next turn, as they came: signed or encrypted reasoning."""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: JsonObject | None = None
    finish_reason: FinishReason | None = None
    finish_reason_raw: str | None = None
    usage: Usage | None = None
    model: str | None = None
    response_id: str | None = None
    is_final: bool = False
    data: bytes = attrs.field(default=b"", repr=False, eq=False)
    """The provider's event, as it came."""

    @property
    def is_complete(self) -> bool:
        """True on the last chunk of an answer that ran to its natural end (0.1.6's meaning)."""
        return self.is_final and self.finish_reason == "stop"

    @property
    def raw(self) -> JsonValue:
        """The provider's event as JSON, decoded when asked for; None where there was none."""
        return from_wire(self.data, object) if self.data else None
