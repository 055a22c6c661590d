"""Records, read back. They come in through `intake`."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.server.auth import require_key
from freeplay_like.server.http import json_response
from freeplay_like.server.state import state_of


async def get_completion(request: Request) -> Response:
    """The record of one call, in the shape it was sent in."""
    project = await require_key(request, "read")
    record_id = request.path_params["record_id"]
    stored = await run_in_threadpool(state_of(request).store.get_call, project.id, record_id)
    if stored is None:
        raise HTTPException(404, f"no record {record_id!r} in project {project.name!r}")
    return json_response(stored.record)
