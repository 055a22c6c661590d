"""Prompt templates: their versions, what changed, and where environments point."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from freeplay_like.server.pages.forms import action
from freeplay_like.server.pages.page import page
from freeplay_like.server.pages.templates import deploying, editor, environments
from freeplay_like.server.pages.templates.comparing import build_diff
from freeplay_like.server.pages.templates.files import file_endpoint
from freeplay_like.server.pages.templates.one_template import build_template
from freeplay_like.server.pages.templates.tree import build_templates
from freeplay_like.server.state import State

__all__ = ["routes"]


def routes(state: State) -> list[BaseRoute]:
    """The templates of a project, their editor, and the environments."""
    templates = "/projects/{project_id}/templates"
    template = f"{templates}/{{template_id}}"
    version = f"{template}/versions/{{version_id}}"
    return [
        *page(templates, "templates/templates.html", build_templates, state),
        *page(f"{templates}/new", "templates/editor.html", editor.build_new, state),
        action(f"{templates}/new", editor.edit, state),
        action(f"{templates}/render", editor.rendered, state),
        *page(f"{template}/edit", "templates/editor.html", editor.build_editor, state),
        action(f"{template}/edit", editor.edit, state),
        *page(f"{template}/diff", "templates/diff.html", build_diff, state),
        *page(f"{template}/move", "templates/move.html", deploying.build_move, state),
        action(f"{template}/move", deploying.move, state),
        action(f"{template}/change", deploying.change_template, state),
        action(f"{template}/put-away", deploying.put_template_away, state),
        action(f"{version}/put-away", deploying.put_version_away, state),
        Route(f"{version}/file", file_endpoint(state), methods=["GET"]),
        *page(version, "templates/template.html", build_template, state),
        *page(template, "templates/template.html", build_template, state),
        *_environments(state),
    ]


def _environments(state: State) -> list[BaseRoute]:
    environments_of = "/projects/{project_id}/environments"
    environment = f"{environments_of}/{{environment_id}}"
    return [
        *page(environments_of, "templates/environments.html", environments.build_environments, state),
        action(environments_of, environments.create, state),
        action(environment, environments.change, state),
        action(f"{environment}/delete", environments.delete, state),
    ]
