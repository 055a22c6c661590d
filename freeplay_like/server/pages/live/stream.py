"""The text of a call that runs, sent as it comes.

An event `text` holds what is to be put behind the text that is there already, escaped as HTML; its id is how many
characters there are with it, which a reader that comes back says in `Last-Event-ID`. An event `end` says that the
call has ended: its record is stored, or nothing was heard of it for long.
"""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.page import PageProblem, message_page, project_of
from freeplay_like.server.state import State
from freeplay_like.server.store.engines.database import RecordKey
from freeplay_like.server.store.views import StoreUnavailable

MOST_READERS: Final = 100
"""Connections that may be open at once; one more is asked to come back."""
HEARTBEAT_S: Final = 5.0
"""How long a connection is silent at most."""
PAUSE_S: Final = 0.1
"""Between two events at least."""


class LiveText:
    """The text of every call that runs, and how many read one now."""

    def __init__(self, state: State, *, most: int = MOST_READERS) -> None:
        self._state = state
        self._most = most
        self._open = 0

    async def answer(self, request: Request) -> Response:
        """The endpoint; `after` says how many characters the reader has."""
        require_person(request)
        try:
            if self._open >= self._most:
                raise PageProblem(
                    "Too many live pages", "Too many pages are watching; reload to try again.", status=503
                )
            project = await run_in_threadpool(project_of, self._state, request)
            seen = _seen(request)
        except PageProblem as problem:
            headers = {"HX-Reswap": "none", "Retry-After": "5"}
            return message_page(problem.title, problem.message, status=problem.status, headers=headers)
        events = self._events((project.key, request.path_params["record_id"]), seen)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(self, call: RecordKey, seen: int) -> AsyncIterator[str]:
        live = self._state.live
        self._open += 1
        try:
            yield ": here\n\n"
            while not self._state.news.is_closing:
                issue = live.issue
                try:
                    more = await run_in_threadpool(live.text, call, seen)
                except StoreUnavailable:
                    more = ""  # it may go on
                if more is None:
                    yield "event: end\ndata:\n\n"
                    return
                if more:
                    seen += len(more)
                    yield _event(more, seen)
                    await asyncio.sleep(PAUSE_S)
                    continue
                await live.wait(HEARTBEAT_S, issue)
                yield ": still here\n\n"
        finally:
            self._open -= 1


def _event(text: str, seen: int) -> str:
    """One server-sent event; every kind of line end in its data begins a new data line."""
    lines = re.split("\r\n|\r|\n", html.escape(text))
    return "".join([f"id: {seen}\nevent: text\n", *(f"data: {line}\n" for line in lines), "\n"])


def _seen(request: Request) -> int:
    """How many characters the reader has: what it says itself on coming back, or what its page said."""
    said = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise PageProblem("This address is damaged", f"after={said[:100]!r} is not a number of characters.", status=400)
    return int(said)
