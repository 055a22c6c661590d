"""The keys of programs: `fpl_<id>_<secret>_<check>`."""

from __future__ import annotations

import hmac
import secrets
import string
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final, cast, get_args

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part, project_from
from freeplay_like.server.store.digests import sha256
from freeplay_like.server.store.tables import api_key, project, to_micros
from freeplay_like.server.store.views import ApiKey, Project, Scope

ALL_SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))

_ALPHABET: Final = string.digits + string.ascii_letters
_ID_LENGTH: Final = 8
_SECRET_LENGTH: Final = 32
_CHECK_LENGTH: Final = 6


@attrs.frozen(kw_only=True)
class KeyParts:
    """An API key as it was sent: `fpl_<id>_<secret>_<check>`."""

    key_id: str
    secret_sha256: bytes


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


def create_key(connection: sa.Connection, of: Project, scopes: Iterable[Scope], now: datetime) -> str:
    """A new key of a project, in clear: nobody can read it again."""
    key_id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    connection.execute(
        sa.insert(api_key).values(
            id=key_id,
            project_key=of.key,
            secret_sha256=sha256(secret),
            scopes=" ".join(sorted(scopes)),
            created_at=to_micros(now),
        )
    )
    return f"fpl_{key_id}_{secret}_{_check_digits(key_id, secret)}"


def find_key(connection: sa.Connection, parts: KeyParts) -> ApiKey | None:
    """The key these parts belong to, None where there is none, the secret is wrong, or the key was revoked."""
    row = connection.execute(
        sa.select(api_key.c.secret_sha256, api_key.c.scopes, project)
        .join(project, api_key.c.project_key == project.c.key)
        .where(api_key.c.id == parts.key_id, api_key.c.revoked_at.is_(None))
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.secret_sha256, parts.secret_sha256):
        return None
    scopes = frozenset(cast("Scope", scope) for scope in row.scopes.split())
    return ApiKey(key_id=parts.key_id, project=project_from(row._mapping), scopes=scopes)


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

    def create(self, project: Project, scopes: frozenset[Scope] = ALL_SCOPES) -> str:
        """A new API key, in clear: it cannot be read again."""
        now = self._access.clock.now()
        return self._access.change(lambda connection: create_key(connection, project, scopes, now))

    def find(self, text: str) -> ApiKey | None:
        """Whose key this is, None where it is nobody's."""
        parts = parse_key(text)
        return None if parts is None else self._access.ask(find_key, parts)
