"""Signing in and out of the pages."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from freeplay_like.server.auth import SignInNeeded, is_own_address, person_of, session_cookie
from freeplay_like.server.state import state_of


async def sign_in(request: Request) -> Response:
    """Use up a link (`?token=`), and go on to `?next=`, a path on this server."""
    following = request.query_params.get("next") or "/"
    if not is_own_address(following):
        raise HTTPException(400, "'next' must be a path on this server, like /projects")
    response = RedirectResponse(following, 303)
    if request.method == "HEAD":
        return Response()  # whoever previews a link must not use it up
    state = state_of(request)
    token = await run_in_threadpool(state.store.people.sign_in, request.query_params.get("token", ""))
    if token is not None:
        response.headers["Set-Cookie"] = session_cookie(state.settings, token)
    elif person_of(request) is None:
        raise SignInNeeded
    return response


async def sign_out(request: Request) -> Response:
    """End the browser's session."""
    state, person = state_of(request), person_of(request)
    if person is not None:
        await run_in_threadpool(state.store.people.sign_out, person.session_token)
    response = RedirectResponse("/", 303)
    response.headers["Set-Cookie"] = session_cookie(state.settings, None)
    return response
