"""uvicorn's HTTP protocol, with an end to waiting and a short way in for records.

It has no deadline of its own for a request that comes slowly. And what ASGI costs a request, a task and five calls,
is more than storing a small record does: so a plain request for the one address that is asked more than all others
together is handed over here, as a whole. Any other goes on to ASGI, which answers at that address too.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

import attrs
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from freeplay_like.core.wire import to_wire

HEAD_LIMIT_BYTES: Final = 64 * 1024
DIRECT_LIMIT_BYTES: Final = 128 * 1024
"""The largest body that is gathered before anybody looked at the request's key."""
DIRECT_KEY: Final = "direct"
"""Where the lifespan's state holds what is `Direct`."""

Headers: TypeAlias = list[tuple[bytes, bytes]]


@attrs.frozen
class Answer:
    """A whole answer, JSON."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Direct(Protocol):
    """What answers requests without ASGI. Lives on the event loop."""

    def is_for(self, path: str) -> bool:
        """Whether a POST to this path is its own."""
        ...

    def take(self, path: str, headers: Headers, body: bytes, respond: Callable[[Answer], None]) -> None:
        """Take a request; `respond` is called once, now or later."""
        ...


class _Exchange(RequestResponseCycle):
    """Stands where uvicorn keeps the request that is being answered: the next one on the connection waits for it."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.message_event = asyncio.Event()


class DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection whose request does not come whole in time.

    A request that comes in one piece, as nearly all do, sets no timer.
    """

    head_deadline_s = 10.0
    """How long a request line and its headers may take, and a connection to send anything at all."""
    body_deadline_s = 60.0

    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = True
    _is_in_body = False
    _head_bytes = 0
    _taken: _Exchange | None = None
    """The request whose body is being read, where it goes the short way."""
    _idle_timer: asyncio.TimerHandle | None = None
    _idle_since: float | None = None
    """When the last answer went out the short way, by the loop's clock; None once more came."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._direct: Direct | None = self.app_state.get(DIRECT_KEY)
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected: the first request has to come."""
        super().connection_made(transport)
        self._set_deadline(self.head_deadline_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._clear_deadline()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came, and see what is still missing."""
        was_in_body = self._is_in_body
        self._idle_since = None
        super().data_received(data)
        if self.transport.is_closing():
            self._clear_deadline()
        elif self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES:
                self._refuse(431, f"the headers have more than {HEAD_LIMIT_BYTES} bytes")
            elif self._deadline is None:
                self._set_deadline(self.head_deadline_s)
        elif self._is_in_body:
            if not was_in_body:
                self._set_deadline(self.body_deadline_s)
        else:
            self._clear_deadline()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Its headers are there."""
        self._is_in_head, self._is_in_body = False, True
        if self._is_direct():
            self.cycle = self._taken = _Exchange(keep_alive=self.parser.should_keep_alive())
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of it is there."""
        if self._taken is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """It is there as a whole."""
        self._is_in_body = False
        exchange, self._taken = self._taken, None
        if exchange is None or self._direct is None:
            super().on_message_complete()
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._direct.take(self.url.decode("ascii"), self.headers, body, functools.partial(self._respond, exchange))

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in the shape of every error."""
        self._refuse(400, msg)

    def _is_direct(self) -> bool:
        """Whether this request goes the short way: a plain one, and no other is being answered before it."""
        if self._direct is None or not self.url.isascii() or not self._direct.is_for(self.url.decode("ascii")):
            return False
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn's types say
        if (cycle is not None and not cycle.response_complete) or self.flow.write_paused:
            return False
        sizes = [value for name, value in self.headers if name == b"content-length"]
        return (
            len(sizes) == 1
            and sizes[0].isdigit()
            and len(sizes[0]) < 10
            and int(sizes[0]) <= DIRECT_LIMIT_BYTES
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
        )

    def _respond(self, exchange: _Exchange, answer: Answer) -> None:
        exchange.response_complete = True
        if self.transport.is_closing():
            return  # nobody is there to be answered
        head = [STATUS_LINE[answer.status], b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"]
        for name, value in (*self.server_state.default_headers, *answer.headers):
            head += (name, b": ", value, b"\r\n")
        if not exchange.keep_alive:
            head.append(b"connection: close\r\n")
        head.append(b"content-length: %d\r\n\r\n" % len(answer.body))
        self.transport.write(b"".join((*head, answer.body)))
        if not exchange.keep_alive:
            self.transport.close()
        if self.pipeline or self.flow.read_paused or self.transport.is_closing():
            self.on_response_complete()
            return
        # uvicorn's own way sets a timer with every answer, and takes it back with every request
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _end_if_idle(self) -> None:
        """Close the connection if nothing came for as long as it may be kept; else look again when that may be."""
        self._idle_timer = None
        if self._idle_since is None:
            return  # a request is on its way, and its answer sets the timer again
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._idle_timer = self.loop.call_later(left_s, self._end_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _refuse(self, status: int, message: str) -> None:
        body = to_wire({"message": message})
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _set_deadline(self, seconds: float) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.close()
