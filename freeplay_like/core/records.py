"""The record: what is kept of one call, and how it is built while the call runs.

A record is whole at any moment: `RecordBuilder.record` answers "what would be kept if the process died now".
That is what the journal writes before the request leaves, and why a killed process loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

import attrs

from freeplay_like.core.chunks import CompletionChunk, Usage
from freeplay_like.core.completion import Choice, CompletionBuilder, CompletionResponse
from freeplay_like.core.limits import Attempt
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ProviderError

Outcome = Literal["complete", "truncated", "refused", "cancelled", "abandoned", "interrupted", "error"]
"""How a call ended.

- complete: the model ran to its natural end, or asked for tools
- truncated: the model hit a length limit
- refused: the model or a filter of the provider's declined
- cancelled: the caller closed the stream, left its block, or its task was cancelled
- abandoned: the caller dropped the stream without closing it
- interrupted: the stream ended without saying so, or the process was killed
- error: the provider, or the way there, failed
"""

TemplateSource = Literal["backend", "cache", "stale", "folder", "inline"]
"""Where the template of a call came from; `stale` is a cached one served while the backend did not answer."""

TIMELINE_LIMIT: Final = 512
"""The most points a record's timeline holds; a longer stream keeps every second, fourth, ... point."""


@attrs.frozen(kw_only=True)
class ErrorInfo:
    """What went wrong. `type` is the class name; `status`, `code`, `request_id` are the provider's."""

    type: str
    message: str
    status: int | None = None
    code: str | None = None
    retryable: bool = False
    cause: str | None = None


@attrs.frozen(kw_only=True)
class TemplateRef:
    """The template version a call was made from."""

    name: str
    template_id: str | None = None
    version_id: str | None = None
    version: str | None = None
    environment: str | None = None
    source: TemplateSource = "inline"


@attrs.frozen(kw_only=True)
class Record:
    """What is kept of one call to a provider.

    `messages` are the messages as sent, variables filled in; `request` is the body as it went over the wire.
    `requested_model` is the name asked for, `model` the name that answered. `timeline` holds points `[milliseconds
    since the start, characters so far]`. `parent_id` is the record that this one continues or repairs, `replay_of` the
    one that was asked again. `attempts` are the tries of this call that failed before the one that counts; `headers`
    those of the provider's answer that speak of limits and costs; `handler_errors` how often the caller's own handlers
    failed. `otel_trace_id` and `otel_span_id` are W3C ids in hex.
    """

    record_id: str
    project_id: str
    session_id: str | None = None
    trace_id: str | None = None
    parent_id: str | None = None
    replay_of: str | None = None
    test_run_id: str | None = None
    test_case_id: str | None = None

    template: TemplateRef | None = None
    variables: JsonObject = attrs.field(factory=dict)
    messages: tuple[Message, ...] = ()
    metadata: JsonObject = attrs.field(factory=dict)

    provider: str = ""
    endpoint: str | None = None
    flavor: str = ""
    requested_model: str | None = None
    model: str | None = None
    parameters: dict[str, ParameterSetting] = attrs.field(factory=dict)
    is_stream: bool = False
    request: JsonObject | None = None

    outcome: Outcome = "interrupted"
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    error: ErrorInfo | None = None
    response_id: str | None = None
    request_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    headers: dict[str, str] = attrs.field(factory=dict)
    handler_errors: int = 0
    otel_trace_id: str | None = None
    otel_span_id: str | None = None

    started_at: datetime
    ended_at: datetime | None = None
    latency_ms: float | None = None
    time_to_first_chunk_ms: float | None = None
    chunk_count: int = 0
    timeline: tuple[tuple[float, int], ...] = ()

    sdk: str | None = None

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.choices[0].text if self.choices else ""


Feedback = Literal["positive", "negative"]
"""A person's thumb."""

ScoreValue = bool | int | float | str
"""What a check or a judge says of an answer."""


@attrs.frozen(kw_only=True)
class Amendment:
    """Something said of a record after it was kept; each is kept beside the record, in the order of `made_at`.

    `feedback` and `comments` (free fields) come from a person, `scores` from a check or a judge, `new_messages` follow
    the record's answer. It may arrive before the record does. `reviewer_id` and `reviewer` (a name) say who reviewed
    the call in the backend's pages: only those set them, the verdict is then the score `review`, `good` or `bad`, and a
    note the comment `note`.
    """

    amendment_id: str
    record_id: str
    project_id: str
    made_at: datetime
    feedback: Feedback | None = None
    comments: JsonObject = attrs.field(factory=dict)
    scores: dict[str, ScoreValue] = attrs.field(factory=dict)
    new_messages: tuple[Message, ...] = ()
    reviewer_id: str | None = None
    reviewer: str | None = None


def outcome_of_finish(response: CompletionResponse) -> Outcome:
    """The outcome of a stream that the provider ended properly, from its finish reasons: the worst choice counts."""
    reasons = {choice.finish_reason for choice in response.choices}
    if reasons & {"content_filter", "refusal"} or any(choice.refusal for choice in response.choices):
        return "refused"
    if "length" in reasons:
        return "truncated"
    return "interrupted" if None in reasons else "complete"


_KEPT_HEADERS: Final = ("x-ratelimit-", "anthropic-ratelimit-", "openai-processing-ms", "retry-after")
"""What headers must begin with to be kept: those that speak of limits and of the provider's own time."""


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that a record keeps."""
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith(_KEPT_HEADERS)}


def error_info(error: BaseException) -> ErrorInfo:
    """What a record keeps of an error."""
    cause = error.__cause__
    return ErrorInfo(
        type=type(error).__name__,
        message=str(error) or repr(error),
        status=error.status if isinstance(error, ProviderError) else None,
        code=error.code if isinstance(error, ProviderError) else None,
        retryable=error.retryable if isinstance(error, ProviderError) else False,
        cause=f"{type(cause).__name__}: {cause}" if cause is not None else None,
    )


@attrs.define
class _Timeline:
    """When the text came, in at most `TIMELINE_LIMIT` points however long the stream is."""

    points: list[tuple[float, int]] = attrs.field(factory=list)
    step: int = 1
    seen: int = 0

    def add(self, ms: float, characters: int) -> None:
        self.seen += 1
        if self.seen % self.step:
            return
        self.points.append((round(ms, 3), characters))
        if len(self.points) >= TIMELINE_LIMIT:
            self.points = self.points[1::2]
            self.step *= 2


@attrs.define
class RecordBuilder:
    """Chunks in, one record out, once. No I/O; the time is handed in.

    `base` is the record as it stands before the request leaves; `started_ns` the monotonic clock then.
    """

    base: Record
    started_ns: int
    completion: CompletionBuilder = attrs.field(factory=CompletionBuilder)
    request_id: str | None = None
    attempts: list[Attempt] = attrs.field(factory=list)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    handler_errors: int = 0
    is_settled: bool = False
    chunk_count: int = 0
    characters: int = 0
    first_chunk_ns: int | None = None
    _timeline: _Timeline = attrs.field(factory=_Timeline)
    _latency_ms: float | None = None

    def feed(self, chunk: CompletionChunk, now_ns: int) -> None:
        """Take a chunk at the moment it is handed to the caller: what is recorded is what was delivered."""
        self.completion.feed(chunk)
        size = len(chunk.text) + len(chunk.reasoning) + len(chunk.refusal)
        if not (size or chunk.tool_calls):
            return
        self.chunk_count += 1
        self.characters += size
        if self.first_chunk_ns is None:
            self.first_chunk_ns = now_ns
        self._timeline.add((now_ns - self.started_ns) / 1e6, self.characters)

    def restart(self) -> None:
        """Forget an attempt of which nothing was delivered: another one follows."""
        self.completion = CompletionBuilder()

    def response(self) -> CompletionResponse:
        """The completion so far; once the call is settled, with its timings."""
        return self.completion.build(
            record_id=self.base.record_id,
            latency_ms=self._latency_ms,
            time_to_first_chunk_ms=None if self._latency_ms is None else self._time_to_first_chunk_ms,
        )

    @property
    def _time_to_first_chunk_ms(self) -> float | None:
        first = self.first_chunk_ns
        return None if first is None else round((first - self.started_ns) / 1e6, 3)

    def settle(self, outcome: Outcome, now_ns: int, error: BaseException | None = None) -> Record | None:
        """The record at the first call, None at every later one."""
        if self.is_settled:
            return None
        self.is_settled = True
        elapsed_ns = max(0, now_ns - self.started_ns)
        self._latency_ms = round(elapsed_ns / 1e6, 3)
        return attrs.evolve(
            self.base,
            outcome=outcome,
            choices=self.completion.choices(),
            usage=self.completion.usage,
            model=self.completion.model or self.base.requested_model,
            response_id=self.completion.response_id,
            request_id=self.request_id,
            attempts=tuple(self.attempts),
            headers=kept_headers(self.headers),
            handler_errors=self.handler_errors,
            error=None if error is None else error_info(error),
            ended_at=self.base.started_at + timedelta(microseconds=elapsed_ns // 1000),
            latency_ms=self._latency_ms,
            time_to_first_chunk_ms=self._time_to_first_chunk_ms,
            chunk_count=self.chunk_count,
            timeline=tuple(self._timeline.points),
        )
