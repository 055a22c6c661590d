"""What Freeplay's clients send about a call: the types of the bodies, with their limits."""

from __future__ import annotations

from typing import Annotated, Final

import attrs
import msgspec

from freeplay_like.core.chunks import FinishReason
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.records import ErrorInfo, Outcome
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.checks import NAME_LIMIT, SCORES_LIMIT, TEXT_LIMIT
from freeplay_like.server.store.views import Count

MESSAGES_LIMIT: Final = 10_000
"""The most messages of one completion."""

Text = Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)]
"""A text that can be looked for."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LIMIT)]
Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Value = bool | Number | float | Text
"""A value of metadata, of feedback or of a score."""
Scores = Annotated[dict[str, Value], msgspec.Meta(max_length=SCORES_LIMIT)]
EpochSeconds = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
"""Seconds since 1970, up to the end of the year 9999."""
Milliseconds = Annotated[float, msgspec.Meta(ge=0)]
Messages = Annotated[list[JsonValue], msgspec.Meta(max_length=MESSAGES_LIMIT)]
"""Messages in any provider's shape."""


@attrs.frozen(kw_only=True)
class SessionInfo:
    """What is said of the session."""

    custom_metadata: JsonObject | None = None


@attrs.frozen(kw_only=True)
class PromptInfo:
    """The version of a template that the call was made from."""

    prompt_template_version_id: Text | None = None
    environment: Text | None = None


@attrs.frozen(kw_only=True)
class UsageInfo:
    """Token counts."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


@attrs.frozen(kw_only=True)
class CallInfo:
    """How the call was made. Times are seconds since 1970."""

    start_time: EpochSeconds | None = None
    end_time: EpochSeconds | None = None
    model: Text | None = None
    provider: Text | None = None
    provider_info: JsonObject | None = None
    llm_parameters: JsonObject | None = None
    api_style: Text | None = None
    usage: UsageInfo | None = None


@attrs.frozen(kw_only=True)
class FunctionCall:
    """The one tool call of an answer, in the words of an older API."""

    name: str
    arguments: str


@attrs.frozen(kw_only=True)
class ResponseInfo:
    """What is said of the answer beside its message."""

    is_complete: bool | None = None
    function_call_response: FunctionCall | None = None


@attrs.frozen(kw_only=True)
class TestRunInfo:
    """The test run that a call belongs to, and its case."""

    test_run_id: Text
    test_case_id: Text | None = None


@attrs.frozen(kw_only=True)
class TraceRef:
    """The trace that a call belongs to."""

    trace_id: Text


@attrs.frozen(kw_only=True)
class Details:
    """What a record holds beyond Freeplay's own fields; none of it has to be said.

    `parameters` are with their layers, and take the place of `llm_parameters`.
    """

    outcome: Outcome | None = None
    error: ErrorInfo | None = None
    finish_reason: FinishReason | None = None
    flavor: Text | None = None
    requested_model: Text | None = None
    parameters: dict[str, ParameterSetting] | None = None
    is_stream: bool = False
    latency_ms: Milliseconds | None = None
    time_to_first_chunk_ms: Milliseconds | None = None
    timeline: tuple[tuple[Milliseconds, Count], ...] = ()
    response_id: Text | None = None
    request_id: Text | None = None


@attrs.frozen(kw_only=True)
class NewCompletion:
    """The body that records a call. `messages` are those sent and, as the last one, the answer.

    Without an answer the record waits for it: it comes with an update. Times are seconds since 1970.
    """

    messages: Annotated[list[JsonValue], msgspec.Meta(min_length=1, max_length=MESSAGES_LIMIT)]
    inputs: JsonObject | None = None
    tool_schema: JsonValue = None
    output_schema: JsonValue = None
    session_info: SessionInfo | None = None
    custom_metadata: JsonObject | None = None
    parent_id: Text | None = None
    prompt_info: PromptInfo | None = None
    call_info: CallInfo | None = None
    completion_id: Text | None = None
    response_info: ResponseInfo | None = None
    test_run_info: TestRunInfo | None = None
    eval_results: Scores | None = None
    trace_info: TraceRef | None = None
    media_inputs: JsonObject | None = None
    details: Details | None = None
