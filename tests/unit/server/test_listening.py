"""The socket that the backend listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from freeplay_like.errors import ConfigurationError
from freeplay_like.server.run import bind


async def test_answers_are_sent_at_once() -> None:
    accepted: asyncio.Queue[int] = asyncio.Queue()

    class Noted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = transport.get_extra_info("socket")
            accepted.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    listener = bind("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(Noted, sock=listener)
    async with server:
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await accepted.get(), "else an answer's body waits 40 ms for its head to be acknowledged"
        writer.close()
        await writer.wait_closed()


def test_a_port_that_is_taken_is_said_so() -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(ConfigurationError, match="taken by another program"):
        bind("127.0.0.1", taken.getsockname()[1])
