"""The keys of programs: made, replaced and ended. A key is shown once, on the page that answers the form."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, cast

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.pages.addresses import settings_address
from freeplay_like.server.pages.forms import Form, Sent, action, then
from freeplay_like.server.pages.page import page, project_of
from freeplay_like.server.pages.settings.common import SettingsContext, answer_once, common_of
from freeplay_like.server.state import State
from freeplay_like.server.store.accounts.keys import KnownKey, parse_key
from freeplay_like.server.store.views import Refused, Scope

SCOPES: Final[dict[Scope, str]] = {
    "ingest": "send calls, feedback, scores and test runs",
    "read": "read calls, templates, datasets and figures; an application fetches its templates with it",
    "prompts": "write templates, datasets and test suites",
    "deploy": "move protected environments",
    "admin": "make keys, connect providers, set prices and retention, delete",
}
"""What keys can be given, and what each may do."""

LIVES: Final = {"": "never", "7": "in 7 days", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}
"""When a new key can end, in days."""
GRACES: Final = {"0": "at once", "1": "in an hour", "24": "in a day", "168": "in a week", "720": "in 30 days"}
"""When a key that was replaced can end, in hours."""

KeyState = Literal["live", "expired", "revoked"]


@attrs.frozen(kw_only=True)
class KeyRow:
    """A key, without its secret."""

    key_id: str
    name: str | None
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    state: KeyState

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or "without a name"


@attrs.frozen(kw_only=True)
class KeysContext(SettingsContext):
    """The keys of a project: those that are good, and those that have ended, newest first."""

    live: tuple[KeyRow, ...]
    ended: tuple[KeyRow, ...]
    scopes: dict[Scope, str]
    lives: dict[str, str]
    graces: dict[str, str]


@attrs.frozen(kw_only=True)
class MadeContext(SettingsContext):
    """A key that was just made, in clear. `replaced` is the one in whose place it comes."""

    api_key: str
    key: KeyRow
    replaced: KeyRow | None
    api_base: str


def routes(state: State) -> list[BaseRoute]:
    """The tab, and its forms."""
    place = "/projects/{project_id}/settings/keys"
    return [
        *page(place, "settings/keys.html", _build, state),
        action(place, _make, state, may="admin"),
        action(f"{place}/{{key_id}}/replace", _replace, state, may="admin"),
        action(f"{place}/{{key_id}}/revoke", _revoke, state, may="admin"),
    ]


def _build(state: State, request: Request) -> KeysContext:
    common = common_of(state, request, "keys")
    rows = [_row(key, state.store.now()) for key in state.store.keys.all(common.project)]
    return KeysContext(
        common=common,
        live=tuple(row for row in rows if row.state == "live"),
        ended=tuple(row for row in rows if row.state != "live"),
        scopes=SCOPES,
        lives=LIVES,
        graces=GRACES,
    )


def _make(sent: Sent) -> Response:
    store, project = sent.state.store, project_of(sent.state, sent.request)
    name = sent.form.get("name")
    if not is_name(name):
        raise Refused(f"a key's {said_of_name(name)}")
    days = sent.form.one_of("ends", "When the key ends", tuple(LIVES))
    expires_at = store.now() + timedelta(days=int(days)) if days else None
    text = store.keys.create(project, _scopes(sent.form), name=name, expires_at=expires_at)
    return _shown_once(sent, text)


def _replace(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    hours = int(sent.form.one_of("grace", "When the old key ends", tuple(GRACES)))
    key_id = sent.request.path_params["key_id"]
    text = sent.state.store.keys.rotate(project, key_id, timedelta(hours=hours))
    return _shown_once(sent, text, replaced=key_id)


def _revoke(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    sent.state.store.keys.revoke(project, sent.request.path_params["key_id"])
    return then(settings_address(project.id, "keys", said="revoked"))


def _shown_once(sent: Sent, text: str, replaced: str | None = None) -> Response:
    state = sent.state
    common = common_of(state, sent.request, "keys")
    parts = parse_key(text)
    if parts is None:
        raise ValueError("the store made a key that is none")

    def row(key_id: str) -> KeyRow:
        return _row(state.store.keys.get(common.project, key_id), state.store.now())

    context = MadeContext(
        common=common,
        api_key=text,
        key=row(parts.key_id),
        replaced=None if replaced is None else row(replaced),
        api_base=state.settings.api_base,
    )
    return answer_once(sent, "settings/key_made.html", context)


def _scopes(form: Form) -> frozenset[Scope]:
    chosen = form.all("scope")
    if not chosen:
        raise Refused("a key that may do nothing is of no use: check at least one thing that it may do")
    unknown = sorted(set(chosen) - set(SCOPES))
    if unknown:
        raise Refused(f"a key may do {', '.join(SCOPES)}, not {unknown[0][:100]!r}")
    return cast("frozenset[Scope]", frozenset(chosen))


def _row(key: KnownKey, now: datetime) -> KeyRow:
    ended: KeyState = "expired" if key.revoked_at is None else "revoked"
    return KeyRow(
        key_id=key.key_id,
        name=key.name,
        scopes=tuple(scope for scope in SCOPES if scope in key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        state="live" if key.is_live(now) else ended,
    )
