"""The page of one call, and its deletion."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.records import Record
from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import calls_address, where
from freeplay_like.server.pages.call.context import Around, CallContext, CallDeletionContext, LiveContext
from freeplay_like.server.pages.call.tree import TraceView, trace_of
from freeplay_like.server.pages.call.view import View, view_of
from freeplay_like.server.pages.formats import explanation_of, output_tokens_per_s
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.review.verdict import review_of
from freeplay_like.server.state import State
from freeplay_like.server.store.records.trace_views import Trace
from freeplay_like.server.store.trials.test_runs import RunInfo, RunNotFound
from freeplay_like.server.store.views import Project, StoredCall, TemplateVersion

REPLAYS_LIMIT: Final = 20
"""The most calls that asked this one again which the page names."""


def build_call(state: State, request: Request) -> CallContext | LiveContext:
    """One call, or as much of it as there is while it runs.

    Raises:
        PageProblem: no such project, or no such call in it.
    """
    project = project_of(state, request)
    record_id, view = request.path_params["record_id"], view_of(request)
    # In this order: a call that ends in between is stored before it is no longer running.
    live = state.live.get((project.key, record_id))
    call = state.store.calls.get(project.id, record_id)
    if call is None and live is not None:
        return LiveContext(project=project, live=live, view=view)
    if call is None:
        raise _no_such_call(project, record_id)
    names = state.store.reviews.score_names(project)
    return CallContext(
        project=project,
        call=call,
        cost=state.store.prices.derivation(project.id, record_id),
        explanation=explanation_of(call.record),
        output_tokens_per_s=output_tokens_per_s(call.record),
        around=_around(state, project, call, view),
        review=review_of(call, require_person(request).id, names),
        view=view,
        api_base=state.settings.api_base,
    )


def build_deletion(state: State, request: Request) -> CallDeletionContext:
    """The question whether a call is to be deleted.

    Raises:
        PageProblem: no such project, or no such call in it.
    """
    project = project_of(state, request)
    record_id = request.path_params["record_id"]
    call = state.store.calls.get(project.id, record_id)
    if call is None:
        raise _no_such_call(project, record_id)
    return CallDeletionContext(project=project, call=call)


def delete_call(sent: Sent) -> Response:
    """Delete a call, and lead to the list.

    Raises:
        PageProblem: no such project, or no such call in it.
    """
    project = project_of(sent.state, sent.request)
    record_id = sent.request.path_params["record_id"]
    if not sent.state.store.deletion.record(project, record_id).records:
        raise _no_such_call(project, record_id)
    return then(calls_address(project.id))


def _no_such_call(project: Project, record_id: str) -> PageProblem:
    return PageProblem(
        "No such call",
        f"Project {project.name!r} has no call {record_id[:100]!r}. A call shows here as soon as the process that made "
        "it has delivered its record.",
    )


# --- what it belongs to -----------------------------------------------------------------------------------


def _around(state: State, project: Project, call: StoredCall, view: View) -> Around:
    record = call.record
    return Around(
        place=state.store.conversations.place(project.id, call.row),
        template=_version(state, project, record),
        trace=_trace(state, project, record),
        otel=_otel(state, project, record) if view.tab == "timeline" else None,
        run=_run(state, project, record),
        replays=state.store.calls.page(project.id, where(replay_of=record.record_id), limit=REPLAYS_LIMIT).rows,
        holding=state.store.reviews.holding(project, record.record_id),
    )


def _version(state: State, project: Project, record: Record) -> TemplateVersion | None:
    made_from = record.template
    if made_from is None or made_from.template_id is None or made_from.version_id is None:
        return None
    return state.store.prompts.get_version(project.id, made_from.template_id, made_from.version_id)


def _trace(state: State, project: Project, record: Record) -> Trace | None:
    if record.trace_id is None:
        return None
    whole = state.store.traces.get(project.id, record.trace_id)
    return None if whole is None else whole.trace


def _otel(state: State, project: Project, record: Record) -> TraceView | None:
    if record.otel_trace_id is None:
        return None
    tree = state.store.spans.tree(project.id, record.otel_trace_id)
    return trace_of(record.otel_trace_id, tree, record.record_id)


def _run(state: State, project: Project, record: Record) -> RunInfo | None:
    if record.test_run_id is None:
        return None
    try:
        return state.store.test_runs.get(project, record.test_run_id).info
    except RunNotFound:
        return None  # the run was deleted, or the sender made its id up: the page shows the id
