"""The HTTP contract, a file a resource. Paths and fields are Freeplay's where Freeplay has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from freeplay_like.server.api import datasets, projects, prompts, records, test_runs

_PROJECT = "/api/v2/projects/{project_id}"
_TEMPLATES = f"{_PROJECT}/prompt-templates"

_Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def api_routes() -> list[BaseRoute]:
    """The table of routes. One address is one line, whatever methods it takes: 405 then names them all."""
    return [
        Route("/api/v2/projects", projects.create_project, methods=["POST"]),
        Route("/api/v2/projects/all", projects.list_projects, methods=["GET"]),
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
        _route(f"{_PROJECT}/prompt-datasets", GET=datasets.list_datasets, POST=datasets.create_dataset),
        _route(f"{_PROJECT}/datasets/id/{{dataset_id}}/test-cases", GET=datasets.list_cases, POST=datasets.add_cases),
        Route(f"{_PROJECT}/test-runs", test_runs.create_test_run, methods=["POST"]),
        Route(f"{_PROJECT}/test-runs/id/{{test_run_id}}", test_runs.get_test_run, methods=["GET"]),
        Route("/api/projects/{project_id}/test-runs", test_runs.create_playlist_run, methods=["POST"]),
    ]


def _route(path: str, *, GET: _Endpoint, POST: _Endpoint) -> Route:  # noqa: N803  methods are written in capitals
    """One address that is read and written."""

    async def endpoint(request: Request) -> Response:
        return await (POST if request.method == "POST" else GET)(request)

    return Route(path, endpoint, methods=["GET", "POST"])
