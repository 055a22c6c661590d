"""Datasets, test runs, and things side by side."""

from __future__ import annotations

from starlette.routing import BaseRoute

from freeplay_like.server.pages.trials.comparing import compare_routes
from freeplay_like.server.pages.trials.datasets import dataset_routes
from freeplay_like.server.pages.trials.runs import run_routes
from freeplay_like.server.pages.trials.suites import suite_routes
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The pages of this room."""
    return [*dataset_routes(state), *run_routes(state), *suite_routes(state), *compare_routes(state)]
