"""The way in: the projects of this server."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import project_address
from freeplay_like.server.pages.context import ProjectsContext
from freeplay_like.server.pages.page import Endpoint
from freeplay_like.server.state import State


def build_projects(state: State, request: Request) -> ProjectsContext:
    """The list of projects."""
    return ProjectsContext(projects=state.store.projects.all(), base_url=state.settings.url)


def first_page(state: State) -> Endpoint:
    """Leads to the one project's calls, or to the list where there are several or none."""

    async def endpoint(request: Request) -> Response:
        require_person(request)
        projects = await run_in_threadpool(state.store.projects.all)
        return RedirectResponse(project_address(projects[0].id) if len(projects) == 1 else "/projects", 303)

    return endpoint
