"""Whether records can be taken."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like import __version__
from freeplay_like.server.http import json_response
from freeplay_like.server.state import State
from freeplay_like.server.store.views import StoreUnavailable

CHECK_TIMEOUT_S: Final = 2.0
REMEMBERED_S: Final = 0.5
"""How long an answer is good: asking often must not make the disk busy."""


class Health:
    """Answers `/healthz` with what a real write to the store says."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._problem: str | None = None

    async def answer(self, request: Request) -> Response:
        """200 where records can be taken, else 503."""
        async with self._lock:
            if time.monotonic() - self._checked_at > REMEMBERED_S:
                self._problem = await run_in_threadpool(self._check)
                self._checked_at = time.monotonic()
        if self._problem is None:
            return json_response({"status": "ok", "version": __version__})
        return json_response({"status": "unavailable", "message": self._problem}, 503, {"Retry-After": "1"})

    def _check(self) -> str | None:
        try:
            self._state.store.check(CHECK_TIMEOUT_S)
        except StoreUnavailable as exc:
            return str(exc)
        except TimeoutError:
            return f"the store did not write within {CHECK_TIMEOUT_S:g} s"
        return None
