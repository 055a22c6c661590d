"""The HTTP contract, a file a resource. Paths and fields are Freeplay's where Freeplay has them."""

from __future__ import annotations

from typing import Final

from starlette.routing import BaseRoute

from freeplay_like.server.api import (
    agent_datasets,
    completions,
    datasets,
    deletion,
    environments,
    exports,
    freeplay_016,
    keys,
    models,
    otel_traces,
    projects,
    prompts,
    providers,
    running,
    search,
    sessions,
    statistics,
    test_runs,
    test_suites,
    traces,
)
from freeplay_like.server.api.operations import Operation, routes

OPERATIONS: Final[tuple[Operation, ...]] = (
    *projects.OPERATIONS,
    *keys.OPERATIONS,
    *models.OPERATIONS,
    *providers.OPERATIONS,
    *environments.OPERATIONS,
    *prompts.OPERATIONS,
    *datasets.OPERATIONS,
    *agent_datasets.OPERATIONS,
    *test_runs.OPERATIONS,
    *test_suites.OPERATIONS,
    *sessions.OPERATIONS,
    *traces.OPERATIONS,
    *otel_traces.OPERATIONS,
    *search.OPERATIONS,
    *statistics.OPERATIONS,
    *completions.OPERATIONS,  # after those whose addresses say more than an id
    *exports.OPERATIONS,
    *running.OPERATIONS,
    *deletion.OPERATIONS,
    *freeplay_016.OPERATIONS,
)
"""Every operation of the API, but for the intake of records and spans, in the order in which addresses are tried."""


def api_routes() -> list[BaseRoute]:
    """The table of routes. One address is one line, whatever methods it takes: 405 then names them all."""
    return list(routes(OPERATIONS))
