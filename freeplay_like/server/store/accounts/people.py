"""People's browsers: sign-in links and sessions."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.digests import sha256
from freeplay_like.server.store.tables import browser_session, sign_in_link, to_micros

LINK_AGE: Final = timedelta(hours=24)
SESSION_AGE: Final = timedelta(days=30)


def create_sign_in_link(connection: sa.Connection, now: datetime, expires_at: datetime) -> str:
    """The token of a new link, which signs in one browser once."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        sa.insert(sign_in_link).values(
            token_sha256=sha256(token), created_at=to_micros(now), expires_at=to_micros(expires_at)
        )
    )
    return token


def sign_in(connection: sa.Connection, token: str, now: datetime, expires_at: datetime) -> str | None:
    """Use up a link: the token of a new browser session, None where the link is unknown, used or too old."""
    used = connection.execute(
        sa.update(sign_in_link)
        .where(
            sign_in_link.c.token_sha256 == sha256(token),
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
            token_sha256=sha256(session_token), created_at=to_micros(now), expires_at=to_micros(expires_at)
        )
    )
    return session_token


def is_signed_in(connection: sa.Connection, session_token: str, now: datetime) -> bool:
    """Whether this is the token of a browser session that has not ended."""
    return bool(
        connection.scalar(
            sa.select(sa.literal(1)).where(
                browser_session.c.token_sha256 == sha256(session_token), browser_session.c.expires_at > to_micros(now)
            )
        )
    )


def sign_out(connection: sa.Connection, session_token: str) -> None:
    """End a browser session."""
    connection.execute(sa.delete(browser_session).where(browser_session.c.token_sha256 == sha256(session_token)))


def can_anybody_sign_in(connection: sa.Connection, now: datetime) -> bool:
    """Whether there is a browser session or a link that is still good."""
    moment = to_micros(now)
    session = sa.select(sa.literal(1)).where(browser_session.c.expires_at > moment)
    link = sa.select(sa.literal(1)).where(sign_in_link.c.expires_at > moment, sign_in_link.c.used_at.is_(None))
    return bool(connection.scalar(session.union_all(link).limit(1)))


class People(Part):
    """Who may look at the pages."""

    def create_sign_in_link(self) -> str:
        """The token of a link that signs in one browser, once, within a day."""
        now = self._access.clock.now()
        return self._access.change_anyway(lambda connection: create_sign_in_link(connection, now, now + LINK_AGE))

    def sign_in(self, token: str) -> str | None:
        """Use up a link: the token of a new browser session, None where the link is not good (any more)."""
        now = self._access.clock.now()
        return self._access.change_anyway(lambda connection: sign_in(connection, token, now, now + SESSION_AGE))

    def sign_out(self, session_token: str) -> None:
        """End a browser session."""
        self._access.change_anyway(lambda connection: sign_out(connection, session_token))

    def is_signed_in(self, session_token: str) -> bool:
        """Whether this browser session is good."""
        return self._access.ask(is_signed_in, session_token, self._access.clock.now())

    def can_anybody_sign_in(self) -> bool:
        """Whether there is a browser session or a link that is still good."""
        return self._access.ask(can_anybody_sign_in, self._access.clock.now())
