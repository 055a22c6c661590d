"""The event model: what a stream says of itself to callers who want more than text.

The names are those of the openai client's streaming helper where it has one; `reasoning.*`, `usage` and `completed`
are added, and every event says which choice it speaks of. A snapshot is joined when it is looked at and does not
change afterwards: an event holds the shared list of parts and how many of them were there.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from freeplay_like.core.chunks import CompletionChunk, Usage
from freeplay_like.core.completion import CompletionResponse


@attrs.frozen(kw_only=True)
class _Snapshot:
    _parts: list[str] = attrs.field(repr=False, eq=False)
    _count: int = attrs.field(repr=False, eq=False)

    @property
    def snapshot(self) -> str:
        """Everything of this kind so far, this delta included."""
        return "".join(self._parts[: self._count])


@attrs.frozen(kw_only=True)
class ChunkEvent:
    """Any chunk, before the events that are made of it."""

    chunk: CompletionChunk
    type: Literal["chunk"] = "chunk"


@attrs.frozen(kw_only=True)
class ContentDelta(_Snapshot):
    """New text of one choice."""

    delta: str
    choice: int = 0
    type: Literal["content.delta"] = "content.delta"


@attrs.frozen(kw_only=True)
class ContentDone:
    """The whole text of one choice; once a choice."""

    content: str
    choice: int = 0
    type: Literal["content.done"] = "content.done"


@attrs.frozen(kw_only=True)
class ReasoningDelta(_Snapshot):
    """New reasoning of one choice."""

    delta: str
    choice: int = 0
    type: Literal["reasoning.delta"] = "reasoning.delta"


@attrs.frozen(kw_only=True)
class ReasoningDone:
    """The whole reasoning of one choice."""

    reasoning: str
    choice: int = 0
    type: Literal["reasoning.done"] = "reasoning.done"


@attrs.frozen(kw_only=True)
class RefusalDelta(_Snapshot):
    """New text of a refusal."""

    delta: str
    choice: int = 0
    type: Literal["refusal.delta"] = "refusal.delta"


@attrs.frozen(kw_only=True)
class RefusalDone:
    """The whole refusal of one choice."""

    refusal: str
    choice: int = 0
    type: Literal["refusal.done"] = "refusal.done"


@attrs.frozen(kw_only=True)
class ToolArgumentsDelta(_Snapshot):
    """New text of a tool call's arguments. `index` tells the calls of a choice apart."""

    arguments_delta: str
    index: int
    id: str | None
    name: str | None
    choice: int = 0
    type: Literal["tool_calls.function.arguments.delta"] = "tool_calls.function.arguments.delta"

    @property
    def arguments(self) -> str:
        """The arguments so far, this delta included."""
        return self.snapshot


@attrs.frozen(kw_only=True)
class ToolArgumentsDone:
    """A whole tool call; once a call, at the end of the stream. `arguments` is JSON text as the model wrote it."""

    index: int
    id: str
    name: str
    arguments: str
    choice: int = 0
    type: Literal["tool_calls.function.arguments.done"] = "tool_calls.function.arguments.done"


@attrs.frozen(kw_only=True)
class UsageEvent:
    """The token counts of the call, once, at its end."""

    usage: Usage
    type: Literal["usage"] = "usage"


@attrs.frozen(kw_only=True)
class Completed:
    """The last event of a stream that the provider ended properly."""

    response: CompletionResponse
    type: Literal["completed"] = "completed"


Event: TypeAlias = (
    ChunkEvent
    | ContentDelta
    | ContentDone
    | ReasoningDelta
    | ReasoningDone
    | RefusalDelta
    | RefusalDone
    | ToolArgumentsDelta
    | ToolArgumentsDone
    | UsageEvent
    | Completed
)


@attrs.define
class _ToolCallParts:
    id: str | None = None
    name: str | None = None
    arguments: list[str] = attrs.field(factory=list)


@attrs.define
class _Parts:
    text: list[str] = attrs.field(factory=list)
    reasoning: list[str] = attrs.field(factory=list)
    refusal: list[str] = attrs.field(factory=list)
    tool_calls: dict[int, _ToolCallParts] = attrs.field(factory=dict)


@attrs.define
class EventBuilder:
    """Chunks in, events out. Pure."""

    _choices: dict[int, _Parts] = attrs.field(factory=dict)

    def feed(self, chunk: CompletionChunk) -> list[Event]:
        """The events of a chunk that is not the last."""
        events: list[Event] = [ChunkEvent(chunk=chunk)]
        parts = self._choices.setdefault(chunk.choice, _Parts())
        n = chunk.choice
        if chunk.reasoning:
            parts.reasoning.append(chunk.reasoning)
            events.append(
                ReasoningDelta(delta=chunk.reasoning, choice=n, parts=parts.reasoning, count=len(parts.reasoning))
            )
        if chunk.text:
            parts.text.append(chunk.text)
            events.append(ContentDelta(delta=chunk.text, choice=n, parts=parts.text, count=len(parts.text)))
        if chunk.refusal:
            parts.refusal.append(chunk.refusal)
            events.append(RefusalDelta(delta=chunk.refusal, choice=n, parts=parts.refusal, count=len(parts.refusal)))
        for delta in chunk.tool_calls:
            call = parts.tool_calls.setdefault(delta.index, _ToolCallParts())
            call.id, call.name = delta.id or call.id, delta.name or call.name
            call.arguments.append(delta.arguments)
            events.append(
                ToolArgumentsDelta(
                    arguments_delta=delta.arguments,
                    index=delta.index,
                    id=call.id,
                    name=call.name,
                    choice=n,
                    parts=call.arguments,
                    count=len(call.arguments),
                )
            )
        return events

    def end(self, final: CompletionChunk, response: CompletionResponse) -> list[Event]:
        """The events of the last chunk: everything done, by choice, then usage, then `completed`."""
        events: list[Event] = [ChunkEvent(chunk=final)]
        for choice in response.choices:
            n = choice.index
            if choice.reasoning:
                events.append(ReasoningDone(reasoning=choice.reasoning, choice=n))
            if choice.text:
                events.append(ContentDone(content=choice.text, choice=n))
            if choice.refusal:
                events.append(RefusalDone(refusal=choice.refusal, choice=n))
            events.extend(
                ToolArgumentsDone(index=index, id=call.id, name=call.name, arguments=call.arguments, choice=n)
                for index, call in enumerate(choice.tool_calls)
            )
        if response.usage is not None:
            events.append(UsageEvent(usage=response.usage))
        events.append(Completed(response=response))
        return events
