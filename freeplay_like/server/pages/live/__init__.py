"""What is only beginning: a call that runs, as it grows, and the first call of a project."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from freeplay_like.server.pages.addresses import project_address
from freeplay_like.server.pages.forms import action
from freeplay_like.server.pages.live.first_key import make_first_key
from freeplay_like.server.pages.live.stream import LiveText
from freeplay_like.server.state import State

__all__ = ["routes"]


async def _to_calls(request: Request) -> Response:
    """Somebody typed the address of the form, or loaded what it answered from their history."""
    return RedirectResponse(project_address(request.path_params["project_id"]), 303)


def routes(state: State) -> list[BaseRoute]:
    """The stream of a call's text, and the form that makes the first key."""
    first_key = "/projects/{project_id}/first-key"
    return [
        Route("/projects/{project_id}/calls/{record_id}/live", LiveText(state).answer, methods=["GET"]),
        action(first_key, make_first_key, state, may="admin"),
        Route(first_key, _to_calls, methods=["GET"]),
    ]
