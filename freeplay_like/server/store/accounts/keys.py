"""The keys of programs: `fpl_<id>_<secret>_<check>`."""

from __future__ import annotations

import hmac
import secrets
import string
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, cast, get_args

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part, project_from
from freeplay_like.server.store.digests import sha256
from freeplay_like.server.store.tables import api_key, from_micros, project, to_micros
from freeplay_like.server.store.views import ApiKey, Conflict, NotFound, Project, Scope, TooMuch

ALL_SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))

_ALPHABET: Final = string.digits + string.ascii_letters
_ID_LENGTH: Final = 8
_SECRET_LENGTH: Final = 32
_CHECK_LENGTH: Final = 6

LIVE_LIMIT: Final = 200
"""The most keys of a project that are good at one time."""
LIST_LIMIT: Final = 1_000
"""The most keys that a list shows: the newest, also of those that have ended."""


@attrs.frozen(kw_only=True)
class KeyParts:
    """An API key as it was sent: `fpl_<id>_<secret>_<check>`."""

    key_id: str
    secret_sha256: bytes


@attrs.frozen(kw_only=True)
class KnownKey:
    """A key as it is shown: never its secret. `last_used_at` lags by at most a minute or so."""

    key_id: str
    name: str | None
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        """Whether it is good at that moment."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


def parse_key(text: str) -> KeyParts | None:
    """The parts of a key, None where the text is no key of ours: the check digits tell without asking the store."""
    prefix, _, rest = text.partition("_")
    key_id, _, rest = rest.partition("_")
    secret, _, check = rest.partition("_")
    if prefix != "fpl" or len(key_id) != _ID_LENGTH or len(secret) != _SECRET_LENGTH or not text.isascii():
        return None
    if not hmac.compare_digest(check, _check_digits(key_id, secret)):
        return None
    return KeyParts(key_id=key_id, secret_sha256=sha256(secret))


def create_key(
    connection: sa.Connection,
    of: Project,
    scopes: Iterable[Scope],
    now: datetime,
    *,
    name: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """A new key of a project, in clear: nobody can read it again.

    Raises:
        TooMuch: the project has as many as it may have.
    """
    live = connection.scalar(sa.select(sa.func.count()).where(api_key.c.project_key == of.key, _is_live(now))) or 0
    if live >= LIVE_LIMIT:
        raise TooMuch(f"project {of.name!r} has {live} keys that are good; revoke some before you make another")
    key_id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    connection.execute(
        sa.insert(api_key).values(
            id=key_id,
            project_key=of.key,
            secret_sha256=sha256(secret),
            scopes=" ".join(sorted(scopes)),
            created_at=to_micros(now),
            name=name,
            expires_at=None if expires_at is None else to_micros(expires_at),
        )
    )
    return f"fpl_{key_id}_{secret}_{_check_digits(key_id, secret)}"


def find_key(connection: sa.Connection, parts: KeyParts, now: datetime) -> ApiKey | None:
    """The key these parts belong to, None where there is none, the secret is wrong, or the key has ended."""
    row = connection.execute(
        sa.select(api_key.c.secret_sha256, api_key.c.scopes, project)
        .join(project, api_key.c.project_key == project.c.key)
        .where(api_key.c.id == parts.key_id, _is_live(now))
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.secret_sha256, parts.secret_sha256):
        return None
    return ApiKey(key_id=parts.key_id, project=project_from(row._mapping), scopes=_scopes(row.scopes))


def get_key(connection: sa.Connection, of: Project, key_id: str) -> KnownKey:
    """One key of a project.

    Raises:
        NotFound: it has none of that id.
    """
    row = connection.execute(
        sa.select(api_key).where(api_key.c.project_key == of.key, api_key.c.id == key_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"project {of.name!r} has no key {key_id[:100]!r}; list its keys to see their ids")
    return _known(row)


def list_keys(connection: sa.Connection, of: Project) -> tuple[KnownKey, ...]:
    """The keys of a project, also those that have ended, newest first."""
    rows = connection.execute(
        sa.select(api_key)
        .where(api_key.c.project_key == of.key)
        .order_by(api_key.c.created_at.desc(), api_key.c.id)
        .limit(LIST_LIMIT)
    )
    return tuple(_known(row) for row in rows)


def rotate_key(connection: sa.Connection, of: Project, key_id: str, grace: timedelta, now: datetime) -> str:
    """A new key with the name and scopes of another, which goes on for `grace` and then ends.

    Raises:
        NotFound: there is no such key.
        Conflict: it has ended already.
    """
    old = get_key(connection, of, key_id)
    if not old.is_live(now):
        raise Conflict(f"key {key_id!r} has ended already: make a new one instead")
    ends_at = min(now + grace, old.expires_at or datetime.max.replace(tzinfo=now.tzinfo))
    text = create_key(connection, of, old.scopes, now, name=old.name)
    connection.execute(sa.update(api_key).where(api_key.c.id == key_id).values(expires_at=to_micros(ends_at)))
    return text


def revoke_key(connection: sa.Connection, of: Project, key_id: str, now: datetime) -> KnownKey:
    """End a key now; one that was revoked before stays as it is.

    Raises:
        NotFound: there is no such key.
    """
    get_key(connection, of, key_id)
    connection.execute(
        sa.update(api_key)
        .where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
        .values(revoked_at=to_micros(now))
    )
    return get_key(connection, of, key_id)


def touch_keys(connection: sa.Connection, used: Mapping[str, datetime]) -> None:
    """Keep when keys were last used; a time never goes back."""
    for key_id, moment in used.items():
        at = to_micros(moment)
        is_older = sa.or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at < at)
        connection.execute(sa.update(api_key).where(api_key.c.id == key_id, is_older).values(last_used_at=at))


def _is_live(now: datetime) -> sa.ColumnElement[bool]:
    is_before_end = sa.or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > to_micros(now))
    return sa.and_(api_key.c.revoked_at.is_(None), is_before_end)


def _known(row: sa.Row[tuple[object, ...]]) -> KnownKey:
    fields = row._mapping
    times = {name: fields[name] for name in ("expires_at", "last_used_at", "revoked_at")}
    return KnownKey(
        key_id=fields["id"],
        name=fields["name"],
        scopes=_scopes(fields["scopes"]),
        created_at=from_micros(fields["created_at"]),
        **{name: None if at is None else from_micros(at) for name, at in times.items()},
    )


def _scopes(words: str) -> frozenset[Scope]:
    return frozenset(cast("Scope", scope) for scope in words.split())


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _check_digits(key_id: str, secret: str) -> str:
    """CRC-32 in base 62: tells a mistyped key, and lets a secret scanner know ours from other words."""
    value, digits = zlib.crc32(f"{key_id}_{secret}".encode()), ""
    for _ in range(_CHECK_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


class ApiKeys(Part):
    """The keys of programs."""

    def create(
        self,
        project: Project,
        scopes: frozenset[Scope] = ALL_SCOPES,
        *,
        name: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """A new API key, in clear: it cannot be read again."""
        now = self._access.clock.now()
        return self._access.change(
            lambda connection: create_key(connection, project, scopes, now, name=name, expires_at=expires_at)
        )

    def find(self, text: str) -> ApiKey | None:
        """Whose key this is, None where it is nobody's, or has ended."""
        parts = parse_key(text)
        return None if parts is None else self._access.ask(find_key, parts, self._access.clock.now())

    def get(self, project: Project, key_id: str) -> KnownKey:
        """One key of a project; NotFound where it has none of that id."""
        return self._access.ask(get_key, project, key_id)

    def all(self, project: Project) -> tuple[KnownKey, ...]:
        """The keys of a project, also those that have ended, newest first; at most `LIST_LIMIT`."""
        return self._access.ask(list_keys, project)

    def rotate(self, project: Project, key_id: str, grace: timedelta) -> str:
        """A new key in clear, like another one, which ends after `grace`; see `rotate_key`."""
        now = self._access.clock.now()
        return self._access.change(lambda connection: rotate_key(connection, project, key_id, grace, now))

    def revoke(self, project: Project, key_id: str) -> KnownKey:
        """End a key now; see `revoke_key`."""
        now = self._access.clock.now()
        return self._access.change_anyway(lambda connection: revoke_key(connection, project, key_id, now))

    def touch(self, used: Mapping[str, datetime]) -> None:
        """Keep when keys, by their ids, were last used."""
        if used:
            self._access.change(lambda connection: touch_keys(connection, used))
