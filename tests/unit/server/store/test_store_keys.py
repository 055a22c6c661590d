from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from freeplay_like.clock import SystemClock
from freeplay_like.server.store.accounts.keys import ALL_SCOPES, parse_key
from freeplay_like.server.store.accounts.people import LINK_AGE, SESSION_AGE
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import NameTaken, Project


class SetClock(SystemClock):
    """A clock that stands where it is set."""

    moment = datetime(2026, 11, 21, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


def test_projects_are_found_by_id_and_name(store: Store, project: Project) -> None:
    second = store.projects.create("second")
    assert store.projects.all() == (second, project)
    assert store.projects.get(second.id) == store.projects.find("second") == second
    assert store.projects.get("none") is store.projects.find("none") is None
    with pytest.raises(NameTaken, match="'second'"):
        store.projects.create("second")


def test_a_key_is_known_by_its_text_alone(store: Store, project: Project, tmp_path: Path) -> None:
    text = store.keys.create(project)
    key = store.keys.find(text)
    assert key is not None
    assert (key.project, key.scopes) == (project, ALL_SCOPES)
    store.close()
    secret = text.split("_")[2].encode()
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir()), "the secret must not be on disk"


def test_a_key_keeps_its_scopes(store: Store, project: Project) -> None:
    key = store.keys.find(store.keys.create(project, frozenset({"ingest"})))
    assert key is not None
    assert key.scopes == {"ingest"}


@pytest.mark.parametrize("place", [4, 14, -1])
def test_a_key_with_a_wrong_letter_is_no_key(store: Store, project: Project, place: int) -> None:
    text = store.keys.create(project)
    letters = list(text)
    letters[place] = "a" if letters[place] != "a" else "b"
    assert parse_key("".join(letters)) is None
    assert store.keys.find("".join(letters)) is None


@pytest.mark.parametrize("text", ["", "fpl", "fpl_", "sk-x", "' OR 1=1 --", "fpl_a_b_c", "fpl_ü", "\0"])
def test_what_is_no_key_is_told_without_asking_the_database(text: str) -> None:
    assert parse_key(text) is None


def test_another_keys_secret_under_this_ones_id_is_no_key(store: Store, project: Project) -> None:
    first, second = (store.keys.create(project).split("_") for _ in range(2))
    from freeplay_like.server.store.accounts.keys import _check_digits

    assert store.keys.find(f"fpl_{first[1]}_{second[2]}_{_check_digits(first[1], second[2])}") is None


def test_a_link_signs_in_once_and_not_after_a_day(database: Database) -> None:
    clock = SetClock()
    store = Store(database, clock=clock)
    try:
        assert not store.people.can_anybody_sign_in()
        link, late = store.people.create_sign_in_link(), store.people.create_sign_in_link()
        assert store.people.can_anybody_sign_in()
        session = store.people.sign_in(link)
        assert session is not None
        assert store.people.of_session(session)
        assert store.people.sign_in(link) is None
        clock.moment += LINK_AGE
        assert store.people.sign_in(late) is None
        assert store.people.of_session(session)
        clock.moment += SESSION_AGE - LINK_AGE + timedelta(seconds=1)
        assert not store.people.of_session(session)
        assert not store.people.can_anybody_sign_in()
    finally:
        store.close()


def test_signing_out_ends_the_session_for_good(store: Store) -> None:
    session = store.people.sign_in(store.people.create_sign_in_link())
    assert session is not None
    store.people.sign_out(session)
    assert not store.people.of_session(session)
    assert not store.people.of_session("")
