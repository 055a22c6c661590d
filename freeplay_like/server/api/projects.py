"""Projects. A key belongs to one project, so it sees that one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import attrs
import msgspec
from starlette.exceptions import HTTPException

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.operations import PROJECT, Ask, operation
from freeplay_like.server.checks import NAME_LIMIT, RETENTION_LIMIT_DAYS, is_name, said_of_name
from freeplay_like.server.store.removal.deletion import DeletionReport
from freeplay_like.server.store.views import Project

Days = Annotated[int, msgspec.Meta(ge=1, le=RETENTION_LIMIT_DAYS)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LIMIT)]


@attrs.frozen(kw_only=True)
class NewProject:
    """The body that makes a project. `retention_days` None or absent: records are kept for ever."""

    name: Name
    retention_days: Days | None = None


@attrs.frozen(kw_only=True)
class ChangedProject:
    """The body that changes a project: its name where there is one, and how long it keeps records (None: for ever)."""

    retention_days: Days | None
    name: Name | None = None


@attrs.frozen(kw_only=True)
class ShownProject:
    """A project."""

    id: str
    name: str
    created_at: datetime
    retention_days: int | None


@operation("GET", "/api/v2/projects/all", scope=None)
def list_projects(ask: Ask[None]) -> JsonObject:
    """The projects that the key belongs to: one."""
    return {"projects": [{"id": ask.project.id, "name": ask.project.name}]}


@operation("POST", "/api/v2/projects", scope="admin", body=NewProject, status=201)
def create_project(ask: Ask[NewProject]) -> JsonObject:
    """A new project, with a key of its own: the one that made it cannot see into it."""
    project = ask.store.projects.create(_name(ask.body.name))
    if ask.body.retention_days is not None:
        project = ask.store.projects.change(project, retention_days=ask.body.retention_days)
    key = ask.store.keys.create(project, name="made with the project")
    return {"id": project.id, "name": project.name, "api_key": key}


@operation("GET", PROJECT, scope="read", returns=ShownProject)
def get_project(ask: Ask[None]) -> ShownProject:
    """The project, and how long it keeps its records."""
    # not the one that the key brought: that may be five seconds old
    return _shown(ask.store.projects.get(ask.project.id) or ask.project)


@operation("PUT", PROJECT, scope="admin", body=ChangedProject, returns=ShownProject)
def change_project(ask: Ask[ChangedProject]) -> ShownProject:
    """Give the project another name, or another retention: records that are older are deleted within minutes."""
    name = None if ask.body.name is None else _name(ask.body.name)
    return _shown(ask.store.projects.change(ask.project, name=name, retention_days=ask.body.retention_days))


@operation("DELETE", PROJECT, scope="admin", returns=DeletionReport)
def delete_project(ask: Ask[None]) -> DeletionReport:
    """Delete the project and everything of it: records, prompts, datasets, test runs, keys. There is no way back."""
    return ask.store.deletion.project(ask.project)


OPERATIONS: Final = (list_projects, create_project, get_project, change_project, delete_project)


def _name(text: str) -> str:
    name = text.strip()
    if not is_name(name):
        raise HTTPException(400, f"name: a project's {said_of_name(name)}")
    return name


def _shown(project: Project) -> ShownProject:
    return ShownProject(
        id=project.id, name=project.name, created_at=project.created_at, retention_days=project.retention_days
    )
