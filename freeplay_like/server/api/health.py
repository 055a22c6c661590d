"""Whether records can be taken, whether anything can be shown, and the figures of this server."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like import __version__
from freeplay_like.server import metrics
from freeplay_like.server.auth import Keys, require_scope
from freeplay_like.server.http import json_response
from freeplay_like.server.keeper import Keeper
from freeplay_like.server.readings import families
from freeplay_like.server.state import State
from freeplay_like.server.store.disk import StoreReadOnly
from freeplay_like.server.store.views import StoreUnavailable

CHECK_TIMEOUT_S: Final = 2.0
REMEMBERED_S: Final = 0.5
"""How long an answer is good: asking often must not make the disk busy."""
_PROXY_HEADERS: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Health:
    """Answers `/healthz` with what a real write to the store says, and `/readyz` with what a real question says."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._problem: StoreUnavailable | TimeoutError | None = None

    async def can_take(self, request: Request) -> Response:
        """200 where records can be taken, else 503."""
        async with self._lock:
            if time.monotonic() - self._checked_at > REMEMBERED_S:
                self._problem = await run_in_threadpool(self._check)
                self._checked_at = time.monotonic()
        if self._problem is None:
            return json_response(_well("ok"))
        word = "read-only" if isinstance(self._problem, StoreReadOnly) else "unavailable"
        return json_response({"status": word, "message": str(self._problem)}, 503, {"Retry-After": "1"})

    async def can_show(self, request: Request) -> Response:
        """200 where pages and the API can be asked, also while nothing can be taken; 503 when it goes down."""
        if self._state.news.is_closing:
            return json_response({"status": "stopping", "message": "the server goes down"}, 503, {"Retry-After": "1"})
        await run_in_threadpool(self._state.store.status.now)
        return json_response(_well("read-only" if self._state.store.disk.is_full else "ok"))

    def _check(self) -> StoreUnavailable | TimeoutError | None:
        try:
            self._state.store.check(CHECK_TIMEOUT_S)
        except StoreUnavailable as exc:
            return exc
        except TimeoutError:
            return TimeoutError(f"the store did not write within {CHECK_TIMEOUT_S:g} s")
        return None


class Metrics:
    """Answers `/metrics`: to programs on this machine, and to whoever has a key with the scope `read`.

    The figures are of the whole server, and hold no names and no contents. A request that a proxy passed on is no
    request of this machine, wherever the proxy runs.
    """

    def __init__(self, state: State, keys: Keys, keeper: Keeper) -> None:
        self._state = state
        self._keys = keys
        self._keeper = keeper

    async def answer(self, request: Request) -> Response:
        """The figures as text; 401 or 403 to those who may not see them."""
        if not _is_local(request):
            require_scope(await self._keys.find(request.scope["headers"]), "read")
        text = await run_in_threadpool(lambda: metrics.render(families(self._state, self._keeper.failures)))
        return Response(text, headers={"Content-Type": metrics.CONTENT_TYPE})


def _well(word: str) -> Mapping[str, str]:
    return {"status": word, "version": __version__}


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _PROXY_HEADERS):
        return False
    return ipaddress.ip_address(request.client.host).is_loopback
