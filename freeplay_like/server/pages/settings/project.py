"""The project itself: its name, its addresses, how much there is of it; and making another one."""

from __future__ import annotations

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.pages.addresses import project_address, settings_address
from freeplay_like.server.pages.forms import Form, Sent, action, then
from freeplay_like.server.pages.page import page, project_of
from freeplay_like.server.pages.settings.common import SettingsContext, common_of
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.views import Project, Refused


@attrs.frozen(kw_only=True)
class Contents:
    """How much there is of a project."""

    calls: int
    templates: int
    datasets: int
    keys: int


@attrs.frozen(kw_only=True)
class ProjectContext(SettingsContext):
    """The tab of the project itself. `api_base` is what an SDK is given."""

    api_base: str
    contents: Contents


DATASETS_LIMIT = 10_000
"""The most datasets that are counted."""


def contents_of(state: State, project: Project) -> Contents:
    """How much there is of a project."""
    store = state.store
    now = store.now()
    return Contents(
        calls=store.statistics.facets(project.id, EVERYTHING, ()).calls,
        templates=len(store.prompts.summaries(project.id)),
        datasets=len(store.datasets.page(project, None, 0, DATASETS_LIMIT)),
        keys=sum(key.is_live(now) for key in store.keys.all(project)),
    )


def name_in(form: Form) -> str:
    """The name of a project that somebody typed.

    Raises:
        Refused: nothing can be called so.
    """
    name = form.get("name")
    if not is_name(name):
        raise Refused(f"a project's {said_of_name(name)}")
    return name


def routes(state: State) -> list[BaseRoute]:
    """The tab, and its forms."""
    place = "/projects/{project_id}/settings"
    return [
        *page(place, "settings/project.html", _build, state),
        action(f"{place}/name", _rename, state, may="admin"),
        action("/projects", _make, state, may="admin"),
    ]


def _build(state: State, request: Request) -> ProjectContext:
    common = common_of(state, request, "project")
    return ProjectContext(common=common, api_base=state.settings.api_base, contents=contents_of(state, common.project))


def _rename(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    sent.state.store.projects.change(project, name=name_in(sent.form), retention_days=project.retention_days)
    return then(settings_address(project.id, said="renamed"))


def _make(sent: Sent) -> Response:
    return then(project_address(sent.state.store.projects.create(name_in(sent.form)).id))
