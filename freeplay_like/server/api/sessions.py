"""Sessions: listed, read back, described, deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.reviews import standing
from freeplay_like.core.wire import JsonObject, from_wire, to_wire
from freeplay_like.server.api.completions import THUMB, with_amendments
from freeplay_like.server.api.operations import PROJECT, Ask, Query, operation
from freeplay_like.server.api.traces import Metadata, metadata_of
from freeplay_like.server.foreign.bodies import Value
from freeplay_like.server.http import PageOf, query_number
from freeplay_like.server.store.derived.filters import BadFilter, Filter, all_of, any_of, check_size, term
from freeplay_like.server.store.derived.sessions import SessionRow
from freeplay_like.server.store.records.session_metadata import SessionNotFound
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Project, Refused, SentRecord, SentSession

SESSION_RECORDS: Final = 200
SESSION_RECORDS_LIMIT: Final = 1_000
LISTED_RECORDS: Final = 100
"""The most calls of a session in the list of sessions: the newest."""
LISTED_BYTES: Final = 32 * 1024 * 1024
"""About the most JSON of records that one page of sessions is made of; sessions beyond it come without their calls."""

_SESSION: Final = f"{PROJECT}/sessions/{{session_id}}"
_PAGE_SIZE: Final = 10
_METADATA: Final = "custom_metadata."
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_RUNS_LOOKED_AT: Final = 1_000
_RUNS_OF_A_LIST: Final = 40
_TEXT: Final[JsonObject] = {"type": "string", "maxLength": 1_000}
_FILTERS: Final = {
    "from_date": ("started_at", "gte"),
    "to_date": ("started_at", "lte"),
    "prompt_name": ("template", "eq"),
    "test_run_id": ("test_run", "eq"),
}
"""What narrows the list: a parameter, and the field and the operator that it stands for."""


@attrs.frozen(kw_only=True)
class SessionAnswer:
    """What changing a session answers."""

    session_id: str


@operation(
    "GET",
    f"{PROJECT}/sessions",
    scope="read",
    query=(
        Query("page", "Which page, from 1.", {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1}),
        Query("page_size", "How many on a page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}),
        Query("from_date", "Sessions with a call that began then or later.", _TEXT),
        Query("to_date", "Sessions with a call that began then or before; a date alone is its whole day.", _TEXT),
        Query("prompt_name", "Sessions with a call made from this template.", _TEXT),
        Query("test_run_id", "Sessions with a call of this test run.", _TEXT),
        Query("test_list", "Sessions with a call of one of the newest test runs over this dataset.", _TEXT),
        Query("custom_metadata.KEY", "Sessions with a call whose metadata has this value.", _TEXT),
    ),
)
def list_sessions(ask: Ask[None]) -> list[JsonObject]:
    """The sessions of a project, the one with the newest call first, and their calls: a bare list."""
    page = PageOf(
        number=query_number(ask.request, "page", default=1, highest=1_000_000),
        size=query_number(ask.request, "page_size", default=_PAGE_SIZE, highest=100),
    )
    rows = ask.store.sessions.page(ask.project.id, _filter(ask), page.offset, page.size)
    return sessions_to_wire(ask.store, ask.project, rows)


@operation(
    "GET",
    _SESSION,
    scope="read",
    query=(
        Query(
            "limit",
            "How many records at most: the newest.",
            {"type": "integer", "minimum": 1, "maximum": SESSION_RECORDS_LIMIT, "default": SESSION_RECORDS},
        ),
    ),
)
def get_session(ask: Ask[None]) -> JsonObject:
    """The newest records of a session, in the order they began, and its sums."""
    session_id = ask.path("session_id")
    limit = query_number(ask.request, "limit", default=SESSION_RECORDS, highest=SESSION_RECORDS_LIMIT)
    session = ask.store.calls.sent_session(ask.project.id, session_id, limit)
    if session is None:
        raise _no_session(session_id, ask.project)
    own = ask.store.session_metadata.of(ask.project.id, [session_id])
    return {
        "session_id": session_id,
        "project_id": ask.project.id,
        "metadata": {**session.metadata, **own.get(session_id, {})},
        "totals": session.totals,
        "has_more": session.has_more,
        "records": [with_amendments(sent) for sent in session.records],
    }


@operation(
    "PATCH",
    f"{PROJECT}/sessions/id/{{session_id}}/metadata",
    scope="ingest",
    body=dict[str, Value | None],
    returns=SessionAnswer,
    mends_text=True,
)
def update_session_metadata(ask: Ask[Metadata]) -> SessionAnswer:
    """Add to the metadata of a session: it goes before that of its records, and null takes a name away."""
    session_id = ask.path("session_id")
    ask.store.session_metadata.merge(ask.project, session_id, metadata_of("the body", ask.body))
    return SessionAnswer(session_id=session_id)


@operation("DELETE", _SESSION, scope="admin", status=201)
def delete_session(ask: Ask[None]) -> JsonObject:
    """Delete a session and everything in it, for good."""
    session_id = ask.path("session_id")
    report = ask.store.deletion.session(ask.project, session_id)
    if not report.sessions:
        raise _no_session(session_id, ask.project)
    return {"session_id": session_id, "deleted": report}


OPERATIONS: Final = (list_sessions, update_session_metadata, get_session, delete_session)


def _no_session(session_id: str, project: Project) -> SessionNotFound:
    return SessionNotFound(f"no session {session_id!r} in project {project.name!r}: it has no records here")


def _filter(ask: Ask[None]) -> Filter:
    parts = []
    for name, (field, op) in _FILTERS.items():
        said = ask.query(name)
        if said is not None:
            is_day = name == "to_date" and _DAY.fullmatch(said)
            parts.append(_term(name, field, op, f"{said}T23:59:59.999999Z" if is_day else said))
    test_list = ask.query("test_list")
    if test_list is not None:
        runs = ask.store.test_runs.page(ask.project, 0, _RUNS_LOOKED_AT)
        ids = [run.id for run in runs if run.dataset_name == test_list]
        parts.append(any_of(term("test_run", "eq", run_id) for run_id in ids[:_RUNS_OF_A_LIST]))
    for name, value in ask.request.query_params.multi_items():
        if name.startswith(_METADATA):
            parts.append(_term(name, name, "eq", value))
    return check_size(all_of(parts))


def _term(name: str, field: str, op: str, value: str) -> Filter:
    try:
        return term(field, op, value)
    except BadFilter as exc:
        raise Refused(f"{name[:100]!r}: {exc}") from exc


def sessions_to_wire(
    store: Store, project: Project, rows: Sequence[SessionRow], *, has_calls: bool = True
) -> list[JsonObject]:
    """Sessions in Freeplay's words; with their newest calls, as far as those are not too much for one answer."""
    own = store.session_metadata.of(project.id, [row.session_id for row in rows])
    left_bytes, found = LISTED_BYTES if has_calls else 0, []
    for row in rows:
        session = store.calls.sent_session(project.id, row.session_id, LISTED_RECORDS) if left_bytes > 0 else None
        left_bytes -= 0 if session is None else sum(len(sent.body) for sent in session.records)
        found.append(_session_to_wire(row, session, own.get(row.session_id, {})))
    return found


def _session_to_wire(row: SessionRow, session: SentSession | None, own: JsonObject) -> JsonObject:
    """A session in the shape of Freeplay's public interface (its documentation, read in November 2026)."""
    return {
        "session_id": row.session_id,
        "start_time": row.first_started_at,
        "custom_metadata": {**(session.metadata if session else {}), **own},
        "messages": [completion_to_wire(sent) for sent in (session.records if session else ())],
        "completion_count": row.calls,
        "has_more": row.calls > (len(session.records) if session else 0),
    }


def completion_to_wire(sent: SentRecord) -> JsonObject:
    """A call in the shape of Freeplay's public interface."""
    record = from_wire(sent.body, Record)
    said = [from_wire(one, Amendment) for one in sent.amendments]
    template, choice = record.template, record.choices[0] if record.choices else None
    scores = {name: value for one in standing(said) for name, value in one.scores.items()}
    return {
        "message_type": "completion",
        "completion_id": record.record_id,
        "environment": template.environment if template else None,
        "provider_name": record.provider,
        "model_name": record.model or record.requested_model,
        "input_variables": record.variables,
        "prompt": [_said(message) for message in record.messages],
        "prompt_template_name": template.name if template else None,
        "response": None if choice is None else _response(choice),
        "customer_feedback": dict(_feedback(said)),
        "evaluation_results": {},
        "client_evaluation_results": [{"name": name, "value": value} for name, value in scores.items()],
        "notes": [],
        "trace_id": record.trace_id,
        "format_version": 3,
        "outcome": record.outcome,
        "start_time": record.started_at,
        "end_time": record.ended_at,
    }


def _said(message: Message) -> JsonObject:
    """A message in OpenAI's words. Nothing is copied: parts may be nested deeper than copying goes."""
    said: JsonObject = {"role": message.role, "content": message.content}
    if message.name is not None:
        said["name"] = message.name
    if message.tool_calls:
        said["tool_calls"] = _calls(message.tool_calls)
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    return said


def _calls(calls: Sequence[ToolCall]) -> list[JsonObject]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]


def _response(choice: Choice) -> str:
    """The answer as text; what tools it asks for is JSON."""
    if choice.text or choice.refusal or not choice.tool_calls:
        return choice.text or choice.refusal
    return to_wire(_calls(choice.tool_calls)).decode()


def _feedback(said: Sequence[Amendment]) -> Iterator[tuple[str, object]]:
    for one in said:
        if one.reviewer_id is not None:
            continue  # it is the team that says this, not the customer
        yield from one.comments.items()
        if one.feedback is not None:
            yield THUMB, one.feedback
