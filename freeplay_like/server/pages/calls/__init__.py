"""The list of calls: finding them, watching them come, and taking some of them elsewhere."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from freeplay_like.server.pages.calls.listing import build_calls, calls_page
from freeplay_like.server.pages.calls.narrowed import build_figures, narrow
from freeplay_like.server.pages.calls.saving import delete_view, save_view
from freeplay_like.server.pages.calls.selection import take
from freeplay_like.server.pages.calls.tail import LiveTail
from freeplay_like.server.pages.forms import action
from freeplay_like.server.pages.page import json_page, page
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The list, its parts that come on their own, and what can be done with calls that are chosen from it."""
    project = "/projects/{project_id}"
    calls = f"{project}/calls"
    return [
        Route(f"{calls}/tail", LiveTail(state).answer, methods=["GET"]),
        Route(f"{calls}/narrow", narrow(state), methods=["GET"]),
        *page(f"{calls}/figures", "calls/figures.html", build_figures, state),
        Route(f"{calls}.json", json_page(build_calls, state), methods=["GET"]),
        Route(calls, calls_page(state), methods=["GET"]),
        action(f"{project}/selection", take, state),
        action(f"{project}/views", save_view, state),
        action(f"{project}/views/{{view_id}}/delete", delete_view, state),
    ]
