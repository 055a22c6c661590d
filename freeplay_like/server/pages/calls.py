"""The list of calls."""

from __future__ import annotations

from starlette.requests import Request

from freeplay_like.server.pages.addresses import filter_from
from freeplay_like.server.pages.context import CallsContext
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filter_text import as_filter
from freeplay_like.server.store.derived.filters import BadFilter
from freeplay_like.server.store.views import CallFilter

ROWS_A_PAGE = 50


def filter_of(request: Request) -> CallFilter:
    """The filter in the address.

    Raises:
        PageProblem: one that cannot be looked for.
    """
    filter = filter_from(request.query_params)
    try:
        as_filter(filter)
    except BadFilter as exc:
        raise PageProblem("This cannot be looked for", f"{exc}.", status=400) from exc
    return filter


def build_calls(state: State, request: Request) -> CallsContext:
    """A page of the list: `model`, `outcome`, `text`, `template` and `session` filter, `before` and `after` page.

    Raises:
        PageProblem: no such project, a filter that cannot be looked for, or a cursor that is none of ours.
    """
    project = project_of(state, request)
    filter = filter_of(request)
    before, after = request.query_params.get("before"), request.query_params.get("after")
    # Read before the rows: a record that comes in between is then seen twice, never missed.
    newest_seq = state.store.calls.newest_seq(project.id)
    try:
        page = state.store.calls.page(project.id, filter, before=before, after=after, limit=ROWS_A_PAGE)
    except ValueError as exc:
        raise PageProblem(
            "This address is damaged",
            "The address names a place in the list that does not exist. The list itself is one step up.",
            status=400,
        ) from exc
    return CallsContext(
        project=project,
        filter=filter,
        page=page,
        values=state.store.calls.filter_values(project.id),
        seen_seq=max(newest_seq, page.rows[0].seq if page.rows else 0),
        is_first_page=before is None and after is None,
        base_url=state.settings.url,
    )
