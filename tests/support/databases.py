"""Databases for the tests of the store: each test is run over SQLite, and again over PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.store import Store
from support.postgres import Cluster

ENGINES: Final = ("sqlite", "postgres")
TEMPLATE: Final = "made"
over_sqlite: Final = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""Marks a test of what only SQLite does."""

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def made_postgres(postgres: Cluster) -> Cluster:
    """A cluster in which one database has all tables, to be copied: a copy takes a tenth of the time."""
    Store(PostgresDatabase(postgres.create_database(TEMPLATE))).close()
    return postgres


@pytest.fixture(scope="session")
def made_standby(made_postgres: Cluster) -> Iterator[Cluster]:
    """A standby of that cluster, to read from."""
    standby = made_postgres.standby("reader", synchronous=True)
    yield standby
    standby.close()


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield SqliteDatabase(tmp_path / DATABASE_NAME)
        return
    cluster: Cluster = request.getfixturevalue("made_postgres")
    name = f"store_{next(_numbers)}"
    yield PostgresDatabase(cluster.create_database(name, template=TEMPLATE))
    cluster.drop_database(name)


def skip_to(store: Store, seq: int) -> None:
    """Let the next record that is stored have a number; none was stored before."""
    engine = store.database.open(is_writer=True)
    is_sqlite = engine.dialect.name == "sqlite"
    skip = (
        "INSERT INTO sqlite_sequence VALUES ('record', :last)" if is_sqlite else "SELECT setval('record_number', :last)"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(skip), {"last": seq - 1})
    engine.dispose()


def hold(*stores: Store) -> None:
    """Let nothing be derived but by the test."""
    for store in stores:
        store._writer._background = lambda connection: "done"
        if store._indexer is not None:
            store._indexer.close()


def count_rows(store: Store, table: str) -> int:
    """How many rows a table has."""
    engine = store.database.open(is_writer=False)
    with engine.begin() as connection:
        found = connection.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one()
    engine.dispose()
    return int(found)
