"""A template: one version of it, all versions in numbers, its environments, and who moved them."""

from __future__ import annotations

import json

from starlette.requests import Request

from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.templates.context import EnvironmentRow, TemplateContext, VersionContent, VersionRow
from freeplay_like.server.pages.templates.who import moves_of
from freeplay_like.server.state import State
from freeplay_like.server.store.prompts.figures import NO_CALLS, NO_THUMBS, VERSIONS_LIMIT
from freeplay_like.server.store.prompts.views import LATEST, TemplateNotFound
from freeplay_like.server.store.views import Project, TemplateSummary, TemplateVersion, VersionSummary

SAID = {
    "saved": "Saved as a new version.",
    "same": "The newest version says exactly this already: there was nothing to save.",
    "moved": "Moved.",
    "changed": "Changed.",
    "put-away": "The version was put away.",
}
"""What was just done, as an address has it and as people read it."""


def build_template(state: State, request: Request) -> TemplateContext:
    """A template, and its newest version or the one that the address names.

    Raises:
        PageProblem: no such project or version.
        TemplateNotFound: no such template.
    """
    project = project_of(state, request)
    template_id = request.path_params["template_id"]
    version_id = request.path_params.get("version_id")
    stored = None if version_id is None else version_of(state, project, template_id, version_id)
    template, is_put_away = _summary(state, project, template_id, stored)
    if version_id is None and template.versions:
        stored = version_of(state, project, template_id, template.versions[0].version_id)
    content = None if stored is None else VersionContent.of(stored)
    rows, is_partial = _rows(state, project, template, content)
    told = {row.summary.version_id for row in rows}
    tag = None if content is None else _tag(template, content.version_id)
    return TemplateContext(
        project=project,
        template=template,
        content=content,
        is_put_away=is_put_away,
        rows=rows,
        further=tuple(version for version in template.versions if version.version_id not in told),
        environments=() if is_put_away else _environments(state, project, template),
        moves=() if is_put_away else moves_of(state, project, template_id),
        code="" if content is None else code_of(state.settings.url, project.id, template.name, content, tag),
        tag=tag,
        is_partial=is_partial,
        said=SAID.get(request.query_params.get("said", ""), ""),
    )


def version_of(state: State, project: Project, template_id: str, version_id: str) -> TemplateVersion:
    """A version by its ids, also of a template that was put away.

    Raises:
        PageProblem: there is none.
    """
    version = state.store.prompts.get_version(project.id, template_id, version_id)
    if version is None:
        raise PageProblem(
            "No such template version",
            f"Project {project.name!r} has no version {version_id[:100]!r} of a template {template_id[:100]!r}.",
        )
    return version


def code_of(url: str, project_id: str, name: str, content: VersionContent, tag: str | None) -> str:
    """The code that uses a template as an environment has it. Pure."""
    values = ", ".join(f"{_literal(each)}: ..." for each in content.variables)
    return (
        f"fp = Freeplay(api_base={_literal(url + '/api')})\n"
        "answer = fp.get_completion(\n"
        f"    {_literal(project_id)},\n"
        f"    {_literal(name)},\n"
        f"    {{{values}}},\n"
        f"    tag={_literal(tag or LATEST)},\n"
        ")"
    )


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _summary(
    state: State, project: Project, template_id: str, stored: TemplateVersion | None
) -> tuple[TemplateSummary, bool]:
    """The template, and whether it was put away: then calls still lead to the version that they were made with."""
    try:
        return state.store.prompts.find(project, template_id), False
    except TemplateNotFound:
        if stored is None:
            raise
    template = stored.template
    version = VersionSummary(
        version_id=template.version_id or "",
        version=template.version or "",
        name=stored.name,
        description=template.description,
        provider=template.provider,
        flavor=template.flavor_name,
        model=template.model,
        created_at=stored.created_at,
        environments=(),
    )
    away = TemplateSummary(
        template_id=template_id, name=template.name, created_at=stored.created_at, versions=(version,)
    )
    return away, True


def _rows(
    state: State, project: Project, template: TemplateSummary, content: VersionContent | None
) -> tuple[tuple[VersionRow, ...], bool]:
    """The newest versions and the one that is shown, with their calls; and whether those were counted in part."""
    shown = content.version_id if content else None
    others = [version for version in template.versions if version.version_id != shown][: VERSIONS_LIMIT - 1]
    told = [version for version in template.versions if version.version_id == shown or version in others]
    found = state.store.prompt_figures.by_version(project, template.name, [version.version for version in told])
    places = {version.version_id: place for place, version in enumerate(template.versions)}
    ids = [version.version_id for version in template.versions]
    rows = tuple(
        VersionRow(
            summary=version,
            before_id=next(iter(ids[places[version.version_id] + 1 :]), None),
            calls=found.calls.get(version.version, NO_CALLS),
            thumbs=found.thumbs.get(version.version, NO_THUMBS),
        )
        for version in told
    )
    return rows, found.is_partial


def _environments(state: State, project: Project, template: TemplateSummary) -> tuple[EnvironmentRow, ...]:
    at = {name: version for version in template.versions for name in version.environments}
    return tuple(
        EnvironmentRow(environment=environment, at=at.get(environment.name))
        for environment in state.store.environments.all(project)
    )


def _tag(template: TemplateSummary, version_id: str) -> str | None:
    """An environment that points at the version; None where none does."""
    version = next((each for each in template.versions if each.version_id == version_id), None)
    if version is None:
        return None
    if version.environments:
        return "prod" if "prod" in version.environments else version.environments[0]
    return LATEST if version is template.versions[0] else None
