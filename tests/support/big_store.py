"""A store with very many records: filled beside everything else, by a process of its own, while other tests run.

As a script: `python -m support.big_store FOLDER COUNT` makes the project `generated` in a data folder and fills it.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

import attrs
import pytest

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming
from support.backend import BackendProcess
from support.varied import VariedRecords

COUNT: Final = 200_000
PROJECT: Final = "generated"
BATCH: Final = 500
WAITING_BATCHES: Final = 8
"""How many batches wait at the writer while more are made."""
DERIVED_WITHIN: Final = 1_000
"""Of so many records at the end nothing may be derived yet: readers look at them directly."""


def fill(folder: Path, project_id: str, count: int) -> None:
    """Bring a store to `count` records through its own way of saving, and wait for what is derived from them."""
    store = Store(SqliteDatabase(folder / DATABASE_NAME))
    try:
        project = store.projects.get(project_id)
        if project is None:
            raise SystemExit(f"there is no project {project_id!r} in {folder}")
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
        _wait_until_derived(folder)
    finally:
        store.close()


def _batch(project_key: int, records: Iterator[Record]) -> Batch | None:
    some = enumerate(islice(records, BATCH))
    incoming = tuple(Incoming(index=index, record=record, body=to_wire(record)) for index, record in some)
    return Batch(project_key=project_key, records=incoming, received_at=datetime.now(UTC)) if incoming else None


def _wait_until_derived(folder: Path) -> None:
    began = time.monotonic()
    with closing(sqlite3.connect(f"file:{folder / DATABASE_NAME}?mode=ro", uri=True)) as database:
        while True:
            (newest,) = database.execute("SELECT max(seq) FROM record").fetchone()
            cursors = dict(database.execute("SELECT name, value FROM store_state WHERE name LIKE '%_seq'"))
            behind = {name: (newest or 0) - value for name, value in cursors.items()}
            if behind["indexed_seq"] == 0 and behind["derived_seq"] < DERIVED_WITHIN:
                print(f"followed after {time.monotonic() - began:.0f} s", file=sys.stderr)
                return
            print(f"{behind} records behind", file=sys.stderr)
            time.sleep(5)


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
    if any("big_backend" in getattr(item, "fixturenames", ()) for item in session.items):
        factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
        folder = factory.mktemp("big") / "data"
        with (folder.parent / "filling.log").open("wb") as log:
            command = ["nice", "-n", "15", sys.executable, "-m", "support.big_store", str(folder), str(COUNT)]
            path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path})
        session.config.stash[_KEY] = BigStore(folder, process)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing goes on when the tests have ended."""
    store = session.config.stash.get(_KEY, None)
    if store is not None and store.process.poll() is None:
        store.process.kill()
        store.process.wait()


@pytest.fixture(scope="session")
def big_backend(request: pytest.FixtureRequest) -> Iterator[BackendProcess]:
    """A server over `COUNT` records in the project `generated`; tests may look, and use projects of their own."""
    with BackendProcess(request.config.stash[_KEY].wait(), project=PROJECT) as process:
        yield process


def main() -> None:
    """Make the project, and fill it."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True)
    store = Store(SqliteDatabase(folder / DATABASE_NAME))
    project_id = store.projects.create(PROJECT).id
    store.close()
    fill(folder, project_id, count)


if __name__ == "__main__":
    main()
