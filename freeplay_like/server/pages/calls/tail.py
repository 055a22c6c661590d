"""The live tail of the list of calls: server-sent events that carry table rows, and how many calls run now.

Each event's id is the `seq` up to which the reader is served, and a reader that comes back says it in
`Last-Event-ID`: nothing is shown twice, nothing is left out. Records are told up to where their numbers have settled:
where several servers store, one may have a lower number and be there later.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Final

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.calls.context import RowsContext
from freeplay_like.server.pages.calls.listing import Asked, asked_of, marks_of
from freeplay_like.server.pages.page import PageProblem, message_page, project_of, render
from freeplay_like.server.state import State
from freeplay_like.server.store.views import CallRow, Project

MOST_TAILS: Final = 100
"""Connections that may be open at once; one more is asked to come back."""

HEARTBEAT_S: Final = 15.0
"""How long a connection is silent at most: a reader that went away is noticed by writing to it."""

PAUSE_S: Final = 0.25
"""Between two events at least: on a busy server rows come in groups."""

RUNNING_S: Final = 1.0
"""How often is looked which calls run now: each of their chunks is news, and few of them change the list."""

MOST_ROWS: Final = 100
"""A reader further behind than this is told so, and loads the page again."""


@attrs.frozen(kw_only=True)
class _Step:
    """What there is to say to a reader: an event, and how far it is served with it."""

    event: str
    seen_seq: int
    is_last: bool = False


@attrs.frozen(kw_only=True)
class _Reader:
    """What a reader is told of."""

    project: Project
    asked: Asked
    shown: frozenset[int]


class LiveTail:
    """The tail of every project, and how many read it now."""

    def __init__(self, state: State, *, most: int = MOST_TAILS, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._state = state
        self._most = most
        self._heartbeat_s = heartbeat_s
        self._open = 0

    async def answer(self, request: Request) -> Response:
        """The endpoint: the list's filters, and in `after` the record from which on to tell, but for those in `shown`.

        `running` says that the page shows calls that run.
        """
        require_person(request)
        try:
            if self._open >= self._most:
                raise PageProblem(
                    "Too many live pages", "Too many pages are watching; reload to try again.", status=503
                )
            project = await run_in_threadpool(project_of, self._state, request)
            seen_seq, shown = _seen_seq(request), _shown(request)
            asked = asked_of(request)
        except PageProblem as problem:
            # The page keeps what it shows; its reader tries again where that can help.
            headers = {"HX-Reswap": "none", "Retry-After": "5"}
            return message_page(problem.title, problem.message, status=problem.status, headers=headers)
        running = None if "running" in request.query_params else ()  # None: what its page shows may be over by now
        events = self._events(_Reader(project=project, asked=asked, shown=shown), seen_seq, running)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(self, reader: _Reader, seen_seq: int, running: tuple[str, ...] | None) -> AsyncIterator[str]:
        news = self._state.news
        self._open += 1
        try:
            yield ": here\n\n"
            while not news.is_closing:
                issue = news.issue
                runs = await self._running(reader)
                step = await run_in_threadpool(self._step, reader, seen_seq, runs, is_told=runs == running)
                if step.event:
                    yield step.event
                if step.is_last:
                    return
                seen_seq, running = step.seen_seq, runs
                if step.event:
                    await asyncio.sleep(PAUSE_S)
                until_s = time.monotonic() + self._heartbeat_s
                while issue == news.issue and running == await self._running(reader):
                    await news.wait(min(RUNNING_S, self._heartbeat_s))
                    if time.monotonic() >= until_s:
                        yield f"id: {seen_seq}\n\n"
                        break
        finally:
            self._open -= 1

    async def _running(self, reader: _Reader) -> tuple[str, ...]:
        return await run_in_threadpool(self._state.live.ids, reader.project.key)

    def _step(self, reader: _Reader, seen_seq: int, running: tuple[str, ...], *, is_told: bool) -> _Step:
        rows: tuple[CallRow, ...] = ()
        calls, project = self._state.store.calls, reader.project
        if calls.newest_seq(project.id) > seen_seq:
            settled_seq = calls.settled_seq()  # asked before the rows
            which = reader.asked.which(self._state.store.now())
            found = calls.after(project.id, which, seen_seq, limit=MOST_ROWS + len(reader.shown) + 1)
            rows = tuple(row for row in reversed(found) if row.seq <= settled_seq and row.seq not in reader.shown)
            if len(rows) > MOST_ROWS:
                return _Step(event="event: behind\ndata:\n\n", seen_seq=seen_seq, is_last=True)
            seen_seq = max(settled_seq, seen_seq)
        marks = marks_of(self._state, project, rows)
        context = RowsContext(project=project, rows=rows, marks=marks, running=running)
        # Apart, as a page that somebody reads holds rows back: what runs is over while they wait.
        parts = [*(["calls/tail.html"] if rows else []), *([] if is_told else ["calls/running.html"])]
        event = "".join(_event(render(part, context), seen_seq) for part in parts)
        return _Step(event=event, seen_seq=seen_seq)


def _event(html: str, seq: int) -> str:
    """One server-sent event; every kind of line end in its data begins a new data line."""
    lines = re.split("\r\n|\r|\n", html)
    return "".join([f"id: {seq}\n", *(f"data: {line}\n" for line in lines), "\n"])


def _seen_seq(request: Request) -> int:
    """How far the reader is served: what it says itself on coming back, or what its page said."""
    said = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    return _number(said, "after")


def _shown(request: Request) -> frozenset[int]:
    """The records after that which its page shows already."""
    said = request.query_params.get("shown", "")
    return frozenset(_number(each, "shown") for each in said.split(",") if said)


def _number(said: str, name: str) -> int:
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise PageProblem("This address is damaged", f"{name}={said!r} is not the number of a record.", status=400)
    return int(said)
