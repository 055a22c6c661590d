"""Saving the list's filter under a name, and forgetting it again."""

from __future__ import annotations

from starlette.responses import Response

from freeplay_like.server.pages.addresses import calls_address
from freeplay_like.server.pages.calls.listing import checked_period
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import project_of
from freeplay_like.server.store.derived.filter_text import parse


def save_view(sent: Sent) -> Response:
    """Save `q` and `period` under a `name`, and lead back to the list."""
    project = project_of(sent.state, sent.request)
    view = sent.state.store.saved_views.create(
        project,
        name=sent.form.require("name", "the view's name"),
        query=sent.form.get("q"),
        period=checked_period(sent.form.get("period")),
        person_id=sent.person.id or None,
    )
    return then(calls_address(project.id, parse(view.query), period=view.period))


def delete_view(sent: Sent) -> Response:
    """Forget a view, and lead back to the list that it was."""
    project = project_of(sent.state, sent.request)
    view = sent.state.store.saved_views.get(project, sent.request.path_params["view_id"])
    sent.state.store.saved_views.delete(project, view.id)
    return then(calls_address(project.id, parse(view.query), period=view.period))
