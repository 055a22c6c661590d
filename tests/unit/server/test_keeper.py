from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from freeplay_like.core.wire import to_wire
from freeplay_like.server import keeper
from freeplay_like.server.keeper import Keeper
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming
from support.databases import over_sqlite
from support.plain_records import a_record
from support.waiting import until

NOW = datetime.now(UTC)


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    opened = Store(database)
    yield opened
    opened.close()


def test_what_is_older_than_each_project_keeps_is_deleted(store: Store) -> None:
    short, forever = store.projects.create("short"), store.projects.create("forever")
    store.projects.change(short, retention_days=2)
    for of in (short, forever):
        records = [a_record(of.id, started_at=NOW - timedelta(days=age)) for age in range(5)]
        incoming = tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records))
        store.save(Batch(project_key=of.key, records=incoming, received_at=NOW))
    keeping = Keeper(store, dict)
    keeping.start()
    until(lambda: len(store.calls.page(short.id, EVERYTHING).rows) == 2, what="the end of the old records")
    keeping.stop()
    assert len(store.calls.page(forever.id, EVERYTHING).rows) == 5
    assert keeping.failures == 0


def test_keys_that_were_used_are_kept_at_the_latest_when_the_server_stops(store: Store) -> None:
    project = store.projects.create("p")
    key_id = store.keys.create(project).split("_")[1]
    keeping = Keeper(store, lambda: {key_id: NOW})
    keeping.start()
    keeping.stop()
    assert store.keys.get(project, key_id).last_used_at == NOW


def test_a_chore_that_fails_is_counted_said_once_and_keeps_no_other_from_its_turn(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "DISK_EVERY_S", 0.001)
    looks: list[int] = []

    def broken() -> None:
        looks.append(1)
        raise OSError("no disk")

    monkeypatch.setattr(store.disk, "look", broken)
    project = store.projects.create("p")
    store.projects.change(project, retention_days=1)
    record = a_record(project.id, started_at=NOW - timedelta(days=9))
    incoming = (Incoming(index=0, record=record, body=to_wire(record)),)
    store.save(Batch(project_key=project.key, records=incoming, received_at=NOW))
    keeping = Keeper(store, dict)
    with caplog.at_level(logging.ERROR):
        keeping.start()
        until(lambda: len(looks) > 3 and not store.calls.page(project.id, EVERYTHING).rows, what="the other chores")
        keeping.stop()
    assert keeping.failures == len(looks)
    assert [each.message for each in caplog.records] == ["looking at the disk failed; it is tried again every 0.001 s"]


@over_sqlite
def test_what_was_deleted_is_wiped_when_its_time_has_come(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freeplay_like.server.store.removal.deletion.WIPE_DELAY", timedelta())
    monkeypatch.setattr(keeper, "WIPE_EVERY_S", 0.01)
    project = store.projects.create("p")
    record = attrs.evolve(a_record(project.id), session_id="geheimnis-4711")
    incoming = (Incoming(index=0, record=record, body=to_wire(record)),)
    store.save(Batch(project_key=project.key, records=incoming, received_at=NOW))
    assert store.deletion.session(project, "geheimnis-4711").records == 1
    keeping = Keeper(store, dict)
    keeping.start()
    until(lambda: store.deletion.wipe_due_at() == 0, what="the wiping")
    keeping.stop()
    folder = store.database.folder
    assert folder is not None
    assert all(b"geheimnis-4711" not in path.read_bytes() for path in folder.iterdir())


def test_one_server_at_a_time_keeps_house(pg_database: str) -> None:
    one, other = PostgresDatabase(pg_database), PostgresDatabase(pg_database)
    with one.keeping_house() as is_ones:
        with other.keeping_house() as is_others:
            assert (is_ones, is_others) == (True, False)
        assert is_ones
    with other.keeping_house() as is_others:
        assert is_others
