"""How a page is answered: context to HTML or JSON, in a thread, and only to who is signed in."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from freeplay_like.core.wire import to_wire
from freeplay_like.server.auth import require_person
from freeplay_like.server.pages import addresses, formats
from freeplay_like.server.pages.context import MessageContext
from freeplay_like.server.pages.static import asset
from freeplay_like.server.state import State
from freeplay_like.server.store.views import CallFilter, Project

Build: TypeAlias = Callable[[State, Request], object]
"""Makes a page's context. Blocks: it is called in a thread.

Raises:
    PageProblem: there is no such page.
"""

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_HEADERS: Final = {"Cache-Control": "private, no-cache"}
_TEMPLATES: Final = pathlib.Path(__file__).resolve().parent.parent / "templates"


class PageProblem(Exception):
    """The page cannot be shown. `title` and `message` are for people."""

    def __init__(self, title: str, message: str, *, status: int = 404) -> None:
        super().__init__(message)
        self.title = title
        self.message = message
        self.status = status


@functools.cache
def environment() -> jinja2.Environment:
    """The templates. Everything is escaped; a name that is not there is an error."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        exact=formats.exact,
        duration=formats.duration,
        dollars=formats.dollars,
        count=formats.count,
        rate=formats.rate,
        pretty=formats.pretty,
        pretty_text=formats.pretty_text,
        inline=formats.inline,
    )
    for address in (
        addresses.project_address,
        addresses.calls_address,
        addresses.call_address,
        addresses.session_address,
        addresses.version_address,
    ):
        env.globals[address.__name__] = address
    env.globals["asset"] = asset
    env.globals["CallFilter"] = CallFilter
    return env


def render(template: str, context: object, warning: str | None = None) -> str:
    """A template, filled in. Templates know the context as `page` and write times with `ago`.

    `warning` is what everybody should know who looks at any page.
    """
    now = datetime.now(UTC)
    return (
        environment()
        .get_template(template)
        .render(page=context, ago=lambda then: formats.ago(then, now), warning=warning)
    )


def page(path: str, template: str, build: Build, state: State) -> list[Route]:
    """The routes of a page and of its JSON twin."""
    html, json = _html(template, build, state), _json(build, state)
    return [Route(f"{path}.json", json, methods=["GET"]), Route(path, html, methods=["GET"])]


def _html(template: str, build: Build, state: State) -> Endpoint:
    def answer(request: Request) -> Response:
        try:
            context = build(state, request)
        except PageProblem as problem:
            return message_page(problem.title, problem.message, status=problem.status)
        return HTMLResponse(render(template, context, state.store.disk.problem), headers=_HEADERS)

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint


def _json(build: Build, state: State) -> Endpoint:
    def answer(request: Request) -> Response:
        try:
            context = build(state, request)
        except PageProblem as problem:
            return JSONResponse({"message": problem.message}, status_code=problem.status)
        body = formats.indented(to_wire(context))
        return Response(body, media_type="application/json", headers=_HEADERS)

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint


def project_of(state: State, request: Request) -> Project:
    """The project that the address names.

    Raises:
        PageProblem: there is none.
    """
    project_id = request.path_params["project_id"]
    project = state.store.projects.get(project_id)
    if project is None:
        raise PageProblem("No such project", f"There is no project {project_id!r} on this server.")
    return project


def message_page(
    title: str, message: str, *, status: int = 404, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A page that only says something: not found, method not allowed, a failure."""
    context = MessageContext(title=title, message=message)
    return HTMLResponse(render("message.html", context), status_code=status, headers={**_HEADERS, **(headers or {})})


def signed_out_page() -> HTMLResponse:
    """What a browser sees that is not signed in: how to get a link."""
    context = MessageContext(
        title="Sign in with a link",
        message="This browser is not signed in. Whoever runs this server can print a sign-in link; it works once, "
        "for 24 hours. In the folder where the server runs, with the same data folder:",
        commands=("freeplay-like init --data DIR --project NAME",),
        is_signed_in=False,
    )
    return HTMLResponse(render("message.html", context), status_code=401, headers=_HEADERS)
