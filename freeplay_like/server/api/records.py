"""Records, read back, and what is said of them afterwards. They come in through `intake`."""

from __future__ import annotations

from typing import Final, cast

import attrs
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.clock import SystemClock
from freeplay_like.core.messages import Message, messages_from
from freeplay_like.core.records import Amendment, Feedback, ScoreValue
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import MessageError
from freeplay_like.server.auth import require_key
from freeplay_like.server.checks import check_amendment
from freeplay_like.server.http import json_response, query_number, read_json
from freeplay_like.server.state import state_of
from freeplay_like.server.store.views import Project, SentRecord

SESSION_RECORDS: Final = 200
SESSION_RECORDS_LIMIT: Final = 1_000

_THUMB: Final = "freeplay_feedback"


@attrs.frozen(kw_only=True)
class CompletionUpdate:
    """The body that adds to a record: messages after its answer, and scores."""

    new_messages: list[JsonObject] | None = None
    eval_results: dict[str, ScoreValue] | None = None


async def get_completion(request: Request) -> Response:
    """The record of one call, in the shape it was sent in, and what was said of it since as `amendments`."""
    project = await require_key(request, "read")
    record_id = request.path_params["record_id"]
    sent = await run_in_threadpool(state_of(request).store.calls.get_sent, project.id, record_id)
    if sent is None:
        raise _no_record(record_id, project)
    return json_response(_with_amendments(sent))


async def get_session(request: Request) -> Response:
    """The newest records of a session (`?limit=`), in the order they began, and its sums."""
    project = await require_key(request, "read")
    session_id = request.path_params["session_id"]
    limit = query_number(request, "limit", default=SESSION_RECORDS, highest=SESSION_RECORDS_LIMIT)
    session = await run_in_threadpool(state_of(request).store.calls.sent_session, project.id, session_id, limit)
    if session is None:
        raise HTTPException(404, f"no session {session_id!r} in project {project.name!r}: it has no records here")
    return json_response(
        {
            "session_id": session_id,
            "project_id": project.id,
            "metadata": session.metadata,
            "totals": session.totals,
            "has_more": session.has_more,
            "records": [_with_amendments(sent) for sent in session.records],
        }
    )


async def update_completion(request: Request) -> Response:
    """Add messages or scores to a record, in Freeplay's words."""
    project = await require_key(request, "ingest")
    body = await read_json(request, CompletionUpdate)
    if not body.new_messages and not body.eval_results:
        raise HTTPException(400, "the body changes nothing: give 'new_messages' or 'eval_results'")
    try:
        new_messages = messages_from(body.new_messages) if body.new_messages else ()
    except MessageError as exc:
        raise HTTPException(400, f"new_messages: {exc}") from exc
    return await _amend(request, project, new_messages=new_messages, scores=body.eval_results or {})


async def give_feedback(request: Request) -> Response:
    """Keep a person's feedback on a record: a flat object, in which `freeplay_feedback` is the thumb."""
    project = await require_key(request, "ingest")
    said = await read_json(request, dict[str, str | int | float | bool | None])
    thumb = said.pop(_THUMB, None)
    if thumb not in (None, "positive", "negative"):
        raise HTTPException(400, f"{_THUMB!r} is 'positive' or 'negative', not {thumb!r}")
    if thumb is None and not said:
        raise HTTPException(400, f"the body says nothing: give {_THUMB!r} or fields of your own")
    return await _amend(request, project, feedback=cast("Feedback | None", thumb), comments=dict(said))


async def _amend(
    request: Request,
    project: Project,
    *,
    feedback: Feedback | None = None,
    comments: JsonObject | None = None,
    scores: dict[str, ScoreValue] | None = None,
    new_messages: tuple[Message, ...] = (),
) -> Response:
    clock, record_id = SystemClock(), request.path_params["record_id"]
    amendment = Amendment(
        amendment_id=clock.new_id(),
        record_id=record_id,
        project_id=project.id,
        made_at=clock.now(),
        feedback=feedback,
        comments=comments or {},
        scores=scores or {},
        new_messages=new_messages,
    )
    try:
        check_amendment(amendment, project)
    except ValueError as exc:
        raise HTTPException(400, str(exc)) from exc
    if not await run_in_threadpool(state_of(request).store.calls.amend, project, amendment):
        raise _no_record(record_id, project)
    return json_response({"completion_id": record_id}, 201)


def _with_amendments(sent: SentRecord) -> msgspec.Raw:
    """A record as it was sent, with one more field.

    Neither is read here: fields of newer senders stay, and nothing that was stored can be too deep to be answered.
    """
    amendments = b",".join(sent.amendments)
    return msgspec.Raw(b'%b,"amendments":[%b]}' % (sent.body.rstrip()[:-1], amendments))


def _no_record(record_id: str, project: Project) -> HTTPException:
    return HTTPException(404, f"no record {record_id!r} in project {project.name!r}")
