"""The HTTP contract, a file a resource. Paths and fields are Freeplay's where Freeplay has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from freeplay_like.server.api import (
    datasets,
    deletion,
    environments,
    exports,
    freeplay_016,
    keys,
    models,
    projects,
    prompts,
    records,
    search,
    sessions,
    statistics,
    test_runs,
    test_suites,
    traces,
)
from freeplay_like.server.api.operations import Operation, routes

_PROJECT = "/api/v2/projects/{project_id}"
_TEMPLATES = f"{_PROJECT}/prompt-templates"

_Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

OPERATIONS: Final[tuple[Operation, ...]] = (
    *projects.OPERATIONS,
    *keys.OPERATIONS,
    *models.OPERATIONS,
    *environments.OPERATIONS,
    *datasets.OPERATIONS,
    *test_suites.OPERATIONS,
    *sessions.OPERATIONS,
    *traces.OPERATIONS,
    *search.OPERATIONS,
    *statistics.OPERATIONS,
    *exports.OPERATIONS,
    *deletion.OPERATIONS,
    *freeplay_016.OPERATIONS,
)
"""Every operation of the API, but for the intake of records and spans, in the order in which addresses are tried."""


def api_routes() -> list[BaseRoute]:
    """The table of routes. One address is one line, whatever methods it takes: 405 then names them all."""
    return [
        *routes(OPERATIONS),
        Route(f"{_TEMPLATES}/all/{{environment}}", prompts.list_templates, methods=["GET"]),
        Route(f"{_TEMPLATES}/name/{{name:path}}/versions", prompts.create_version, methods=["POST"]),
        Route(f"{_TEMPLATES}/name/{{name:path}}", prompts.get_template, methods=["GET"]),
        Route(f"{_TEMPLATES}/id/{{template_id}}/versions/{{version_id}}", prompts.get_version, methods=["GET"]),
        Route(
            f"{_TEMPLATES}/id/{{template_id}}/versions/{{version_id}}/environments",
            prompts.set_environments,
            methods=["POST"],
        ),
        _route(f"{_PROJECT}/completions/{{record_id}}", GET=records.get_completion, POST=records.update_completion),
        Route(f"{_PROJECT}/completion-feedback/id/{{record_id}}", records.give_feedback, methods=["POST"]),
        Route(f"{_PROJECT}/sessions/{{session_id}}", records.get_session, methods=["GET"]),
        Route(f"{_PROJECT}/test-runs", test_runs.create_test_run, methods=["POST"]),
        Route(f"{_PROJECT}/test-runs/id/{{test_run_id}}", test_runs.get_test_run, methods=["GET"]),
        Route("/api/projects/{project_id}/test-runs", test_runs.create_playlist_run, methods=["POST"]),
    ]


def _route(path: str, *, GET: _Endpoint, POST: _Endpoint) -> Route:  # noqa: N803  methods are written in capitals
    """One address that is read and written."""

    async def endpoint(request: Request) -> Response:
        return await (POST if request.method == "POST" else GET)(request)

    return Route(path, endpoint, methods=["GET", "POST"])
