"""The event model: what a stream says of itself to callers who want more than text.

The names are those of the openai client's streaming helper where it has one; `reasoning.*`, `usage` and `completed`
are added, and every event says which choice it speaks of. What an event has of the whole so far (`snapshot`, `parsed`)
is put together when it is looked at, and does not change afterwards. Making an event costs the same however long the
stream is; each look at a snapshot costs as much as the text so far is long, so looking at every one of a long stream is
quadratic, and not looking is free.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta, Usage
from freeplay_like.core.completion import Choice, CompletionResponse
from freeplay_like.core.partial_json import partial_json
from freeplay_like.core.schemas import Schema
from freeplay_like.core.snapshots import ChunkLog, EntriesSoFar, TextSoFar
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire
from freeplay_like.errors import StructuredOutputError


@attrs.frozen(kw_only=True)
class ChunkEvent:
    """Any chunk, before the events that are made of it."""

    chunk: CompletionChunk
    _log: ChunkLog = attrs.field(repr=False, eq=False)
    _count: int = attrs.field(repr=False, eq=False)
    _response: CompletionResponse | None = attrs.field(default=None, repr=False, eq=False)
    type: Literal["chunk"] = "chunk"

    @property
    def snapshot(self) -> CompletionResponse:
        """The completion so far, this chunk included."""
        return self._response or self._log.completion(self._count)


@attrs.frozen(kw_only=True)
class ContentDelta(TextSoFar):
    """New text of one choice."""

    delta: str
    choice: int = 0
    _schema: Schema[object] | None = attrs.field(default=None, repr=False, eq=False)
    type: Literal["content.delta"] = "content.delta"

    @property
    def parsed(self) -> JsonValue:
        """The JSON so far as plain values, where a schema was given; None where there is nothing yet.

        Not checked: an unfinished text or number is there as far as it came. Read anew at each look.
        """
        return None if self._schema is None else self._schema.partial(self.snapshot)


@attrs.frozen(kw_only=True)
class ContentDone:
    """The whole text of one choice; once a choice."""

    content: str
    choice: int = 0
    _schema: Schema[object] | None = attrs.field(default=None, repr=False, eq=False)
    _response: CompletionResponse | None = attrs.field(default=None, repr=False, eq=False)
    type: Literal["content.done"] = "content.done"

    @property
    def parsed(self) -> object:
        """The value in the text, where a schema was given, else None.

        Raises:
            StructuredOutputError: the text does not fit the schema.
        """
        if self._schema is None or self._response is None:
            return None
        choice = next(choice for choice in self._response.choices if choice.index == self.choice)
        return self._response.parse_choice(self._schema, choice)


@attrs.frozen(kw_only=True)
class LogprobsContentDelta(EntriesSoFar):
    """New log probabilities of one choice's text: `content` is one object a token, as the provider gives it."""

    content: tuple[JsonObject, ...]
    choice: int = 0
    type: Literal["logprobs.content.delta"] = "logprobs.content.delta"


@attrs.frozen(kw_only=True)
class LogprobsContentDone:
    """The log probabilities of the whole text of one choice."""

    content: tuple[JsonObject, ...]
    choice: int = 0
    type: Literal["logprobs.content.done"] = "logprobs.content.done"


@attrs.frozen(kw_only=True)
class LogprobsRefusalDelta(EntriesSoFar):
    """New log probabilities of a refusal."""

    refusal: tuple[JsonObject, ...]
    choice: int = 0
    type: Literal["logprobs.refusal.delta"] = "logprobs.refusal.delta"


@attrs.frozen(kw_only=True)
class LogprobsRefusalDone:
    """The log probabilities of a whole refusal."""

    refusal: tuple[JsonObject, ...]
    choice: int = 0
    type: Literal["logprobs.refusal.done"] = "logprobs.refusal.done"


@attrs.frozen(kw_only=True)
class ReasoningDelta(TextSoFar):
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
class RefusalDelta(TextSoFar):
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
class ToolArgumentsDelta(TextSoFar):
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

    @property
    def parsed_arguments(self) -> JsonValue:
        """The arguments so far as plain values; None where there is nothing yet."""
        return partial_json(self.snapshot)


@attrs.frozen(kw_only=True)
class ToolArgumentsDone:
    """A whole tool call; once a call, at the end of the stream. `arguments` is JSON text as the model wrote it."""

    index: int
    id: str
    name: str
    arguments: str
    choice: int = 0
    type: Literal["tool_calls.function.arguments.done"] = "tool_calls.function.arguments.done"

    @property
    def parsed_arguments(self) -> JsonValue:
        """The arguments as plain values.

        Raises:
            StructuredOutputError: the model wrote something that is not JSON.
        """
        try:
            return from_wire(self.arguments, object)
        except WireError as exc:
            raise StructuredOutputError(
                f"the arguments of the call of {self.name!r} are not JSON: {exc}",
                text=self.arguments,
                problems=(f"$: is not JSON: {exc}",),
            ) from exc


@attrs.frozen(kw_only=True)
class UsageEvent:
    """The token counts of the call, once, at its end."""

    usage: Usage
    type: Literal["usage"] = "usage"


@attrs.frozen(kw_only=True)
class Completed:
    """The last event of a stream that the provider ended properly."""

    response: CompletionResponse
    _schema: Schema[object] | None = attrs.field(default=None, repr=False, eq=False)
    type: Literal["completed"] = "completed"

    @property
    def parsed(self) -> object:
        """The value in the text of the first choice, where a schema was given, else None.

        Raises:
            StructuredOutputError: the text does not fit the schema.
        """
        return None if self._schema is None else self.response.parse(self._schema)


Event: TypeAlias = (
    ChunkEvent
    | ContentDelta
    | ContentDone
    | ReasoningDelta
    | ReasoningDone
    | RefusalDelta
    | RefusalDone
    | LogprobsContentDelta
    | LogprobsContentDone
    | LogprobsRefusalDelta
    | LogprobsRefusalDone
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
    logprobs: list[JsonObject] = attrs.field(factory=list)
    refusal_logprobs: list[JsonObject] = attrs.field(factory=list)
    tool_calls: dict[int, _ToolCallParts] = attrs.field(factory=dict)


@attrs.define
class EventBuilder:
    """Chunks in, events out. Pure. With a schema, the events of the text carry `parsed`."""

    _schema: Schema[object] | None = None
    _choices: dict[int, _Parts] = attrs.field(factory=dict)
    _log: ChunkLog = attrs.field(factory=ChunkLog)

    def feed(self, chunk: CompletionChunk) -> list[Event]:
        """The events of a chunk that is not the last."""
        events: list[Event] = [ChunkEvent(chunk=chunk, log=self._log, count=self._log.add(chunk))]
        n = chunk.choice
        parts = self._choices.get(n)
        if parts is None:
            parts = self._choices[n] = _Parts()
        if chunk.reasoning:
            parts.reasoning.append(chunk.reasoning)
            events.append(
                ReasoningDelta(delta=chunk.reasoning, choice=n, parts=parts.reasoning, count=len(parts.reasoning))
            )
        if chunk.text:
            parts.text.append(chunk.text)
            events.append(
                ContentDelta(delta=chunk.text, choice=n, parts=parts.text, count=len(parts.text), schema=self._schema)
            )
        if chunk.refusal:
            parts.refusal.append(chunk.refusal)
            events.append(RefusalDelta(delta=chunk.refusal, choice=n, parts=parts.refusal, count=len(parts.refusal)))
        if chunk.logprobs is not None:
            events += _logprobs(parts, n, chunk.logprobs)
        events.extend(_arguments(parts, n, delta) for delta in chunk.tool_calls)
        return events

    def end(self, final: CompletionChunk, response: CompletionResponse) -> list[Event]:
        """The events of the last chunk: everything done, by choice, then usage, then `completed`."""
        events: list[Event] = [ChunkEvent(chunk=final, log=self._log, count=self._log.add(final), response=response)]
        for choice in response.choices:
            events += self._done(choice, response)
        if response.usage is not None:
            events.append(UsageEvent(usage=response.usage))
        events.append(Completed(response=response, schema=self._schema))
        return events

    def _done(self, choice: Choice, response: CompletionResponse) -> list[Event]:
        n = choice.index
        events: list[Event] = []
        if choice.reasoning:
            events.append(ReasoningDone(reasoning=choice.reasoning, choice=n))
        if choice.text:
            events.append(ContentDone(content=choice.text, choice=n, schema=self._schema, response=response))
        if content := _entries(choice, "content"):
            events.append(LogprobsContentDone(content=content, choice=n))
        if choice.refusal:
            events.append(RefusalDone(refusal=choice.refusal, choice=n))
        if refusal := _entries(choice, "refusal"):
            events.append(LogprobsRefusalDone(refusal=refusal, choice=n))
        seen = sorted(self._choices[n].tool_calls) if n in self._choices else []
        # a stream whose beginning was read otherwise has calls that were not seen here: they count from 0 then
        indexes = seen if len(seen) == len(choice.tool_calls) else range(len(choice.tool_calls))
        events.extend(
            ToolArgumentsDone(index=index, id=call.id, name=call.name, arguments=call.arguments, choice=n)
            for index, call in zip(indexes, choice.tool_calls, strict=True)
        )
        return events


def _arguments(parts: _Parts, choice: int, delta: ToolCallDelta) -> ToolArgumentsDelta:
    call = parts.tool_calls.setdefault(delta.index, _ToolCallParts())
    call.id, call.name = delta.id or call.id, delta.name or call.name
    call.arguments.append(delta.arguments)
    return ToolArgumentsDelta(
        arguments_delta=delta.arguments,
        index=delta.index,
        id=call.id,
        name=call.name,
        choice=choice,
        parts=call.arguments,
        count=len(call.arguments),
    )


def _logprobs(parts: _Parts, choice: int, logprobs: JsonObject) -> list[Event]:
    events: list[Event] = []
    if new := _listed(logprobs, "content"):
        parts.logprobs += new
        events.append(
            LogprobsContentDelta(content=tuple(new), choice=choice, entries=parts.logprobs, count=len(parts.logprobs))
        )
    if new := _listed(logprobs, "refusal"):
        parts.refusal_logprobs += new
        events.append(
            LogprobsRefusalDelta(
                refusal=tuple(new), choice=choice, entries=parts.refusal_logprobs, count=len(parts.refusal_logprobs)
            )
        )
    return events


def _listed(logprobs: JsonObject, name: Literal["content", "refusal"]) -> list[JsonObject]:
    """The entries under a name of `{"content": [...] | null, "refusal": [...] | null}`, as OpenAI's chat gives them."""
    entries = logprobs.get(name)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _entries(choice: Choice, name: Literal["content", "refusal"]) -> tuple[JsonObject, ...]:
    return tuple(entry for logprobs in choice.logprobs for entry in _listed(logprobs, name))
