"""Chunks put together: what the model answered, as far as it has come."""

from __future__ import annotations

from typing import TypeVar, overload

import attrs

from freeplay_like.core.chunks import CompletionChunk, FinishReason, Usage
from freeplay_like.core.messages import ChatMessage, Message, ToolCall, to_chat
from freeplay_like.core.schemas import Schema, SchemaLike, SchemaMismatch, schema_of
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import StructuredOutputError

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Choice:
    """One answer of a call (there are several where `n` was asked for)."""

    index: int = 0
    text: str = ""
    reasoning: str = ""
    reasoning_blocks: tuple[JsonObject, ...] = ()
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[JsonObject, ...] = ()
    finish_reason: FinishReason | None = None
    finish_reason_raw: str | None = None

    def as_message(self) -> Message:
        """The assistant's message."""
        content = self.text or (self.refusal or None if not self.tool_calls else None)
        return Message(
            role="assistant",
            content=content,
            tool_calls=self.tool_calls,
            reasoning=self.reasoning if self.tool_calls else "",
            reasoning_blocks=self.reasoning_blocks,
        )


@attrs.frozen(kw_only=True)
class CompletionResponse:
    """An answer, whole or partial. The plain attributes speak of the first choice; `choices` holds all.

    `content` is the text; `is_complete` is True where the model ran to its natural end; `model` is the name
    that answered; `record_id` the record that the call left in the backend; `latency_ms` and `time_to_first_chunk_ms`
    count from the start of the call, None while it runs (and the latter where nothing came). An answer that could be
    continued is all its `parts` joined, with their usage added up and the first one's record; of any other `parts` is
    empty.
    """

    content: str
    is_complete: bool
    choices: tuple[Choice, ...] = (Choice(),)
    usage: Usage | None = None
    model: str | None = None
    response_id: str | None = None
    record_id: str | None = None
    latency_ms: float | None = None
    time_to_first_chunk_ms: float | None = None
    parts: tuple[CompletionResponse, ...] = ()

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.content

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the model stopped; None where the answer is partial."""
        return self.choices[0].finish_reason

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the first choice."""
        return self.choices[0].tool_calls

    @property
    def message(self) -> Message:
        """The first choice as the assistant's message."""
        return self.choices[0].as_message()

    @overload
    def parse(self, kind: Schema[T] | type[T]) -> T: ...
    @overload
    def parse(self, kind: SchemaLike) -> object: ...
    def parse(self, kind: SchemaLike) -> object:
        """The value in the text: JSON, alone or in one fenced block, as `kind` has it (a class, or a JSON Schema).

        Raises:
            ConfigurationError: `kind` cannot be described as JSON.
            StructuredOutputError: the text does not fit; `.problems` says why.
        """
        return self.parse_choice(schema_of(kind), self.choices[0])

    def parse_choice(self, schema: Schema[T], choice: Choice) -> T:
        """The value in the text of one of its choices.

        Raises:
            StructuredOutputError: the text does not fit; `.problems` says why.
        """
        try:
            return schema.parse(choice.text)
        except SchemaMismatch as exc:
            cut = "" if choice.finish_reason == "stop" else f" (finish_reason={choice.finish_reason!r})"
            raise StructuredOutputError(
                f"the answer{cut} is no {schema.name}: {'; '.join(exc.problems)}",
                text=choice.text,
                problems=exc.problems,
                response=self,
            ) from exc


@attrs.frozen(kw_only=True)
class ChatCompletionResponse(CompletionResponse):
    """An answer in a conversation, with the messages that led to it and itself at the end."""

    messages: tuple[Message, ...] = ()

    @property
    def message_history(self) -> list[ChatMessage]:
        """The conversation up to and with this answer, as plain dicts of the caller's own."""
        return to_chat(self.messages)


@attrs.define
class _ToolCallBuilder:
    id: str = ""
    name: str = ""
    arguments: list[str] = attrs.field(factory=list)


@attrs.define
class _ChoiceBuilder:
    """Parts in lists, joined when somebody looks: a stream of n chunks costs n appends."""

    index: int
    text: list[str] = attrs.field(factory=list)
    reasoning: list[str] = attrs.field(factory=list)
    reasoning_blocks: list[JsonObject] = attrs.field(factory=list)
    refusal: list[str] = attrs.field(factory=list)
    tool_calls: dict[int, _ToolCallBuilder] = attrs.field(factory=dict)
    logprobs: list[JsonObject] = attrs.field(factory=list)
    finish_reason: FinishReason | None = None
    finish_reason_raw: str | None = None
    built: Choice | None = None
    """The choice as it is now, kept until it is fed again: the end of a stream is looked at several times."""

    def build(self) -> Choice:
        if self.built is None:
            self.built = self._build()
        return self.built

    def _build(self) -> Choice:
        calls = (self.tool_calls[i] for i in sorted(self.tool_calls))
        return Choice(
            index=self.index,
            text="".join(self.text),
            reasoning="".join(self.reasoning),
            reasoning_blocks=tuple(self.reasoning_blocks),
            refusal="".join(self.refusal),
            tool_calls=tuple(ToolCall(id=c.id, name=c.name, arguments="".join(c.arguments) or "{}") for c in calls),
            logprobs=tuple(self.logprobs),
            finish_reason=self.finish_reason,
            finish_reason_raw=self.finish_reason_raw,
        )


@attrs.define
class CompletionBuilder:
    """Takes chunks, tells the completion so far. Choices are told apart by index; a model name or id that comes
    again replaces the one before, a usage that lacks a count keeps the count before."""

    usage: Usage | None = None
    model: str | None = None
    response_id: str | None = None
    _choices: dict[int, _ChoiceBuilder] = attrs.field(factory=dict)

    def feed(self, chunk: CompletionChunk) -> None:
        """Take the next chunk."""
        choice = self._choices.get(chunk.choice)
        if choice is None:
            choice = self._choices[chunk.choice] = _ChoiceBuilder(chunk.choice)
        choice.built = None
        if chunk.text:
            choice.text.append(chunk.text)
        if chunk.reasoning:
            choice.reasoning.append(chunk.reasoning)
        if chunk.reasoning_blocks:
            choice.reasoning_blocks.extend(chunk.reasoning_blocks)
        if chunk.refusal:
            choice.refusal.append(chunk.refusal)
        if chunk.logprobs is not None:
            choice.logprobs.append(chunk.logprobs)
        for delta in chunk.tool_calls:
            call = choice.tool_calls.setdefault(delta.index, _ToolCallBuilder())
            call.id = delta.id or call.id
            call.name = delta.name or call.name
            call.arguments.append(delta.arguments)
        if chunk.finish_reason is not None:
            choice.finish_reason = chunk.finish_reason
            choice.finish_reason_raw = chunk.finish_reason_raw
        if chunk.usage is not None:
            self.usage = _newer_usage(self.usage, chunk.usage)
        self.model = chunk.model or self.model
        self.response_id = chunk.response_id or self.response_id

    @property
    def text(self) -> str:
        """The text of the first choice so far."""
        first = self._choices.get(0)
        if first is None:
            return ""
        return first.built.text if first.built is not None else "".join(first.text)

    def choices(self) -> tuple[Choice, ...]:
        """Every choice so far, by index; at least one."""
        return tuple(self._choices[i].build() for i in sorted(self._choices)) or (Choice(),)

    def build(
        self,
        *,
        record_id: str | None = None,
        latency_ms: float | None = None,
        time_to_first_chunk_ms: float | None = None,
    ) -> CompletionResponse:
        """The completion so far, as a value that does not change later."""
        choices = self.choices()
        return CompletionResponse(
            content=choices[0].text,
            is_complete=choices[0].finish_reason == "stop",
            choices=choices,
            usage=self.usage,
            model=self.model,
            response_id=self.response_id,
            record_id=record_id,
            latency_ms=latency_ms,
            time_to_first_chunk_ms=time_to_first_chunk_ms,
        )


def _newer_usage(before: Usage | None, now: Usage) -> Usage:
    if before is None:
        return now
    values = {
        field.name: new if (new := getattr(now, field.name)) is not None else getattr(before, field.name)
        for field in attrs.fields(Usage)
    }
    return Usage(**values)
