"""Requests that come slowly, over real sockets; the deadlines are short, and a test waits for what they do."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import pytest
import uvicorn
from uvicorn.server import ServerState

from freeplay_like.server.protocol import DIRECT_KEY, Answer, DeadlineProtocol, Direct, Headers

Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LONG_S = 600.0
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"


async def application(scope: object, receive: object, send: object) -> None:
    """Reads the body and sends it back."""
    body, is_more = b"", True
    while is_more:
        message = await receive()  # type: ignore[operator]
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": body})  # type: ignore[operator]


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server ends the connection without a word; what was still on its way to it makes that a reset."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


class Echo:
    """Answers every request the short way with its body; while `is_held`, once it is let go."""

    def __init__(self) -> None:
        self.is_held = False
        self.held = asyncio.Event()
        self.let_go: Callable[[], None] = lambda: None

    def is_for(self, path: str) -> bool:
        return path == "/"

    def take(self, path: str, headers: Headers, body: bytes, respond: Callable[[Answer], None]) -> None:
        self.let_go = functools.partial(respond, Answer(200, body))
        if self.is_held:
            self.held.set()
        else:
            self.let_go()


@contextlib.asynccontextmanager
async def connected(
    *, head_s: float = LONG_S, body_s: float = LONG_S, keep_alive_s: float = LONG_S, direct: Direct | None = None
) -> AsyncIterator[tuple[Ends, DeadlineProtocol]]:
    """A connection to a server with these deadlines, and the server's end of it."""
    config = uvicorn.Config(
        application,  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=keep_alive_s,  # type: ignore[arg-type]  asyncio takes parts of seconds too
    )
    config.load()
    made: asyncio.Future[DeadlineProtocol] = asyncio.get_running_loop().create_future()

    class Impatient(DeadlineProtocol):
        head_deadline_s = head_s
        body_deadline_s = body_s

    def make() -> Impatient:
        protocol = Impatient(config=config, server_state=ServerState(), app_state={DIRECT_KEY: direct})
        made.set_result(protocol)
        return protocol

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    try:
        yield (reader, writer), await made
    finally:
        writer.close()
        server.close()
        await server.wait_closed()


async def answered(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    return await reader.readexactly(4)


@pytest.mark.parametrize("sent", [b"", b"POST / HT", HEAD, b"\r\n"])
async def test_a_head_that_does_not_come_whole_is_given_up(sent: bytes) -> None:
    async with connected(head_s=0.05) as ((reader, writer), _):
        writer.write(sent)
        assert await is_closed(reader)


async def test_a_second_head_that_does_not_come_whole_is_given_up_too() -> None:
    async with connected(head_s=0.5) as ((reader, writer), _):
        writer.write(HEAD + b"\r\nbody")
        assert await answered(reader) == b"body"
        writer.write(HEAD)
        assert await is_closed(reader)


async def test_a_body_that_does_not_come_whole_is_given_up() -> None:
    async with connected(body_s=0.05) as ((reader, writer), _):
        writer.write(HEAD + b"\r\nbo")
        assert await is_closed(reader)


async def test_pieces_that_come_in_time_make_a_request() -> None:
    async with connected() as ((reader, writer), protocol):
        for piece in (HEAD[:9], HEAD[9:], b"\r\n", b"bo", b"dy"):
            writer.write(piece)
            await writer.drain()
        assert await answered(reader) == b"body"
        assert protocol._deadline is None, "nothing is waited for between requests"


async def test_a_connection_that_was_answered_the_short_way_is_closed_once_it_is_idle_for_long() -> None:
    async with connected(direct=Echo(), keep_alive_s=0.3) as ((reader, writer), protocol):
        for _ in range(3):
            writer.write(HEAD + b"\r\nbody")
            assert await answered(reader) == b"body"
        timer = protocol._idle_timer
        assert timer is not None
        assert not timer.cancelled(), "one timer does for all answers"
        assert await is_closed(reader)


async def test_a_connection_whose_request_is_being_answered_is_not_idle() -> None:
    echo = Echo()
    async with connected(direct=echo, keep_alive_s=0.05) as ((reader, writer), protocol):
        writer.write(HEAD + b"\r\nbody")
        assert await answered(reader) == b"body"
        echo.is_held = True
        writer.write(HEAD + b"\r\nbody")
        await asyncio.wait_for(echo.held.wait(), LONG_S)
        protocol._end_if_idle()
        assert not protocol.transport.is_closing()
        echo.let_go()
        assert await answered(reader) == b"body"
        assert await is_closed(reader), "and afterwards it can be idle again"


async def test_a_request_in_one_piece_sets_no_timer() -> None:
    async with connected() as ((reader, writer), protocol):
        timers: list[float] = []
        set_deadline = protocol._set_deadline
        protocol._set_deadline = lambda seconds: (timers.append(seconds), set_deadline(seconds))[1]  # type: ignore[method-assign]
        for _ in range(2):
            writer.write(HEAD + b"\r\nbody")
            assert await answered(reader) == b"body"
        assert timers == []
