"""What the parts of a running server share."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Literal, cast
from urllib.parse import urlsplit

import attrs
from starlette.requests import HTTPConnection

from freeplay_like.server.live_calls import LiveCalls, MemoryLiveCalls
from freeplay_like.server.live_shared import SharedLiveCalls
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


Topic = Literal["records", "running", "work", "prices"]
"""What servers over one database tell one another of: stored records, calls that run, jobs to carry out or to end, and
prices that a team has changed.
"""


class News:
    """Wakes those who wait for new records. Lives on the event loop.

    `tell_others` is called where something was stored here; it may be called in any thread.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self.tell_others: Callable[[Topic], None] = lambda topic: None
        self.is_closing = False
        self.issue = 0
        """Counts the announcements."""
        self._on_close: list[Callable[[], None]] = []

    def announce(self) -> None:
        """Something was stored here: wake everybody who waits now, at other servers too."""
        self.hear()
        self.tell_others("records")

    def hear(self) -> None:
        """Something was stored, here or at another server: wake everybody who waits here."""
        self.issue += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """The server goes down: nobody waits any more."""
        self.is_closing = True
        self.hear()
        for act in self._on_close:
            act()

    def on_close(self, act: Callable[[], None]) -> None:
        """Call this too when the server goes down."""
        self._on_close.append(act)

    async def wait(self, timeout_s: float) -> None:
        """Return at the next news, when the server goes down (`is_closing`), or after the time.

        Another process may store records and say nothing of them (`db`, a server over the same file): look again then.
        """
        if self.is_closing:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)


class Work(threading.Event):
    """Set where there is a job to carry out, or where one that is carried out was ended."""

    def __init__(self, news: News) -> None:
        super().__init__()
        self._news = news

    def set(self) -> None:
        """Let the servers look at the jobs, this one first."""
        super().set()
        self._news.tell_others("work")

    def wake(self) -> None:
        """Let this server alone look at them."""
        super().set()


@attrs.frozen(kw_only=True)
class State:
    """A running server's store, settings, news, running calls and counts. Handlers find it with `state_of(request)`."""

    store: Store
    settings: Settings
    news: News = attrs.field(factory=News)
    live: LiveCalls = attrs.field(init=False)
    requests: Requests = attrs.field(factory=Requests)
    work: Work = attrs.field(init=False)

    failures: dict[str, Callable[[], int]] = attrs.field(factory=dict)
    """How often each of the threads that work by themselves has failed, by its name."""

    def __attrs_post_init__(self) -> None:
        self.news.on_close(self.live.close)

    @live.default
    def _live_calls(self) -> LiveCalls:
        """Where one server is alone, it remembers them itself."""
        shared, news = self.store.database.live_calls(), self.news
        return MemoryLiveCalls() if shared is None else SharedLiveCalls(shared, lambda: news.tell_others("running"))

    @work.default
    def _wakes_others(self) -> Work:
        return Work(self.news)


def state_of(connection: HTTPConnection) -> State:
    """The state of the server that a request came to."""
    return cast("State", connection.app.state.server)
