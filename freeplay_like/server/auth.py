"""Who asks: API keys for programs, browser sessions for people.

People have no passwords: whoever opens a sign-in link is the person it was made for, and sees every project of this
server.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freeplay_like.server import http
from freeplay_like.server.state import Settings, State
from freeplay_like.server.store.access import primary_alone
from freeplay_like.server.store.accounts.people import SESSION_AGE, Role
from freeplay_like.server.store.engines.standby import MAX_LAG_S
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import ApiKey, Project, StoreUnavailable
from freeplay_like.server.store.views import Scope as KeyScope

REMEMBERED_S: Final = 5.0
"""How long a key that was good stays good without asking the store again."""
_REMEMBERED_LIMIT: Final = 1_024
CHANGED_S: Final = int(MAX_LAG_S) + 2
"""How long who changed something is shown lists of the primary: a standby that is further behind is not asked."""
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

NO_KEY: Final = "Requests must be authenticated with a valid API key."
WRONG_KEY: Final = "The API key is not valid here; `freeplay-like init --data DIR --project NAME` prints one."
NO_PROJECT: Final = "Project not found"


# --- programs ---------------------------------------------------------------------------------------------


class Keys:
    """Tells whose key it is, without asking the store each time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: dict[bytes, tuple[float, ApiKey]] = {}
        self._used: dict[str, datetime] = {}

    def take_used(self) -> dict[str, datetime]:
        """Which keys were asked for since this was last called, and when, to the next few seconds."""
        used, self._used = self._used, {}
        return used

    async def check(self, headers: http.RawHeaders, project_id: str, scope: KeyScope) -> Project:
        """The project, if the key of this request may do `scope` in it.

        A key of another project learns nothing of this one: to it, the project is not there.

        Raises:
            HTTPException: 401 no or a wrong key, 404 another project's, 403 a key that may not do this.
        """
        return (await self.grant(headers, project_id, scope)).project

    async def grant(self, headers: http.RawHeaders, project_id: str, scope: KeyScope) -> ApiKey:
        """As `check`, but the key itself."""
        return _allowed(await self.find(headers), project_id, scope)

    def recall(self, headers: http.RawHeaders, project_id: str, scope: KeyScope) -> ApiKey | None:
        """As `grant`, without waiting; None where the store has to be asked."""
        key = self._recall(_key_in(headers))
        return None if key is None else _allowed(key, project_id, scope)

    async def find(self, headers: http.RawHeaders) -> ApiKey:
        """The key of this request.

        Raises:
            HTTPException: 401.
        """
        text = _key_in(headers)
        known = self._recall(text)
        if known is not None:
            return known
        found = await run_in_threadpool(self._store.keys.find, text.decode("latin-1"))
        if found is None:
            raise HTTPException(401, WRONG_KEY, _CHALLENGE)
        if len(self._remembered) >= _REMEMBERED_LIMIT:
            self._remembered.clear()
        self._remembered[hashlib.sha256(text).digest()] = time.monotonic(), found
        self._used[found.key_id] = datetime.now(UTC)
        return found

    def _recall(self, text: bytes) -> ApiKey | None:
        digest = hashlib.sha256(text).digest()
        checked_at, key = self._remembered.get(digest, (0.0, None))
        if key is not None and time.monotonic() - checked_at < REMEMBERED_S:
            return key
        self._remembered.pop(digest, None)
        return None


def _key_in(headers: http.RawHeaders) -> bytes:
    """The key that a request carries, good or not; 401 where it has none."""
    authorization = next((value for name, value in headers if name == b"authorization"), b"")
    kind, _, text = authorization.partition(b" ")
    text = text.strip()
    if kind.lower() != b"bearer" or not text:
        raise HTTPException(401, NO_KEY, _CHALLENGE)
    return text


def _allowed(key: ApiKey, project_id: str, scope: KeyScope) -> ApiKey:
    if key.project.id != project_id:
        raise HTTPException(404, NO_PROJECT)
    require_scope(key, scope)
    return key


def require_scope(key: ApiKey, scope: KeyScope) -> None:
    """403 unless the key may do `scope`."""
    if scope not in key.scopes:
        may = ", ".join(sorted(key.scopes))
        raise HTTPException(403, f"The API key {key.key_id} may do {may}, and this needs {scope}.")


# --- people -----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Person:
    """Somebody who signed in with a browser; `session_token` is what the browser keeps."""

    id: str
    name: str
    role: Role
    session_token: str = attrs.field(repr=False)

    @property
    def is_admin(self) -> bool:
        """Whether they may do everything."""
        return self.role == "admin"


class SignInNeeded(Exception):
    """A page was asked for by a browser that is not signed in: it is told how to get a link (401)."""


def person_of(connection: HTTPConnection) -> Person | None:
    """The person whose browser asks, None where it is not signed in."""
    person = connection.scope.get("state", {}).get("person")
    return person if isinstance(person, Person) else None


def require_person(request: Request) -> Person:
    """The person whose browser asks.

    Raises:
        SignInNeeded: it is not signed in.
    """
    person = person_of(request)
    if person is None:
        raise SignInNeeded
    return person


OnUnavailable: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]
"""Answers a request while the store cannot be asked."""


class People:
    """Middleware: finds out whose browser asks, and turns away what another site made it send."""

    def __init__(self, app: ASGIApp, state: State, on_unavailable: OnUnavailable) -> None:
        self._app = app
        self._state = state
        self._on_unavailable = on_unavailable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at one request for a page; the API has keys instead."""
        if scope["type"] == "http" and not scope["path"].startswith(("/api/", "/static/", "/v1/")):
            if scope["method"] in _UNSAFE and not _is_from_here(scope):
                refusal = http.json_error(403, "this request comes from another site, or from no browser")
                await refusal(scope, receive, send)
                return
            token = session_token_in(scope, self._state.settings)
            if token is not None:
                try:
                    known = await run_in_threadpool(self._state.store.people.of_session, token)
                except StoreUnavailable as exc:
                    answer = await self._on_unavailable(Request(scope), exc)
                    await answer(scope, receive, send)
                    return
                if known is not None:
                    person = Person(id=known.id, name=known.name, role=known.role, session_token=token)
                    scope.setdefault("state", {})["person"] = person
            if self._state.store.has_standby:
                await self._answer_who_changed(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer_who_changed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a browser see what it changed, whichever server it asks next: for so long it is not shown a standby."""
        name = f"{self._state.settings.cookie_name}_changed"

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure = "; Secure" if self._state.settings.is_secure else ""
                cookie = f"{name}=1; Path=/; Max-Age={CHANGED_S}; HttpOnly; SameSite=Lax{secure}"
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode())]
            await send(message)

        with primary_alone() if _cookie_in(scope, name) is not None else nullcontext():
            await self._app(scope, receive, send_with_cookie if scope["method"] in _UNSAFE else send)


def session_token_in(scope: Scope, settings: Settings) -> str | None:
    """The session token that a browser sent, good or not."""
    return _cookie_in(scope, settings.cookie_name)


def _cookie_in(scope: Scope, wanted: str) -> str | None:
    cookies = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                cookies.load(value.decode("latin-1"))
            except CookieError:
                return None  # not a cookie that any browser keeps for us
    morsel = cookies.get(wanted)
    return morsel.value if morsel else None


def session_cookie(settings: Settings, token: str | None) -> str:
    """The Set-Cookie header that keeps a session token in a browser, or takes it away (None)."""
    age = int(SESSION_AGE.total_seconds()) if token else 0
    secure = "; Secure" if settings.is_secure else ""
    return f"{settings.cookie_name}={token or ''}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"


def is_own_address(address: str) -> bool:
    r"""Whether an address is a path on this server: `//host` and `/\host` lead elsewhere."""
    return address.startswith("/") and address[1:2] not in {"/", "\\"} and address.isprintable()


def _is_from_here(scope: Scope) -> bool:
    """Whether a page of ours made the browser send this; a request without either header is no browser's."""
    headers = dict(scope["headers"])
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return bool(site in {b"same-origin", b"none"})
    origin = urlsplit(headers.get(b"origin", b"").decode("latin-1")).netloc
    return bool(origin) and origin == headers.get(b"host", b"").decode("latin-1")


def keys_of(request: Request) -> Keys:
    """The keys of the server that a request came to."""
    return request.app.state.keys  # type: ignore[no-any-return]


async def require_key(request: Request, scope: KeyScope) -> Project:
    """The project in the request's address, if its key may do `scope` there; see `Keys.check`."""
    return await keys_of(request).check(request.scope["headers"], request.path_params["project_id"], scope)
