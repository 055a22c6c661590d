"""What a project is set to: its name, keys, providers, prices and retention; and the people of the server."""

from __future__ import annotations

from starlette.routing import BaseRoute

from freeplay_like.server.pages.settings import data, keys, people, prices, project, providers
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The pages of this room, and their forms."""
    return [route for tab in (project, keys, people, providers, prices, data) for route in tab.routes(state)]
