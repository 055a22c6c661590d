"""What an operator, or a transaction that failed, may leave a PostgreSQL with: no record is refused for good for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.engines import postgres_tables
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project, StoreResult, StoreUnavailable
from support.databases import TEMPLATE, skip_to
from support.plain_records import a_record
from support.postgres import Cluster

_numbers = itertools.count(1)


@pytest.fixture
def store(made_postgres: Cluster) -> Iterator[Store]:
    name = f"broken_{next(_numbers)}"
    opened = Store(PostgresDatabase(made_postgres.create_database(name, template=TEMPLATE)))
    yield opened
    opened.close()
    made_postgres.drop_database(name)


def save(store: Store, project: Project, record: Record) -> StoreResult:
    incoming = Incoming(index=0, record=record, body=to_wire(record))
    return store.save(
        Batch(project_key=project.key, records=(incoming,), received_at=datetime(2026, 11, 21, 13, tzinfo=UTC))
    )


def test_a_partition_whose_transaction_failed_is_made_again(store: Store) -> None:
    project = store.projects.create("p")
    skip_to(store, 9 * postgres_tables.PARTITION)

    class Failed(Exception):
        pass

    def make_and_fail(connection: sa.Connection) -> None:
        assert store.database.claim(connection, [(project.key, "r")])
        raise Failed

    with pytest.raises(Failed):
        store._writer.run(make_and_fail)
    assert save(store, project, a_record(project.id)).stored == 1


def test_a_record_whose_table_is_away_is_sent_again_and_not_refused_for_good(store: Store) -> None:
    project = store.projects.create("p")
    record = a_record(project.id)
    store._writer.run(lambda connection: connection.execute(sa.text("ALTER TABLE record_body RENAME TO elsewhere")))
    with pytest.raises(StoreUnavailable, match="record_body"):
        save(store, project, record)
    store._writer.run(lambda connection: connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO record_body")))
    assert save(store, project, record).stored == 1
