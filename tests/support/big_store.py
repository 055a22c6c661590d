"""A store with very many records: filled beside everything else, by a process of its own, while other tests run.

As a script: `python -m support.big_store FOLDER COUNT` makes the project `generated` in a data folder and fills it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

import attrs
import pytest
import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming
from support.backend import BackendProcess, Deployment
from support.varied import VariedRecords

COUNT: Final = 200_000
PROJECT: Final = "generated"
BATCH: Final = 500
WAITING_BATCHES: Final = 8
"""How many batches wait at the writer while more are made."""
DERIVED_WITHIN: Final = 1_000
"""Of so many records at the end nothing may be derived yet: readers look at them directly."""


def fill(database: Database, project_id: str, count: int) -> None:
    """Bring a store to `count` records through its own way of saving, and wait for what is derived from them."""
    store = Store(database)
    try:
        project = store.projects.get(project_id)
        if project is None:
            raise SystemExit(f"there is no project {project_id!r} in {database.name}")
        have = store.calls.newest_seq(project_id)
        began = told = time.monotonic()
        records = VariedRecords(project_id, seed=have + 1).make(max(0, count - have))
        done = have
        while batch := _batch(project.key, records):
            while store.pending_bytes > WAITING_BATCHES * BATCH * 4_000:
                time.sleep(0.005)
            store.submit(batch)
            done += len(batch.records)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(f"{done:,} records, {(done - have) / (told - began):,.0f} a second", file=sys.stderr)
        while store.pending_bytes:
            time.sleep(0.05)
        _wait_until_derived(database)
    finally:
        store.close()


def _batch(project_key: int, records: Iterator[Record]) -> Batch | None:
    some = enumerate(islice(records, BATCH))
    incoming = tuple(Incoming(index=index, record=record, body=to_wire(record)) for index, record in some)
    return Batch(project_key=project_key, records=incoming, received_at=datetime.now(UTC)) if incoming else None


def _wait_until_derived(database: Database) -> None:
    began = time.monotonic()
    engine = database.open(is_writer=False)
    try:
        while True:
            with engine.begin() as connection:
                newest = connection.scalar(sa.select(sa.func.max(record.c.seq))) or 0
                derived, indexed = following.derived_seq(connection), following.indexed_seq(connection)
            if indexed >= newest and derived + DERIVED_WITHIN > newest:
                print(f"followed after {time.monotonic() - began:.0f} s", file=sys.stderr)
                return
            print(f"behind: {newest - derived:,} to derive from, {newest - indexed:,} to index", file=sys.stderr)
            time.sleep(5)
    finally:
        engine.dispose()


@attrs.frozen
class BigStore:
    """The process that fills a store, and where. Begun when the tests were collected, if one of them needs it."""

    folder: Path
    process: subprocess.Popen[bytes]

    def wait(self) -> Path:
        """The data folder, once it is full."""
        status = self.process.wait(timeout=1_800)
        assert status == 0, (self.folder.parent / "filling.log").read_text()
        return self.folder


_KEY: Final = pytest.StashKey[BigStore]()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin early, and with little priority: the fixture then waits for less."""
    if session.config.option.collectonly:
        return
    if any(_needs_it(item) for item in session.items):
        factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
        folder = factory.mktemp("big") / "data"
        with (folder.parent / "filling.log").open("wb") as log:
            command = ["nice", "-n", "15", sys.executable, "-m", "support.big_store", str(folder), str(COUNT)]
            path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path})
        session.config.stash[_KEY] = BigStore(folder, process)


def _needs_it(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return "big_backend" in names and item.callspec.params["deployment"] == "sqlite"  # type: ignore[attr-defined]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing goes on when the tests have ended."""
    store = session.config.stash.get(_KEY, None)
    if store is not None and store.process.poll() is None:
        store.process.kill()
        store.process.wait()


@pytest.fixture(scope="session")
def big_backend(request: pytest.FixtureRequest, deployment: Deployment) -> Iterator[BackendProcess]:
    """A server over `COUNT` records in the project `generated`; tests may look, and use projects of their own.

    Over PostgreSQL it is the `backend`: what many records cost there is seen in benchmarks.
    """
    if deployment.kind != "sqlite":
        yield request.getfixturevalue("backend")
        return
    with BackendProcess(request.config.stash[_KEY].wait(), project=PROJECT) as process:
        yield process


def main() -> None:
    """Make the project, and fill it."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True)
    store = Store(SqliteDatabase(folder / DATABASE_NAME))
    project_id = store.projects.create(PROJECT).id
    store.close()
    fill(SqliteDatabase(folder / DATABASE_NAME), project_id, count)


if __name__ == "__main__":
    main()
