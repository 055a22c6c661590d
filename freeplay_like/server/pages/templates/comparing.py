"""The page that shows what changed from one version of a template to another."""

from __future__ import annotations

from typing import Final, Literal

import attrs
from starlette.requests import Request

from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.templates.changes import Changes, changes_of
from freeplay_like.server.pages.templates.context import VersionRow
from freeplay_like.server.pages.templates.one_template import version_of
from freeplay_like.server.state import State
from freeplay_like.server.store.prompts.figures import NO_CALLS, NO_THUMBS
from freeplay_like.server.store.views import Project, TemplateSummary, VersionSummary

View = Literal["unified", "sides"]
VIEWS: Final[dict[View, str]] = {"unified": "One under the other", "sides": "Side by side"}


@attrs.frozen(kw_only=True)
class DiffContext:
    """What changed from one version to another. `earlier` and `later` are the pairs of versions before and after."""

    project: Project
    template: TemplateSummary
    before: VersionRow
    after: VersionRow
    view: View
    changes: Changes
    earlier: tuple[str, str] | None
    later: tuple[str, str] | None


def build_diff(state: State, request: Request) -> DiffContext:
    """What changed `from` one version `to` another: by default, to the newest from the one before it.

    Raises:
        PageProblem: no such project or version, or there is nothing to compare with.
        TemplateNotFound: no such template.
    """
    project = project_of(state, request)
    template = state.store.prompts.find(project, request.path_params["template_id"])
    asked = request.query_params
    ids = [version.version_id for version in template.versions]
    after_id = asked.get("to") or next(iter(ids), "")
    before_id = asked.get("from") or _before(ids, after_id)
    if before_id is None:
        raise PageProblem("Nothing to compare with", "There is no version before this one.", status=400)
    before, after = (summary_of(template, each) for each in (before_id, after_id))
    contents = [version_of(state, project, template.template_id, each).template for each in (before_id, after_id)]
    rows = rows_of(state, project, template, (before, after))
    return DiffContext(
        project=project,
        template=template,
        before=rows[0],
        after=rows[1],
        view="sides" if asked.get("view") == "sides" else "unified",
        changes=changes_of(contents[0], contents[1]),
        earlier=_pair(ids, ids.index(before_id)),
        later=_pair(ids, ids.index(after_id) - 1),
    )


def summary_of(template: TemplateSummary, version_id: str) -> VersionSummary:
    """A version of a template by its id.

    Raises:
        PageProblem: there is none.
    """
    found = next((version for version in template.versions if version.version_id == version_id), None)
    if found is None:
        raise PageProblem(
            "No such template version", f"Template {template.name!r} has no version {version_id[:100]!r}."
        )
    return found


def rows_of(
    state: State, project: Project, template: TemplateSummary, versions: tuple[VersionSummary, ...]
) -> tuple[VersionRow, ...]:
    """Some versions with their calls."""
    found = state.store.prompt_figures.by_version(project, template.name, [each.version for each in versions])
    return tuple(
        VersionRow(
            summary=each,
            before_id=None,
            calls=found.calls.get(each.version, NO_CALLS),
            thumbs=found.thumbs.get(each.version, NO_THUMBS),
        )
        for each in versions
    )


def _before(ids: list[str], version_id: str) -> str | None:
    """The version before one, in a list that begins with the newest."""
    place = ids.index(version_id) + 1 if version_id in ids else len(ids)
    return ids[place] if place < len(ids) else None


def _pair(ids: list[str], place: int) -> tuple[str, str] | None:
    """The version at a place and the one before it, as `(from, to)`; None where one is not there."""
    return (ids[place + 1], ids[place]) if 0 <= place < len(ids) - 1 else None
