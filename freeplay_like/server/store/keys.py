"""Projects, the keys of programs and the sessions of people's browsers.

Secrets are random and long, so a plain SHA-256 of them is all that is kept: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final, cast, get_args

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.tables import api_key, browser_session, from_micros, project, sign_in_link, to_micros
from freeplay_like.server.store.views import ApiKey, Project, Scope

ALL_SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))

_ALPHABET: Final = string.digits + string.ascii_letters
_ID_LENGTH: Final = 8
_SECRET_LENGTH: Final = 32
_CHECK_LENGTH: Final = 6


# --- projects ---------------------------------------------------------------------------------------------


def projects(connection: sa.Connection) -> tuple[Project, ...]:
    """All projects, newest first."""
    rows = connection.execute(sa.select(project).order_by(project.c.key.desc()))
    return tuple(_project(row) for row in rows.mappings())


def get_project(connection: sa.Connection, project_id: str) -> Project | None:
    """A project by its id."""
    row = connection.execute(sa.select(project).where(project.c.id == project_id)).mappings().one_or_none()
    return None if row is None else _project(row)


def find_project(connection: sa.Connection, name: str) -> Project | None:
    """A project by its name."""
    row = connection.execute(sa.select(project).where(project.c.name == name)).mappings().one_or_none()
    return None if row is None else _project(row)


def create_project(connection: sa.Connection, name: str, project_id: str, now: datetime) -> Project | None:
    """A new project; None where the name is taken."""
    if find_project(connection, name) is not None:
        return None
    connection.execute(sa.insert(project).values(id=project_id, name=name, created_at=to_micros(now)))
    return get_project(connection, project_id)


def _project(fields: sa.RowMapping) -> Project:
    return Project(
        key=fields["key"], id=fields["id"], name=fields["name"], created_at=from_micros(fields["created_at"])
    )


# --- keys of programs -------------------------------------------------------------------------------------


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
    return KeyParts(key_id=key_id, secret_sha256=_sha256(secret))


def create_key(connection: sa.Connection, of: Project, scopes: Iterable[Scope], now: datetime) -> str:
    """A new key of a project, in clear: nobody can read it again."""
    key_id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    connection.execute(
        sa.insert(api_key).values(
            id=key_id,
            project_key=of.key,
            secret_sha256=_sha256(secret),
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
    return ApiKey(key_id=parts.key_id, project=_project(row._mapping), scopes=scopes)


# --- people -----------------------------------------------------------------------------------------------


def create_sign_in_link(connection: sa.Connection, now: datetime, expires_at: datetime) -> str:
    """The token of a new link, which signs in one browser once."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        sa.insert(sign_in_link).values(
            token_sha256=_sha256(token), created_at=to_micros(now), expires_at=to_micros(expires_at)
        )
    )
    return token


def sign_in(connection: sa.Connection, token: str, now: datetime, expires_at: datetime) -> str | None:
    """Use up a link: the token of a new browser session, None where the link is unknown, used or too old."""
    used = connection.execute(
        sa.update(sign_in_link)
        .where(
            sign_in_link.c.token_sha256 == _sha256(token),
            sign_in_link.c.used_at.is_(None),
            sign_in_link.c.expires_at > to_micros(now),
        )
        .values(used_at=to_micros(now))
    )
    if not used.rowcount:
        return None
    connection.execute(sa.delete(browser_session).where(browser_session.c.expires_at <= to_micros(now)))
    session_token = secrets.token_urlsafe(32)
    connection.execute(
        sa.insert(browser_session).values(
            token_sha256=_sha256(session_token), created_at=to_micros(now), expires_at=to_micros(expires_at)
        )
    )
    return session_token


def is_signed_in(connection: sa.Connection, session_token: str, now: datetime) -> bool:
    """Whether this is the token of a browser session that has not ended."""
    return bool(
        connection.scalar(
            sa.select(sa.literal(1)).where(
                browser_session.c.token_sha256 == _sha256(session_token), browser_session.c.expires_at > to_micros(now)
            )
        )
    )


def sign_out(connection: sa.Connection, session_token: str) -> None:
    """End a browser session."""
    connection.execute(sa.delete(browser_session).where(browser_session.c.token_sha256 == _sha256(session_token)))


def can_anybody_sign_in(connection: sa.Connection, now: datetime) -> bool:
    """Whether there is a browser session or a link that is still good."""
    moment = to_micros(now)
    session = sa.select(sa.literal(1)).where(browser_session.c.expires_at > moment)
    link = sa.select(sa.literal(1)).where(sign_in_link.c.expires_at > moment, sign_in_link.c.used_at.is_(None))
    return bool(connection.scalar(session.union_all(link).limit(1)))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _check_digits(key_id: str, secret: str) -> str:
    """CRC-32 in base 62: tells a mistyped key, and lets a secret scanner know ours from other words."""
    value, digits = zlib.crc32(f"{key_id}_{secret}".encode()), ""
    for _ in range(_CHECK_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
