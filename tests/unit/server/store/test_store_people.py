"""People: names, roles, the last administrator, links, and sessions from before people had names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from freeplay_like.server.store.accounts import people
from freeplay_like.server.store.accounts.people import FIRST_NAME, KnownPerson, PersonNotFound
from freeplay_like.server.store.digests import sha256
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.tables import browser_session, to_micros
from freeplay_like.server.store.views import Conflict, NameTaken, Refused
from support.clocks import SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(database: Database, clock: SetClock) -> Iterator[Store]:
    opened = Store(database, clock=clock)
    yield opened
    opened.close()


def signed_in(store: Store, person: KnownPerson | None = None) -> str:
    session = store.people.sign_in(store.people.create_sign_in_link(None if person is None else person.id))
    assert session is not None
    return session


def test_the_first_link_makes_the_first_administrator_and_later_ones_sign_the_same_one_in(store: Store) -> None:
    first = store.people.of_session(signed_in(store))
    assert first is not None
    assert (first.name, first.role) == (FIRST_NAME, "admin")
    assert store.people.of_session(signed_in(store)) == first
    assert [(one.id, one.sessions) for one in store.people.all()] == [(first.id, 2)]


def test_a_link_signs_in_the_person_it_was_made_for(store: Store) -> None:
    signed_in(store)
    ada = store.people.create("Ada", "reviewer")
    assert store.people.of_session(signed_in(store, ada)) == ada
    assert [one.name for one in store.people.all()] == [FIRST_NAME, "Ada"]


def test_a_link_works_once_and_for_a_day(store: Store, clock: SetClock) -> None:
    link, late = store.people.create_sign_in_link(), store.people.create_sign_in_link()
    assert store.people.sign_in(link) is not None
    assert store.people.sign_in(link) is None
    clock.moment += people.LINK_AGE
    assert store.people.sign_in(late) is None


def test_a_link_for_nobody_is_refused(store: Store) -> None:
    with pytest.raises(PersonNotFound, match="'nobody'"):
        store.people.create_sign_in_link("nobody")


def test_a_session_ends_after_its_time_and_is_forgotten_at_the_next_sign_in(store: Store, clock: SetClock) -> None:
    session = signed_in(store)
    clock.moment += people.SESSION_AGE - timedelta(seconds=1)
    assert store.people.of_session(session) is not None
    clock.moment += timedelta(seconds=1)
    assert store.people.of_session(session) is None
    signed_in(store)
    assert [one.sessions for one in store.people.all()] == [1]


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "two\nlines", "a\u202eb"])
def test_a_name_is_one_line_of_at_most_100_characters(store: Store, name: str) -> None:
    with pytest.raises(Refused, match="1 to 100"):
        store.people.create(name, "reviewer")
    assert store.people.all() == ()


def test_a_name_is_taken_once_until_its_person_is_removed(store: Store) -> None:
    ada = store.people.create(" Ada ", "reviewer")
    assert ada.name == "Ada"
    with pytest.raises(NameTaken, match="Ada"):
        store.people.create("Ada", "admin")
    bob = store.people.create("Bob", "reviewer")
    with pytest.raises(NameTaken):
        store.people.change(bob.id, name="Ada", role="reviewer")
    store.people.change(ada.id, name="Ada", role="reviewer")  # their own name is no other's
    store.people.remove(ada.id)
    store.people.change(bob.id, name="Ada", role="reviewer")
    assert [one.name for one in store.people.all()] == ["Ada"]


def test_the_last_administrator_can_be_neither_removed_nor_made_a_reviewer(store: Store) -> None:
    signed_in(store)
    admin = store.people.all()[0]
    store.people.create("Ada", "reviewer")
    with pytest.raises(Conflict, match="only administrator"):
        store.people.remove(admin.id)
    with pytest.raises(Conflict, match="only administrator"):
        store.people.change(admin.id, name="Still me", role="reviewer")
    assert store.people.all()[0].name == FIRST_NAME
    second = store.people.create("Bob", "admin")
    store.people.change(admin.id, name="Grace", role="reviewer")
    assert [(one.name, one.role) for one in store.people.all()] == [
        ("Grace", "reviewer"),
        ("Ada", "reviewer"),
        ("Bob", "admin"),
    ]
    with pytest.raises(Conflict):
        store.people.remove(second.id)


def test_one_who_is_removed_is_signed_out_and_their_links_are_void(store: Store) -> None:
    signed_in(store)
    ada = store.people.create("Ada", "reviewer")
    session, link = signed_in(store, ada), store.people.create_sign_in_link(ada.id)
    store.people.remove(ada.id)
    assert store.people.of_session(session) is None
    assert store.people.sign_in(link) is None
    with pytest.raises(PersonNotFound):
        store.people.remove(ada.id)


def test_signing_out_everywhere_ends_the_sessions_of_that_person_alone(store: Store) -> None:
    mine = signed_in(store)
    ada = store.people.create("Ada", "reviewer")
    theirs = [signed_in(store, ada), signed_in(store, ada)]
    assert store.people.sign_out_everywhere(ada.id) == 2
    assert [store.people.of_session(session) for session in theirs] == [None, None]
    assert store.people.of_session(mine) is not None


def test_a_session_from_before_people_had_names_is_the_first_administrators(store: Store, clock: SetClock) -> None:
    def keep(connection: sa.Connection) -> None:
        now = clock.now()
        values = {"created_at": to_micros(now), "expires_at": to_micros(now + people.SESSION_AGE)}
        connection.execute(sa.insert(browser_session).values(token_sha256=sha256("old"), person_key=None, **values))

    store._writer.run(keep)
    nameless = store.people.of_session("old")
    assert nameless is not None
    assert (nameless.id, nameless.name, nameless.role) == ("", FIRST_NAME, "admin")
    signed_in(store)
    assert store.people.of_session("old") == store.people.all()[0]


def test_signing_out_the_other_browsers_leaves_this_one(store: Store) -> None:
    here, there = signed_in(store), signed_in(store)
    assert store.people.sign_out_everywhere(store.people.all()[0].id, but=here) == 1
    assert store.people.of_session(here) is not None
    assert store.people.of_session(there) is None


@pytest.mark.parametrize("end", ["remove", "demote", "sign out"])
def test_a_session_from_before_people_had_names_never_becomes_the_next_administrators(
    store: Store, clock: SetClock, end: str
) -> None:
    def keep(connection: sa.Connection) -> None:
        now = clock.now()
        values = {"created_at": to_micros(now), "expires_at": to_micros(now + people.SESSION_AGE)}
        connection.execute(sa.insert(browser_session).values(token_sha256=sha256("old"), person_key=None, **values))

    signed_in(store)
    first = store.people.all()[0]
    store.people.create("Ada", "admin")
    store._writer.run(keep)
    if end == "remove":
        store.people.remove(first.id)
    elif end == "demote":
        store.people.change(first.id, name=first.name, role="reviewer")
    else:
        store.people.sign_out_everywhere(first.id)
    found = store.people.of_session("old")
    assert (None if found is None else found.role) == ("reviewer" if end == "demote" else None)
