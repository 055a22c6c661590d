"""One call: what was asked, what was answered, how it went, and what was said of it."""

from __future__ import annotations

from starlette.routing import BaseRoute

from freeplay_like.server.pages.call.page_of_call import build_call, build_deletion, delete_call
from freeplay_like.server.pages.forms import action
from freeplay_like.server.pages.page import page
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The page of a call, and its deletion."""
    call = "/projects/{project_id}/calls/{record_id}"
    return [
        *page(f"{call}/delete", "call/delete.html", build_deletion, state),
        action(f"{call}/delete", delete_call, state, may="admin"),
        *page(call, "call/page.html", build_call, state),
    ]
