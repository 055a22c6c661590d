"""Completions in Freeplay's words: recorded one by one, added to, read back. Batches come in through `intake`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final, TypeVar, cast

import attrs
import msgspec

from freeplay_like.clock import SystemClock
from freeplay_like.core.records import Amendment, Feedback, Record, TemplateRef
from freeplay_like.core.wire import to_wire
from freeplay_like.server.api.operations import PROJECT, Ask, operation
from freeplay_like.server.checks import check_amendment, check_depth, check_record, check_uuid
from freeplay_like.server.foreign.bodies import Messages, NewCompletion, Scores, Value
from freeplay_like.server.foreign.messages import messages_of
from freeplay_like.server.foreign.records import Around, answered, is_waiting, record_of, split_answer
from freeplay_like.server.store.records.completions import Known
from freeplay_like.server.store.views import (
    Batch,
    Incoming,
    IncomingAmendment,
    NotFound,
    Project,
    Refused,
    SentRecord,
    StoreResult,
)

B = TypeVar("B")

COMPLETION_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""The largest body that records a call: as large as a batch."""

_COMPLETION: Final = f"{PROJECT}/completions/{{record_id}}"
_NESTING: Final = ("messages", "inputs", "media_inputs", "custom_metadata", "tool_schema", "output_schema")
_SDK_LIMIT: Final = 100

THUMB: Final = "freeplay_feedback"
"""The field of feedback that is the thumb."""


@attrs.frozen(kw_only=True)
class CompletionAnswer:
    """What recording a completion, or adding to it, answers."""

    completion_id: str


@attrs.frozen(kw_only=True)
class CompletionUpdate:
    """The body that adds to a record: messages in any provider's shape, and scores.

    Where the record waits for its answer, the first of the messages is that; all others follow the answer.
    """

    new_messages: Messages | None = None
    eval_results: Scores | None = None


@operation(
    "POST",
    f"{PROJECT}/sessions/{{session_id}}/completions",
    scope="ingest",
    body=NewCompletion,
    status=201,
    returns=CompletionAnswer,
    body_limit_bytes=COMPLETION_LIMIT_BYTES,
    mends_text=True,
)
def create_completion(ask: Ask[NewCompletion]) -> CompletionAnswer:
    """Record a call. Sent again under the same `completion_id`, it is taken once."""
    body, clock = ask.body, SystemClock()
    version_id = body.prompt_info.prompt_template_version_id if body.prompt_info else None
    known = ask.store.completions.known(ask.project.id, version_id, body.parent_id)
    around = Around(
        record_id=body.completion_id or clock.new_id(),
        project_id=ask.project.id,
        session_id=ask.path("session_id"),
        received_at=clock.now(),
        sdk=sdk_of(ask),
        template=_template(body, known),
        provider=known.version.provider if known.version else None,
        flavor=known.version.flavor if known.version else None,
        parent_is_record=known.parent_is_record,
    )
    try:
        check_uuid("Session ID", around.session_id)
        for name in _NESTING:
            check_depth(name, getattr(body, name))
        for part in (body.session_info, body.call_info):
            check_depth("session_info and call_info", part and attrs.asdict(part))
    except ValueError as exc:
        raise Refused(str(exc)) from exc
    keep(ask, record_of(body, around), scores=body.eval_results or {})
    return CompletionAnswer(completion_id=around.record_id)


@operation("GET", _COMPLETION, scope="read")
def get_completion(ask: Ask[None]) -> msgspec.Raw:
    """The record of one call, in the shape it was sent in, and what was said of it since as `amendments`."""
    record_id = ask.path("record_id")
    sent = ask.store.calls.get_sent(ask.project.id, record_id)
    if sent is None:
        raise _no_record(record_id, ask.project)
    return with_amendments(sent)


@operation(
    "POST",
    _COMPLETION,
    scope="ingest",
    body=CompletionUpdate,
    status=201,
    returns=CompletionAnswer,
    body_limit_bytes=COMPLETION_LIMIT_BYTES,
    mends_text=True,
)
def update_completion(ask: Ask[CompletionUpdate]) -> CompletionAnswer:
    """Add messages or scores to a record."""
    body, record_id = ask.body, ask.path("record_id")
    if not body.new_messages and not body.eval_results:
        raise Refused("the body changes nothing: give 'new_messages' or 'eval_results'")
    try:
        check_depth("new_messages", body.new_messages)
    except ValueError as exc:
        raise Refused(str(exc)) from exc
    record = ask.store.completions.get(ask.project.id, record_id)
    if record is None:
        raise _no_record(record_id, ask.project)
    said = _amendment(ask.project, record_id, scores=body.eval_results or {})
    messages = messages_of(body.new_messages or ())
    answer, rest = split_answer(messages)
    if answer is not None and is_waiting(record):
        whole = answered(record, answer, body.new_messages and body.new_messages[0], said.made_at)
        if _save(ask, whole, []).stored:
            messages = rest
        # else another update brought the answer in the meantime, and this one follows it
    said = attrs.evolve(said, new_messages=messages)
    if said.new_messages or said.scores:
        _amend(ask, said)
    return CompletionAnswer(completion_id=record_id)


@operation(
    "POST",
    f"{PROJECT}/completion-feedback/id/{{record_id}}",
    scope="ingest",
    body=dict[str, Value | None],
    status=201,
    returns=CompletionAnswer,
    mends_text=True,
)
def give_feedback(ask: Ask[dict[str, Value | None]]) -> CompletionAnswer:
    """Keep a person's feedback on a record: a flat object, in which `freeplay_feedback` is the thumb."""
    record_id = ask.path("record_id")
    thumb, comments = feedback_of(ask.body)
    said = _amendment(ask.project, record_id)
    _amend(ask, attrs.evolve(said, feedback=thumb, comments=dict(comments)))
    return CompletionAnswer(completion_id=record_id)


OPERATIONS: Final = (create_completion, get_completion, update_completion, give_feedback)


def keep(ask: Ask[B], record: Record, scores: Scores | None = None) -> None:
    """Store a record, and the scores it came with.

    Raises:
        Refused: it cannot be kept as it is.
        StoreUnavailable: it could not be stored now.
    """
    said = []
    if scores:
        # the same id each time: a record that is sent again brings no second amendment
        name = f"{ask.project.id}/{record.record_id}/eval_results"
        one = _amendment(ask.project, record.record_id, scores=scores)
        said.append(attrs.evolve(one, amendment_id=str(uuid.uuid5(uuid.NAMESPACE_URL, name))))
    _save(ask, record, said)


def sdk_of(ask: Ask[B]) -> str | None:
    """What the client calls itself: `Freeplay/0.6.1`."""
    words = ask.request.headers.get("user-agent", "").split()
    return words[0][:_SDK_LIMIT] if words else None


def feedback_of(said: dict[str, Value | None]) -> tuple[Feedback | None, dict[str, Value]]:
    """The thumb of a person's feedback, and the rest of it.

    Raises:
        Refused: no thumb that is known, or nothing is said.
    """
    thumb = said.get(THUMB)
    if thumb not in (None, "positive", "negative"):
        raise Refused(f"{THUMB!r} is 'positive' or 'negative', not {thumb!r}")
    rest = {name: value for name, value in said.items() if name != THUMB and value is not None}
    if thumb is None and not rest:
        raise Refused(f"the body says nothing: give {THUMB!r} or fields of your own")
    return cast("Feedback | None", thumb), rest


def with_amendments(sent: SentRecord) -> msgspec.Raw:
    """A record as it was sent, with one more field.

    Neither is read here: fields of newer senders stay, and nothing that was stored can be too deep to be answered.
    """
    amendments = b",".join(sent.amendments)
    return msgspec.Raw(b'%b,"amendments":[%b]}' % (sent.body.rstrip()[:-1], amendments))


def _template(body: NewCompletion, known: Known) -> TemplateRef | None:
    """The version that the call was made from; one that is not known here is kept as it was said."""
    if body.prompt_info is None or not body.prompt_info.prompt_template_version_id:
        return None
    version_id, environment = body.prompt_info.prompt_template_version_id, body.prompt_info.environment
    if known.version is None:
        return TemplateRef(name=version_id, version_id=version_id, environment=environment, source="backend")
    return attrs.evolve(known.version.template, environment=environment)


def _amendment(project: Project, record_id: str, *, scores: Scores | None = None) -> Amendment:
    clock = SystemClock()
    return Amendment(
        amendment_id=clock.new_id(),
        record_id=record_id,
        project_id=project.id,
        made_at=clock.now(),
        scores=dict(scores or {}),
    )


def _save(ask: Ask[B], record: Record, said: Sequence[Amendment]) -> StoreResult:
    """Check and store a record and what came with it."""
    _check(ask.project, record, said)
    result = ask.store.save(
        Batch(
            project_key=ask.project.key,
            records=(Incoming(index=0, record=record, body=to_wire(record)),),
            amendments=tuple(
                IncomingAmendment(index=i, amendment=one, body=to_wire(one)) for i, one in enumerate(said)
            ),
            received_at=SystemClock().now(),
            api_key_id=ask.key.key_id,
        )
    )
    for _, reason in (*result.rejected, *result.amendments_rejected):
        raise Refused(reason)
    return result


def _amend(ask: Ask[B], said: Amendment) -> None:
    """Check and store what is said of a record that is there."""
    _check(ask.project, None, [said])
    if not ask.store.calls.amend(ask.project, said):
        raise _no_record(said.record_id, ask.project)


def _check(project: Project, record: Record | None, said: Sequence[Amendment]) -> None:
    try:
        if record is not None:
            check_record(record, project)
        for one in said:
            check_amendment(one, project)
    except ValueError as exc:
        raise Refused(str(exc)) from exc


def _no_record(record_id: str, project: Project) -> NotFound:
    return NotFound(f"no record {record_id!r} in project {project.name!r}")
