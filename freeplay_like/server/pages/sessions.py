"""The page of one session: a user's conversation, call by call."""

from __future__ import annotations

from starlette.requests import Request

from freeplay_like.server.pages.context import SessionContext
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.state import State


def build_session(state: State, request: Request) -> SessionContext:
    """One session.

    Raises:
        PageProblem: no such project, or no call of such a session in it.
    """
    project = project_of(state, request)
    session_id = request.path_params["session_id"]
    calls = state.store.calls.of_session(project.id, session_id)
    if not calls:
        raise PageProblem("No such session", f"Project {project.name!r} has no call in a session {session_id!r}.")
    return SessionContext(
        project=project,
        session_id=session_id,
        calls=calls,
        input_tokens=sum(call.input_tokens or 0 for call in calls),
        output_tokens=sum(call.output_tokens or 0 for call in calls),
        priced_calls=sum(call.cost_nano_usd is not None for call in calls),
        cost_nano_usd=sum(call.cost_nano_usd or 0 for call in calls),
        latency_ms=sum(call.latency_ms or 0.0 for call in calls),
    )
