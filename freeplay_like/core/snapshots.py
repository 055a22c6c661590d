"""What an event has of the whole so far: O(1) to make, put together when looked at, and the same at every look.

An event holds a list that only grows, and how much of it there was.
"""

from __future__ import annotations

import attrs

from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.completion import CompletionBuilder, CompletionResponse
from freeplay_like.core.wire import JsonObject


@attrs.frozen(kw_only=True)
class TextSoFar:
    """The text of one kind, up to the part that an event is about."""

    _parts: list[str] = attrs.field(repr=False, eq=False)
    _count: int = attrs.field(repr=False, eq=False)

    @property
    def snapshot(self) -> str:
        """Everything of this kind so far, this delta included."""
        return "".join(self._parts[: self._count])


@attrs.frozen(kw_only=True)
class EntriesSoFar:
    """The entries of one kind, up to those that an event is about."""

    _entries: list[JsonObject] = attrs.field(repr=False, eq=False)
    _count: int = attrs.field(repr=False, eq=False)

    @property
    def snapshot(self) -> tuple[JsonObject, ...]:
        """All entries of this kind so far, the new ones included."""
        return tuple(self._entries[: self._count])


@attrs.define
class ChunkLog:
    """The chunks of a stream, kept small: of one that carries text alone, only that is kept."""

    _entries: list[str | CompletionChunk] = attrs.field(factory=list)
    _model: str | None = None
    _response_id: str | None = None

    def add(self, chunk: CompletionChunk) -> int:
        """Take the next chunk; how many there are now."""
        says_new = chunk.model not in (None, self._model) or chunk.response_id not in (None, self._response_id)
        has_more = chunk.reasoning or chunk.reasoning_blocks or chunk.refusal or chunk.tool_calls or chunk.choice
        is_marked = chunk.logprobs is not None or chunk.finish_reason is not None or chunk.usage is not None
        if says_new or has_more or is_marked:
            self._entries.append(attrs.evolve(chunk, data=b""))
            self._model, self._response_id = chunk.model or self._model, chunk.response_id or self._response_id
        else:
            self._entries.append(chunk.text)
        return len(self._entries)

    def completion(self, count: int) -> CompletionResponse:
        """What the first `count` chunks come to."""
        builder = CompletionBuilder()
        for entry in self._entries[:count]:
            builder.feed(CompletionChunk(text=entry) if isinstance(entry, str) else entry)
        return builder.build()
