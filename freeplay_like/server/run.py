"""Running the application: a socket, uvicorn, and an orderly end."""

from __future__ import annotations

import contextlib
import errno
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from freeplay_like.errors import ConfigurationError
from freeplay_like.server.protocol import DeadlineProtocol
from freeplay_like.server.state import News

GRACE_S: Final = 10
"""How long requests that were taken may go on after the server was told to stop."""
KEEP_ALIVE_S: Final = 65
BACKLOG: Final = 1_024


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        ConfigurationError: the port is taken, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, so that asyncio sends at once on its connections (TCP_NODELAY): else the body of an answer waits
    # 40 ms for the client to acknowledge its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} on {host} is taken by another program: stop it, or choose another port "
                f"with --port (--port 0 takes a free one)"
            ) from exc
        raise ConfigurationError(f"cannot listen on {host!r}, port {port}: {exc.strerror}; see --host") from exc
    except OverflowError as exc:
        listener.close()
        raise ConfigurationError(f"port {port} is not between 0 and 65535") from exc
    return listener


def _collect_garbage_less() -> None:
    """Let the collector leave what is here to stay alone, and look at what comes and goes less often.

    A batch of records is tens of thousands of objects that are gone, without it, when the batch is stored: with the
    usual thresholds it took a fifth of the intake's time to look through them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class Server(uvicorn.Server):
    """uvicorn, with a word when it answers, an end for live streams, and no death by the signal that stopped it."""

    def __init__(self, app: ASGIApp, news: News, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=DeadlineProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._news = news
        self._on_ready = on_ready
        self.stopped_by: signal.Signals | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            _collect_garbage_less()
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking connections, answer what was taken, close the store."""
        self._news.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop in order at the first SIGINT or SIGTERM, at once at the second SIGINT."""
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopped_by = signal.Signals(number)
        self.handle_exit(number, frame)
