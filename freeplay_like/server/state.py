"""What the parts of a running server share."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import attrs
from starlette.requests import HTTPConnection

from freeplay_like.server.live_calls import LiveCalls
from freeplay_like.server.metrics import Requests
from freeplay_like.server.store.store import Store


@attrs.frozen(kw_only=True)
class Settings:
    """How this server was started. `url` is the address people use, without a slash at its end.

    `uses_provider_environment`: calls that the server makes itself may use the keys in its environment.
    """

    url: str
    is_remote: bool = False
    uses_provider_environment: bool = False

    @property
    def api_base(self) -> str:
        """Where the API begins; what an SDK is given."""
        return f"{self.url}/api"

    @property
    def host(self) -> str:
        """The host name in the address."""
        return urlsplit(self.url).hostname or "localhost"

    @property
    def is_secure(self) -> bool:
        """Whether people come over TLS."""
        return self.url.startswith("https://")

    @property
    def cookie_name(self) -> str:
        """The name of the sign-in cookie. Cookies do not know ports, so two servers on one machine need two names."""
        port = urlsplit(self.url).port
        return "__Host-freeplay_like" if self.is_secure else f"freeplay_like_{port or 80}"


class News:
    """Wakes those who wait for new records. Lives on the event loop."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self.is_closing = False
        self.issue = 0
        """Counts the announcements."""
        self._on_close: list[Callable[[], None]] = []

    def announce(self) -> None:
        """Something was stored: wake everybody who waits now."""
        self.issue += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """The server goes down: nobody waits any more."""
        self.is_closing = True
        self.announce()
        for act in self._on_close:
            act()

    def on_close(self, act: Callable[[], None]) -> None:
        """Call this too when the server goes down."""
        self._on_close.append(act)

    async def wait(self, timeout_s: float) -> None:
        """Return at the next news, when the server goes down (`is_closing`), or after the time.

        Another process may store records too (`init` beside `serve`, a second server): look again after the time.
        """
        if self.is_closing:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)


@attrs.frozen(kw_only=True)
class State:
    """A running server's store, settings, news, running calls and counts. Handlers find it with `state_of(request)`.

    `work` is set where a run waits to be carried out by a server.
    """

    store: Store
    settings: Settings
    news: News = attrs.field(factory=News)
    live: LiveCalls = attrs.field(factory=LiveCalls)
    requests: Requests = attrs.field(factory=Requests)
    work: threading.Event = attrs.field(factory=threading.Event)

    failures: dict[str, Callable[[], int]] = attrs.field(factory=dict)
    """How often each of the threads that work by themselves has failed, by its name."""

    def __attrs_post_init__(self) -> None:
        self.news.on_close(self.live.close)


def state_of(connection: HTTPConnection) -> State:
    """The state of the server that a request came to."""
    return cast("State", connection.app.state.server)
