"""The page of a project's health."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import PERIODS, health_address
from freeplay_like.server.pages.formats import dollars
from freeplay_like.server.pages.health.calls import BYS, By, CallsView, Row, Table, look, valued
from freeplay_like.server.pages.health.figures import Figure, figures
from freeplay_like.server.pages.health.server import ServerView, read
from freeplay_like.server.pages.health.words import share
from freeplay_like.server.pages.page import Endpoint, PageProblem, message_page, project_of, render_part
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.charts import ChartPoint
from freeplay_like.server.store.derived.filters import Filter
from freeplay_like.server.store.views import Project

DEFAULT_PERIOD: Final = "24h"


@attrs.frozen(kw_only=True)
class HealthContext:
    """How the calls go, and how the server is."""

    project: Project
    calls: CallsView
    server: ServerView

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The drawings."""
        return figures(self.calls)

    @property
    def periods(self) -> tuple[tuple[str, str, str], ...]:
        """The time ranges that can be chosen: name, words and address."""
        return tuple(
            (name, words, health_address(self.project.id, period=name, by=self.calls.by))
            for name, words in PERIODS.items()
        )

    @property
    def orders(self) -> tuple[tuple[By, str], ...]:
        """What the tables can be sorted by, with the address."""
        return tuple((by, health_address(self.project.id, period=self.calls.period, by=by)) for by in BYS)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables."""
        return self.calls.models, self.calls.templates

    def error_share(self, point: ChartPoint) -> str:
        """How many of its calls failed, as people read it."""
        return share(point.errors, point.calls)

    def cost(self, point: ChartPoint) -> str:
        """What its calls cost, as far as that is known."""
        return dollars(round(point.cost_usd * 1e9) if point.priced_calls else None)

    def address_of(self, table: Table, row: Row, *further: Filter) -> str | None:
        """The calls of a row of a table, narrowed; None where no filter says which they are."""
        which = valued(table.field, row)
        return None if which is None else self.calls.address(which, *further)


def build_health(state: State, request: Request) -> HealthContext:
    """The page: `period` says which time, `by` how the tables are sorted.

    Raises:
        PageProblem: no such project, time range or order.
    """
    project = project_of(state, request)
    period = request.query_params.get("period") or DEFAULT_PERIOD
    said = request.query_params.get("by") or BYS[0]
    by = next((known for known in BYS if known == said), None)
    if period not in PERIODS or by is None:
        raise PageProblem(
            "This cannot be shown",
            f"The time range is one of {', '.join(PERIODS)}, and the order one of {', '.join(BYS)}.",
            status=400,
        )
    store = state.store
    return HealthContext(
        project=project,
        calls=look(store.statistics, project.id, period, by, store.now()),
        server=read(state, project),
    )


def server_part(state: State) -> Endpoint:
    """How the server is at this moment, as a part of the page."""

    def answer(request: Request) -> Response:
        try:
            project = project_of(state, request)
        except PageProblem as problem:
            return message_page(problem.title, problem.message, status=problem.status)
        html = render_part("health/server.html", {"project": project, "server": read(state, project)})
        return HTMLResponse(html, headers={"Cache-Control": "no-store"})

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint
