"""The way to the backend: the one place where a connection to it is set up, a question asked and its answer read.

`requests` is imported with the first question: it costs a third of a second, and a program that asks nothing must not
pay it. The environment is read once, when a session is made, for proxies and the certificate bundle; not on every
request, for a `.netrc` file could replace our key.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import attrs

from freeplay_like import __version__
from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.wire import JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import APIKeyMissingError, AuthorizationError, BackendError, ConfigurationError

if TYPE_CHECKING:
    import requests

SessionFactory: TypeAlias = "Callable[[], requests.Session]"

ANSWER_LIMIT_BYTES: Final = 64_000_000
_PIECE_BYTES: Final = 256


@attrs.frozen(kw_only=True)
class Reply:
    """What the backend answered, whatever its status."""

    url: str
    status: int
    content: bytes
    etag: str | None = None
    location: str | None = None

    @property
    def message(self) -> str | None:
        """What the backend says in its JSON error shape, None where another server answered."""
        try:
            said = from_wire(self.content, dict).get("message")
        except WireError:
            return None
        return said if isinstance(said, str) else None

    def json(self) -> JsonValue:
        """What a good answer (2xx) holds, None where it holds nothing.

        Raises:
            AuthorizationError: the backend does not take the key.
            BackendError: the answer is not a good one, or not JSON.
        """
        if not 200 <= self.status < 300:
            raise self.error()
        if not self.content.strip():
            return None
        try:
            return from_wire(self.content, object)
        except WireError as exc:
            raise BackendError(
                f"{self.url} answered {self.status} with something that is not JSON ({exc}); "
                "check that api_base is the backend's own address and ends in /api",
                status=self.status,
                url=self.url,
            ) from exc

    def error(self) -> BackendError:
        """The error of an answer that is not a good one."""
        said = self.message
        if self.status in (401, 403):
            return AuthorizationError(
                f"the backend does not take the API key ({self.status}: {said or 'no reason given'}) at {self.url}; "
                "check freeplay_api_key or FREEPLAY_LIKE_API_KEY, and that the key belongs to the project",
                status=self.status,
                url=self.url,
            )
        if self.location is not None:
            way_out = f"it points to {self.location!r}; set api_base to the backend's own address"
        elif said is None:
            way_out = "the answer is not from a backend of this kind; check that api_base ends in /api"
        else:
            way_out = f"it says: {said}"
        return BackendError(f"{self.url} answered {self.status}; {way_out}", status=self.status, url=self.url)


@attrs.frozen
class _Connection:
    """The connections of one process: a child of a fork makes its own."""

    session: requests.Session
    pid: int


class BackendLink:
    """Asks the backend at `api_base` (as in `http://127.0.0.1:8000/api`). Safe to share between threads and forks.

    Args:
        api_base: the address of the backend's API.
        api_key: the backend's key; it goes with each request.
        timeout_s: how long the backend may take for a connection, and for an answer.
        session_factory: makes the `requests.Session` to use instead of our own.
        way_out: what else a caller can do where the backend does not answer; the end of that error's message.
        clock: where time comes from.

    Raises:
        APIKeyMissingError: the key is blank.
        ConfigurationError: `api_base` is no address, or the key cannot stand in a header.
    """

    def __init__(
        self,
        api_base: str,
        api_key: str,
        timeout_s: float = 10.0,
        *,
        session_factory: SessionFactory | None = None,
        way_out: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.api_base = _checked_base(api_base)
        self._headers = headers_for(_checked_key(api_key))
        self._timeout_s = timeout_s
        self._session_factory = session_factory or (lambda: new_session(self.api_base))
        self._way_out = way_out
        self._clock = clock or SystemClock()
        self._connection: _Connection | None = None

    def get(self, path: str, params: Mapping[str, str] | None = None) -> JsonValue:
        """What is at `path`, which begins with "/" after the API's base and has its parts quoted (see `segment`).

        Raises:
            AuthorizationError: the backend does not take the key.
            BackendError: not reached (`status` is None), or no good answer.
        """
        return self.ask("GET", path, params=params).json()

    def post(self, path: str, body: JsonValue) -> JsonValue:
        """What the backend answers to `body` (attrs values and plain JSON). Sent once: never again by itself.

        Raises:
            AuthorizationError: the backend does not take the key.
            BackendError: not reached (`status` is None; the backend may have heard it all the same), or no good answer.
        """
        return self.ask("POST", path, body=body).json()

    def ask(
        self,
        method: Literal["GET", "POST", "DELETE"],
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: JsonValue = None,
        etag: str | None = None,
    ) -> Reply:
        """The answer, whatever its status. With `etag` the backend may answer 304: what is known is still right.

        Raises:
            BackendError: no answer.
        """
        load_requests()
        import requests

        url = f"{self.api_base}{path}{'?' + urlencode(params, quote_via=quote, safe='') if params else ''}"
        headers = {**self._headers, **({"If-None-Match": etag} if etag else {})}
        data = None
        if method == "POST":
            headers["Content-Type"], data = "application/json", to_wire(body)
        try:
            try:
                return self._reply(method, url, headers, data)
            except requests.ConnectionError as exc:
                if method != "GET" or isinstance(exc, requests.Timeout):
                    raise
                return self._reply(method, url, headers, data)  # the backend had closed an idle connection meanwhile
        except (requests.RequestException, OSError) as exc:
            raise BackendError(
                f"the backend did not answer at {url}: {type(exc).__name__}; check that it runs "
                f"(`freeplay-like serve`) and that api_base is its address{self._way_out and ', ' + self._way_out}",
                url=url,
            ) from exc

    def close(self) -> None:
        """Close the connections; a later question opens new ones."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.pid == os.getpid():
            connection.session.close()

    def _session(self) -> requests.Session:
        connection = self._connection
        if connection is None or connection.pid != os.getpid():  # two threads at once each make one, and one is kept
            connection = self._connection = _Connection(self._session_factory(), os.getpid())
        return connection.session

    def _reply(self, method: str, url: str, headers: Mapping[str, str], data: bytes | None) -> Reply:
        with self._session().request(
            method, url, headers=headers, data=data, timeout=self._timeout_s, allow_redirects=False, stream=True
        ) as response:
            return Reply(
                url=url,
                status=response.status_code,
                content=body_of(response, self._timeout_s, ANSWER_LIMIT_BYTES, self._clock),
                etag=response.headers.get("ETag"),
                location=response.headers.get("Location"),
            )


def segment(value: str, what: str) -> str:
    """A value as one part of an address; `what` names it in the error.

    Raises:
        ConfigurationError: it is blank or leads elsewhere.
    """
    if value in ("", ".", ".."):
        raise ConfigurationError(f"{value!r} is no {what}")
    return quote(value, safe="")


def project_path(project_id: str) -> str:
    """Where all of a project is, below the API's base.

    Raises:
        ConfigurationError: it is no project id.
    """
    return f"/v2/projects/{segment(project_id, 'project id; `freeplay-like init` prints one')}"


def headers_for(api_key: str) -> dict[str, str]:
    """The headers of every request to the backend. They belong to a request, not to a session: a session of the
    caller's own may speak to others too."""
    agent = f"freeplay-like/{__version__}"
    return {"Authorization": f"Bearer {api_key}", "Accept": "application/json", "User-Agent": agent}


def new_session(api_base: str) -> requests.Session:
    """A session for the backend."""
    load_requests()
    import requests

    session = requests.Session()
    session.trust_env = False
    session.proxies = dict(requests.utils.get_environ_proxies(api_base))
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    return session


def body_of(response: requests.Response, timeout_s: float, limit_bytes: int, clock: Clock) -> bytes:
    """The body of an answer that is still to be read, in small pieces: each read has the timeout for itself, and a
    dripping answer must end too.

    Raises:
        TimeoutError: it has no end within the time and the size.
        requests.RequestException: the connection broke.
    """
    deadline_ns, content = clock.monotonic_ns() + int(timeout_s * 1e9), bytearray()
    for piece in response.iter_content(_PIECE_BYTES):
        content += piece
        if clock.monotonic_ns() > deadline_ns or len(content) > limit_bytes:
            raise TimeoutError(f"the answer had not ended after {timeout_s:g} s or {len(content)} bytes")
    return bytes(content)


def _checked_base(api_base: str) -> str:
    wanted = "expected an address such as 'http://127.0.0.1:8000/api'"
    try:
        parts = urlsplit(api_base)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as exc:
        raise ConfigurationError(f"api_base is no address: {exc}; {wanted}") from exc
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(f"api_base holds a user, a query or a fragment; {wanted}, and pass the key by itself")
    if not is_address:
        raise ConfigurationError(f"api_base is {api_base!r}; {wanted}")
    return api_base.rstrip("/")


def _checked_key(api_key: str) -> str:
    key = api_key.strip()
    if not key:
        raise APIKeyMissingError("the backend's API key is blank; `freeplay-like init` prints one")
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError("the backend's API key holds a character that no header can carry; copy it again")
    return key


# --- an import that a fork cannot cut in two --------------------------------------------------------------

_importing = threading.Lock()
_forking = threading.local()
_FORK_WAITS_S: Final = 1.0


def load_requests() -> None:
    """Import what a first request needs, where no fork can come between."""
    with _importing:
        import encodings.idna  # noqa: F401 - the first connection needs it

        import requests  # noqa: F401 - for those who import it after us


def _before_fork() -> None:
    """A child that is forked while a thread imports finds that module locked for ever. So a fork waits for the
    import, but not without an end: the thread that forks may itself hold a module that the import needs."""
    _forking.has_lock = _importing.acquire(timeout=_FORK_WAITS_S)


def _after_fork_in_parent() -> None:
    if _forking.has_lock:
        _importing.release()


def _after_fork_in_child() -> None:
    global _importing
    _importing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
