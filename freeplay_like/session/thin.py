"""The thin path: records of calls that somebody else made, and what is said of records afterwards. No I/O."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, get_args

from freeplay_like import __version__
from freeplay_like.clock import Clock
from freeplay_like.core.chunks import FinishReason, Usage
from freeplay_like.core.completion import Choice, CompletionResponse
from freeplay_like.core.messages import Message, MessageLike, MessagesLike, messages_from
from freeplay_like.core.parameters import merge
from freeplay_like.core.records import Amendment, Feedback, Outcome, Record, ScoreValue
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import ConfigurationError

_FINISH: Final[Mapping[Outcome, FinishReason]] = {
    "complete": "stop",
    "truncated": "length",
    "refused": "refusal",
}


def finished_record(
    *,
    clock: Clock,
    project_id: str,
    messages: MessagesLike,
    answer: str | MessageLike | CompletionResponse | None,
    record_id: str | None,
    session_id: str | None,
    parent_id: str | None,
    template: PromptTemplate | None,
    variables: Mapping[str, JsonValue] | None,
    provider: str,
    model: str | None,
    parameters: Mapping[str, JsonValue] | None,
    usage: Usage | None,
    outcome: Outcome,
    started_at: datetime | None,
    latency_ms: float | None,
    metadata: Mapping[str, JsonValue] | None,
) -> Record:
    """The record of a call that has ended. A time that is not given is reckoned from the others.

    Raises:
        ConfigurationError: a message, a parameter or a time is not right.
    """
    if outcome not in get_args(Outcome):
        raise ConfigurationError(f"outcome {outcome!r}; known: {', '.join(get_args(Outcome))}")
    if latency_ms is not None and not 0 <= latency_ms < float("inf"):
        raise ConfigurationError(f"latency_ms={latency_ms!r}: a number of milliseconds from 0")
    if started_at is not None and started_at.tzinfo is None:
        raise ConfigurationError(f"started_at={started_at!r} has no time zone; use datetime.now(UTC)")
    response = answer if isinstance(answer, CompletionResponse) else None
    choices = () if answer is None else response.choices if response else (_choice(answer, outcome),)
    now = clock.now()
    latency = None if latency_ms is None else timedelta(milliseconds=latency_ms)
    started = started_at or (now if latency is None else now - latency)
    return Record(
        record_id=record_id or clock.new_id(),
        project_id=project_id,
        session_id=session_id,
        parent_id=parent_id,
        template=None if template is None else template.ref,
        variables=copy.deepcopy(dict(variables or {})),
        messages=messages_from(messages),
        metadata=copy.deepcopy(dict(metadata or {})),
        provider=provider,
        requested_model=model,
        model=(response.model if response else None) or model,
        parameters=merge([("call", parameters or {})]).settings,
        outcome=outcome,
        choices=choices,
        usage=usage or (response.usage if response else None),
        response_id=response.response_id if response else None,
        started_at=started,
        ended_at=now if latency is None else started + latency,
        latency_ms=latency_ms,
        sdk=f"freeplay-like/{__version__}",
    )


def _choice(answer: str | MessageLike | CompletionResponse, outcome: Outcome) -> Choice:
    if isinstance(answer, str):
        message = Message(role="assistant", content=answer)
    elif isinstance(answer, CompletionResponse):
        message = answer.message
    else:
        (message,) = messages_from(answer)
    if message.role != "assistant":
        raise ConfigurationError(f"the answer has role {message.role!r}; an answer is the assistant's")
    finish = _FINISH.get(outcome)
    if finish == "stop" and message.tool_calls:
        finish = "tool_calls"
    return Choice(text=message.text, tool_calls=message.tool_calls, finish_reason=finish)


def amendment(
    *,
    clock: Clock,
    project_id: str,
    record_id: str,
    feedback: Feedback | None,
    comments: JsonObject,
    scores: Mapping[str, ScoreValue],
    new_messages: tuple[Message, ...],
) -> Amendment:
    """What is said of a record.

    Raises:
        ConfigurationError: nothing was said, or it is not of the right kind; names it.
    """
    if not record_id:
        raise ConfigurationError("record_id is blank; a stream and a response have it as .record_id")
    if feedback is not None and feedback not in get_args(Feedback):
        raise ConfigurationError(f"feedback {feedback!r}; known: {', '.join(get_args(Feedback))}")
    for name, value in scores.items():
        if not name or not isinstance(value, (bool, int, float, str)):
            raise ConfigurationError(
                f"score {name!r} is {value!r}; a score has a name, and is a number, text or a bool"
            )
        if isinstance(value, float) and not abs(value) < float("inf"):
            raise ConfigurationError(f"score {name!r} is {value!r}; use a finite number")
    if feedback is None and not comments and not scores and not new_messages:
        raise ConfigurationError(
            f"nothing was said of record {record_id}: give feedback, comments, a score or messages"
        )
    return Amendment(
        amendment_id=clock.new_id(),
        record_id=record_id,
        project_id=project_id,
        made_at=clock.now(),
        feedback=feedback,
        comments=comments,
        scores=dict(scores),
        new_messages=new_messages,
    )
