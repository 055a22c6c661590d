"""Parts of the list that come on their own: its figures, and the way to a list that is narrowed to a range."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import calls_address
from freeplay_like.server.pages.calls.context import FiguresContext
from freeplay_like.server.pages.calls.figures import figures_of
from freeplay_like.server.pages.calls.listing import asked_of
from freeplay_like.server.pages.calls.narrowing import with_range
from freeplay_like.server.pages.page import Endpoint, PageProblem, message_page, project_of
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import BadFilter, find_field


def build_figures(state: State, request: Request) -> FiguresContext:
    """The figures of the list that the address asks for."""
    project, asked = project_of(state, request), asked_of(request)
    query = parse(asked.query)
    return FiguresContext(
        project=project,
        query=asked.query,
        period=asked.period,
        figures=figures_of(state, project, query, asked.which(state.store.now())),
    )


def narrow(state: State) -> Endpoint:
    """Leads to the list narrowed to a range: `field` from `low` to `high`, each of which may be blank.

    A range of time takes the place of the time range that moves along.
    """

    def answer(request: Request) -> Response:
        try:
            return RedirectResponse(_narrowed(state, request), 303)
        except PageProblem as problem:
            return message_page(problem.title, problem.message, status=problem.status)
        except BadFilter as exc:
            return message_page("This cannot be looked for", f"{exc}.", status=400)

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint


def _narrowed(state: State, request: Request) -> str:
    project, asked = project_of(state, request), asked_of(request)
    field, low, high = (request.query_params.get(name, "").strip() for name in ("field", "low", "high"))
    which = with_range(parse(asked.query), field, low, high)
    is_time = find_field(field)[0].kind == "time"
    return calls_address(project.id, which, period=None if is_time else asked.period)
