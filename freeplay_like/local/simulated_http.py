"""The HTTP side of the simulated provider: one connection, its requests, and the moment its client goes away.

Hand-made on asyncio's streams, because the faults wanted here (a cut body, a reset, an answer that never comes) are
what HTTP servers are built to prevent.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Final, Protocol

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import ConfigurationError
from freeplay_like.local.dialects import Dialect, dialect_of
from freeplay_like.local.scripts import COMMENT, Script, Step, StepKind, raw_steps, with_faults
from freeplay_like.local.simulated_openai import error_body

_MAX_HEAD_BYTES: Final = 256 * 1024
_COMMENT_EVERY_MS: Final = 10.0


@attrs.define(eq=False)
class SeenRequest:
    """A request that came in, and what became of it.

    `number` and `connection` count requests and TCP connections from 1. `ended` is set when nothing more will be
    sent, `client_left` when the client closed its connection before that; `left_after_s` is then the time since the
    request came.
    """

    method: str
    path: str
    headers: dict[str, str]
    content: bytes = attrs.field(repr=False)
    connection: int
    number: int = 0
    script: Script = attrs.field(factory=Script, repr=False)
    sent_chunks: int = 0
    received_s: float = attrs.field(factory=time.monotonic)
    left_after_s: float | None = None
    ended: threading.Event = attrs.field(factory=threading.Event, repr=False)
    client_left: threading.Event = attrs.field(factory=threading.Event, repr=False)

    @property
    def body(self) -> JsonObject:
        """The body as JSON; empty where it is none."""
        try:
            return from_wire(self.content, dict)
        except WireError:
            return {}

    def summary(self) -> JsonObject:
        """What `GET /seen` tells of it."""
        return {
            "path": self.path,
            "headers": self.headers,
            "body": self.body,
            "connection": self.connection,
            "sent_chunks": self.sent_chunks,
            "is_ended": self.ended.is_set(),
            "left_after_s": self.left_after_s,
        }


class Desk(Protocol):
    """Who keeps what connections see, and decides what they do. Called in the simulator's thread alone."""

    def take_connection(self) -> int:
        """Count a connection; its number."""
        ...

    def take_request(self, request: SeenRequest) -> None:
        """Keep a request and choose its script.

        Raises:
            ConfigurationError: its script does not parse.
        """
        ...

    def is_failing(self, script: Script) -> bool:
        """Whether a script with a `status` fails this time."""
        ...

    def seen(self) -> JsonObject:
        """What `GET /seen` answers."""
        ...


class ServedConnection(asyncio.StreamReaderProtocol):
    """One TCP connection: requests one after another, and notice at once when the client goes away."""

    def __init__(self, desk: Desk, open_connections: set[ServedConnection]) -> None:
        reader = asyncio.StreamReader(limit=_MAX_HEAD_BYTES)
        super().__init__(reader, self._connected)
        self._desk = desk
        self._open = open_connections
        self._reader = reader
        self._gone = asyncio.Event()
        self._request: SeenRequest | None = None
        self._number = 0
        self._served: asyncio.Task[None] | None = None

    # --- the client comes and goes ---

    def _connected(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # drain() then waits until the kernel has taken everything
        # asyncio does so only where the listening socket was said to be TCP
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = self._desk.take_connection()
        self._writer = writer
        self._open.add(self)
        self._served = asyncio.get_running_loop().create_task(self._serve())

    def eof_received(self) -> bool | None:
        """The client closed its side."""
        self._client_left()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more."""
        self._client_left()
        self._open.discard(self)
        super().connection_lost(exc)

    def _client_left(self) -> None:
        self._gone.set()
        request = self._request
        if request is not None and not request.ended.is_set() and not request.client_left.is_set():
            request.left_after_s = time.monotonic() - request.received_s
            request.client_left.set()

    def abort(self) -> asyncio.Task[None]:
        """Drop the connection; the task ends soon after."""
        self._writer.transport.abort()
        task = self._served or asyncio.get_running_loop().create_task(asyncio.sleep(0))
        task.cancel()
        return task

    # --- requests ---

    async def _serve(self) -> None:
        try:
            while not self._gone.is_set():
                request = await self._read()
                if request is None or not await self._answer(request):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self._client_left()
        except ValueError as exc:
            await self._send_json(400, {"error": {"message": f"not HTTP: {exc}"}}, {})
        finally:
            self._writer.close()

    async def _read(self) -> SeenRequest | None:
        """The next request, None where the client has no more."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return SeenRequest(method, path, headers, content, self._number)

    async def _answer(self, request: SeenRequest) -> bool:
        """Answer; False where the connection is to be closed."""
        dialect = dialect_of(request.path)
        if dialect is None:
            body = self._desk.seen() if request.path == "/seen" else error_body(404)
            await self._send_json(200 if request.path == "/seen" else 404, body, {})
            return True
        self._request = request
        try:
            self._desk.take_request(request)
            return await self._play(request, dialect)
        except ConfigurationError as exc:
            await self._send_json(400, {"error": {"message": str(exc), "type": "invalid_request_error"}}, {})
            return True
        finally:
            if not request.client_left.is_set():
                request.ended.set()
            self._request = None

    async def _play(self, request: SeenRequest, dialect: Dialect) -> bool:
        script, body = request.script, request.body
        headers = {dialect.id_header: f"req_sim_{request.number}"}
        if script.reset:
            return self._reset()
        if script.hang or not await self._pause(script.first_delay_ms):
            await self._gone.wait()
            return False
        if self._desk.is_failing(script):
            extra = {} if script.retry_after is None else {"retry-after": script.retry_after}
            await self._send_json(script.status or 500, dialect.error(script.status or 500), headers | extra)
            return True
        if script.raw is not None:
            kind = {"sse": "text/event-stream; charset=utf-8", "json": "application/json"}
            content_type = kind.get(script.raw.rpartition(".")[2], "text/html")
            steps = with_faults(script, raw_steps(script), dialect.stream_error)
            return await self._send_stream(request, steps, headers, content_type)
        if body.get("stream") is True:
            steps = with_faults(script, dialect.stream(script, body), dialect.stream_error)
            return await self._send_stream(request, steps, headers, "text/event-stream; charset=utf-8")
        await self._pause(script.delay_ms)
        content = to_wire(dialect.body(script, body))
        return await self._send_json(200, content, headers, is_cut=script.cut_after is not None)

    # --- bytes out ---

    async def _send_stream(
        self, request: SeenRequest, steps: Iterator[Step], headers: dict[str, str], content_type: str
    ) -> bool:
        head = {"content-type": content_type, "cache-control": "no-cache", "transfer-encoding": "chunked", **headers}
        self._writer.write(_head(200, head))
        script, waiting = request.script, bytearray()
        for events, (data, kind) in enumerate(steps, start=1):
            if kind == "content" and not await self._pause(script.delay_ms):
                return False
            if kind in ("cut", "hang", "idle"):
                return await self._break_off(bytes(waiting), kind, script.delay_ms)
            waiting += data
            request.sent_chunks += kind == "content"
            if events % script.batch == 0:
                await self._write(_http_chunk(bytes(waiting)))
                waiting.clear()
        await self._write(_http_chunk(bytes(waiting)) + b"0\r\n\r\n")
        return not self._gone.is_set()

    async def _break_off(self, rest: bytes, kind: StepKind, delay_ms: float) -> bool:
        await self._write(_http_chunk(rest))
        if kind == "cut":
            self._end()
            self._writer.transport.abort()
        elif kind == "idle":
            while await self._pause(delay_ms or _COMMENT_EVERY_MS):
                await self._write(_http_chunk(COMMENT))
        else:
            await self._gone.wait()
        return False

    async def _send_json(self, status: int, body: JsonValue, headers: dict[str, str], *, is_cut: bool = False) -> bool:
        content = body if isinstance(body, bytes) else to_wire(body)
        head = {"content-type": "application/json", "content-length": str(len(content)), **headers}
        await self._write(_head(status, head) + content[: len(content) // 2 if is_cut else None])
        if is_cut:
            self._end()
            self._writer.transport.abort()
        return not is_cut

    def _end(self) -> None:
        if self._request is not None:
            self._request.ended.set()

    def _reset(self) -> bool:
        """Close with RST in place of FIN."""
        self._end()
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        return False

    async def _write(self, data: bytes) -> None:
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def _pause(self, delay_ms: float) -> bool:
        """Let time pass; False as soon as the client is gone."""
        if delay_ms <= 0:
            await asyncio.sleep(0)
        else:
            try:
                await asyncio.wait_for(self._gone.wait(), delay_ms / 1000)
            except TimeoutError:
                return True
        return not self._gone.is_set()


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Simulated", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
