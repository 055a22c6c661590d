"""Moving an environment of a template: shown with what it changes, confirmed, done. And putting things away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.errors import TemplateError
from freeplay_like.server.auth import Person, require_person
from freeplay_like.server.pages.addresses import project_address, template_address, version_address
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.templates.changes import Changes, changes_of
from freeplay_like.server.pages.templates.comparing import rows_of, summary_of
from freeplay_like.server.pages.templates.context import VersionRow
from freeplay_like.server.pages.templates.one_template import version_of
from freeplay_like.server.state import State
from freeplay_like.server.store.prompts.views import (
    LATEST,
    LatestIsNewest,
    MayNotDeploy,
    Mover,
    check_environment_name,
    check_name,
)
from freeplay_like.server.store.views import Project, Refused, TemplateSummary

REASON_LIMIT = 4_000


@attrs.frozen(kw_only=True)
class MoveContext:
    """An environment that is to point at another version, and what that changes.

    `at` is where it points now, `goal` where it is to point; None is nothing. `is_new`: the project has no such
    environment yet. `may`: whether whoever looks may do it.
    """

    project: Project
    template: TemplateSummary
    environment: str
    is_protected: bool
    is_new: bool
    at: VersionRow | None
    goal: VersionRow | None
    changes: Changes | None
    may: bool
    view: str = "unified"


def build_move(state: State, request: Request) -> MoveContext:
    """The page that asks whether an `environment` of a template is to point at a `version`, or at nothing.

    Raises:
        PageProblem: no such project or version.
        TemplateNotFound: no such template.
        Refused: nothing can be called so.
    """
    project = project_of(state, request)
    template = state.store.prompts.find(project, request.path_params["template_id"])
    name = request.query_params.get("environment", "").strip()
    _check_environment(name)
    version_id = request.query_params.get("version") or None
    known = next((each for each in state.store.environments.all(project) if each.name == name), None)
    at = next((version for version in template.versions if name in version.environments), None)
    goal = None if version_id is None else summary_of(template, version_id)
    if at == goal:
        what = "points at nothing" if goal is None else f"points at version {goal.version} already"
        raise PageProblem("Nothing to move", f"Environment {name!r} of {template.name!r} {what}.", status=400)
    shown = tuple(version for version in (at, goal) if version is not None)
    rows = {row.summary.version_id: row for row in rows_of(state, project, template, shown)}
    contents = [version_of(state, project, template.template_id, version.version_id).template for version in shown]
    return MoveContext(
        project=project,
        template=template,
        environment=name,
        is_protected=known is not None and known.is_protected,
        is_new=known is None,
        at=rows[at.version_id] if at else None,
        goal=rows[goal.version_id] if goal else None,
        changes=changes_of(contents[0], contents[1]) if len(contents) == 2 else None,
        may=known is None or not known.is_protected or require_person(request).is_admin,
    )


def move(sent: Sent) -> Response:
    """Point an environment at another version, as somebody confirmed.

    Raises:
        PageProblem: no such project, or whoever sent it may not.
        NotFound, Conflict, Refused, TooMuch: it stays where it is.
    """
    project, template_id = project_of(sent.state, sent.request), sent.request.path_params["template_id"]
    name, goal = sent.form.require("environment", "the environment"), sent.form.get("version") or None
    _check_environment(name)
    with allowed():
        sent.state.store.environments.move(
            project, template_id, name, mover(sent.person, reason_of(sent)), goal=goal, at=sent.form.get("at") or None
        )
    shown = version_address(project.id, template_id, goal) if goal else template_address(project.id, template_id)
    return then(f"{shown}?said=moved")


def change_template(sent: Sent) -> Response:
    """Rename a template, or describe it.

    Raises:
        PageProblem, NotFound, Conflict, Refused: it stays as it is.
    """
    project, template_id = project_of(sent.state, sent.request), sent.request.path_params["template_id"]
    name, description = sent.form.require("name", "the name"), sent.form.get("description")
    try:
        check_name(name)
    except TemplateError as exc:
        raise Refused(str(exc)) from exc
    _check_length("the description", description)
    sent.state.store.prompts.change(project, template_id, name=name, description=description)
    return then(f"{template_address(project.id, template_id)}?said=changed")


def put_template_away(sent: Sent) -> Response:
    """Take a template out of lists and environments.

    Raises:
        PageProblem, NotFound, Refused: it stays.
    """
    project, template_id = project_of(sent.state, sent.request), sent.request.path_params["template_id"]
    with allowed():
        sent.state.store.prompts.put_away(project, template_id, mover(sent.person, reason_of(sent)))
    return then(project_address(project.id, "templates"))


def put_version_away(sent: Sent) -> Response:
    """Take a version out of its template.

    Raises:
        PageProblem, NotFound, Conflict: it stays.
    """
    project = project_of(sent.state, sent.request)
    template_id, version_id = sent.request.path_params["template_id"], sent.request.path_params["version_id"]
    sent.state.store.prompts.put_version_away(project, template_id, version_id)
    return then(f"{template_address(project.id, template_id)}?said=put-away")


def mover(person: Person, reason: str | None = None) -> Mover:
    """A person, as one who points environments at versions."""
    return Mover(kind="person", id=person.id, may_deploy=person.is_admin, reason=reason)


@contextmanager
def allowed() -> Iterator[None]:
    """A page of 403 where the store refuses somebody who may not deploy."""
    try:
        yield
    except MayNotDeploy as exc:
        message = f"{exc}. Ask an administrator."
        raise PageProblem("For administrators", message[:1].upper() + message[1:], status=403) from exc


def reason_of(sent: Sent) -> str | None:
    """Why, as the form says; None where it does not.

    Raises:
        Refused: it is too long.
    """
    reason = sent.form.get("reason")
    _check_length("the reason", reason)
    return reason or None


def _check_length(what: str, text: str) -> None:
    if len(text) > REASON_LIMIT:
        raise Refused(f"{what} has {len(text):,} characters; at most {REASON_LIMIT:,} are kept")


def _check_environment(name: str) -> None:
    if name == LATEST:
        raise LatestIsNewest("'latest' always means the newest version; point another environment at this one")
    check_environment_name(name)
