"""Projects. A key belongs to one project, so it sees that one."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.exceptions import HTTPException

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.operations import Ask, operation
from freeplay_like.server.checks import is_name, said_of_name


@attrs.frozen(kw_only=True)
class NewProject:
    """The body that makes a project."""

    name: str


@operation("GET", "/api/v2/projects/all", scope=None)
def list_projects(ask: Ask[None]) -> JsonObject:
    """The projects that the key belongs to: one."""
    return {"projects": [{"id": ask.project.id, "name": ask.project.name}]}


@operation("POST", "/api/v2/projects", scope="admin", body=NewProject, status=201)
def create_project(ask: Ask[NewProject]) -> JsonObject:
    """A new project, with a key of its own: the one that made it cannot see into it."""
    name = ask.body.name.strip()
    if not is_name(name):
        raise HTTPException(400, f"a project's {said_of_name(name)}")
    project = ask.store.projects.create(name)
    return {"id": project.id, "name": project.name, "api_key": ask.store.keys.create(project)}


OPERATIONS: Final = (list_projects, create_project)
