"""The one thread that writes: what waits together is committed together, in the order it came."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from freeplay_like.core.records import Amendment
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.views import Batch, IncomingAmendment, StoreBusy, StoreResult, StoreUnavailable
from freeplay_like.server.store.writer import CROWD, PENDING_LIMIT_BYTES, Progress, Settled, Writer
from support.waiting import until

WAIT_S = 20


class Saved:
    """Stands for the store: notes what was saved in one transaction, and what was settled."""

    def __init__(self) -> None:
        self.groups: list[list[Batch]] = []
        self.settled: list[Settled] = []
        self._changed = threading.Condition()

    def save(self, connection: sa.Connection, batches: Sequence[Batch]) -> list[StoreResult]:
        self.groups.append(list(batches))
        return [StoreResult(stored=1)] * len(batches)

    def note(self, settled: Sequence[Settled]) -> None:
        with self._changed:
            self.settled += settled
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.settled) >= count, WAIT_S)


@pytest.fixture
def saved() -> Saved:
    return Saved()


@pytest.fixture
def writer(tmp_path: Path, saved: Saved) -> Iterator[Writer]:
    made = Writer(SqliteDatabase(tmp_path / "x.db").open(is_writer=True), saved.save, lambda connection: "done")
    made.on_settled = saved.note
    yield made
    made.close()


def a_batch() -> Batch:
    return Batch(project_key=1, received_at=datetime.now(UTC))


class Held:
    """Keeps the writer busy until it is let go."""

    def __init__(self, writer: Writer) -> None:
        self._go = threading.Event()
        self.done = writer.enqueue(lambda connection: self._go.wait(WAIT_S))

    def let_go(self) -> None:
        self._go.set()


def test_what_waited_together_is_stored_in_one_transaction(writer: Writer, saved: Saved) -> None:
    held, batches = Held(writer), [a_batch() for _ in range(5)]
    for batch in batches:
        writer.submit(batch)
    held.let_go()
    saved.wait_for(5)
    assert saved.groups == [batches]
    assert [batch for batch, _ in saved.settled] == batches


def test_a_job_runs_between_the_batches_it_came_between(writer: Writer, saved: Saved) -> None:
    held, before, after = Held(writer), a_batch(), a_batch()
    writer.submit(before)
    seen = writer.enqueue(lambda connection: len(saved.groups))
    writer.submit(after)
    held.let_go()
    assert seen.result(WAIT_S) == 1
    saved.wait_for(2)
    assert saved.groups == [[before], [after]]


def test_after_a_crowd_nothing_is_lost_and_nothing_waits_for_ever(writer: Writer, saved: Saved) -> None:
    held = Held(writer)
    for _ in range(CROWD):
        writer.submit(a_batch())
    held.let_go()
    saved.wait_for(CROWD)
    alone = a_batch()
    writer.submit(alone)
    job = writer.enqueue(lambda connection: "done")
    assert job.result(WAIT_S) == "done"
    assert saved.groups[-1] == [alone]


def test_more_than_may_wait_is_refused(writer: Writer) -> None:
    now = datetime.now(UTC)
    said = Amendment(amendment_id="a", record_id="r", project_id="p", made_at=now)
    large = IncomingAmendment(index=0, amendment=said, body=bytes(PENDING_LIMIT_BYTES))
    held = Held(writer)
    writer.submit(Batch(project_key=1, amendments=(large,), received_at=now))
    with pytest.raises(StoreBusy, match="send again later"):
        writer.submit(Batch(project_key=1, amendments=(large,), received_at=now))
    held.let_go()


def test_a_closed_writer_has_written_what_it_took_and_takes_no_more(writer: Writer, saved: Saved) -> None:
    writer.submit(a_batch())
    writer.close()
    assert len(saved.settled) == 1
    with pytest.raises(StoreUnavailable, match="closed"):
        writer.submit(a_batch())


class Background:
    """Background work that answers as it is told, and counts how often it was asked for."""

    def __init__(self, *answers: Progress) -> None:
        self.asked = 0
        self._answers = list(answers)

    def __call__(self, connection: sa.Connection) -> Progress:
        self.asked += 1
        return self._answers.pop(0) if self._answers else "done"


@contextmanager
def a_writer(path: Path, background: Background, **options: float) -> Iterator[Writer]:
    made = Writer(SqliteDatabase(path / "x.db").open(is_writer=True), Saved().save, background, **options)
    try:
        yield made
    finally:
        made.close()


def rests(writer: Writer) -> bool:
    return not writer._has_background


def test_a_writer_that_rests_looks_for_work_when_it_is_woken(tmp_path: Path) -> None:
    background = Background()
    with a_writer(tmp_path, background) as writer:
        until(lambda: rests(writer), what="the rest")
        before = background.asked
        for _ in range(5):
            writer.wake()
        until(lambda: background.asked > before and rests(writer), what="the look")
        assert not writer._is_woken


def test_a_writer_that_rests_looks_for_what_others_left_behind_now_and_then(tmp_path: Path) -> None:
    background = Background()
    with a_writer(tmp_path, background, look_every_s=0.01):
        until(lambda: background.asked >= 3, what="the third look")


def test_what_another_server_is_at_is_asked_for_again(tmp_path: Path) -> None:
    background = Background("later", "later")
    with a_writer(tmp_path, background) as writer:
        until(lambda: rests(writer), what="the end of the work")
        assert background.asked == 3


def test_a_closed_writer_cannot_be_woken(writer: Writer) -> None:
    writer.close()
    writer.wake()
    assert not writer._is_woken


def test_a_job_whose_turn_does_not_come_in_time_is_refused_and_never_done(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freeplay_like.server.store.writer.WAIT_S", 0.05)
    held, done = Held(writer), []
    with pytest.raises(StoreBusy, match="too much waits"):
        writer.run(lambda connection: done.append("late"))
    held.let_go()
    assert writer.enqueue(lambda connection: len(done)).result(WAIT_S) == 0


def test_a_job_that_has_begun_is_waited_for(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freeplay_like.server.store.writer.WAIT_S", 0.05)
    begun = threading.Event()

    def slow(connection: sa.Connection) -> str:
        begun.wait(0.2)
        return "done"

    assert writer.run(slow) == "done"
