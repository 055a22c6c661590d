"""The store's one door: a part for each thing that is kept, and the taking in of records.

Every question is answered from one connection in one snapshot. Questions name the project by its id: where there is
no such project, the answer is the empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.server.store import schema
from freeplay_like.server.store.access import Access
from freeplay_like.server.store.accounts.keys import ApiKeys
from freeplay_like.server.store.accounts.people import People
from freeplay_like.server.store.accounts.projects import Projects
from freeplay_like.server.store.accounts.providers import Providers
from freeplay_like.server.store.accounts.saved_views import SavedViews
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.finding import Search
from freeplay_like.server.store.derived.indexing import Indexer
from freeplay_like.server.store.derived.sessions import Sessions
from freeplay_like.server.store.derived.statistics import Statistics
from freeplay_like.server.store.disk import Disk
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.standby import Standby
from freeplay_like.server.store.figures import Figures, Times
from freeplay_like.server.store.pricing.priced import Prices
from freeplay_like.server.store.pricing.prices import Pricer
from freeplay_like.server.store.prompts.environments import Environments
from freeplay_like.server.store.prompts.figures import PromptFigures
from freeplay_like.server.store.prompts.templates import Prompts
from freeplay_like.server.store.reading import Reader
from freeplay_like.server.store.records import saving
from freeplay_like.server.store.records.calls import Calls
from freeplay_like.server.store.records.completions import Completions
from freeplay_like.server.store.records.conversations import Conversations
from freeplay_like.server.store.records.exports import Exports
from freeplay_like.server.store.records.reviews import Reviews
from freeplay_like.server.store.records.session_metadata import SessionMetadata
from freeplay_like.server.store.records.spans import Spans
from freeplay_like.server.store.records.traces import Traces
from freeplay_like.server.store.removal.deletion import Deletion
from freeplay_like.server.store.removal.retention import Retention
from freeplay_like.server.store.sizes import Sizes
from freeplay_like.server.store.status import Status
from freeplay_like.server.store.tables import store_state, to_micros
from freeplay_like.server.store.trials.datasets import Datasets
from freeplay_like.server.store.trials.executions import Executions
from freeplay_like.server.store.trials.replays import Replays
from freeplay_like.server.store.trials.test_cases import TestCases
from freeplay_like.server.store.trials.test_runs import TestRuns
from freeplay_like.server.store.trials.test_suites import TestSuites
from freeplay_like.server.store.trials.trials import Trials
from freeplay_like.server.store.views import Batch, StoreResult, StoreUnavailable
from freeplay_like.server.store.writer import LOOK_EVERY_S, Settled, Writer


class Store:
    """Everything that is kept. Methods, also those of the parts, block: async code calls them in a thread."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock | None = None,
        min_free_bytes: int | None = 0,
        standby: Database | None = None,
    ) -> None:
        """Open the database, made or brought up to date where needed.

        `min_free_bytes`: how much of the disk must stay free, see `Disk`. `standby`: a copy that follows it, from which
        lists are read while it is near enough, see `Access`.

        Raises:
            DatabaseTooNew: a newer release wrote it.
        """
        self.database = database
        self.disk = Disk(database.folder, min_free_bytes)
        self.figures = Figures()
        self._clock = clock or SystemClock()
        writing = database.open(is_writer=True)
        try:
            schema.upgrade(writing)
        except BaseException:
            writing.dispose()
            raise
        reader = Reader(database.open(is_writer=False), database.name)
        self._reading = reader.engine
        self._standby = None
        if standby is not None:
            self._standby = Standby(reader, Reader(standby.open(is_writer=False), standby.name))
        self._pricer = Pricer()
        self._save = partial(saving.save_batches, pricer=self._pricer)
        look_every_s = LOOK_EVERY_S if database.is_shared else None
        self._writer = Writer(writing, self._save, following.follow, look_every_s=look_every_s)
        self._indexer = Indexer(database, self._writer) if database.is_shared else None
        self._saving: dict[Batch, Future[StoreResult]] = {}
        self._tell: Callable[[Sequence[Settled]], None] = lambda settled: None
        self._writer.on_settled = self._settled
        access = Access(database, reader, self._writer, self._clock, self.disk, self._standby)
        self._access = access
        self.projects = Projects(access)
        self.keys = ApiKeys(access)
        self.people = People(access)
        self.calls = Calls(access)
        self.saved_views = SavedViews(access)
        self.sessions = Sessions(access)
        self.statistics = Statistics(access)
        self.search = Search(access)
        self.reviews = Reviews(access)
        self.completions = Completions(access)
        self.conversations = Conversations(access)
        self.traces = Traces(access)
        self.session_metadata = SessionMetadata(access)
        self.prompts = Prompts(access)
        self.environments = Environments(access)
        self.prompt_figures = PromptFigures(access)
        self.datasets = Datasets(access)
        self.test_cases = TestCases(access)
        self.test_runs = TestRuns(access)
        self.test_suites = TestSuites(access)
        self.trials = Trials(access)
        self.executions = Executions(access, self.save)
        self.replays = Replays(access)
        self.providers = Providers(access)
        self.prices = Prices(access, self._pricer)
        self.deletion = Deletion(access)
        self.retention = Retention(access)
        self.spans = Spans(access, self._save)
        self.status = Status(access)
        self.sizes = Sizes(access)
        self.exports = Exports(access)
        self._pricer.start(access)

    def close(self) -> None:
        """Write what was taken, and let go of the file. Safe to call twice."""
        self._pricer.close()
        if self._indexer is not None:
            self._indexer.close()
        self._writer.close()
        if self._standby is not None:
            self._standby.close()
        self._reading.dispose()

    def submit(self, batch: Batch) -> None:
        """Queue a batch; whoever called `on_settled` hears what became of it.

        Raises:
            StoreUnavailable: nothing more can be taken now.
        """
        self.disk.require_room()
        self._writer.submit(batch)

    def on_settled(self, tell: Callable[[Sequence[Settled]], None]) -> None:
        """Set who hears, in the writer's thread, of each group of batches once it is committed, or could not be."""
        self._tell = tell

    def save(self, batch: Batch) -> StoreResult:
        """Store a batch, together with what else waits to be stored, and wait for it.

        Raises:
            StoreUnavailable: it could not be stored now.
        """
        stored: Future[StoreResult] = Future()
        self._saving[batch] = stored
        try:
            self.submit(batch)
            result = stored.result()
            self._access.expect_all()
            return result
        finally:
            self._saving.pop(batch, None)

    def wake(self) -> None:
        """Have what follows the commits looked at soon: another server has stored something. Never waits."""
        self._writer.wake()
        if self._indexer is not None:
            self._indexer.wake()

    def _settled(self, settled: Sequence[Settled]) -> None:
        if self._indexer is not None:
            self._indexer.wake()
        self.figures.count(settled)
        if any(isinstance(result, StoreUnavailable) for _, result in settled):
            self.disk.look()  # it may be the disk: then the next ones are refused before they are queued
        for batch, result in settled:
            stored = self._saving.get(batch)
            if stored is None:
                continue
            if isinstance(result, StoreUnavailable):
                stored.set_exception(result)
            else:
                stored.set_result(result)
        self._tell(settled)

    def check(self, timeout_s: float) -> None:
        """Write something, to know whether records could be stored.

        Raises:
            StoreUnavailable: they could not.
            TimeoutError: the writer did not come to it in time.
        """
        self.disk.require_room()
        now = to_micros(self._clock.now())

        def touch(connection: sa.Connection) -> None:
            connection.execute(sa.update(store_state).where(store_state.c.name == "checked_at").values(value=now))

        touched = self._writer.enqueue(touch, is_alone=False)
        try:
            touched.result(timeout_s)
        finally:
            touched.cancel()

    def now(self) -> datetime:
        """The time by the store's clock."""
        return self._clock.now()

    @property
    def has_standby(self) -> bool:
        """Whether lists may be read from a copy that follows."""
        return self._standby is not None

    @property
    def commits(self) -> int:
        """How many groups of batches were committed since the store was opened."""
        return self._writer.commits

    @property
    def writer_failures(self) -> int:
        """How many transactions of the writer have failed since."""
        return self._writer.failures + (0 if self._indexer is None else self._indexer.failures)

    @property
    def commit_times(self) -> Times:
        """How long the groups of batches took to store and commit."""
        return self._writer.commit_times

    @property
    def pending_bytes(self) -> int:
        """How much JSON waits to be stored."""
        return self._writer.pending_bytes
