"""The live tail of the list of calls: server-sent events that carry table rows.

Each event's id is the `seq` up to which the reader is served, and a reader that comes back says it in
`Last-Event-ID`: nothing is shown twice, nothing is left out.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.calls import filter_of
from freeplay_like.server.pages.page import PageProblem, message_page, project_of, render
from freeplay_like.server.state import State
from freeplay_like.server.store.views import CallFilter, CallRow, Project

MOST_TAILS: Final = 100
"""Connections that may be open at once; one more is asked to come back."""

HEARTBEAT_S: Final = 15.0
"""How long a connection is silent at most: a reader that went away is noticed by writing to it."""

PAUSE_S: Final = 0.25
"""Between two events at least: on a busy server rows come in groups."""

MOST_ROWS: Final = 100
"""A reader further behind than this is told so, and loads the page again."""


@attrs.frozen(kw_only=True)
class RowsContext:
    """Rows to put on top of a list, newest first."""

    project: Project
    rows: tuple[CallRow, ...]


@attrs.frozen(kw_only=True)
class _Step:
    """What there is to say to a reader: an event, and how far it is served with it."""

    event: str
    seen_seq: int
    is_last: bool = False


class LiveTail:
    """The tail of every project, and how many read it now."""

    def __init__(self, state: State, *, most: int = MOST_TAILS, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._state = state
        self._most = most
        self._heartbeat_s = heartbeat_s
        self._open = 0

    async def answer(self, request: Request) -> Response:
        """The endpoint: the list's filters, and in `after` the record from which on to tell."""
        require_person(request)
        try:
            if self._open >= self._most:
                raise PageProblem(
                    "Too many live pages", "Too many pages are watching; reload to try again.", status=503
                )
            project = await run_in_threadpool(project_of, self._state, request)
            seen_seq = _seen_seq(request)
            filter = filter_of(request)
        except PageProblem as problem:
            # The page keeps what it shows; its reader tries again where that can help.
            headers = {"HX-Reswap": "none", "Retry-After": "5"}
            return message_page(problem.title, problem.message, status=problem.status, headers=headers)
        events = self._events(project, filter, seen_seq)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(self, project: Project, filter: CallFilter, seen_seq: int) -> AsyncIterator[str]:
        news = self._state.news
        self._open += 1
        try:
            yield ": here\n\n"
            while not news.is_closing:
                issue = news.issue
                step = await run_in_threadpool(self._step, project, filter, seen_seq)
                if step.event:
                    yield step.event
                if step.is_last:
                    return
                seen_seq = step.seen_seq
                if step.event:
                    await asyncio.sleep(PAUSE_S)
                if issue == news.issue:
                    await news.wait(self._heartbeat_s)
                if issue == news.issue:
                    yield f"id: {seen_seq}\n\n"
        finally:
            self._open -= 1

    def _step(self, project: Project, filter: CallFilter, seen_seq: int) -> _Step:
        # Read before the rows: what comes in between is told now, and is not skipped next time.
        newest_seq = self._state.store.calls.newest_seq(project.id)
        if newest_seq <= seen_seq:
            return _Step(event="", seen_seq=seen_seq)
        rows = self._state.store.calls.after(project.id, filter, seen_seq, limit=MOST_ROWS + 1)
        if len(rows) > MOST_ROWS:
            return _Step(event="event: behind\ndata:\n\n", seen_seq=seen_seq, is_last=True)
        if not rows:
            return _Step(event="", seen_seq=newest_seq)
        seen_seq = max(newest_seq, rows[-1].seq)
        html = render("rows.html", RowsContext(project=project, rows=rows[::-1]))
        return _Step(event=_event(html, seen_seq), seen_seq=seen_seq)


def _event(html: str, seq: int) -> str:
    """One server-sent event; every kind of line end in its data begins a new data line."""
    lines = re.split("\r\n|\r|\n", html)
    return "".join([f"id: {seq}\n", *(f"data: {line}\n" for line in lines), "\n"])


def _seen_seq(request: Request) -> int:
    """How far the reader is served: what it says itself on coming back, or what its page said."""
    said = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise PageProblem("This address is damaged", f"after={said!r} is not the number of a record.", status=400)
    return int(said)
