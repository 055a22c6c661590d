"""Templates out of the backend, one request each. `requests` is imported with the first one: it takes its time."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote, urlsplit

import attrs

from freeplay_like import __version__
from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.template_files import check_name
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import WireError, from_wire
from freeplay_like.errors import (
    APIKeyMissingError,
    AuthorizationError,
    BackendError,
    ConfigurationError,
    FreeplayError,
    TemplateNotFoundError,
)

if TYPE_CHECKING:
    import requests

SessionFactory: TypeAlias = "Callable[[], requests.Session]"

_REMEMBERED: Final = 512
_ANSWER_LIMIT_BYTES: Final = 16_000_000
_PIECE_BYTES: Final = 65_536


@attrs.frozen(kw_only=True)
class _Answer:
    status: int
    content: bytes
    etag: str | None
    location: str | None

    @property
    def message(self) -> str | None:
        """What the backend says in its JSON error shape, None where another server answered."""
        try:
            said = from_wire(self.content, dict).get("message")
        except WireError:
            return None
        return said if isinstance(said, str) else None


@attrs.define
class _Link:
    """The connections of one process, and the templates whose ETag it knows: a child of a fork makes its own."""

    session: requests.Session
    pid: int
    remembered: OrderedDict[str, tuple[str, PromptTemplate]] = attrs.field(factory=OrderedDict)
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def recall(self, url: str) -> tuple[str, PromptTemplate] | None:
        with self.lock:
            return self.remembered.get(url)

    def remember(self, url: str, etag: str, template: PromptTemplate) -> None:
        with self.lock:
            self.remembered[url] = (etag, template)
            self.remembered.move_to_end(url)
            if len(self.remembered) > _REMEMBERED:
                self.remembered.popitem(last=False)

    def forget(self, url: str) -> None:
        with self.lock:
            self.remembered.pop(url, None)


class BackendPrompts:
    """Asks the backend at `api_base` (as in `http://127.0.0.1:8000/api`) for templates.

    Safe to share between threads and across a fork. Proxies and certificate bundles come from the environment;
    nothing else does: a `.netrc` file would replace the key.

    Raises:
        APIKeyMissingError: the key is blank.
        ConfigurationError: `api_base` is no address, or the key cannot stand in a header.
    """

    def __init__(
        self,
        api_base: str,
        api_key: str,
        *,
        timeout_s: float = 10.0,
        session_factory: SessionFactory | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._api_base = _checked_base(api_base)
        self._api_key = _checked_key(api_key)
        self._timeout_s = timeout_s
        self._session_factory = session_factory or self._new_session
        self._clock = clock or SystemClock()
        self._link: _Link | None = None

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The version of template `name` that `environment` points at, asked for now.

        Raises:
            TemplateNotFoundError: the backend knows none; its message lists near names.
            AuthorizationError: the backend does not take the key.
            BackendError: not reached, or no answer that can be used.
            TemplateError: what came is not a template of this form, or the name is no plain path.
        """
        url = self._url(project_id, name, environment)
        link = self._connected()
        known = link.recall(url)
        answer = self._ask(link, url, known[0] if known else None)
        if answer.status == 304 and known:
            return known[1]
        if answer.status != 200:
            link.forget(url)
            raise _refusal(answer, url, name, environment)
        try:
            template = PromptTemplate.from_wire(from_wire(answer.content, dict), source="backend")
        except WireError as exc:
            raise BackendError(
                f"{url} answered with something that is no template: {exc}", status=200, url=url
            ) from exc
        if answer.etag:
            link.remember(url, answer.etag, template)
        return template

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """None: the backend has to be asked."""
        return None

    def close(self) -> None:
        """Close the connections; a later `get` opens new ones."""
        link, self._link = self._link, None
        if link is not None and link.pid == os.getpid():
            link.session.close()

    def _url(self, project_id: str, name: str, environment: str) -> str:
        check_name(name)
        if project_id in ("", ".", ".."):
            raise ConfigurationError(f"{project_id!r} is no project id; `freeplay-like init` prints one")
        return (
            f"{self._api_base}/v2/projects/{quote(project_id, safe='')}/prompt-templates/name/{quote(name)}"
            f"?environment={quote(environment, safe='')}"
        )

    def _connected(self) -> _Link:
        link = self._link
        if link is None or link.pid != os.getpid():  # two threads at once each make one, and one is kept
            link = self._link = _Link(self._session_factory(), os.getpid())
        return link

    def _new_session(self) -> requests.Session:
        import requests

        session = requests.Session()
        session.trust_env = False
        session.proxies = dict(requests.utils.get_environ_proxies(self._api_base))
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        return session

    def _ask(self, link: _Link, url: str, etag: str | None) -> _Answer:
        """One request; a second one where the first found a connection that the backend had closed meanwhile."""
        import requests

        headers = {
            "Authorization": f"Bearer {self._api_key}",
            "Accept": "application/json",
            "User-Agent": f"freeplay-like/{__version__}",
            **({"If-None-Match": etag} if etag else {}),
        }
        try:
            try:
                return self._answer(link, url, headers)
            except requests.ConnectionError as exc:
                if isinstance(exc, requests.Timeout):
                    raise
                return self._answer(link, url, headers)
        except (requests.RequestException, OSError) as exc:
            raise BackendError(
                f"the backend did not answer at {url}: {type(exc).__name__}; check that it runs "
                "(`freeplay-like serve`) and that api_base is its address, or read templates from files with "
                "prompts=FolderPrompts(folder)",
                url=url,
            ) from exc

    def _answer(self, link: _Link, url: str, headers: dict[str, str]) -> _Answer:
        deadline_ns = self._clock.monotonic_ns() + int(self._timeout_s * 1e9)
        content = bytearray()
        with link.session.get(
            url, headers=headers, timeout=self._timeout_s, allow_redirects=False, stream=True
        ) as response:
            for piece in response.iter_content(_PIECE_BYTES):
                content += piece
                if self._clock.monotonic_ns() > deadline_ns or len(content) > _ANSWER_LIMIT_BYTES:
                    raise TimeoutError(f"no end after {self._timeout_s:g} s or {len(content)} bytes")
            return _Answer(
                status=response.status_code,
                content=bytes(content),
                etag=response.headers.get("ETag"),
                location=response.headers.get("Location"),
            )


def _refusal(answer: _Answer, url: str, name: str, environment: str) -> FreeplayError:
    """The error for an answer that is no template."""
    said = answer.message
    if answer.status == 404 and said is not None:
        return TemplateNotFoundError(
            f"no template {name!r} in environment {environment!r}: {said} ({url})", template=name
        )
    if answer.status in (401, 403):
        return AuthorizationError(
            f"the backend does not take the API key ({answer.status}: {said or 'no reason given'}) at {url}; "
            "check freeplay_api_key or FREEPLAY_LIKE_API_KEY, and that the key belongs to the project",
            status=answer.status,
            url=url,
        )
    if answer.location is not None:
        way_out = f"it points to {answer.location!r}; set api_base to the backend's own address"
    elif said is None:
        way_out = "the answer is not from a backend of this kind; check that api_base ends in /api"
    else:
        way_out = f"it says: {said}"
    return BackendError(f"{url} answered {answer.status}; {way_out}", status=answer.status, url=url)


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
