"""Projects. A key belongs to one project, so it sees that one."""

from __future__ import annotations

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.server.auth import keys_of, require_scope
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.http import json_response, read_json
from freeplay_like.server.state import state_of
from freeplay_like.server.store.views import NameTaken


@attrs.frozen(kw_only=True)
class NewProject:
    """The body that makes a project."""

    name: str


async def list_projects(request: Request) -> Response:
    """The projects that the key belongs to: one."""
    key = await keys_of(request).find(request.scope["headers"])
    return json_response({"projects": [{"id": key.project.id, "name": key.project.name}]})


async def create_project(request: Request) -> Response:
    """A new project, with a key of its own: the one that made it cannot see into it."""
    require_scope(await keys_of(request).find(request.scope["headers"]), "admin")
    name = (await read_json(request, NewProject)).name.strip()
    if not is_name(name):
        raise HTTPException(400, f"a project's {said_of_name(name)}")
    store = state_of(request).store
    try:
        project = await run_in_threadpool(store.create_project, name)
    except NameTaken as exc:
        raise HTTPException(409, f"{exc}; choose another name") from exc
    api_key = await run_in_threadpool(store.create_key, project)
    return json_response({"id": project.id, "name": project.name, "api_key": api_key}, 201)
