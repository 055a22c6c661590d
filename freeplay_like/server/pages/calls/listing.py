"""The list of calls: which ones an address asks for, and a page of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import PERIODS
from freeplay_like.server.pages.calls.context import CallsContext, Marks, WrongContext
from freeplay_like.server.pages.calls.figures import SMALL_STORE, figures_of
from freeplay_like.server.pages.page import Endpoint, PageProblem, message_page, project_of, render
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import BadFilter, Filter, all_of, term
from freeplay_like.server.store.views import CallPage, CallRow, Project

ROWS_A_PAGE: Final = 50
DATASETS_OFFERED: Final = 200
"""Of so many datasets, the newest, one can be chosen to take calls."""

_HOURS: Final = {"1h": 1, "24h": 24, "7d": 7 * 24, "30d": 30 * 24}
_HEADERS: Final = {"Cache-Control": "private, no-cache", "Vary": "HX-Request"}
_STAY: Final = {
    "HX-Reswap": "none",
    "HX-Replace-Url": "false",
    "HX-Push-Url": "false",
}
"""Makes the browser's script leave the list as it is, and show only what is wrong (see `hx-select-oob` of the form)."""


@attrs.frozen(kw_only=True)
class Asked:
    """Which calls an address asks for: `query` as it is typed, and `period`, a time range that moves along."""

    query: str = ""
    period: str | None = None

    @property
    def filter(self) -> Filter:
        """What the query says, without the time range.

        Raises:
            BadFilter: it is none.
        """
        return parse(self.query)

    def which(self, now: datetime) -> Filter:
        """The filter, at this moment.

        Raises:
            BadFilter: the query is none.
        """
        return all_of([self.filter, *_within(self.period, now)])


def asked_of(request: Request) -> Asked:
    """What the address asks for (`q`, `period`).

    Raises:
        PageProblem: it cannot be looked for.
    """
    asked = _typed(request)
    try:
        parse(asked.query)
    except BadFilter as exc:
        raise PageProblem("This cannot be looked for", f"{exc}.", status=400) from exc
    return asked


def _typed(request: Request) -> Asked:
    """What the address says, where the query may be none."""
    period = checked_period(request.query_params.get("period", ""))
    return Asked(query=request.query_params.get("q", "").strip(), period=period)


def checked_period(text: str) -> str | None:
    """A time range that moves along; None where none is said.

    Raises:
        PageProblem: there is none of that name.
    """
    period = text.strip() or None
    if period is not None and period not in PERIODS:
        said = f"{period[:100]!r} is no time range; there are {', '.join(PERIODS)}."
        raise PageProblem("This cannot be looked for", said, status=400)
    return period


def calls_page(state: State) -> Endpoint:
    """The list. A query that is none is said beside the box it was typed in."""

    def answer(request: Request) -> Response:
        try:
            context = _build(state, request, _typed(request))
        except BadFilter as exc:
            return _wrong(state, request, f"{exc}.")
        except PageProblem as problem:
            return message_page(problem.title, problem.message, status=problem.status)
        html = render("calls/calls.html", context, person=require_person(request), warning=state.store.disk.problem)
        return HTMLResponse(html, headers=_HEADERS)

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint


def _wrong(state: State, request: Request, message: str) -> Response:
    asked, project = _typed(request), project_of(state, request)
    context = WrongContext(
        project=project,
        query=asked.query,
        period=asked.period,
        problem=message,
        views=state.store.saved_views.all(project),
    )
    is_by_script = "hx-request" in request.headers
    html = render("calls/wrong.html", context, person=require_person(request), warning=state.store.disk.problem)
    # Somebody is still typing: to the script this is an answer like any other.
    status, headers = (200, {**_HEADERS, **_STAY}) if is_by_script else (400, _HEADERS)
    return HTMLResponse(html, status_code=status, headers=headers)


def build_calls(state: State, request: Request) -> CallsContext:
    """A page of the list: `q` and `period` say which calls, `before` and `after` page.

    Raises:
        PageProblem: no such project, a filter that cannot be looked for, or a cursor that is none of ours.
    """
    return _build(state, request, asked_of(request))


def _build(state: State, request: Request, asked: Asked) -> CallsContext:
    project = project_of(state, request)
    # Read before the rows: what comes in between is told by the live tail, and never missed.
    listed_seq = state.store.calls.listed_seq()
    newest_seq = state.store.calls.newest_seq(project.id)
    which = asked.which(state.store.now())
    page = _page(state, request, project, which)
    is_first_page = not {"before", "after"} & set(request.query_params)
    is_told = newest_seq <= SMALL_STORE or "figures" in request.query_params
    return CallsContext(
        project=project,
        query=asked.query,
        period=asked.period,
        page=page,
        marks=marks_of(state, project, page.rows),
        views=state.store.saved_views.all(project),
        figures=figures_of(state, project, parse(asked.query), which) if is_told and newest_seq else None,
        running=state.live.ids(project.key) if is_first_page else (),
        seen_seq=max(min(listed_seq, newest_seq), page.rows[-1].seq - 1 if page.older else 0),
        is_first_page=is_first_page,
        peek=request.query_params.get("peek") or None,
        datasets=state.store.datasets.page(project, "prompt", 0, DATASETS_OFFERED),
        base_url=state.settings.url,
    )


def _page(state: State, request: Request, project: Project, which: Filter) -> CallPage:
    before, after = request.query_params.get("before"), request.query_params.get("after")
    try:
        return state.store.calls.page(project.id, which, before=before, after=after, limit=ROWS_A_PAGE)
    except ValueError as exc:
        raise PageProblem(
            "This address is damaged",
            "The address names a place in the list that does not exist. The list itself is one step up.",
            status=400,
        ) from exc


def marks_of(state: State, project: Project, rows: tuple[CallRow, ...]) -> dict[str, Marks]:
    """What people said of calls, by record id; a call of which nothing was said is left out."""
    ids = [row.record_id for row in rows]
    feedback, reviews = state.store.calls.feedback(project, ids), state.store.reviews.of_calls(project, ids)
    said = {*feedback, *reviews}
    return {one: Marks(feedback=feedback.get(one), reviews=reviews.get(one, ())) for one in ids if one in said}


def _within(period: str | None, now: datetime) -> list[Filter]:
    """The range as filters: the last hours up to now, or a day from midnight to midnight in UTC."""
    if period is None:
        return []
    if period in _HOURS:
        return [term("started_at", "gte", (now - timedelta(hours=_HOURS[period])).isoformat())]
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "yesterday":
        begin = day - timedelta(days=1)
        return [term("started_at", "gte", begin.isoformat()), term("started_at", "lt", day.isoformat())]
    return [term("started_at", "gte", day.isoformat())]
