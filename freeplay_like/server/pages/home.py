"""The way in: the projects of this server, and how each has been doing for a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import project_address
from freeplay_like.server.pages.page import Endpoint
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.charts import ChartAsk, span_of
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter, all_of, term
from freeplay_like.server.store.views import Project

HOURS: Final = 24
BAR, GAP, HEIGHT = 4, 1, 24
"""The small drawing's own units."""


@attrs.frozen(kw_only=True)
class Hour:
    """The calls that began in an hour, and how many of them failed."""

    begins_at: datetime
    calls: int
    errors: int


@attrs.frozen(kw_only=True)
class Bar:
    """An hour as it is drawn: where it stands, and how high all its calls and the failed ones among them are."""

    x: int
    height: float
    failed_height: float


@attrs.frozen(kw_only=True)
class ProjectRow:
    """A project, its last hours, and when its newest call began, None where it has none."""

    project: Project
    last_call_at: datetime | None
    hours: tuple[Hour, ...]

    @property
    def calls(self) -> int:
        """How many there were in these hours."""
        return sum(hour.calls for hour in self.hours)

    @property
    def errors(self) -> int:
        """How many of them failed."""
        return sum(hour.errors for hour in self.hours)

    @property
    def error_share(self) -> str:
        """The share that failed, as people read it."""
        if not self.calls:
            return "\N{EN DASH}"
        share = 100 * self.errors / self.calls
        if 0 < share < 0.1:
            return "< 0.1 %"
        return f"{share:.0f} %" if share >= 10 or not self.errors else f"{share:.1f} %"

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The drawing."""
        return bars_of(self.hours)

    @property
    def since(self) -> Filter:
        """The calls of these hours."""
        return term("started_at", "gte", self.hours[0].begins_at.isoformat())

    @property
    def failed(self) -> Filter:
        """Those that failed."""
        return all_of((term("outcome", "eq", "error"), self.since))


@attrs.frozen(kw_only=True)
class ProjectsContext:
    """All projects, newest first. `is_deleted`: the page is come to after one was deleted."""

    rows: tuple[ProjectRow, ...]
    base_url: str
    is_deleted: bool

    bar: int = BAR
    width: int = HOURS * (BAR + GAP)
    height: int = HEIGHT


def bars_of(hours: tuple[Hour, ...]) -> tuple[Bar, ...]:
    """The drawing of some hours; one with any call can always be seen."""
    most = max((hour.calls for hour in hours), default=0) or 1

    def height(count: int) -> float:
        return round(max(1.5, count / most * HEIGHT), 1) if count else 0.0

    return tuple(
        Bar(x=place * (BAR + GAP), height=height(hour.calls), failed_height=height(hour.errors))
        for place, hour in enumerate(hours)
    )


def build_projects(state: State, request: Request) -> ProjectsContext:
    """The list of projects."""
    now = state.store.now().astimezone(UTC)
    return ProjectsContext(
        rows=tuple(_row(state, project, now) for project in state.store.projects.all()),
        base_url=state.settings.url,
        is_deleted="deleted" in request.query_params,
    )


def first_page(state: State) -> Endpoint:
    """Leads to the one project's calls, or to the list where there are several or none."""

    async def endpoint(request: Request) -> Response:
        require_person(request)
        projects = await run_in_threadpool(state.store.projects.all)
        return RedirectResponse(project_address(projects[0].id) if len(projects) == 1 else "/projects", 303)

    return endpoint


def _row(state: State, project: Project, now: datetime) -> ProjectRow:
    begins_at = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    ask = ChartAsk(span=span_of(begins_at, now, 3600), by=None, filter=EVERYTHING, has_quantiles=False)
    points = {at: point for one in state.store.statistics.chart(project.id, ask).series for at, point in one.points}
    moments = (begins_at + timedelta(hours=place) for place in range(HOURS))
    newest = state.store.calls.page(project.id, EVERYTHING, limit=1).rows
    return ProjectRow(
        project=project,
        last_call_at=newest[0].started_at if newest else None,
        hours=tuple(
            Hour(
                begins_at=at,
                calls=points[at].calls if at in points else 0,
                errors=points[at].errors if at in points else 0,
            )
            for at in moments
        ),
    )
