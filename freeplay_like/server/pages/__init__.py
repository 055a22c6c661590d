"""The review pages: what people look at.

A page is `request -> context -> template`: a function asks the store and answers a frozen value, a Jinja2 template
shows it, and the same value is the page's JSON under its address with `.json`. Everything works without
JavaScript, and every view has an address that can be sent to a colleague.
"""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from freeplay_like.server.pages.call import build_call
from freeplay_like.server.pages.calls import build_calls
from freeplay_like.server.pages.home import build_projects, first_page
from freeplay_like.server.pages.live import LiveTail
from freeplay_like.server.pages.page import message_page, page, signed_out_page
from freeplay_like.server.pages.sessions import build_session
from freeplay_like.server.pages.static import static_routes
from freeplay_like.server.pages.templates import build_template_version, build_templates
from freeplay_like.server.state import State

__all__ = ["message_page", "page_routes", "signed_out_page"]


def page_routes(state: State) -> list[BaseRoute]:
    """Every page of the review, its JSON twin, the live tail and the static files."""
    project = "/projects/{project_id}"
    version = "{template_id}/versions/{version_id}"
    return [
        *static_routes(),
        Route("/", first_page(state), methods=["GET"]),
        *page("/projects", "projects.html", build_projects, state),
        Route(f"{project}/calls/tail", LiveTail(state).answer, methods=["GET"]),
        *page(f"{project}/calls", "calls.html", build_calls, state),
        *page(f"{project}/calls/{{record_id}}", "call.html", build_call, state),
        *page(f"{project}/sessions/{{session_id}}", "session.html", build_session, state),
        *page(f"{project}/templates", "templates.html", build_templates, state),
        *page(f"{project}/templates/{version}", "template_version.html", build_template_version, state),
    ]
