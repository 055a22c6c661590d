"""Sessions: conversations as people would read them."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from freeplay_like.server.pages.forms import action
from freeplay_like.server.pages.page import page
from freeplay_like.server.pages.sessions.page_of_session import (
    build_session,
    build_session_deletion,
    build_sessions,
    delete_session,
    export_session,
)
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The list of sessions, the page of one, its export and its deletion."""
    sessions = "/projects/{project_id}/sessions"
    one = f"{sessions}/{{session_id}}"
    return [
        *page(sessions, "sessions/sessions.html", build_sessions, state),
        Route(f"{one}/export", export_session(state), methods=["GET"]),
        *page(f"{one}/delete", "sessions/delete.html", build_session_deletion, state),
        action(f"{one}/delete", delete_session, state, may="admin"),
        *page(one, "sessions/session.html", build_session, state),
    ]
