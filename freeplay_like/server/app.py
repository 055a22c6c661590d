"""The server as one ASGI application: intake in front, then the API and the pages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freeplay_like.server import http
from freeplay_like.server.api import OPERATIONS, api_routes, openapi
from freeplay_like.server.api.health import Health, Metrics
from freeplay_like.server.api.sign_in import sign_in, sign_out
from freeplay_like.server.auth import Keys, People, SignInNeeded
from freeplay_like.server.bare import BARE
from freeplay_like.server.bulletin import Bulletin
from freeplay_like.server.executing import Executor
from freeplay_like.server.intake import Intake
from freeplay_like.server.keeper import Keeper
from freeplay_like.server.metrics import class_of
from freeplay_like.server.otlp import Otlp
from freeplay_like.server.pages import message_answer, page_routes, signed_out_page
from freeplay_like.server.protocol import DIRECT_KEY
from freeplay_like.server.state import State, Topic
from freeplay_like.server.store.views import StoreUnavailable

_REFUSALS: Final = {
    404: "There is nothing at this address.",
    405: "This address does not take such a request.",
    413: "What was sent is too large.",
}


def create_app(state: State) -> ASGIApp:
    """The application over an open store; the store is closed when the server goes down."""
    keys = Keys(state.store)
    intake = Intake(state, keys)
    keeper = Keeper(state.store, keys.take_used)
    executor = Executor(state)
    state.failures["housekeeping"] = lambda: keeper.failures
    state.failures["test runs"] = lambda: executor.failures
    state.failures["running calls"] = lambda: state.live.failures
    health = Health(state)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, object]]:
        loop = asyncio.get_running_loop()
        bulletin = Bulletin(state.store.database, _hearing(state, loop))
        state.failures["news of other servers"] = lambda: bulletin.failures
        state.news.tell_others = bulletin.tell
        state.store.prices.tell_others = lambda: bulletin.tell("prices")
        intake.start(loop)
        bulletin.start()
        keeper.start()
        executor.start()
        yield {DIRECT_KEY: intake}
        state.news.close()
        await run_in_threadpool(executor.stop)
        await run_in_threadpool(keeper.stop)
        await run_in_threadpool(state.live.stop)
        await run_in_threadpool(bulletin.stop)
        await run_in_threadpool(state.store.close)

    app = Starlette(
        routes=[
            Route("/healthz", health.can_take, methods=["GET"]),
            Route("/readyz", health.can_show, methods=["GET"]),
            Route("/metrics", Metrics(state, keys, keeper).answer, methods=["GET"]),
            Route("/sign-in", sign_in, methods=["GET"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            *Otlp(state, keys).routes(),
            Route(openapi.PATH, openapi.endpoint([*OPERATIONS, *BARE]), methods=["GET"]),
            *api_routes(),
            *page_routes(state),
        ],
        middleware=[
            # Level 4 takes half the time of level 9 and leaves a page a tenth larger. Events are sent as they are.
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=4),
            Middleware(People, state=state, on_unavailable=_on_unavailable),
        ],
        exception_handlers={
            HTTPException: _on_refused,
            SignInNeeded: _on_sign_in_needed,
            StoreUnavailable: _on_unavailable,
            Exception: _on_failure,
        },
        lifespan=lifespan,
    )
    app.state.server = state
    app.state.keys = keys
    hosts = http.HostList([state.settings.host], is_remote=state.settings.is_remote)
    guarded = _Guard(app, hosts, state)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and intake.is_for(scope["path"]):
            await intake(scope, receive, send)
        else:
            await guarded(scope, receive, send)

    return application


def _hearing(state: State, loop: asyncio.AbstractEventLoop) -> Mapping[Topic, Callable[[], None]]:
    """What is done where another server tells of something; in the bulletin's thread."""

    def records() -> None:
        loop.call_soon_threadsafe(state.news.hear)
        state.store.wake()

    return {
        "records": records,
        "running": state.live.hear,
        "work": state.work.wake,
        "prices": state.store.prices.hear,
    }


class _Guard:
    """Answers only to our own names, sends every answer with the headers that browsers need, and counts it."""

    def __init__(self, app: ASGIApp, hosts: http.HostList, state: State) -> None:
        self._app = app
        self._hosts = hosts
        self._requests = state.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *http.SECURITY_HEADERS]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
                self._requests.count(class_of(scope["path"]), message["status"])
            await send(message)

        problem = self._hosts.problem(scope["headers"])
        app = self._app if problem is None else http.json_error(400, problem)
        await app(scope, receive, send_with_headers)


def _wants_page(request: Request) -> bool:
    """Whether a person reads the answer: not below the API, nor at an address that is JSON by its name."""
    path = request.url.path
    return (
        not path.startswith("/api/") and not path.endswith(".json") and "text/html" in request.headers.get("accept", "")
    )


async def _on_refused(request: Request, exc: Exception) -> Response:
    refused = cast("HTTPException", exc)
    if _wants_page(request):
        return message_answer(
            request, refused.detail, _REFUSALS.get(refused.status_code, ""), status=refused.status_code
        )
    return http.json_error(refused.status_code, refused.detail, refused.headers)


async def _on_sign_in_needed(request: Request, exc: Exception) -> Response:
    if _wants_page(request):
        return signed_out_page()
    return http.json_error(401, "sign in first: `freeplay-like init --data DIR --project NAME` prints a link")


async def _on_unavailable(request: Request, exc: Exception) -> Response:
    headers = {"Retry-After": "1"}
    if _wants_page(request):
        said = str(exc)
        message = f"{said[:1].upper()}{said[1:]}. Nothing is lost: try again in a moment."
        return message_answer(request, "The server cannot answer just now", message, status=503, headers=headers)
    return http.json_error(503, str(exc), headers)


async def _on_failure(request: Request, exc: Exception) -> Response:
    """Starlette raises the error again behind this answer, and uvicorn logs it with its traceback."""
    return http.json_error(500, "the server failed to answer; its log says why")
