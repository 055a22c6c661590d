"""What the flavors' ways to their providers have in common: keys, clients, and opening a call.

The provider's own client sends the request: it authenticates, retries, pools connections and knows the error classes.
The body of the answer is read as bytes, to its end, so that the connection goes back to the pool.
"""

from __future__ import annotations

import os
import weakref
from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import ClassVar, Final, Generic, NotRequired, Protocol, TypedDict, TypeVar
from urllib.parse import urlsplit

import attrs

from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import APIKeyMissingError, ConfigurationError
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.connections import (
    AsyncHttpConnection,
    AsyncOpened,
    ErrorMap,
    ErrorTable,
    HttpConnection,
    SyncOpened,
)

NO_KEY: Final = "not-needed"
"""What a server of one's own is sent for a key where none was given: the clients insist on one."""


@attrs.frozen(kw_only=True)
class Vendor:
    """A provider with an address of its own, and the environment variables its client knows."""

    name: str
    host: str
    default_base: str
    key_variable: str
    base_variable: str


class ClientArguments(TypedDict):
    """What both clients are made with, whichever provider's they are."""

    api_key: str
    base_url: str
    max_retries: int
    default_headers: Mapping[str, str]
    timeout: NotRequired[float]


def body_of(parameters: Parameters, flavor: str) -> JsonObject:
    """The merged parameters as the top level of a body.

    Raises:
        ConfigurationError: no model among them.
    """
    body = parameters.values
    if not body.get("model"):
        raise ConfigurationError(
            f"no model for this {flavor} call; set it in the template's version, "
            "or pass model=... to the client, the session or the call"
        )
    return body


def known_values(body: Mapping[str, JsonValue], known: frozenset[str]) -> tuple[JsonObject, JsonObject]:
    """A body in two: what is named in `known`, and the rest."""
    first = {name: value for name, value in body.items() if name in known}
    return first, {name: value for name, value in body.items() if name not in known}


# --- clients ----------------------------------------------------------------------------------------------


class Client(Protocol):
    """What is used of a client beside its calls."""

    def close(self) -> None:
        """Close its connections."""
        ...


class AsyncClient(Protocol):
    """The async twin of `Client`."""

    def is_closed(self) -> bool:
        """Whether its connections are closed for good."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


SyncT = TypeVar("SyncT", bound=Client)
AsyncT = TypeVar("AsyncT", bound=AsyncClient)


class Clients(Generic[SyncT, AsyncT]):
    """The clients of one flavor, made when they are first needed: one for a process, one for each event loop.

    A connection pool must not be shared across a fork, nor between event loops. The clients are closed when the
    flavor and its last connection are gone, an event loop's also when that loop ends.
    """

    def __init__(self) -> None:
        self._of_process: dict[int, SyncT] = {}
        self._of_loop: weakref.WeakKeyDictionary[AbstractEventLoop, tuple[AsyncT, AsyncGenerator[AsyncT, None]]]
        self._of_loop = weakref.WeakKeyDictionary()

    def of_process(self, make: Callable[[], SyncT]) -> SyncT:
        """This process's client. Threads that race for the first one all get the same."""
        client = self._of_process.get(os.getpid())
        if client is None:
            made = make()
            # No lock: one that another thread holds at a fork stays locked in the child.
            client = self._of_process.setdefault(os.getpid(), made)
            if client is made:
                weakref.finalize(self, made.close).atexit = False
        return client

    async def of_loop(self, make: Callable[[], AsyncT]) -> AsyncT:
        """The running event loop's client."""
        loop = get_running_loop()
        known = self._of_loop.get(loop)
        if known is not None and not known[0].is_closed():
            return known[0]
        for other in [other for other in self._of_loop if other.is_closed()]:
            del self._of_loop[other]
        owner = _owned_by_loop(make())
        client = await anext(owner)
        self._of_loop[loop] = client, owner
        return client


async def _owned_by_loop(client: AsyncT) -> AsyncGenerator[AsyncT, None]:
    """A client that is closed with its loop: an event loop closes its async generators before it ends."""
    try:
        yield client
    finally:
        await client.close()


class ProviderFlavor(ABC, Generic[SyncT, AsyncT]):
    """A flavor over a provider's own client. Making one costs nothing: no import, no client, no network."""

    name: str
    vendor: ClassVar[Vendor]

    def __init__(
        self,
        api_key: str | None,
        api_base: str | None,
        *,
        timeout_s: float | None,
        max_retries: int,
        headers: Mapping[str, str] | None,
    ) -> None:
        self._api_key = api_key
        self._api_base = (api_base or os.environ.get(self.vendor.base_variable) or self.vendor.default_base).rstrip("/")
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._headers = dict(headers or {})
        self._clients: Clients[SyncT, AsyncT] = Clients()
        parts = urlsplit(self._api_base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"api base {self._api_base!r} is not an address such as {self.vendor.default_base}"
            )
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint})"

    @property
    def provider(self) -> str:
        """The vendor's name, or `<vendor>-compatible` for any other host."""
        return self.vendor.name if self._is_vendor else f"{self.vendor.name}-compatible"

    @property
    def endpoint(self) -> str:
        """Host and port of the provider."""
        return f"{self._host}:{self._port}"

    @property
    def _is_vendor(self) -> bool:
        return self._host == self.vendor.host or self._host.endswith("." + self.vendor.host)

    def check(self) -> None:
        """Say early what `open` would say: no key."""
        self._key()

    def _key(self) -> str:
        key = os.environ.get(self.vendor.key_variable, "") if self._api_key is None else self._api_key
        if key.strip():
            return key.strip()
        if not self._is_vendor:
            return NO_KEY
        said = "is blank" if self._api_key is not None else f"was not given, and {self.vendor.key_variable} is not set"
        raise APIKeyMissingError(
            f"{type(self).__name__}: the API key {said}; pass it to the flavor or set {self.vendor.key_variable}"
        )

    def _client_arguments(self) -> ClientArguments:
        arguments: ClientArguments = {
            "api_key": self._key(),
            "base_url": self._api_base,
            "max_retries": self._max_retries,
            "default_headers": self._headers,
        }
        if self._timeout_s is not None:
            arguments["timeout"] = self._timeout_s
        return arguments

    def warm(self) -> None:
        """Load the provider's client (1 to 2.5 s of import) and make it."""
        self._clients.of_process(self._make_client)

    def open(self, request: Request) -> HttpConnection:
        """Send the request; return once the status is known to be good."""
        client = self._clients.of_process(self._make_client)
        errors = self._error_map(request)
        try:
            return HttpConnection(self._send(client, request).__enter__(), errors, self._clients)
        except Exception as exc:
            raise _while_opening(exc, errors) from exc

    async def aopen(self, request: Request) -> AsyncHttpConnection:
        """The async twin of `open`."""
        client = await self._clients.of_loop(self._make_async_client)
        errors = self._error_map(request)
        try:
            return AsyncHttpConnection(await self._asend(client, request).__aenter__(), errors, self._clients)
        except Exception as exc:
            raise _while_opening(exc, errors) from exc

    def _error_map(self, request: Request) -> ErrorMap:
        return ErrorMap(self._errors(), self.provider, self.endpoint, request.model)

    @abstractmethod
    def _make_client(self) -> SyncT: ...

    @abstractmethod
    def _make_async_client(self) -> AsyncT: ...

    @abstractmethod
    def _send(self, client: SyncT, request: Request) -> SyncOpened: ...

    @abstractmethod
    def _asend(self, client: AsyncT, request: Request) -> AsyncOpened: ...

    @abstractmethod
    def _errors(self) -> ErrorTable: ...


def _while_opening(exc: Exception, errors: ErrorMap) -> Exception:
    """What to raise from an error before the answer began. What the table does not know, the client refused to send."""
    return errors.translate(exc) or ConfigurationError(f"the request to {errors.provider} was not sent: {exc}")
