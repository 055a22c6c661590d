from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from freeplay_like.clock import SystemClock
from freeplay_like.server.store.keys import ALL_SCOPES, parse_key
from freeplay_like.server.store.store import LINK_AGE, SESSION_AGE, Store
from freeplay_like.server.store.views import NameTaken, Project


class SetClock(SystemClock):
    """A clock that stands where it is set."""

    moment = datetime(2026, 11, 21, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


def test_projects_are_found_by_id_and_name(store: Store, project: Project) -> None:
    second = store.create_project("second")
    assert store.projects() == (second, project)
    assert store.get_project(second.id) == store.find_project("second") == second
    assert store.get_project("none") is store.find_project("none") is None
    with pytest.raises(NameTaken, match="'second'"):
        store.create_project("second")


def test_a_key_is_known_by_its_text_alone(store: Store, project: Project, tmp_path: Path) -> None:
    text = store.create_key(project)
    key = store.find_key(text)
    assert key is not None
    assert (key.project, key.scopes) == (project, ALL_SCOPES)
    store.close()
    secret = text.split("_")[2].encode()
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir()), "the secret must not be on disk"


def test_a_key_keeps_its_scopes(store: Store, project: Project) -> None:
    key = store.find_key(store.create_key(project, frozenset({"ingest"})))
    assert key is not None
    assert key.scopes == {"ingest"}


@pytest.mark.parametrize("place", [4, 14, -1])
def test_a_key_with_a_wrong_letter_is_no_key(store: Store, project: Project, place: int) -> None:
    text = store.create_key(project)
    letters = list(text)
    letters[place] = "a" if letters[place] != "a" else "b"
    assert parse_key("".join(letters)) is None
    assert store.find_key("".join(letters)) is None


@pytest.mark.parametrize("text", ["", "fpl", "fpl_", "sk-x", "' OR 1=1 --", "fpl_a_b_c", "fpl_ü", "\0"])
def test_what_is_no_key_is_told_without_asking_the_database(text: str) -> None:
    assert parse_key(text) is None


def test_another_keys_secret_under_this_ones_id_is_no_key(store: Store, project: Project) -> None:
    first, second = (store.create_key(project).split("_") for _ in range(2))
    from freeplay_like.server.store.keys import _check_digits

    assert store.find_key(f"fpl_{first[1]}_{second[2]}_{_check_digits(first[1], second[2])}") is None


def test_a_link_signs_in_once_and_not_after_a_day(tmp_path: Path) -> None:
    clock = SetClock()
    store = Store(tmp_path / "test.db", clock=clock)
    try:
        assert not store.can_anybody_sign_in()
        link, late = store.create_sign_in_link(), store.create_sign_in_link()
        assert store.can_anybody_sign_in()
        session = store.sign_in(link)
        assert session is not None
        assert store.is_signed_in(session)
        assert store.sign_in(link) is None
        clock.moment += LINK_AGE
        assert store.sign_in(late) is None
        assert store.is_signed_in(session)
        clock.moment += SESSION_AGE - LINK_AGE + timedelta(seconds=1)
        assert not store.is_signed_in(session)
        assert not store.can_anybody_sign_in()
    finally:
        store.close()


def test_signing_out_ends_the_session_for_good(store: Store) -> None:
    session = store.sign_in(store.create_sign_in_link())
    assert session is not None
    store.sign_out(session)
    assert not store.is_signed_in(session)
    assert not store.is_signed_in("")
