"""uvicorn's HTTP protocol, with an end to waiting: it has no deadline of its own for a request that comes slowly."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from freeplay_like.core.wire import to_wire

HEAD_LIMIT_BYTES: Final = 64 * 1024


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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected: the first request has to come."""
        super().connection_made(transport)
        self._set_deadline(self.head_deadline_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came, and see what is still missing."""
        was_in_body = self._is_in_body
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
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is there as a whole."""
        self._is_in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in the shape of every error."""
        self._refuse(400, msg)

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
