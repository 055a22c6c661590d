"""The environments of a project: which there are, and which version of each template they have."""

from __future__ import annotations

import attrs
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import project_address
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.templates.deploying import allowed, mover
from freeplay_like.server.state import State
from freeplay_like.server.store.prompts.views import Environment, check_environment_name
from freeplay_like.server.store.views import Project, TemplateSummary, VersionSummary


@attrs.frozen(kw_only=True)
class Pointed:
    """A template's version in an environment; `behind` counts the versions that came after it."""

    version: VersionSummary
    behind: int


@attrs.frozen(kw_only=True)
class TemplateLine:
    """A template, and what each environment has of it, in the order of the environments; None where it has nothing."""

    template: TemplateSummary
    cells: tuple[Pointed | None, ...]


@attrs.frozen(kw_only=True)
class EnvironmentsContext:
    """The environments of a project, and where they point. `may`: whether whoever looks may change protected ones."""

    project: Project
    environments: tuple[Environment, ...]
    lines: tuple[TemplateLine, ...]
    may: bool


def build_environments(state: State, request: Request) -> EnvironmentsContext:
    """All environments of a project.

    Raises:
        PageProblem: no such project.
    """
    project = project_of(state, request)
    environments = state.store.environments.all(project)
    names = [environment.name for environment in environments]
    lines = (line_of(template, names) for template in state.store.prompts.summaries(project.id))
    return EnvironmentsContext(
        project=project,
        environments=environments,
        lines=tuple(line for line in lines if any(line.cells)),
        may=require_person(request).is_admin,
    )


def line_of(template: TemplateSummary, names: list[str]) -> TemplateLine:
    """What each of these environments has of a template. Pure."""
    at = {
        name: Pointed(version=version, behind=behind)
        for behind, version in enumerate(template.versions)
        for name in version.environments
    }
    return TemplateLine(template=template, cells=tuple(at.get(name) for name in names))


def create(sent: Sent) -> Response:
    """A new environment.

    Raises:
        PageProblem, Conflict, Refused, TooMuch: there is none.
    """
    project = project_of(sent.state, sent.request)
    name, is_protected = sent.form.require("name", "the name"), sent.form.has("is_protected")
    check_environment_name(name)
    if is_protected and not sent.person.is_admin:
        raise PageProblem("For administrators", "Only an administrator may protect an environment.", status=403)
    sent.state.store.environments.create(project, name, is_protected=is_protected)
    return then(project_address(project.id, "environments"))


def change(sent: Sent) -> Response:
    """Rename an environment, or protect it, or stop protecting it.

    Raises:
        PageProblem, NotFound, Conflict, Refused: it stays as it is.
    """
    project, environment_id = project_of(sent.state, sent.request), sent.request.path_params["environment_id"]
    name = sent.form.require("name", "the name")
    check_environment_name(name)
    is_protected = sent.form.has("is_protected") if sent.person.is_admin else None
    with allowed():
        sent.state.store.environments.change(
            project, environment_id, mover(sent.person), name=name, is_protected=is_protected
        )
    return then(project_address(project.id, "environments"))


def delete(sent: Sent) -> Response:
    """Delete an environment that no template has.

    Raises:
        PageProblem, NotFound, Conflict: it stays.
    """
    project = project_of(sent.state, sent.request)
    with allowed():
        sent.state.store.environments.delete(project, sent.request.path_params["environment_id"], mover(sent.person))
    return then(project_address(project.id, "environments"))
