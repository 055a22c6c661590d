"""A newer release brings its tables while servers of this one go on taking records."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from freeplay_like.core.records import Record
from freeplay_like.server.store import schema
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import StoreUnavailable
from support.backend import BackendProcess
from support.later_release import LATER, OURS, Later
from support.records import RecordMaker, post_records
from support.waiting import until

BEFORE = 20
"""How many records there are at least before the tables change, and after."""


@pytest.fixture
def pg_server(pg_database: str, tmp_path: Path) -> Iterator[BackendProcess]:
    with BackendProcess(tmp_path / "data", database_url=pg_database) as server:
        yield server


class Sending:
    """Sends a record at a time, until it is told to stop; each has to be taken at once."""

    def __init__(self, server: BackendProcess) -> None:
        self.taken: list[Record] = []
        self._server = server
        self._maker = RecordMaker(project_id=server.project_id)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Sending:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._over.is_set():
            record = self._maker.one(len(self.taken))
            post_records(self._server.api_base, self._server.api_key, [record])
            self.taken.append(record)

    def goes_on(self) -> None:
        """Return when some more have been taken."""
        wanted = len(self.taken) + BEFORE
        until(lambda: len(self.taken) >= wanted or not self._thread.is_alive(), 60, "records that are taken")
        assert len(self.taken) >= wanted, "one was not taken"


def migrate(database: Database) -> tuple[schema.Step, ...]:
    engine = database.open(is_writer=True)
    try:
        return schema.upgrade(engine)
    finally:
        engine.dispose()


def goes_on_over_a_later_step(server: BackendProcess, database: Database, later: Later) -> None:
    with Sending(server) as sending:
        sending.goes_on()
        with later(OURS):
            assert [step.revision for step in migrate(database)] == [LATER]
            sending.goes_on()
            newer = Store(database)
            stored = [newer.calls.get(server.project_id, record.record_id) for record in sending.taken]
            assert None not in stored
            newer.close()
    server.restart()
    post_records(server.api_base, server.api_key, [RecordMaker(project_id=server.project_id, seed=2).one()])
    assert requests.get(f"{server.url}/readyz", timeout=20).status_code == 200


def test_an_old_server_takes_records_while_postgres_gets_a_step(
    pg_server: BackendProcess, pg_database: str, later: Later
) -> None:
    goes_on_over_a_later_step(pg_server, PostgresDatabase(pg_database), later)


def test_an_old_server_takes_records_while_sqlite_gets_a_step(own_backend: BackendProcess, later: Later) -> None:
    goes_on_over_a_later_step(own_backend, SqliteDatabase(own_backend.data_dir / DATABASE_NAME), later)


def test_a_step_that_old_servers_cannot_work_on_waits_for_their_end(
    pg_server: BackendProcess, pg_database: str, later: Later
) -> None:
    server, database = pg_server, PostgresDatabase(pg_database)
    with later(None):
        with pytest.raises(StoreUnavailable, match="stop them first"):
            migrate(database)
        assert server.stop() == 0
        assert len(migrate(database)) == 1
    with pytest.raises(AssertionError, match=f"did not start: .*up to '{OURS:04}'"):
        server.start()
