"""The HTTP contract, a file a resource. Paths and fields are Freeplay's where Freeplay has them."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from freeplay_like.server.api import projects, prompts, records

_PROJECT = "/api/v2/projects/{project_id}"
_TEMPLATES = f"{_PROJECT}/prompt-templates"


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
        Route(f"{_PROJECT}/completions/{{record_id}}", records.get_completion, methods=["GET"]),
    ]
