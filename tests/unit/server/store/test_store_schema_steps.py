"""A schema step that a later release brings: over both databases, and beside servers that do not know it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store import schema
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project, StoreUnavailable
from support.later_release import LATER, OURS, Later
from support.plain_records import a_record

over_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


@contextmanager
def writing(database: Database) -> Iterator[sa.Engine]:
    engine = database.open(is_writer=True)
    try:
        yield engine
    finally:
        engine.dispose()


def migrate(database: Database) -> tuple[schema.Step, ...]:
    with writing(database) as engine:
        return schema.upgrade(engine)


def keep(store: Store, project: Project) -> str:
    """Store a record, and give its id."""
    value = a_record(project.id)
    incoming = Incoming(index=0, record=value, body=to_wire(value))
    result = store.save(Batch(project_key=project.key, records=(incoming,), received_at=datetime.now(UTC)))
    assert result.stored == 1
    return value.record_id


def test_a_later_step_is_run_on_what_is_there(database: Database, later: Later) -> None:
    store = Store(database)
    project = store.projects.create("shop")
    record_id = keep(store, project)
    store.close()
    with later(None):
        assert migrate(database) == (schema.Step(LATER, "What comes later."),)
        assert migrate(database) == ()
        with writing(database) as engine, engine.begin() as connection:
            assert schema.current(connection) == LATER
            assert "later" in {column["name"] for column in sa.inspect(connection).get_columns("record")}
            assert sa.inspect(connection).has_table("later_table")
        opened = Store(database)
        assert opened.calls.get(project.id, record_id) is not None
        assert opened.calls.get(project.id, keep(opened, project)) is not None
        opened.close()


def test_an_older_release_works_where_the_step_allows_it(database: Database, later: Later) -> None:
    Store(database).close()
    with later(OURS):
        migrate(database)
    with writing(database) as engine:
        assert schema.missing(engine) == (), "this release brings nothing that is missing"
    store = Store(database)
    project = store.projects.create("shop")
    assert store.calls.get(project.id, keep(store, project)) is not None
    store.close()


@pytest.mark.parametrize("serves_from", [None, OURS + 1])
def test_an_older_release_is_refused_where_it_does_not(
    serves_from: int | None, database: Database, later: Later
) -> None:
    Store(database).close()
    with later(serves_from):
        migrate(database)
    said = f"at migration '{LATER}' and may be worked on from '{LATER}' on; this one knows up to '{OURS:04}'"
    with pytest.raises(schema.DatabaseTooNew, match=said):
        Store(database)


@over_postgres
def test_no_step_is_run_under_servers_that_could_not_go_on(database: Database, later: Later) -> None:
    Store(database).close()
    line = database.line(OURS)
    assert line is not None
    with line, later(OURS + 1), pytest.raises(StoreUnavailable, match=f"know migrations up to '{OURS:04}'.*stop them"):
        migrate(database)
    line = database.line(OURS)
    assert line is not None
    with line, later(OURS):
        assert len(migrate(database)) == 1


@over_postgres
def test_a_step_gives_way_to_those_who_read_and_comes_after_them(database: Database, later: Later) -> None:
    store = Store(database)
    project = store.projects.create("shop")
    done = threading.Event()

    def run() -> None:
        migrate(database)
        done.set()

    with later(OURS):
        reading = database.open(is_writer=False)
        with reading.begin() as connection:
            connection.execute(sa.text("SELECT count(*) FROM record")).scalar_one()
            migrating = threading.Thread(target=run)
            migrating.start()
            for _ in range(5):
                keep(store, project)  # what comes in does not wait for the reader, as the step has to
            assert not done.is_set()
        migrating.join(60)
        reading.dispose()
    assert done.is_set()
    assert store.calls.get(project.id, keep(store, project)) is not None
    store.close()
