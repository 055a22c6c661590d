"""The store's one door: a part for each thing that is kept, and the taking in of records.

Every question is answered from one connection in one snapshot. Questions name the project by its id: where there is
no such project, the answer is the empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.server.store import saving, schema, search, sqlite
from freeplay_like.server.store.access import Access
from freeplay_like.server.store.datasets import Datasets
from freeplay_like.server.store.keys import ApiKeys
from freeplay_like.server.store.people import People
from freeplay_like.server.store.projects import Projects
from freeplay_like.server.store.prompts import Prompts
from freeplay_like.server.store.records import Calls
from freeplay_like.server.store.tables import store_state, to_micros
from freeplay_like.server.store.test_runs import TestRuns
from freeplay_like.server.store.views import Batch, StoreResult
from freeplay_like.server.store.writer import Settled, Writer

DATABASE_NAME: Final = "freeplay_like.db"


class Store:
    """Everything that is kept. Methods, also those of the parts, block: async code calls them in a thread."""

    def __init__(self, path: Path, *, is_fsync: bool = False, clock: Clock | None = None) -> None:
        """Open the database file, made or brought up to date where needed.

        `is_fsync`: what is committed has reached the disk, not only the kernel.

        Raises:
            DatabaseTooNew: a newer release wrote it.
        """
        self._clock = clock or SystemClock()
        writing = sqlite.open_engine(path, is_writer=True, is_fsync=is_fsync)
        schema.upgrade(writing)
        self._reading = sqlite.open_engine(path, is_writer=False)
        self._writer = Writer(writing, saving.save_batches, search.index_slice)
        access = Access(self._reading, self._writer, self._clock)
        self.projects = Projects(access)
        self.keys = ApiKeys(access)
        self.people = People(access)
        self.calls = Calls(access)
        self.prompts = Prompts(access)
        self.datasets = Datasets(access)
        self.test_runs = TestRuns(access)

    def close(self) -> None:
        """Write what was taken, and let go of the file. Safe to call twice."""
        self._writer.close()
        self._reading.dispose()

    def submit(self, batch: Batch) -> None:
        """Queue a batch; whoever called `on_settled` hears what became of it.

        Raises:
            StoreUnavailable: nothing more can be taken now.
        """
        self._writer.submit(batch)

    def on_settled(self, tell: Callable[[Sequence[Settled]], None]) -> None:
        """Set who hears, in the writer's thread, of each group of batches once it is committed, or could not be."""
        self._writer.on_settled = tell

    def save(self, batch: Batch) -> StoreResult:
        """Store a batch and wait for it.

        Raises:
            StoreUnavailable: it could not be stored now.
        """
        return self._writer.run(lambda connection: saving.save_batches(connection, [batch])[0])

    def check(self, timeout_s: float) -> None:
        """Write something, to know whether records could be stored.

        Raises:
            StoreUnavailable: they could not.
            TimeoutError: the writer did not come to it in time.
        """
        now = to_micros(self._clock.now())

        def touch(connection: sa.Connection) -> None:
            connection.execute(sa.update(store_state).where(store_state.c.name == "checked_at").values(value=now))

        self._writer.enqueue(touch).result(timeout_s)

    @property
    def commits(self) -> int:
        """How many groups of batches were committed since the store was opened."""
        return self._writer.commits
