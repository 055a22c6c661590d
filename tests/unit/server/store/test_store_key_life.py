from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from freeplay_like.server.store.accounts import keys
from freeplay_like.server.store.accounts.keys import parse_key
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Conflict, NotFound, Project, TooMuch
from support.clocks import SetClock

NOW = SetClock.moment
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def timed(database: Database, clock: SetClock) -> Iterator[Store]:
    store = Store(database, clock=clock)
    yield store
    store.close()


def id_of(text: str) -> str:
    parts = parse_key(text)
    assert parts is not None
    return parts.key_id


def test_a_key_ends_at_its_end(timed: Store, clock: SetClock) -> None:
    project = timed.projects.create("p")
    text = timed.keys.create(project, name="ci", expires_at=NOW + HOUR)
    clock.moment = NOW + HOUR - timedelta(microseconds=1)
    assert timed.keys.find(text) is not None
    clock.moment = NOW + HOUR
    assert timed.keys.find(text) is None
    assert not timed.keys.get(project, id_of(text)).is_live(clock.moment)


def test_a_rotated_key_goes_on_for_its_grace_beside_the_new_one(timed: Store, clock: SetClock) -> None:
    project = timed.projects.create("p")
    old = timed.keys.create(project, frozenset({"read", "ingest"}), name="app")
    new = timed.keys.rotate(project, id_of(old), HOUR)
    first, second = timed.keys.find(old), timed.keys.find(new)
    assert first is not None
    assert second is not None
    assert first.key_id != second.key_id
    assert first.scopes == second.scopes == {"read", "ingest"}
    assert timed.keys.get(project, second.key_id).name == "app"
    clock.moment = NOW + HOUR
    assert timed.keys.find(old) is None
    assert timed.keys.find(new) is not None


def test_rotating_never_lengthens_the_life_of_a_key(timed: Store) -> None:
    project = timed.projects.create("p")
    old = timed.keys.create(project, expires_at=NOW + HOUR)
    timed.keys.rotate(project, id_of(old), 100 * HOUR)
    assert timed.keys.get(project, id_of(old)).expires_at == NOW + HOUR


def test_a_revoked_key_is_no_key_and_cannot_be_rotated(timed: Store, clock: SetClock) -> None:
    project = timed.projects.create("p")
    text = timed.keys.create(project)
    revoked = timed.keys.revoke(project, id_of(text))
    assert revoked.revoked_at == NOW
    assert timed.keys.find(text) is None
    clock.moment += HOUR
    assert timed.keys.revoke(project, id_of(text)).revoked_at == NOW, "the first end stands"
    with pytest.raises(Conflict, match="ended already"):
        timed.keys.rotate(project, id_of(text), HOUR)


def test_another_projects_key_is_not_there(timed: Store) -> None:
    mine, other = timed.projects.create("mine"), timed.projects.create("other")
    key_id = id_of(timed.keys.create(other))
    for act in (timed.keys.get, timed.keys.revoke, lambda p, k: timed.keys.rotate(p, k, HOUR)):
        with pytest.raises(NotFound, match=key_id):
            act(mine, key_id)
    assert timed.keys.all(mine) == ()


def test_when_a_key_was_used_never_goes_back(timed: Store) -> None:
    project = timed.projects.create("p")
    key_id = id_of(timed.keys.create(project))
    assert timed.keys.get(project, key_id).last_used_at is None
    for moment in (NOW + HOUR, NOW):
        timed.keys.touch({key_id: moment, "unknown1": moment})
    assert timed.keys.get(project, key_id).last_used_at == NOW + HOUR


def test_a_project_has_a_bounded_number_of_live_keys(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "LIVE_LIMIT", 2)
    first, _ = store.keys.create(project), store.keys.create(project)
    with pytest.raises(TooMuch, match="revoke some"):
        store.keys.create(project)
    store.keys.revoke(project, id_of(first))
    assert len(store.keys.all(project)) == 2
    store.keys.create(project)


def test_a_project_changes_its_name_and_its_retention(store: Store, project: Project) -> None:
    assert project.retention_days is None
    changed = store.projects.change(project, name="renamed", retention_days=30)
    assert (changed.name, changed.retention_days, changed.id) == ("renamed", 30, project.id)
    assert store.projects.change(changed, retention_days=None).retention_days is None
    assert store.projects.find("renamed") is not None
