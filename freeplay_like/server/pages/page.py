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
from freeplay_like.server.auth import Person, require_person
from freeplay_like.server.pages import addresses, formats
from freeplay_like.server.pages.context import MessageContext
from freeplay_like.server.pages.markdown import markdown
from freeplay_like.server.pages.static import asset
from freeplay_like.server.state import State
from freeplay_like.server.store.views import NotFound, Project, Refused

Build: TypeAlias = Callable[[State, Request], object]
"""Makes a page's context. Blocks: it is called in a thread.

Raises:
    PageProblem, NotFound, Refused: there is no such page.
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
        compact=formats.compact,
        rate=formats.rate,
        pretty=formats.pretty,
        pretty_text=formats.pretty_text,
        inline=formats.inline,
        markdown=markdown,
        size=formats.size,
        clipped=formats.clipped,
        amount=formats.amount,
    )
    for name in addresses.__all__:
        env.globals[name] = getattr(addresses, name)
    env.globals["asset"] = asset
    return env


def render(template: str, context: object, *, person: Person | None = None, warning: str | None = None) -> str:
    """A whole page, filled in. Templates know the context as `page`, who looks at it as `person`, and `ago`.

    `warning` is what everybody should know who looks at any page.
    """
    return render_part(template, {"page": context, "person": person, "warning": warning})


def render_part(template: str, values: Mapping[str, object]) -> str:
    """A template, filled in with these names, and `ago`, with which times are written."""
    now = datetime.now(UTC)
    return environment().get_template(template).render(**values, ago=lambda then: formats.ago(then, now))


def page(path: str, template: str, build: Build, state: State) -> list[Route]:
    """The routes of a page and of its JSON twin."""
    html, json = _html(template, build, state), json_page(build, state)
    return [Route(f"{path}.json", json, methods=["GET"]), Route(path, html, methods=["GET"])]


def _html(template: str, build: Build, state: State) -> Endpoint:
    def answer(request: Request) -> Response:
        try:
            context = build(state, request)
        except PageProblem as problem:
            return message_page(problem.title, problem.message, status=problem.status)
        except (NotFound, Refused) as exc:
            return message_page(*_said(exc))
        warning = state.store.disk.problem
        return HTMLResponse(
            render(template, context, person=require_person(request), warning=warning), headers=_HEADERS
        )

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint


def json_page(build: Build, state: State) -> Endpoint:
    """The JSON twin of a page."""

    def answer(request: Request) -> Response:
        try:
            context = build(state, request)
        except PageProblem as problem:
            return JSONResponse({"message": problem.message}, status_code=problem.status)
        except (NotFound, Refused) as exc:
            return JSONResponse({"message": str(exc)}, status_code=404 if isinstance(exc, NotFound) else 400)
        body = formats.indented(to_wire(context))
        return Response(body, media_type="application/json", headers=_HEADERS)

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint


def _said(exc: NotFound | Refused) -> tuple[str, str, int]:
    if isinstance(exc, NotFound):
        return "There is no such thing", f"{exc}.", 404
    return "This cannot be shown", f"{exc}.", 400


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


def message_page(title: str, message: str, status: int = 404, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """A page that only says something: not found, method not allowed, a failure."""
    context = MessageContext(title=title, message=message)
    return HTMLResponse(render("message.html", context), status_code=status, headers={**_HEADERS, **(headers or {})})


def message_answer(
    request: Request, title: str, message: str, status: int, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A message as whoever asked can show it: the browser's script beside what stands there, a browser as a page."""
    if "hx-request" not in request.headers:
        return message_page(title, message, status=status, headers=headers)
    text = render_part("problem.html", {"title": title, "message": message})
    return HTMLResponse(text, status, {**_BESIDE, **(headers or {})})


_BESIDE: Final = {
    "HX-Retarget": "#problem",
    "HX-Reselect": ".problem",
    "HX-Reswap": "innerHTML",
    "HX-Push-Url": "false",
    "HX-Replace-Url": "false",
    "Cache-Control": "no-store",
}


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
