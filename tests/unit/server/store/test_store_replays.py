"""Replays: who has them, what is still to be asked, and how the answers compare."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from freeplay_like.clock import SystemClock
from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived.filters import term
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.trials.leases import LEASE
from freeplay_like.server.store.trials.replay_views import (
    Change,
    ItemDraft,
    ReplayDraft,
    ReplayEnded,
    ReplayJob,
    ReplayNotFound,
    ReplaySpec,
    Written,
)
from freeplay_like.server.store.views import Batch, Incoming, Project
from support.plain_records import a_record, an_unsettled


class Clock(SystemClock):
    """The system's clock, put forward by hand."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> Iterator[Store]:
    opened = Store(database, clock=clock)
    yield opened
    opened.close()


def stored(store: Store, project: Project, *records: Record) -> tuple[Record, ...]:
    incoming = tuple(Incoming(index=i, record=one, body=to_wire(one)) for i, one in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=store.now()))
    return records


def begun(store: Store, project: Project, *sources: str, is_bulk: bool = False) -> str:
    items = tuple(ItemDraft(source_id=source) for source in sources)
    spec = ReplaySpec(changes=(Change(model="other", parameters={"temperature": 0}),), query="model:m")
    return store.replays.start(project, ReplayDraft(spec=spec, items=items, is_bulk=is_bulk), None)


def claimed(store: Store, owner: str = "one", *, is_bulk: bool = False) -> ReplayJob:
    job = store.replays.claim(owner, LEASE, is_bulk=is_bulk)
    assert job is not None
    return job


def answered(store: Store, project: Project, job: ReplayJob, place: int, **changes: object) -> Record:
    record_id = store.replays.begin_item(job, place)
    (answer,) = stored(store, project, a_record(project.id, record_id=record_id, **changes))
    return answer


def test_a_replay_is_read_as_it_was_begun(store: Store, project: Project) -> None:
    (original,) = stored(store, project, a_record(project.id))
    replay_id = begun(store, project, original.record_id)
    replay = store.replays.get(project, replay_id)
    assert (replay.kind, replay.state, replay.created_by) == ("replay", "running", None)
    assert (replay.spec.query, replay.spec.changes[0].parameters) == ("model:m", {"temperature": 0})
    assert (replay.totals.items, replay.totals.done) == (1, 0)
    (item,) = store.replays.items(project, replay_id, 0, 10)
    assert item.original is not None
    assert (item.original.record_id, item.record_id, item.is_done) == (original.record_id, None, False)
    assert store.replays.page(project, 0, 10) == (replay,)
    with pytest.raises(ReplayNotFound):
        store.replays.get(store.projects.create("another"), replay_id)


def test_a_replay_belongs_to_one_server_until_its_lease_ends(store: Store, project: Project, clock: Clock) -> None:
    replay_id = begun(store, project, "r")
    job = claimed(store)
    assert (job.id, job.project, job.spec.changes[0].model) == (replay_id, project, "other")
    assert store.replays.claim("two", LEASE, is_bulk=False) is None
    clock.ahead = LEASE - timedelta(seconds=1)
    assert store.replays.renew("one", [replay_id], LEASE) == {replay_id}
    clock.ahead = LEASE * 2
    assert claimed(store, "two") == job
    assert store.replays.renew("one", [replay_id], LEASE) == frozenset()
    store.replays.finish(job, "one", "failed", "too late")
    assert store.replays.get(project, replay_id).state == "running"
    store.replays.release("two")
    assert claimed(store, "one") == job
    store.replays.finish(job, "one", "failed", "a reason")
    replay = store.replays.get(project, replay_id)
    assert (replay.state, replay.error, replay.ended_at is None) == ("failed", "a reason", False)


def test_large_replays_and_those_that_somebody_waits_for_are_fetched_apart(store: Store, project: Project) -> None:
    large, small = begun(store, project, "r", is_bulk=True), begun(store, project, "r")
    assert (claimed(store).id, claimed(store, is_bulk=True).id) == (small, large)


def test_what_has_its_answer_is_not_asked_again(store: Store, project: Project) -> None:
    originals = stored(store, project, *(a_record(project.id) for _ in range(6)))
    begun(store, project, *(each.record_id for each in originals))
    job = claimed(store)
    answered(store, project, job, 0)
    answered(store, project, job, 1, outcome="error")
    answered(store, project, job, 2, outcome="cancelled")
    record_id = store.replays.begin_item(job, 3)
    stored(store, project, an_unsettled(a_record(project.id, record_id=record_id)))
    store.replays.skip_item(job, 4, "there is nothing to send")
    open_items = store.replays.unfinished(job)
    assert [(item.place, item.is_done) for item in open_items] == [
        (0, True),
        (1, True),
        (2, False),
        (3, False),
        (5, False),
    ]
    store.replays.compare_item(job, 0, 1.0)
    assert [item.place for item in store.replays.unfinished(job)] == [1, 2, 3, 5]


def test_the_worst_come_first_and_the_sums_are_over_pairs(store: Store, project: Project) -> None:
    originals = stored(store, project, *(a_record(project.id, latency_ms=100.0) for _ in range(5)))
    replay_id = begun(store, project, *(each.record_id for each in originals), is_bulk=True)
    job = claimed(store, is_bulk=True)
    for place, likeness in ((0, 1.0), (1, 0.25)):
        answered(store, project, job, place, latency_ms=300.0 - 100 * place)
        store.replays.compare_item(job, place, likeness)
    answered(store, project, job, 2, outcome="error", latency_ms=None)
    store.replays.skip_item(job, 3, "why not")
    items = store.replays.items(project, replay_id, 0, 10, is_worst_first=True)
    assert [item.place for item in items] == [2, 1, 0, 3, 4]
    assert [item.place for item in store.replays.items(project, replay_id, 1, 2, is_worst_first=True)] == [1, 0]
    totals = store.replays.get(project, replay_id).totals
    assert (totals.items, totals.answered, totals.failed, totals.skipped, totals.done) == (5, 3, 1, 1, 4)
    assert (totals.compared, totals.equal, totals.timed) == (2, 1, 2)
    assert (totals.latency_ms, totals.original_latency_ms) == (250.0, 100.0)


def test_a_cancelled_replay_is_nobodys(store: Store, project: Project) -> None:
    replay_id = begun(store, project, "r")
    claimed(store)
    store.replays.cancel(project, replay_id)
    assert store.replays.renew("one", [replay_id], LEASE) == frozenset()
    assert store.replays.get(project, replay_id).state == "cancelled"
    with pytest.raises(ReplayEnded):
        store.replays.cancel(project, replay_id)


def test_a_call_leads_to_what_asked_it_again_and_back(store: Store, project: Project) -> None:
    original, other = stored(store, project, a_record(project.id), a_record(project.id))
    replay_id = begun(store, project, original.record_id)
    answer = answered(store, project, claimed(store), 0, replay_of=original.record_id)
    found = store.calls.page(project.id, term("replay_of", "eq", original.record_id)).rows
    assert [row.record_id for row in found] == [answer.record_id]
    found = store.calls.page(project.id, term("is_replay", "eq", "true")).rows
    assert [row.record_id for row in found] == [answer.record_id]
    assert store.replays.of_record(project, answer.record_id) == replay_id
    assert store.replays.of_record(project, other.record_id) is None
    ids = [other.record_id, "gone", original.record_id, other.record_id]
    assert [row.record_id for row in store.replays.sources(project, ids)] == [other.record_id, original.record_id]


def test_what_was_written_over_a_call_goes_with_it(store: Store, project: Project) -> None:
    first, second = stored(store, project, a_record(project.id), a_record(project.id))
    written = Written(template={"prompt_template_name": "x", "content": []}, variables={"a": "a secret of a user"})
    spec = ReplaySpec(changes=(Change(),), written=written)
    draft = ReplayDraft(kind="playground", spec=spec, items=(ItemDraft(source_id=first.record_id),))
    gone, kept = store.replays.start(project, draft, None), begun(store, project, second.record_id)
    store.deletion.records(project, [first.record_id])
    with pytest.raises(ReplayNotFound):
        store.replays.get(project, gone)
    assert store.replays.get(project, kept).id == kept
