"""API keys: made, rotated, revoked. A key is shown in clear once, in the answer that makes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

import attrs
import msgspec
from starlette.exceptions import HTTPException

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.operations import PROJECT, Ask, operation
from freeplay_like.server.checks import NAME_LIMIT, is_name, said_of_name
from freeplay_like.server.store.accounts.keys import KnownKey, parse_key
from freeplay_like.server.store.views import Scope

_KEYS: Final = f"{PROJECT}/api-keys"
GRACE_LIMIT_S: Final = 90 * 24 * 3600
"""The longest that a rotated key goes on."""
LONGEST_LIFE: Final = timedelta(days=36_500)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LIMIT)]


@attrs.frozen(kw_only=True)
class NewKey:
    """The body that makes a key. `expires_at` None or absent: it has no end."""

    name: Name
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1, max_length=20)]
    expires_at: Moment | None = None


@attrs.frozen(kw_only=True)
class Rotation:
    """The body that rotates a key: `grace_s` is how long the old one goes on, in seconds; a day where it is absent."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=GRACE_LIMIT_S)] = 24 * 3600


@attrs.frozen(kw_only=True)
class ShownKey:
    """A key, without its secret."""

    id: str
    name: str | None
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    is_live: bool


@attrs.frozen(kw_only=True)
class MadeKey:
    """A key that was just made. `api_key` is the key itself, which cannot be read again."""

    api_key: str
    key: ShownKey


@operation("GET", _KEYS, scope="admin")
def list_keys(ask: Ask[None]) -> JsonObject:
    """The keys of a project, newest first, also those that have ended."""
    return {"data": [_shown(ask, key) for key in ask.store.keys.all(ask.project)]}


@operation("POST", _KEYS, scope="admin", body=NewKey, status=201, returns=MadeKey)
def create_key(ask: Ask[NewKey]) -> MadeKey:
    """A new key of the project. Keep it: it is in this answer alone."""
    body = ask.body
    name = body.name.strip()
    if not is_name(name):
        raise HTTPException(400, f"name: a key's {said_of_name(name)}")
    _check_end(body.expires_at, ask.store.now())
    text = ask.store.keys.create(ask.project, frozenset(body.scopes), name=name, expires_at=body.expires_at)
    return _made(ask, text)


@operation("POST", f"{_KEYS}/{{key_id}}/rotate", scope="admin", body=Rotation, status=201, returns=MadeKey)
def rotate_key(ask: Ask[Rotation]) -> MadeKey:
    """A new key with the name and scopes of this one, which goes on for a while and then ends."""
    grace = timedelta(seconds=ask.body.grace_s)
    return _made(ask, ask.store.keys.rotate(ask.project, ask.path("key_id"), grace))


@operation("DELETE", f"{_KEYS}/{{key_id}}", scope="admin", returns=ShownKey)
def revoke_key(ask: Ask[None]) -> ShownKey:
    """End a key. It is refused within five seconds, also if it is the one that asks."""
    return _shown(ask, ask.store.keys.revoke(ask.project, ask.path("key_id")))


OPERATIONS: Final = (list_keys, create_key, rotate_key, revoke_key)


def _check_end(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
        raise HTTPException(
            400,
            f"expires_at {expires_at.isoformat()!r} is not between now and {(now + LONGEST_LIFE).isoformat()}; "
            "leave it out for a key without an end",
        )


def _made(ask: Ask[NewKey] | Ask[Rotation], text: str) -> MadeKey:
    parts = parse_key(text)
    if parts is None:
        raise ValueError("the store made a key that is none")
    return MadeKey(api_key=text, key=_shown(ask, ask.store.keys.get(ask.project, parts.key_id)))


def _shown(ask: Ask[None] | Ask[NewKey] | Ask[Rotation], key: KnownKey) -> ShownKey:
    return ShownKey(
        id=key.key_id,
        name=key.name,
        scopes=sorted(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        is_live=key.is_live(ask.store.now()),
    )
