"""The page of one call."""

from __future__ import annotations

from starlette.requests import Request

from freeplay_like.server.pages.context import CallContext
from freeplay_like.server.pages.formats import explanation_of, output_tokens_per_s
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.state import State


def build_call(state: State, request: Request) -> CallContext:
    """One call.

    Raises:
        PageProblem: no such project, or no such call in it.
    """
    project = project_of(state, request)
    record_id = request.path_params["record_id"]
    call = state.store.calls.get(project.id, record_id)
    if call is None:
        raise PageProblem(
            "No such call",
            f"Project {project.name!r} has no call {record_id!r}. A call shows here as soon as the process that made "
            "it has delivered its record.",
        )
    return CallContext(
        project=project,
        call=call,
        cost=state.store.prices.derivation(project.id, record_id),
        explanation=explanation_of(call.record),
        output_tokens_per_s=output_tokens_per_s(call.record),
    )
