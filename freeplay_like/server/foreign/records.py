"""A completion as Freeplay's clients send it, as a record of ours. Pure; the time and what the store knows come in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from freeplay_like.core.chunks import FinishReason, Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.records import Outcome, Record, TemplateRef
from freeplay_like.core.template_flavors import FLAVOR_OF_PROVIDER
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.foreign.blocks import json_text
from freeplay_like.server.foreign.bodies import CallInfo, Details, FunctionCall, NewCompletion
from freeplay_like.server.foreign.messages import messages_of, refusal_of

_SHOWN_CHARACTERS: Final = 2_000
"""The longest JSON of a part of an answer that is read as its text; a medium's bytes are in the request alone."""


@attrs.frozen(kw_only=True)
class Around:
    """What is known of a completion that does not stand in its body.

    `template` is the version that the body names, `provider` and `flavor` those of that version.
    """

    record_id: str
    project_id: str
    session_id: str
    received_at: datetime
    sdk: str | None = None
    template: TemplateRef | None = None
    provider: str | None = None
    flavor: str | None = None
    parent_is_record: bool = False


def record_of(body: NewCompletion, around: Around) -> Record:
    """The record of a completion."""
    call, details, test_run = body.call_info or CallInfo(), body.details or Details(), body.test_run_info
    provider = call.provider or around.provider or ""
    record = Record(
        record_id=around.record_id,
        project_id=around.project_id,
        session_id=around.session_id,
        trace_id=_trace_id(body, around),
        parent_id=body.parent_id,
        test_run_id=test_run.test_run_id if test_run else None,
        test_case_id=test_run.test_case_id if test_run else None,
        template=around.template,
        variables={**(body.inputs or {}), **(body.media_inputs or {})},
        metadata={**((body.session_info and body.session_info.custom_metadata) or {}), **(body.custom_metadata or {})},
        provider=provider,
        flavor=details.flavor or around.flavor or FLAVOR_OF_PROVIDER.get(provider, ""),
        requested_model=details.requested_model or call.model,
        model=call.model,
        parameters=details.parameters if details.parameters is not None else _parameters(body),
        is_stream=details.is_stream,
        request=_request(body),
        usage=_usage(call),
        error=details.error,
        response_id=details.response_id,
        request_id=details.request_id,
        time_to_first_chunk_ms=details.time_to_first_chunk_ms,
        timeline=details.timeline,
        sdk=around.sdk,
        started_at=around.received_at,
    )
    return _with_answer(_with_times(record, call, details), body, details)


def is_waiting(record: Record) -> bool:
    """Whether a record waits for its answer: there was none when it came."""
    return record.outcome == "interrupted" and record.ended_at is None and not record.choices


def answered(record: Record, answer: Message, raw: JsonValue, at: datetime) -> Record:
    """A record that waited, with its answer."""
    choice = choice_of(answer, refusal_of(raw))
    return attrs.evolve(record, choices=(choice,), outcome=outcome_of(choice), ended_at=at)


def choice_of(answer: Message, refusal: str = "", finish_reason: FinishReason | None = None) -> Choice:
    """The assistant's message as the one choice of a call."""
    natural: FinishReason = "refusal" if refusal else "tool_calls" if answer.tool_calls else "stop"
    return Choice(
        text="" if refusal else _readable(answer),
        refusal=refusal,
        reasoning=answer.reasoning,
        reasoning_blocks=answer.reasoning_blocks,
        tool_calls=answer.tool_calls,
        finish_reason=finish_reason or natural,
    )


def _readable(answer: Message) -> str:
    """An answer as text: a choice has no parts."""
    if not isinstance(answer.content, tuple):
        return answer.text
    texts = []
    for part in answer.content:
        text = str(part.get("text")) if part.get("type") == "text" else json_text(part)
        texts.append(text if part.get("type") == "text" or len(text) <= _SHOWN_CHARACTERS else f"[{part.get('type')}]")
    return "\n\n".join(texts)


def _trace_id(body: NewCompletion, around: Around) -> str | None:
    """The trace of a call: a parent that is no record is one, though it may not have arrived yet."""
    if body.trace_info is not None:
        return body.trace_info.trace_id
    return None if around.parent_is_record else body.parent_id


def _parameters(body: NewCompletion) -> dict[str, ParameterSetting]:
    said = {
        "model": body.call_info and body.call_info.model,
        **((body.call_info and body.call_info.llm_parameters) or {}),
        "tools": body.tool_schema,
        "output_schema": body.output_schema,
    }
    return {name: ParameterSetting(value=value, layer="call") for name, value in said.items() if value is not None}


def _request(body: NewCompletion) -> JsonObject:
    """What was sent and is not wholly in other fields: above all the messages, in their provider's own words."""
    call, answer = body.call_info or CallInfo(), body.response_info
    kept: JsonObject = {
        "messages": body.messages,
        "provider_info": call.provider_info,
        "api_style": call.api_style,
        "response_info": None if answer is None else attrs.asdict(answer),
    }
    return {name: value for name, value in kept.items() if value is not None}


def _usage(call: CallInfo) -> Usage | None:
    if call.usage is None:
        return None
    return Usage(input_tokens=call.usage.prompt_tokens, output_tokens=call.usage.completion_tokens)


def _with_times(record: Record, call: CallInfo, details: Details) -> Record:
    """The record with its times; what was not said is when the record came."""
    start, end = call.start_time, call.end_time
    latency_ms = details.latency_ms
    if latency_ms is None and start is not None and end is not None:
        latency_ms = round(max(0.0, end - start) * 1000, 3)
    said = [each for each in (start, end) if each is not None]
    began, ended = (moment_of(min(said)), moment_of(max(said))) if said else (record.started_at, record.started_at)
    return attrs.evolve(record, started_at=began, ended_at=ended, latency_ms=latency_ms)


def moment_of(seconds: float) -> datetime:
    """The time of seconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _with_answer(record: Record, body: NewCompletion, details: Details) -> Record:
    messages = messages_of(body.messages)
    if not messages or messages[-1].role != "assistant":
        return _without_answer(attrs.evolve(record, messages=messages), details)
    answer = messages[-1]
    if body.response_info is not None and body.response_info.function_call_response is not None:
        answer = _with_call(answer, body.response_info.function_call_response)
    is_cut = body.response_info is not None and body.response_info.is_complete is False
    reason = details.finish_reason or ("length" if is_cut else None)
    choice = choice_of(answer, refusal_of(body.messages[-1]), reason)
    return attrs.evolve(
        record, messages=messages[:-1], choices=(choice,), outcome=details.outcome or outcome_of(choice)
    )


def _without_answer(record: Record, details: Details) -> Record:
    """A call that ended without an answer where that was said, else one that waits for it."""
    if details.outcome is not None:
        return attrs.evolve(record, outcome=details.outcome)
    return attrs.evolve(record, outcome="interrupted", ended_at=None, latency_ms=None)


def _with_call(answer: Message, called: FunctionCall) -> Message:
    if any(call.name == called.name for call in answer.tool_calls):
        return answer
    call = ToolCall(id=called.name, name=called.name, arguments=called.arguments)
    return attrs.evolve(answer, tool_calls=(*answer.tool_calls, call))


def outcome_of(choice: Choice) -> Outcome:
    """How a call ended that has this answer."""
    if choice.finish_reason in ("refusal", "content_filter"):
        return "refused"
    return "truncated" if choice.finish_reason == "length" else "complete"


def split_answer(messages: Sequence[Message]) -> tuple[Message | None, tuple[Message, ...]]:
    """The answer that new messages begin with, None where they do not, and those that follow it."""
    if messages and messages[0].role == "assistant":
        return messages[0], tuple(messages[1:])
    return None, tuple(messages)
