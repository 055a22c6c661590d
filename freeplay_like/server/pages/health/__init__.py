"""How the calls go, and whether their records arrive."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from freeplay_like.server.pages.health.page_of_health import build_health, server_part
from freeplay_like.server.pages.page import page
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The page, and the part of it that changes all the time."""
    health = "/projects/{project_id}/health"
    return [
        Route(f"{health}/server", server_part(state), methods=["GET"]),
        *page(health, "health/health.html", build_health, state),
    ]
