"""Lists are read from a standby while it is near enough, and from the primary when it is not."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.access import primary_alone
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.engines import standby as standbys
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project
from support.plain_records import a_record
from support.postgres import Cluster, NoPostgres
from support.waiting import until

PATIENCE_S: Final = 60.0
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def primary() -> Iterator[Cluster]:
    try:
        cluster = Cluster()
    except NoPostgres as exc:
        pytest.skip(str(exc))
    with cluster:
        yield cluster


@pytest.fixture(scope="module")
def copy(primary: Cluster) -> Cluster:
    return primary.standby("copy")


@pytest.fixture
def store(primary: Cluster, copy: Cluster) -> Iterator[Store]:
    name = f"lists_{next(_numbers)}"
    opened = Store(
        PostgresDatabase(primary.create_database(name)), standby=PostgresDatabase(copy.url(name), is_standby=True)
    )
    yield opened
    opened.close()


def save(store: Store, project: Project) -> Record:
    record = a_record(project.id)
    incoming = Incoming(index=0, record=record, body=to_wire(record))
    store.save(Batch(project_key=project.key, records=(incoming,), received_at=datetime.now(UTC)))
    return record


def count(store: Store, project: Project) -> int:
    return len(store.calls.page(project.id, EVERYTHING).rows)


def reads_lists_there(store: Store) -> bool:
    """Whether a list was read from the standby just now, for all that is asked of the primary at the same time."""
    before = store.status.pool.asked
    store.calls.page("none", EVERYTHING)
    return store.status.pool.asked == before


def is_used(store: Store) -> bool:
    standby = store.status.standby
    assert standby is not None
    return standby.is_used


def test_lists_are_read_from_the_standby_and_what_was_just_stored_is_in_them(store: Store, copy: Cluster) -> None:
    project = store.projects.create("p")
    for number in range(1, 4):
        save(store, project)
        assert count(store, project) == number
    until(lambda: is_used(store), PATIENCE_S, "the standby to come near")
    copy.execute("SELECT pg_wal_replay_pause()")
    try:
        save(store, project)
        assert count(store, project) == 4, "read from the standby, which cannot have it"
    finally:
        copy.execute("SELECT pg_wal_replay_resume()")


def test_lists_may_lack_what_another_server_stored_just_now_but_a_call_that_is_opened_is_there(
    store: Store, primary: Cluster, copy: Cluster
) -> None:
    project = store.projects.create("p")
    save(store, project)
    until(lambda: reads_lists_there(store), PATIENCE_S, "the standby to have all of this server")
    copy.execute("SELECT pg_wal_replay_pause()")
    other = Store(PostgresDatabase(primary.url(store.database.name.partition(" ")[0])))
    try:
        record = save(other, project)
        assert count(store, project) == 1
        with primary_alone():
            assert count(store, project) == 2
        assert store.calls.get(project.id, record.record_id) is not None
    finally:
        copy.execute("SELECT pg_wal_replay_resume()")
        other.close()
    until(lambda: count(store, project) == 2, PATIENCE_S, "the list to have it too")


def test_a_standby_that_falls_behind_is_not_read_until_it_is_near_again(
    store: Store, copy: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(standbys, "MAX_LAG_S", 1.0)
    project = store.projects.create("p")
    until(lambda: is_used(store), PATIENCE_S, "the standby to come near")
    copy.execute("SELECT pg_wal_replay_pause()")
    try:
        save(store, project)
        with caplog.at_level(logging.WARNING):
            until(lambda: not is_used(store), PATIENCE_S, "the standby to be too far behind")
            until(lambda: "s behind" in caplog.text, PATIENCE_S, "a word about it")
        assert count(store, project) == 1
    finally:
        copy.execute("SELECT pg_wal_replay_resume()")
    until(lambda: is_used(store), PATIENCE_S, "the standby to come near again")
    assert count(store, project) == 1


def test_a_standby_that_is_gone_is_not_missed_and_is_read_again_when_it_is_back(store: Store, copy: Cluster) -> None:
    project = store.projects.create("p")
    save(store, project)
    until(lambda: is_used(store), PATIENCE_S, "the standby to come near")
    copy.kill()
    for _ in range(3):
        assert count(store, project) == 1
    until(lambda: not is_used(store), PATIENCE_S, "the standby to be missed")
    copy.start()
    until(lambda: is_used(store), PATIENCE_S, "the standby to come back")
    assert count(store, project) == 1


def test_a_primary_is_not_read_as_its_own_standby(primary: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    url = primary.create_database("alone")
    with caplog.at_level(logging.WARNING):
        opened = Store(PostgresDatabase(url), standby=PostgresDatabase(url, is_standby=True))
        until(lambda: "it is no standby" in caplog.text, PATIENCE_S, "a word about it")
        assert not is_used(opened)
        opened.close()
