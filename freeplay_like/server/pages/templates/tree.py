"""The templates of a project: a tree by their names, with where they are used and how they do."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request

from freeplay_like.server.pages.page import project_of
from freeplay_like.server.pages.templates.context import Folder, ForeignTemplate, Pointer, TemplateRow, TemplatesContext
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.facets import facet_value
from freeplay_like.server.store.prompts.figures import NO_CALLS, FiguresByTemplate
from freeplay_like.server.store.views import TemplateSummary


def build_templates(state: State, request: Request) -> TemplatesContext:
    """All templates of a project, or those whose names hold `search`.

    Raises:
        PageProblem: no such project.
    """
    project = project_of(state, request)
    search = request.query_params.get("search", "").strip()
    templates = state.store.prompts.summaries(project.id)
    figures = state.store.prompt_figures.by_template(project)
    known = {facet_value(template.name) for template in templates}
    return TemplatesContext(
        project=project,
        search=search,
        count=len(templates),
        folders=folders_of((each for each in templates if _has(each.name, search)), figures),
        foreign=tuple(
            ForeignTemplate(name=name, day_calls=figures.day_calls.get(name, 0), week=week)
            for name, week in sorted(figures.week.items())
            if name not in known and week.calls and _has(name, search)
        ),
        day_since=figures.day_since,
        week_since=figures.week_since,
        is_partial=figures.is_partial,
        base_url=state.settings.url,
    )


def folders_of(templates: Iterable[TemplateSummary], figures: FiguresByTemplate) -> tuple[Folder, ...]:
    """The templates by folder: those without one first, then folders by their paths. Pure."""
    by_path: dict[str, list[TemplateRow]] = {}
    for template in templates:
        path, _, label = template.name.rpartition("/")
        by_path.setdefault(path, []).append(_row(template, label, figures))
    return tuple(
        Folder(path=path, rows=tuple(sorted(rows, key=lambda row: row.label)))
        for path, rows in sorted(by_path.items(), key=lambda item: item[0].split("/"))
    )


def _row(template: TemplateSummary, label: str, figures: FiguresByTemplate) -> TemplateRow:
    pointers = [
        Pointer(environment=environment, version_id=version.version_id, version=version.version)
        for version in template.versions
        for environment in version.environments
    ]
    name = facet_value(template.name)
    return TemplateRow(
        template=template,
        label=label,
        pointers=tuple(sorted(pointers, key=lambda pointer: pointer.environment)),
        day_calls=figures.day_calls.get(name, 0),
        week=figures.week.get(name, NO_CALLS),
        by_day=figures.by_day.get(name, ()),
    )


def _has(name: str, search: str) -> bool:
    return search.casefold() in name.casefold()
