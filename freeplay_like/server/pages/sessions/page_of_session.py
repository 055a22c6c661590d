"""The list of sessions, one session, all of it as a file, and its deletion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from freeplay_like.core.wire import to_wire
from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import sessions_address
from freeplay_like.server.pages.calls.listing import asked_of
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import Endpoint, PageProblem, message_page, project_of
from freeplay_like.server.pages.sessions.context import SessionContext, SessionDeletionContext, SessionsContext
from freeplay_like.server.state import State
from freeplay_like.server.store.records.conversations import SessionFigures
from freeplay_like.server.store.views import Project

ROWS_A_PAGE: Final = 50
CALLS_A_PAGE: Final = 40
TRACES_LIMIT: Final = 1_000
OFFSET_LIMIT: Final = 1_000_000
"""The furthest into a list that an address leads."""


def build_sessions(state: State, request: Request) -> SessionsContext:
    """A page of the list: `q` and `period` say which calls a session must hold one of, `offset` pages.

    Raises:
        PageProblem: no such project, or a filter that cannot be looked for.
    """
    project = project_of(state, request)
    asked, offset = asked_of(request), _offset(request)
    which = asked.which(state.store.now())
    rows = state.store.sessions.page(project.id, which, offset, ROWS_A_PAGE + 1)
    names = [row.session_id for row in rows[:ROWS_A_PAGE]]
    return SessionsContext(
        project=project,
        query=asked.query,
        period=asked.period,
        offset=offset,
        sessions=state.store.conversations.figures(project.id, names),
        has_more=len(rows) > ROWS_A_PAGE,
        rows_a_page=ROWS_A_PAGE,
    )


def build_session(state: State, request: Request) -> SessionContext:
    """One session, its calls from `offset` on.

    Raises:
        PageProblem: no such project, or no call of such a session in it.
    """
    project = project_of(state, request)
    figures = _figures(state, project, request.path_params["session_id"])
    session_id = figures.session_id
    return SessionContext(
        project=project,
        session_id=session_id,
        figures=figures,
        metadata=state.store.session_metadata.of(project.id, [session_id]).get(session_id, {}),
        traces=state.store.traces.of_session(project.id, session_id, 0, TRACES_LIMIT),
        page=state.store.conversations.page(project.id, session_id, _offset(request), CALLS_A_PAGE),
        calls_a_page=CALLS_A_PAGE,
    )


def export_session(state: State) -> Endpoint:
    """The route of a session as a file: one JSON object, sent while it is read."""

    def find(request: Request) -> tuple[Project, str] | Response:
        try:
            project = project_of(state, request)
            return project, _figures(state, project, request.path_params["session_id"]).session_id
        except PageProblem as problem:
            return message_page(problem.title, problem.message, status=problem.status)

    async def endpoint(request: Request) -> Response:
        require_person(request)
        found = await run_in_threadpool(find, request)
        if isinstance(found, Response):
            return found
        project, session_id = found
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''session-{quote(session_id[:80], safe='')}.json",
            "Cache-Control": "no-store",
        }
        return StreamingResponse(_file(state, project, session_id), media_type="application/json", headers=headers)

    return endpoint


def build_session_deletion(state: State, request: Request) -> SessionDeletionContext:
    """The question whether a session is to be deleted.

    Raises:
        PageProblem: no such project or session.
    """
    project = project_of(state, request)
    return SessionDeletionContext(project=project, figures=_figures(state, project, request.path_params["session_id"]))


def delete_session(sent: Sent) -> Response:
    """Delete a session, and lead to the list.

    Raises:
        PageProblem: no such project or session.
    """
    project = project_of(sent.state, sent.request)
    figures = _figures(sent.state, project, sent.request.path_params["session_id"])
    sent.state.store.deletion.session(project, figures.session_id)
    return then(sessions_address(project.id))


def _figures(state: State, project: Project, session_id: str) -> SessionFigures:
    found = state.store.conversations.figures(project.id, [session_id])
    if not found:
        raise PageProblem("No such session", f"Project {project.name!r} has no call in a session {session_id[:100]!r}.")
    return found[0]


def _offset(request: Request) -> int:
    said = request.query_params.get("offset", "0")
    if not (said.isascii() and said.isdigit() and len(said) <= 7 and int(said) <= OFFSET_LIMIT):
        raise PageProblem("This address is damaged", f"offset={said[:100]!r} is no place in a list.", status=400)
    return int(said)


def _file(state: State, project: Project, session_id: str) -> Iterator[bytes]:
    metadata = state.store.session_metadata.of(project.id, [session_id]).get(session_id, {})
    yield b'{"session_id":' + to_wire(session_id) + b',"metadata":' + to_wire(metadata) + b',"calls":['
    offset, has_more = 0, True
    while has_more:
        page = state.store.conversations.page(project.id, session_id, offset, CALLS_A_PAGE)
        for number, call in enumerate(page.calls, offset):
            said = {"record": call.record, "cost_nano_usd": call.row.cost_nano_usd, "amendments": call.amendments}
            yield (b"," if number else b"") + to_wire(said)
        offset += len(page.calls)
        has_more = page.has_more
    yield b"]}\n"
