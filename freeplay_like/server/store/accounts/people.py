"""People: their names and roles, and their browsers' sign-in links and sessions."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final, Literal

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.digests import sha256
from freeplay_like.server.store.tables import browser_session, from_micros, person, sign_in_link, to_micros
from freeplay_like.server.store.views import Conflict, NameTaken, NotFound, Refused

LINK_AGE: Final = timedelta(hours=24)
SESSION_AGE: Final = timedelta(days=30)
NAME_LIMIT: Final = 100

Role = Literal["admin", "reviewer"]
"""What a person may do. An admin alone may make keys and people, connect providers, set retention, delete calls, and
move protected environments."""

FIRST_NAME: Final = "Admin"
"""What the first administrator is called until they say otherwise."""


@attrs.frozen(kw_only=True)
class KnownPerson:
    """Somebody who may look at the pages. `sessions` counts the browsers that are signed in."""

    id: str
    name: str
    role: Role
    created_at: datetime
    sessions: int = 0


class PersonNotFound(NotFound):
    """There is no such person."""


def create_sign_in_link(connection: sa.Connection, person_key: int, now: datetime, expires_at: datetime) -> str:
    """The token of a new link, which signs in one browser once."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        sa.insert(sign_in_link).values(
            token_sha256=sha256(token),
            created_at=to_micros(now),
            expires_at=to_micros(expires_at),
            person_key=person_key,
        )
    )
    return token


def sign_in(connection: sa.Connection, token: str, now: datetime, expires_at: datetime) -> str | None:
    """Use up a link: the token of a new browser session, None where the link is unknown, used or too old."""
    link = sign_in_link.c
    statement = sa.select(link.person_key).where(
        link.token_sha256 == sha256(token), link.used_at.is_(None), link.expires_at > to_micros(now)
    )
    found = connection.execute(statement).one_or_none()
    if found is None:
        return None
    connection.execute(sa.update(sign_in_link).where(link.token_sha256 == sha256(token)).values(used_at=to_micros(now)))
    connection.execute(sa.delete(browser_session).where(browser_session.c.expires_at <= to_micros(now)))
    session_token = secrets.token_urlsafe(32)
    connection.execute(
        sa.insert(browser_session).values(
            token_sha256=sha256(session_token),
            created_at=to_micros(now),
            expires_at=to_micros(expires_at),
            person_key=found.person_key,
        )
    )
    return session_token


def person_of_session(connection: sa.Connection, session_token: str, now: datetime) -> KnownPerson | None:
    """Whose browser session this is; None where it is none that has not ended."""
    statement = sa.select(browser_session.c.person_key).where(
        browser_session.c.token_sha256 == sha256(session_token), browser_session.c.expires_at > to_micros(now)
    )
    found = connection.execute(statement).one_or_none()
    if found is None:
        return None
    if found.person_key is None:
        return next((one for one in people(connection, now) if one.role == "admin"), _NAMELESS)
    row = connection.execute(_live().where(person.c.key == found.person_key)).mappings().one_or_none()
    return None if row is None else _known(row)


def sign_out(connection: sa.Connection, session_token: str) -> None:
    """End a browser session."""
    connection.execute(sa.delete(browser_session).where(browser_session.c.token_sha256 == sha256(session_token)))


def can_anybody_sign_in(connection: sa.Connection, now: datetime) -> bool:
    """Whether there is a browser session or a link that is still good."""
    moment = to_micros(now)
    session = sa.select(sa.literal(1)).where(browser_session.c.expires_at > moment)
    link = sa.select(sa.literal(1)).where(sign_in_link.c.expires_at > moment, sign_in_link.c.used_at.is_(None))
    return bool(connection.scalar(session.union_all(link).limit(1)))


# --- who there is -----------------------------------------------------------------------------------------


def people(connection: sa.Connection, now: datetime) -> tuple[KnownPerson, ...]:
    """Everybody who was not removed, the first one first."""
    statement = (
        sa.select(browser_session.c.person_key, sa.func.count())
        .where(browser_session.c.expires_at > to_micros(now))
        .group_by(browser_session.c.person_key)
    )
    counts = {key: count for key, count in connection.execute(statement)}
    rows = connection.execute(_live().order_by(person.c.key)).mappings()
    return tuple(attrs.evolve(_known(row), sessions=counts.get(row["key"], 0)) for row in rows)


def create(connection: sa.Connection, name: str, role: Role, new_id: str, now: datetime) -> KnownPerson:
    """A new person.

    Raises:
        NameTaken: there is somebody of that name.
        Refused: the name is empty or too long.
    """
    name = _checked(connection, name)
    connection.execute(sa.insert(person).values(id=new_id, name=name, role=role, created_at=to_micros(now)))
    return KnownPerson(id=new_id, name=name, role=role, created_at=now)


def change(connection: sa.Connection, person_id: str, name: str, role: Role) -> None:
    """Give a person another name or role.

    Raises:
        PersonNotFound, NameTaken, Refused: as above.
        Conflict: nobody would be left who may change anything.
    """
    known = _require(connection, person_id)
    if known["role"] == "admin" and role != "admin":
        _require_another_admin(connection, known["key"])
        _adopt_nameless(connection, known)
    name = _checked(connection, name, but=known["key"])
    connection.execute(sa.update(person).where(person.c.key == known["key"]).values(name=name, role=role))


def remove(connection: sa.Connection, person_id: str, now: datetime) -> None:
    """Sign a person out everywhere, for good.

    Raises:
        PersonNotFound: there is none of that id.
        Conflict: nobody would be left who may change anything.
    """
    known = _require(connection, person_id)
    if known["role"] == "admin":
        _require_another_admin(connection, known["key"])
        _adopt_nameless(connection, known)
    connection.execute(sa.update(person).where(person.c.key == known["key"]).values(removed_at=to_micros(now)))
    connection.execute(sa.delete(browser_session).where(browser_session.c.person_key == known["key"]))
    connection.execute(sa.delete(sign_in_link).where(sign_in_link.c.person_key == known["key"]))


def sign_out_everywhere(connection: sa.Connection, person_id: str, but: str | None = None) -> int:
    """End every browser session of a person, but for that of one token; how many there were.

    Raises:
        PersonNotFound: there is none of that id.
    """
    known = _require(connection, person_id)
    _adopt_nameless(connection, known)
    statement = sa.delete(browser_session).where(browser_session.c.person_key == known["key"])
    if but is not None:
        statement = statement.where(browser_session.c.token_sha256 != sha256(but))
    return connection.execute(statement).rowcount


def _link_for(connection: sa.Connection, person_id: str | None, new_id: str, now: datetime) -> str:
    """The token of a link for a person; for None it is the first administrator's, who is made where there is none."""
    if person_id is None:
        row = _first_admin(connection)
        person_id = row["id"] if row is not None else create(connection, FIRST_NAME, "admin", new_id, now).id
    return create_sign_in_link(connection, _require(connection, person_id)["key"], now, now + LINK_AGE)


def _live(*columns: sa.Column[object]) -> sa.Select[*tuple[object, ...]]:
    return sa.select(*(columns or person.c)).where(person.c.removed_at.is_(None))


def _first_admin(connection: sa.Connection) -> sa.RowMapping | None:
    first = _live().where(person.c.role == "admin").order_by(person.c.key).limit(1)
    return connection.execute(first).mappings().one_or_none()


def _adopt_nameless(connection: sa.Connection, known: sa.RowMapping) -> None:
    """Write down that the sessions and links from before people had names are this person's, where they are: else
    they would become the next administrator's, once this one is none any more."""
    first = _first_admin(connection)
    if first is None or first["key"] != known["key"]:
        return
    for table in (browser_session, sign_in_link):
        connection.execute(sa.update(table).where(table.c.person_key.is_(None)).values(person_key=known["key"]))


def _require(connection: sa.Connection, person_id: str) -> sa.RowMapping:
    row = connection.execute(_live().where(person.c.id == person_id)).mappings().one_or_none()
    if row is None:
        raise PersonNotFound(f"there is no person {person_id[:100]!r} on this server")
    return row


def _require_another_admin(connection: sa.Connection, but: int) -> None:
    other = _live(person.c.key).where(person.c.role == "admin", person.c.key != but).limit(1)
    if connection.scalar(other) is None:
        raise Conflict("this is the only administrator: make somebody else one first")


def _checked(connection: sa.Connection, name: str, but: int | None = None) -> str:
    name = name.strip()
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise Refused(f"a person's name has 1 to {NAME_LIMIT} characters in one line")
    taken = _live(person.c.key).where(person.c.name == name)
    if connection.scalar(taken if but is None else taken.where(person.c.key != but)) is not None:
        raise NameTaken(f"there is somebody called {name!r} already; choose another name")
    return name


def _known(row: sa.RowMapping) -> KnownPerson:
    return KnownPerson(id=row["id"], name=row["name"], role=row["role"], created_at=from_micros(row["created_at"]))


_NAMELESS: Final = KnownPerson(id="", name=FIRST_NAME, role="admin", created_at=from_micros(0))
"""Whose sessions are from before people had names, until the first of them is made."""


class People(Part):
    """Who may look at the pages."""

    def create_sign_in_link(self, person_id: str | None = None) -> str:
        """The token of a link that signs in one browser, once, within a day; None for the first administrator.

        Raises:
            PersonNotFound: there is none of that id.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change_anyway(lambda connection: _link_for(connection, person_id, new_id, now))

    def sign_in(self, token: str) -> str | None:
        """Use up a link: the token of a new browser session, None where the link is not good (any more)."""
        now = self._access.clock.now()
        return self._access.change_anyway(lambda connection: sign_in(connection, token, now, now + SESSION_AGE))

    def sign_out(self, session_token: str) -> None:
        """End a browser session."""
        self._access.change_anyway(lambda connection: sign_out(connection, session_token))

    def of_session(self, session_token: str) -> KnownPerson | None:
        """Whose browser session this is, None where it is none (any more)."""
        return self._access.ask(person_of_session, session_token, self._access.clock.now())

    def can_anybody_sign_in(self) -> bool:
        """Whether there is a browser session or a link that is still good."""
        return self._access.ask(can_anybody_sign_in, self._access.clock.now())

    def all(self) -> tuple[KnownPerson, ...]:
        """Everybody who was not removed, the first one first."""
        return self._access.ask(people, self._access.clock.now())

    def create(self, name: str, role: Role) -> KnownPerson:
        """A new person; see `create`."""
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(lambda connection: create(connection, name, role, new_id, now))

    def change(self, person_id: str, *, name: str, role: Role) -> None:
        """Give a person another name or role; see `change`."""
        self._access.change(lambda connection: change(connection, person_id, name, role))

    def remove(self, person_id: str) -> None:
        """Sign a person out everywhere, for good; see `remove`."""
        now = self._access.clock.now()
        self._access.change(lambda connection: remove(connection, person_id, now))

    def sign_out_everywhere(self, person_id: str, *, but: str | None = None) -> int:
        """End every browser session of a person, but for that of one token; how many there were."""
        return self._access.change_anyway(lambda connection: sign_out_everywhere(connection, person_id, but))
