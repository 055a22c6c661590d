"""One address before several servers, as a load balancer is: each request goes to the next of them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Final

_CONNECTION: Final = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_STATIC: Final = re.compile(rb"\w+ /static/")
"""What does not count as a turn: else the files of a page could bring every page from the same server."""
_CHUNK: Final = 65_536


class Front:
    """Takes connections from its start, and passes the request of each to the next of `ports`, once they are set.

    A connection carries one request: its client is told to close it, as a server does that goes down. A server that
    cannot be reached is passed over; where none can be, the connection is closed without an answer. So it is where a
    server refuses a request before it has read the whole of a large body.
    """

    def __init__(self) -> None:
        self.ports: Sequence[int] = ()
        self._turn = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="front", daemon=True)
        self._thread.start()
        self._started.wait()

    def __enter__(self) -> Front:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Drop every connection."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._take, "127.0.0.1", 0, backlog=1_024)
        self.port: int = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._over.wait()
        server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.ensure_future(self._pass_on(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                far_reader, far_writer = await self._next(is_turn=not _STATIC.match(head))
                try:
                    far_writer.write(_CONNECTION.sub(b"", head)[:-2] + b"Connection: close\r\n\r\n")
                    await _join(_pump(reader, far_writer), _pump(far_reader, writer))
                finally:
                    await _close(far_writer)
            finally:
                await _close(writer)

    async def _next(self, *, is_turn: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._turn += is_turn
        refused: OSError = ConnectionRefusedError("no server is there")
        for step in range(len(self.ports)):
            port = self.ports[(self._turn + step) % len(self.ports)]
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError as exc:
                refused = exc
        raise refused


async def _join(*pumps: Coroutine[None, None, None]) -> None:
    """Wait for the end of either: what ends one side ends the other."""
    tasks = [asyncio.ensure_future(pump) for pump in pumps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK):
        target.write(chunk)
        await target.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
