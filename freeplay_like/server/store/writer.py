"""The one thread that writes: batches that wait together are committed together.

A commit costs a flush of the disk however much is in it, so whatever has queued up while one ran goes into the
next. Nobody is answered before the commit that holds their records has returned.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final, Literal, TypeAlias, TypeVar

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.engines import failures
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.figures import Times
from freeplay_like.server.store.views import Batch, StoreBusy, StoreResult, StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

GROUP_RECORDS: Final = 2_000
"""About the most records of one transaction."""
PENDING_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""The most that may wait to be written; more is refused, to be sent again later."""
CROWD: Final = 16
"""So many batches in one group say that many clients send at once."""
GATHER_S: Final = 0.003
"""How long a group waits for more of them then: they share what a transaction costs, however little is in it."""
IDLE_S: Final = 0.05
"""How long nothing must have come before the thread turns to its background work."""
BACKGROUND_SHARE: Final = 0.1
"""The part of its time that the thread gives to background work while more batches come than one at a time."""
SPARE_SHARE: Final = 0.5
"""The same while they come one at a time."""
WAIT_S: Final = 10.0
"""How long a change waits for its turn, before whoever asked for it is told to come again."""
LATER_S: Final = 0.2
"""When to ask again for background work that another server is at."""
LOOK_EVERY_S: Final = 1.0
"""How often to look for what a server left behind that is gone, where there are several."""
TRIES: Final = 4
"""How often a transaction is tried that other servers get in the way of."""

Settled: TypeAlias = tuple[Batch, StoreResult | StoreUnavailable]
SaveBatches: TypeAlias = Callable[[sa.Connection, Sequence[Batch]], Sequence[StoreResult]]
Progress: TypeAlias = Literal["done", "more", "later"]
Background: TypeAlias = Callable[[sa.Connection], Progress]


@attrs.frozen(eq=False)
class _Job:
    """Any other writing; `run` makes its transaction and settles whoever waits."""

    run: Callable[[], None]


class Writer:
    """Owns the only connection that writes.

    `save` stores a group of batches, `background` does a slice of work that can wait and says whether more is left, to
    be done now or when another server has ended its own. Both, and all jobs, may be begun again: a transaction that
    other servers got in the way of is tried again, and so is one whose connection was lost before its end.
    `on_settled` is called in the writer's thread, once a group, after its commit.
    """

    def __init__(
        self, engine: sa.Engine, save: SaveBatches, background: Background, *, look_every_s: float | None = None
    ) -> None:
        """`look_every_s`: how long to rest at most before looking for background work that others left behind."""
        self._engine = engine
        self._save = save
        self._background = background
        self.on_settled: Callable[[Sequence[Settled]], None] = lambda settled: None
        self.commits = 0
        self.failures = 0
        self.commit_times = Times()
        self._look_every_s = look_every_s
        self._queue: queue.SimpleQueue[Batch | _Job | None] = queue.SimpleQueue()  # None: see `wake`
        self._lock = threading.Lock()
        self._pending_bytes = 0
        self._is_closed = False
        self._is_woken = False
        self._is_done = False
        self._is_failing = False
        self._is_crowded = False
        self._is_alone = True
        self._has_background = True
        self._background_due_at = 0.0
        self._thread = threading.Thread(target=self._loop, name="freeplay-like-writer", daemon=True)
        self._thread.start()

    @property
    def pending_bytes(self) -> int:
        """How much JSON waits to be written."""
        return self._pending_bytes

    def submit(self, batch: Batch) -> None:
        """Queue a batch; `on_settled` tells what became of it.

        Raises:
            StoreBusy: too much is waiting.
            StoreUnavailable: the store is closed.
        """
        with self._lock:
            if self._pending_bytes and self._pending_bytes + batch.size_bytes > PENDING_LIMIT_BYTES:
                raise StoreBusy(f"{self._pending_bytes} bytes of records wait to be stored already; send again later")
            self._put(batch)
            self._pending_bytes += batch.size_bytes

    def run(self, job: Callable[[sa.Connection], T], *, is_alone: bool = True) -> T:
        """Do `job` in a transaction of its own, and wait for its commit.

        Raises:
            StoreBusy: its turn did not come in time; nothing was done.
            StoreUnavailable: it could not be committed. Whatever `job` raises comes out as it is.
        """
        future = self.enqueue(job, is_alone=is_alone)
        try:
            return future.result(WAIT_S)
        except TimeoutError as exc:
            if future.cancel():
                raise StoreBusy("too much waits to be written; try again later") from exc
            return future.result()  # it has begun, and its own waiting for others is bounded

    def enqueue(self, job: Callable[[sa.Connection], T], *, is_alone: bool = True) -> Future[T]:
        """Like `run`, without waiting. `is_alone` False: it goes beside what other servers change, or sees to that."""
        future: Future[T] = Future()

        def locked(connection: sa.Connection) -> T:
            if is_alone:
                database_of(connection).lock(connection)
            return job(connection)

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return  # whoever waited has gone
            try:
                result = self._transact(locked)
            except BaseException as exc:  # noqa: BLE001  whoever waits gets it
                future.set_exception(self._unavailable(exc) or exc)
            else:
                self._is_failing = False
                future.set_result(result)

        with self._lock:
            self._put(_Job(run))
        return future

    def wake(self) -> None:
        """Have the background work looked at soon: there may be some that this writer does not know of. Never waits."""
        with self._lock:
            if not (self._is_woken or self._is_closed):
                self._is_woken = True
                self._put(None)

    def close(self) -> None:
        """Write what was queued before, then end the thread. Safe to call twice."""
        with self._lock:
            if not self._is_closed:
                self._put(_Job(self._finish))
                self._is_closed = True
        self._thread.join()
        self._engine.dispose()

    def _finish(self) -> None:
        self._is_done = True

    def _put(self, item: Batch | _Job | None) -> None:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        self._queue.put(item)

    def _loop(self) -> None:
        held: _Job | None = None
        pause_s = IDLE_S
        while not self._is_done:
            try:
                item = held or self._queue.get(timeout=pause_s if self._has_background else self._look_every_s)
            except queue.Empty:
                progress = self._do_background()  # still idle: what is left is done at once
                pause_s = 0.0 if progress == "more" else LATER_S if progress == "later" else IDLE_S
                continue
            held, pause_s = None, IDLE_S
            if isinstance(item, Batch):
                group, held = self._gather(item)
                self._settle(group)
                continue
            if item is None:
                self._is_woken = False
            else:
                item.run()
            self._has_background = True  # it may have stored records

    def _gather(self, first: Batch) -> tuple[list[Batch], _Job | None]:
        """The batches that are stored together, and the job that stood behind them, if one did."""
        group, size = [first], first.count
        if self._is_crowded and size < GROUP_RECORDS:
            time.sleep(GATHER_S)  # and not in the queue, where each of them would wake this thread
        job: _Job | None = None
        while size < GROUP_RECORDS and job is None:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, Batch):
                group.append(item)
                size += item.count
            elif item is None:
                self._is_woken = False  # what is stored now asks for it anyway
            else:
                job = item
        self._is_crowded = len(group) >= CROWD
        self._is_alone = len(group) == 1
        return group, job

    def _settle(self, group: list[Batch]) -> None:
        results = self._commit(group)
        with self._lock:
            self._pending_bytes -= sum(batch.size_bytes for batch in group)
        self._has_background = True
        self._tell(list(zip(group, results, strict=True)))
        if time.monotonic() >= self._background_due_at:
            self._do_background()

    def _tell(self, settled: Sequence[Settled]) -> None:
        try:
            self.on_settled(settled)
        except Exception:
            self.failures += 1
            logger.exception("those who wait for %d stored batches could not be told", len(settled))

    def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work in a transaction, again where that is sure not to do it twice."""
        tries_left = TRIES
        while True:
            is_ending = False
            tries_left -= 1
            try:
                with self._engine.begin() as connection:
                    result = work(connection)
                    is_ending = True
                return result
            except sa.exc.DBAPIError as exc:
                if is_ending or not tries_left or not failures.is_by_chance(exc):
                    raise

    def _commit(self, group: Sequence[Batch]) -> Sequence[StoreResult | StoreUnavailable]:
        began = time.monotonic()
        try:
            results = self._transact(lambda connection: self._save(connection, group))
        except Exception as exc:
            if unavailable := self._unavailable(exc):
                return [unavailable] * len(group)
            self.failures += 1
            logger.exception("a group of %d batches cannot be stored together; trying each part alone", len(group))
            return [self._one_by_one(batch) for batch in group]
        self.commits += 1
        self.commit_times.add(time.monotonic() - began)
        self._is_failing = False
        return results

    def _one_by_one(self, batch: Batch) -> StoreResult | StoreUnavailable:
        """Store what can be stored: one record that no database takes must not hold up the others."""
        result = StoreResult()
        for part in _parts(batch):
            try:
                (one,) = self._transact(functools.partial(self._save_alone, part=part))
            except Exception as exc:
                if unavailable := self._unavailable(exc):
                    return unavailable
                logger.exception("%s cannot be stored", _name(part))
                reason = f"cannot be stored: {exc}"
                one = StoreResult(
                    rejected=tuple((incoming.index, reason) for incoming in part.records),
                    amendments_rejected=tuple((incoming.index, reason) for incoming in part.amendments),
                )
            self.commits += 1
            result += one
        return result

    def _save_alone(self, connection: sa.Connection, part: Batch) -> Sequence[StoreResult]:
        return self._save(connection, [part])

    def _do_background(self) -> Progress:
        began = time.monotonic()
        progress: Progress = "done"  # after a failure the next commit asks for it again: no loop of failures
        try:
            progress = self._transact(self._background)
        except Exception as exc:
            if self._unavailable(exc) is None:
                self.failures += 1
                logger.exception("background work of the store failed")
        self._has_background = progress != "done"
        ended = time.monotonic()
        share = SPARE_SHARE if self._is_alone else BACKGROUND_SHARE
        self._background_due_at = ended + (ended - began) * (1 / share - 1)
        return progress

    def _unavailable(self, exc: BaseException) -> StoreUnavailable | None:
        """What a failure becomes where it is the database that cannot; None where it is what was to be written."""
        if not (isinstance(exc, sa.exc.DBAPIError) and failures.is_passing(exc)):
            return None
        self.failures += 1
        reason = failures.reason_of(exc)
        if not self._is_failing:  # a full disk fails every commit: say so once, until one succeeds
            self._is_failing = True
            logger.error("the store cannot write: %s", reason)
        unavailable = StoreUnavailable(f"the store cannot write: {reason}")
        unavailable.__cause__ = exc
        return unavailable


def _parts(batch: Batch) -> Iterator[Batch]:
    """The batch as batches of one record or one amendment each."""
    for record in batch.records:
        yield attrs.evolve(batch, records=(record,), amendments=())
    for amendment in batch.amendments:
        yield attrs.evolve(batch, records=(), amendments=(amendment,))


def _name(part: Batch) -> str:
    names = [f"record {incoming.record.record_id!r}" for incoming in part.records]
    names += [f"amendment {incoming.amendment.amendment_id!r}" for incoming in part.amendments]
    return ", ".join(names)
