"""What the flavors' ways to their providers have in common: keys, clients, and opening a call.

The provider's own client sends the request, once: it authenticates, pools connections and knows the error classes.
The body of the answer is read as bytes, to its end, so that the connection goes back to the pool.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final, Generic, Protocol, TypedDict, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

from freeplay_like.core.limits import DEFAULT_TIMEOUT, Timeout
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import APIKeyMissingError, ConfigurationError, FreeplayError
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.connections import (
    AsyncHttpConnection,
    AsyncOpened,
    ErrorMap,
    ErrorTable,
    HttpConnection,
    SyncOpened,
    read_body_within,
)
from freeplay_like.flavors.vendors import Vendor, vendor_of

if TYPE_CHECKING:
    import httpx2

NO_KEY: Final = "not-needed"
"""What a server of one's own is sent for a key where none was given: the clients insist on one."""


_LINGER_S: Final = 5.0
"""How long an event loop's clients outlive their flavor: longer than a program takes from there to the end of its loop,
which would cancel a close that has only begun."""

_NO_PROXY: Final[dict[str, None]] = {"http://": None, "https://": None, "all://": None}
"""Every place where the environment could put a proxy, left empty; certificates still come from the environment."""


class ClientArguments(TypedDict):
    """What both clients are made with, whichever provider's they are."""

    api_key: str
    base_url: str
    max_retries: int
    default_headers: Mapping[str, str]


def body_of(parameters: Parameters, flavor: str) -> JsonObject:
    """The merged parameters as the top level of a body, without `extra_body` (see `options.finished`).

    Raises:
        ConfigurationError: no model among them.
    """
    body = parameters.values
    body.pop("extra_body", None)
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


T = TypeVar("T")
SyncT = TypeVar("SyncT", bound=Client)
AsyncT = TypeVar("AsyncT", bound=AsyncClient)


class Clients(Generic[SyncT, AsyncT]):
    """The clients of one flavor, made when they are first needed: one for a process, one for each event loop.

    A connection pool must not be shared across a fork, nor between event loops. The clients are closed when the
    flavor and its last connection are gone, an event loop's also when that loop ends.
    """

    def __init__(self) -> None:
        self._of_process: dict[int, SyncT] = {}
        self._of_loop: dict[AbstractEventLoop, tuple[AsyncT, Callable[[], object]]] = {}

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
        for other in [other for other in self._of_loop if other is loop or other.is_closed()]:
            _, forget = self._of_loop.pop(other)
            forget()
        owner = _owned_by_loop(make())
        client = await anext(owner)
        # Held by the finalizer: where these are found in a cycle, the garbage collector would else end the client's
        # connections in the same pass, and not by closing them.
        closer = weakref.finalize(self, _linger, loop, owner)
        closer.atexit = False
        self._of_loop[loop] = client, closer.detach
        return client


def _linger(loop: AbstractEventLoop, owner: object) -> None:
    """Hold the owner of a client a little longer.

    A program's last flavor mostly goes just before its event loop ends: so the clients of that loop are closed with it,
    which is waited for.
    """
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.call_later, _LINGER_S, _let_go, owner)


def _let_go(_: object) -> None:
    """The last to hold a client's owner has it no more, and so the client is closed."""


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
    """Whose wire format it is; who answers is told by the host."""
    _arguments: ClassVar[frozenset[str]]
    """Arguments that every version of the client has; all else is sent beside them as it is."""
    follows_redirects = True
    """Whether the host may send a call on to another; a server that calls where others tell it to must not."""

    def __init__(
        self,
        api_key: str | None,
        api_base: str | None,
        *,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._api_key = api_key
        self._api_base = (api_base or os.environ.get(self.vendor.base_variable) or self.vendor.default_base).rstrip("/")
        self._proxy = proxy
        self._headers = dict(headers or {})
        self._clients: Clients[SyncT, AsyncT] = Clients()
        parts = address_of(self._api_base)
        if parts is None or parts.scheme not in ("http", "https"):
            example = self.vendor.default_base or "https://example.org"
            raise ConfigurationError(f"api base {self._api_base!r} is not an address such as {example}")
        if proxy and address_of(proxy) is None:
            # Not shown: it may hold a password.
            raise ConfigurationError("proxy is not an address such as http://proxy.example.org:3128")
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._answering = vendor_of(self._host)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint})"

    @property
    def provider(self) -> str:
        """The name of the vendor at that host, or `<vendor>-compatible` for a host that is nobody's."""
        return f"{self.vendor.name}-compatible" if self._answering is None else self._answering.name

    @property
    def takes_output_schema(self) -> bool:
        """Whether `output_schema` binds the model's answer; taken to be so of a host that is nobody's."""
        return self._answering is None or self._answering.takes_output_schema

    @property
    def endpoint(self) -> str:
        """Host and port of the provider."""
        return f"{self._host}:{self._port}"

    def check(self) -> None:
        """Say early what `open` would say: no key."""
        self._key()

    def _key(self) -> str:
        # A vendor's key is for that vendor's hosts: another's variable is not even read.
        variable = (self._answering or self.vendor).key_variable
        key = os.environ.get(variable, "") if self._api_key is None else self._api_key
        if key.strip():
            return key.strip()
        if self._answering is None:
            return NO_KEY
        said = "is blank" if self._api_key is not None else f"was not given, and {variable} is not set"
        raise APIKeyMissingError(f"{type(self).__name__}: the API key {said}; pass it to the flavor or set {variable}")

    def _client_arguments(self) -> ClientArguments:
        return {
            "api_key": self._key(),
            "base_url": self._api_base,
            "max_retries": 0,
            "default_headers": dict(self._headers),
        }

    def _http_client(self) -> httpx2.Client | None:
        """The HTTP client to hand to the provider's; None for its own, which takes the environment's proxy."""
        if self._proxy is None and self.follows_redirects:
            return None
        import httpx2

        return _proxied(httpx2.Client, self._proxy, follows_redirects=self.follows_redirects)

    def _async_http_client(self) -> httpx2.AsyncClient | None:
        """The async twin of `_http_client`."""
        if self._proxy is None and self.follows_redirects:
            return None
        import httpx2

        return _proxied(httpx2.AsyncClient, self._proxy, follows_redirects=self.follows_redirects)

    def warm(self) -> None:
        """Load the provider's client (1 to 2.5 s of import) and make it."""
        self._client()

    def _client(self) -> SyncT:
        try:
            return self._clients.of_process(self._make_client)
        except FreeplayError:
            raise
        except Exception as exc:
            raise self._unmade(exc) from exc

    def _unmade(self, exc: Exception) -> ConfigurationError:
        """The error for a proxy, an address or a certificate that the provider's client does not take."""
        return ConfigurationError(f"{self!r}: the provider's client cannot be made: {exc}")

    async def _async_client(self) -> AsyncT:
        try:
            return await self._clients.of_loop(self._make_async_client)
        except FreeplayError:
            raise
        except Exception as exc:
            raise self._unmade(exc) from exc

    def open(self, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> HttpConnection:
        """Send the request; return once the status is known to be good."""
        client = self._client()
        errors = self._error_map(request)
        try:
            response = cast("SyncOpened", self._opening(client, request, timeout)).__enter__()
        except Exception as exc:
            raise _while_opening(exc, errors) from exc
        read_body_within(response, timeout.read_s)
        return HttpConnection(response, errors, self._clients)

    async def aopen(self, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> AsyncHttpConnection:  # noqa: ASYNC109  # more limits than one
        """The async twin of `open`."""
        client = await self._async_client()
        errors = self._error_map(request)
        try:
            async with asyncio.timeout(timeout.head_s):
                response = await cast("AsyncOpened", self._opening(client, request, timeout)).__aenter__()
        except TimeoutError as exc:
            raise errors.late(f"no answer began within {timeout.head_s:g} s") from exc
        except Exception as exc:
            raise _while_opening(exc, errors) from exc
        read_body_within(response, None)
        return AsyncHttpConnection(response, errors, self._clients, timeout.read_s)

    def _error_map(self, request: Request) -> ErrorMap:
        return ErrorMap(self._errors(), self.provider, self.endpoint, request.model)

    @abstractmethod
    def _make_client(self) -> SyncT: ...

    @abstractmethod
    def _make_async_client(self) -> AsyncT: ...

    @abstractmethod
    def _create(self, client: SyncT | AsyncT) -> Callable[..., object]:
        """The client's method that takes this format's requests."""

    def _opening(self, client: SyncT | AsyncT, request: Request, timeout: Timeout) -> object:
        """What sends the request when it is entered."""
        arguments, extra = known_values(request.body, self._arguments)
        return self._create(client)(**arguments, extra_body=extra, timeout=_until_head(timeout))

    @abstractmethod
    def _errors(self) -> ErrorTable: ...


def _while_opening(exc: Exception, errors: ErrorMap) -> Exception:
    """What to raise from an error before the answer began. What the table does not know, the client refused to send."""
    return errors.translate(exc) or ConfigurationError(f"the request to {errors.provider} was not sent: {exc}")


def address_of(text: str) -> SplitResult | None:
    """The parts of an address, None where it is none."""
    try:
        parts = urlsplit(text)
        return parts if parts.scheme and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _until_head(timeout: Timeout) -> httpx2.Timeout:
    """The limits that hold until the head of the answer is there; sync code counts each silence by itself."""
    import httpx2

    return httpx2.Timeout(timeout.head_s, connect=min(timeout.connect_s, timeout.head_s))


def _proxied(make: Callable[..., T], proxy: str | None, *, follows_redirects: bool) -> T:
    """An HTTP client behind `proxy`, or behind none where it is blank, with the limits that the providers' have.

    None is what the environment says.
    """
    import httpx2

    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
    chosen: dict[str, object] = {} if proxy is None else {"proxy": proxy} if proxy else {"mounts": _NO_PROXY}
    return make(**chosen, limits=limits, follow_redirects=follows_redirects)
