"""The prompt templates of a project, to read."""

from __future__ import annotations

from starlette.requests import Request

from freeplay_like.server.pages.context import TemplatesContext, TemplateVersionContext
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.state import State


def build_templates(state: State, request: Request) -> TemplatesContext:
    """All templates of a project.

    Raises:
        PageProblem: no such project.
    """
    project = project_of(state, request)
    templates = state.store.prompts.summaries(project.id)
    return TemplatesContext(project=project, templates=templates, base_url=state.settings.url)


def build_template_version(state: State, request: Request) -> TemplateVersionContext:
    """One version of a template.

    Raises:
        PageProblem: no such project, template or version.
    """
    project = project_of(state, request)
    template_id, version_id = request.path_params["template_id"], request.path_params["version_id"]
    version = state.store.prompts.get_version(project.id, template_id, version_id)
    summary = next((t for t in state.store.prompts.summaries(project.id) if t.template_id == template_id), None)
    if version is None or summary is None:
        raise PageProblem(
            "No such template version",
            f"Project {project.name!r} has no version {version_id!r} of a template {template_id!r}.",
        )
    return TemplateVersionContext.of(project, summary, version)
