"""The review pages: what people look at.

A page is `request -> context -> template`: a function asks the store and answers a frozen value, a Jinja2 template
shows it, and the same value is the page's JSON under its address with `.json`. Everything works without
JavaScript, and every view has an address that can be sent to a colleague. A room is a package here, with a function
`routes`, a folder of templates of the same name, and a style sheet and a script where it needs them.
"""

from __future__ import annotations

from typing import Final

from starlette.routing import BaseRoute, Route

from freeplay_like.server.pages import call as one_call
from freeplay_like.server.pages import calls, health, live, replay, review, sessions, settings, templates, trials
from freeplay_like.server.pages.home import build_projects, first_page
from freeplay_like.server.pages.page import message_answer, page, signed_out_page
from freeplay_like.server.pages.static import static_routes
from freeplay_like.server.state import State

__all__ = ["message_answer", "page_routes", "signed_out_page"]

_ROOMS: Final = (calls, review, replay, live, one_call, sessions, templates, trials, health, settings)
"""In this order their addresses are looked at; `one_call` takes whatever stands behind `calls/`."""


def page_routes(state: State) -> list[BaseRoute]:
    """Every page of the review, its JSON twin, its forms, what streams, and the static files."""
    return [
        *static_routes(),
        Route("/", first_page(state), methods=["GET"]),
        *page("/projects", "projects.html", build_projects, state),
        *(route for room in _ROOMS for route in room.routes(state)),
    ]
