"""Two servers over one PostgreSQL: what both do at once comes out as if one had done it after the other."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

import attrs
import pytest
import sqlalchemy as sa

from freeplay_like.core.completion import Choice
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.charts import ChartAsk, span_of
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter, all_of, term
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.records.saving import save_batches
from freeplay_like.server.store.removal import tombstones
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.tables import to_micros
from freeplay_like.server.store.views import Batch, Incoming, IncomingAmendment, Project, StoreResult, StoreUnavailable
from support.databases import TEMPLATE, count_rows, hold
from support.plain_calls import PlainCall, counts, holds
from support.plain_records import a_record, an_unsettled
from support.postgres import Cluster
from support.waiting import until

T = TypeVar("T")

NOW: Final = datetime(2026, 11, 21, 13, tzinfo=UTC)
WAIT_S: Final = 60
_numbers = itertools.count(1)


@pytest.fixture
def database(made_postgres: Cluster) -> Iterator[PostgresDatabase]:
    name = f"two_{next(_numbers)}"
    yield PostgresDatabase(made_postgres.create_database(name, template=TEMPLATE))
    made_postgres.drop_database(name)


@pytest.fixture
def one(database: PostgresDatabase) -> Iterator[Store]:
    store = Store(database)
    yield store
    store.close()


@pytest.fixture
def other(one: Store, database: PostgresDatabase) -> Iterator[Store]:
    store = Store(database)
    yield store
    store.close()


@pytest.fixture
def project(one: Store) -> Project:
    return one.projects.create("first")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def a_batch(project: Project, *records: Record, said: Sequence[Amendment] = ()) -> Batch:
    incoming = tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records))
    amendments = tuple(IncomingAmendment(index=i, amendment=each, body=to_wire(each)) for i, each in enumerate(said))
    return Batch(project_key=project.key, records=incoming, amendments=amendments, received_at=NOW)


def save(store: Store, project: Project, *records: Record) -> StoreResult:
    return store.save(a_batch(project, *records))


def a_thumb(record: Record, amendment_id: str = "a1") -> Amendment:
    return Amendment(
        amendment_id=amendment_id,
        record_id=record.record_id,
        project_id=record.project_id,
        made_at=NOW,
        feedback="positive",
        scores={"ok": True},
    )


def derive(store: Store) -> None:
    store._writer.run(lambda connection: following.derive_slice(connection, least=1))


def at_once(pool: ThreadPoolExecutor, *acts: Callable[[], T]) -> list[T]:
    """Do things in threads that begin together."""
    gate = threading.Barrier(len(acts))

    def do(act: Callable[[], T]) -> T:
        gate.wait(WAIT_S)
        return act()

    return [each.result(WAIT_S) for each in [pool.submit(do, act) for act in acts]]


@contextmanager
def transaction(store: Store) -> Iterator[sa.Connection]:
    """A transaction as another server might have it under way, committed at the end of the block."""
    engine = store.database.open(is_writer=True)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def asked(store: Store, question: Callable[[sa.Connection], T]) -> T:
    return store.calls._access.ask(question)


def settled_seq(store: Store) -> int:
    return asked(store, store.database.settled_seq)


def waits_for_a_lock(store: Store) -> bool:
    statement = sa.text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN "
        "(SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
    )
    return bool(asked(store, lambda connection: connection.scalar(statement)))


def seqs(store: Store) -> list[int]:
    statement = sa.text("SELECT seq FROM record ORDER BY seq")
    return asked(store, lambda connection: list(connection.scalars(statement)))


def words(store: Store) -> set[str]:
    return asked(store, lambda connection: set(connection.scalars(sa.text("SELECT text FROM word"))))


def answers(store: Store, project: Project, which: Filter = EVERYTHING) -> list[str]:
    return [row.first_answer for row in store.calls.page(project.id, which, limit=1_000).rows]


# --- taking records in --------------------------------------------------------------------------------------


def test_a_record_that_comes_to_both_at_once_is_stored_once(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    for _ in range(25):
        record = a_record(project.id)
        results = at_once(pool, *(partial(save, store, project, record) for store in (one, other)))
        assert sorted((result.stored, result.duplicates) for result in results) == [(0, 1), (1, 0)]
    assert len(seqs(one)) == count_rows(one, "record_key") == count_rows(one, "record_body") == 25


def test_batches_that_overlap_in_any_order_store_each_record_once(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    for _ in range(5):
        records = [a_record(project.id) for _ in range(20)]
        batches = [records[:15], records[:4:-1], records, records[::-1]]
        acts = [
            partial(save, store, project, *batch)
            for store, batch in zip((one, other, one, other), batches, strict=True)
        ]
        results = at_once(pool, *acts)
        assert sum(result.stored for result in results) == len(records)
        assert sum(result.duplicates for result in results) == sum(map(len, batches)) - len(records)
    assert len(set(seqs(one))) == 100


def test_each_batch_is_numbered_in_the_order_in_which_its_calls_began(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    batches = [[a_record(project.id, session_id=f"s{number}") for _ in range(10)] for number in range(6)]
    acts = [
        partial(save, store, project, *batch[::-1])
        for store, batch in zip(itertools.cycle((one, other)), batches, strict=False)
    ]
    at_once(pool, *acts)
    for number, batch in enumerate(batches):
        page = one.calls.page(project.id, term("session", "eq", f"s{number}"))
        assert [row.record_id for row in page.rows[::-1]] == [record.record_id for record in batch]


def test_no_number_is_settled_while_one_below_it_can_still_come(one: Store, other: Store, project: Project) -> None:
    hold(one, other)
    save(one, project, *(a_record(project.id) for _ in range(300)))
    early = a_record(project.id)
    with transaction(one) as connection:
        save_batches(connection, [a_batch(project, early)], pricer=one._pricer)
        save(other, project, *(a_record(project.id, answer="late") for _ in range(600)))
        lowest = min(set(range(1, 902)) - set(seqs(other)))
        assert settled_seq(other) < lowest
        derive(other)
        other._writer.run(following.index_slice)
        assert asked(other, following.derived_seq) < lowest
    assert settled_seq(other) == 901
    while asked(one, following.derived_seq) < 901:
        derive(one)
    assert len(answers(other, project, term("outcome", "eq", "complete"))) == 901
    assert one.calls.get(project.id, early.record_id) is not None


def test_a_transaction_that_fails_holds_nobody_up(one: Store, other: Store, project: Project) -> None:
    def fail(connection: sa.Connection) -> None:
        save_batches(connection, [a_batch(project, a_record(project.id))], pricer=one._pricer)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _in_a_transaction(one, fail)
    save(other, project, a_record(project.id))
    assert seqs(one) == [settled_seq(one)] == [2]


def test_the_end_of_an_interrupted_call_counts_once(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    for _ in range(8):
        whole = a_record(project.id, answer="whole")
        save(one, project, an_unsettled(whole), a_record(project.id, answer="x"))
        derive(other)
        other._writer.run(following.index_slice)
        results = at_once(pool, *(partial(save, store, project, whole) for store in (one, other)))
        assert sorted((result.stored, result.duplicates) for result in results) == [(0, 1), (1, 0)]
    facets = one.statistics.facets(project.id, EVERYTHING, ["outcome"]).fields["outcome"]
    assert {found.value: found.calls for found in facets} == {"complete": 16}
    assert answers(other, project, term("text", "contains", "hol")) == ["whole"] * 8


def test_a_call_whose_end_and_beginning_come_to_two_servers_at_once_has_ended(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    whole = a_record(project.id, answer="whole")
    with transaction(one) as connection:
        save_batches(connection, [a_batch(project, an_unsettled(whole))], pricer=one._pricer)
        ended = pool.submit(save, other, project, whole)
        until(lambda: waits_for_a_lock(one), WAIT_S, "the end waiting for the beginning")
    assert ended.result(WAIT_S).stored == 1
    assert answers(one, project, term("outcome", "eq", "complete")) == ["whole"]


def test_what_is_said_to_both_at_once_counts_once(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    records = [a_record(project.id) for _ in range(6)]
    save(one, project, *records)
    derive(one)
    for record in records:
        batch = a_batch(project, said=[a_thumb(record, f"a-{record.record_id}")])
        results = at_once(pool, *(partial(store.save, batch) for store in (one, other)))
        assert sorted(result.amendments_stored for result in results) == [0, 1]
    for name in ("feedback", "score.ok"):
        (found,) = other.statistics.facets(project.id, EVERYTHING, [name]).fields[name]
        assert found.calls == len(records)


def test_what_is_said_while_its_record_is_being_stored_elsewhere_is_not_lost(
    one: Store, other: Store, project: Project
) -> None:
    hold(one, other)
    record = a_record(project.id, answer="a")
    with transaction(one) as connection:
        save_batches(connection, [a_batch(project, record)], pricer=one._pricer)
        other.save(a_batch(project, said=[a_thumb(record)]))
    assert answers(one, project, term("feedback", "eq", "positive")) == ["a"]
    derive(other)
    assert answers(one, project, term("feedback", "eq", "positive")) == ["a"]


def test_a_record_that_is_being_stored_elsewhere_when_it_is_deleted_is_deleted(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    record = a_record(project.id)
    with transaction(one) as connection:
        save_batches(connection, [a_batch(project, record)], pricer=one._pricer)
        deleted = pool.submit(other.deletion.record, project, record.record_id)
        until(lambda: waits_for_a_lock(one), WAIT_S, "the deletion waiting for the record")
    assert deleted.result(WAIT_S).records == 1
    assert save(one, project, record) == StoreResult(stored=0, duplicates=1)
    assert count_rows(one, "record") == count_rows(one, "record_key") == 0


def test_a_record_that_comes_while_it_is_deleted_elsewhere_is_not_stored(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    record = a_record(project.id)
    with transaction(one) as connection:
        tombstones.bury(connection, project.key, [record.record_id], to_micros(NOW))
        saved = pool.submit(save, other, project, record, a_record(project.id, answer="another"))
        until(lambda: waits_for_a_lock(one), WAIT_S, "the record waiting for the deletion")
    assert saved.result(WAIT_S).stored == 1
    assert answers(one, project) == ["another"]
    assert count_rows(one, "record_key") == 1


# --- what follows -------------------------------------------------------------------------------------------


class Writing:
    """Writes through one of the servers what a plain look must find again: records, ends, thumbs, deletions."""

    def __init__(self, store: Store, project: Project, name: str) -> None:
        self.store = store
        self.project = project
        self.name = name
        self.calls: dict[str, PlainCall] = {}

    def run(self) -> None:
        for turn in range(12):
            records = [self.a_call(turn, number) for number in range(40)]
            begun = records[0]
            save(self.store, self.project, an_unsettled(begun), *records[1:])
            save(self.store, self.project, begun)
            said = [a_thumb(record, f"{record.record_id}-t") for record in records[3:6]]
            self.store.save(a_batch(self.project, said=said))
            self.calls.update({record.record_id: PlainCall(0, record) for record in records})
            for each in said:
                self.calls[each.record_id].amendments.append(each)
            gone = [record.record_id for record in records[5:9]]
            assert self.store.deletion.records(self.project, gone).records == len(gone)
            for record_id in gone:
                del self.calls[record_id]

    def a_call(self, turn: int, number: int) -> Record:
        return attrs.evolve(
            a_record(self.project.id),
            session_id=f"s{number % 3}",
            choices=(Choice(text=f"common {self.name}{turn} word{number % 7} 東京タワー", finish_reason="stop"),),
            model=("gpt", "claude")[number % 2],
            metadata={"channel": ("web", "mail", "app")[number % 3]},
            started_at=NOW - timedelta(hours=number % 5),
        )


QUESTIONS: Final = (
    EVERYTHING,
    term("model", "eq", "claude"),
    term("metadata.channel", "eq", "mail"),
    term("feedback", "eq", "positive"),
    term("outcome", "eq", "interrupted"),
    term("text", "contains", "common"),
    term("text", "contains", "ommon on"),
    term("text", "contains", "word3 東京"),
    all_of([term("text", "contains", "two1"), term("model", "eq", "gpt")]),
)


def check(store: Store, project: Project, calls: Sequence[PlainCall]) -> None:
    """Compare every answer with a plain look at all calls."""
    for which in QUESTIONS:
        wanted = [call for call in calls if holds(call, which)]
        rows = store.calls.page(project.id, which, limit=1_000).rows
        assert {row.record_id for row in rows} == {call.record.record_id for call in wanted}, which
        facets = store.statistics.facets(project.id, which, ["model", "metadata.channel", "feedback"])
        assert facets.calls == len(wanted) == len(rows), which
        for name, found in facets.fields.items():
            assert {each.value: each.calls for each in found} == dict(counts(wanted, name)), (which, name)
    span = span_of(NOW - timedelta(days=1), NOW + timedelta(days=1), 3_600)
    chart = store.statistics.chart(project.id, ChartAsk(span=span, by="model", filter=EVERYTHING))
    charted = {series.value: sum(point.calls for _, point in series.points) for series in chart.series}
    assert charted == dict(
        counts([attrs.evolve(each, record=attrs.evolve(each.record, requested_model=None)) for each in calls], "model")
    )
    sessions = {row.session_id: row.calls for row in store.sessions.page(project.id, EVERYTHING, 0, 100)}
    assert sessions == dict(counts(calls, "session"))


def test_every_answer_is_that_of_a_plain_look_while_both_write_and_follow(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "DERIVE_FROM", 40)
    monkeypatch.setattr(following.derive_slice, "__kwdefaults__", {"least": 40})
    monkeypatch.setattr(following, "INDEX_RECORDS", 15)
    writing = [Writing(one, project, "one"), Writing(other, project, "two")]
    under_way = [pool.submit(each.run) for each in writing]
    while not all(each.done() for each in under_way):
        for store in (one, other):  # each answer is of one moment: its parts must agree
            facets = store.statistics.facets(project.id, EVERYTHING, ["outcome", "provider"])
            for name in ("outcome", "provider"):
                assert sum(each.calls for each in facets.fields[name]) == facets.calls, name
    for each in under_way:
        each.result(WAIT_S)
    calls = [call for each in writing for call in each.calls.values()]
    check(one, project, calls)

    def is_followed() -> bool:
        newest = max(seqs(one))
        return asked(one, following.indexed_seq) >= newest and newest - asked(one, following.derived_seq) < 40

    until(is_followed, WAIT_S, "what follows")
    for store in (one, other):
        check(store, project, calls)
    assert count_rows(one, "record_search") == len(calls)


def test_a_deleted_word_is_in_no_index_whoever_indexed_it(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    doomed = a_record(project.id, answer="shared secret-4711")
    save(one, project, doomed, a_record(project.id, answer="shared"))
    with transaction(other) as worker:
        following.index_slice(worker)
        deleted = pool.submit(one.deletion.record, project, doomed.record_id)
        until(lambda: waits_for_a_lock(one), WAIT_S, "the deletion waiting for the worker")
    assert deleted.result(WAIT_S).records == 1
    assert count_rows(one, "record_search") == 1
    assert "shared" in words(one)
    assert not words(one) & {"secret", "4711"}


def test_a_record_that_is_deleted_before_a_worker_comes_to_it_is_not_indexed(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    save(one, project, a_record(project.id, answer="secret-4711"), a_record(project.id, answer="shared"))
    with transaction(one) as deleting:
        following.forget(deleting, [1])
        deleting.execute(sa.text("DELETE FROM record_body WHERE seq = 1"))
        deleting.execute(sa.text("DELETE FROM record WHERE seq = 1"))
        indexed = pool.submit(_in_a_transaction, other, following.index_slice)
        until(lambda: waits_for_a_lock(one), WAIT_S, "the worker waiting for the deletion")
    indexed.result(WAIT_S)
    assert count_rows(one, "record_search") == 1
    assert not words(one) & {"secret", "4711"}


def test_a_word_stays_that_a_worker_has_just_put_into_another_text(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    first = a_record(project.id, answer="marvellous")
    save(one, project, first)
    one._writer.run(following.index_slice)
    save(one, project, a_record(project.id, answer="marvellous again"))
    with transaction(other) as worker:
        following.index_slice(worker)
        deleted = pool.submit(one.deletion.record, project, first.record_id)
        until(lambda: waits_for_a_lock(one), WAIT_S, "the deletion waiting for the worker")
    deleted.result(WAIT_S)
    assert answers(one, project, term("text", "contains", "arvell")) == ["marvellous again"]


def _in_a_transaction(store: Store, act: Callable[[sa.Connection], T]) -> T:
    with transaction(store) as connection:
        return act(connection)


def test_workers_share_the_texts_and_one_that_dies_leaves_its_own_to_others(
    one: Store, other: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(one, other)
    monkeypatch.setattr(following, "INDEX_RECORDS", 2)
    save(one, project, *(a_record(project.id, answer=f"word{number}") for number in range(1, 8)))
    _in_a_transaction(one, following.index_slice)

    def die(connection: sa.Connection) -> None:
        following.index_slice(connection)
        _in_a_transaction(other, following.index_slice)
        assert asked(one, following.indexed_seq) == 2  # 5 and 6 are in it, 3 and 4 not yet
        assert count_rows(one, "record_search") == 4
        found = answers(other, project, term("text", "contains", "ord"))
        assert found == [f"word{number}" for number in range(7, 0, -1)]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _in_a_transaction(one, die)
    while _in_a_transaction(other, following.index_slice) == "more":
        pass
    assert asked(one, following.indexed_seq) == 7
    assert count_rows(one, "record_search") == 7
    assert count_rows(one, "text_slice") == 0


def test_what_a_server_took_that_is_gone_another_follows_by_itself(one: Store, other: Store, project: Project) -> None:
    hold(one)
    until(lambda: not other._writer._has_background, WAIT_S, "the other one resting")
    save(one, project, *(a_record(project.id) for _ in range(following.DERIVE_FROM)))
    until(lambda: asked(one, following.derived_seq) == following.DERIVE_FROM, WAIT_S, "facets")
    until(lambda: asked(one, following.indexed_seq) == following.DERIVE_FROM, WAIT_S, "texts")


# --- connections that are lost ------------------------------------------------------------------------------


def end_connections(store: Store) -> None:
    """End all connections to the database but the one that says so, as a restart of the database does."""
    statement = sa.text(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with transaction(store) as connection:
        connection.execute(statement)


def test_nobody_is_told_of_a_connection_that_was_lost_while_it_rested(
    one: Store, other: Store, project: Project
) -> None:
    hold(one, other)
    save(one, project, a_record(project.id))
    end_connections(other)
    assert save(one, project, a_record(project.id)).stored == 1
    end_connections(other)
    assert one.projects.create("second").name == "second"


def test_a_job_whose_connection_is_lost_before_its_end_is_done_once(one: Store, project: Project) -> None:
    hold(one)
    tries: list[int] = []

    def job(connection: sa.Connection) -> None:
        tries.append(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())
        connection.execute(sa.text("INSERT INTO store_state VALUES (:name, 0)"), {"name": f"try {len(tries)}"})
        if len(tries) == 1:
            end_connections(one)
            connection.execute(sa.text("SELECT 1"))

    one._writer.run(job)
    assert len(set(tries)) == 2
    tried = sa.text("SELECT name FROM store_state WHERE name LIKE 'try%'")
    assert asked(one, lambda connection: list(connection.scalars(tried))) == ["try 2"]


def test_a_server_that_dies_in_the_middle_of_a_slice_leaves_nothing_half(
    one: Store, other: Store, project: Project
) -> None:
    hold(one, other)
    save(one, project, *(a_record(project.id) for _ in range(30)))

    def die(connection: sa.Connection) -> None:
        following.derive_slice(connection, least=1)
        following.index_slice(connection)
        end_connections(other)
        connection.execute(sa.text("SELECT 1"))

    with pytest.raises(sa.exc.OperationalError):
        _in_a_transaction(one, die)
    for table in ("facet", "facet_block", "rollup", "record_search", "word", "text_slice"):
        assert count_rows(other, table) == 0, table
    assert asked(other, following.derived_seq) == asked(other, following.indexed_seq) == 0
    derive(other)
    other._writer.run(following.index_slice)
    facets = one.statistics.facets(project.id, EVERYTHING, ["outcome"])
    assert (facets.calls, count_rows(one, "record_search")) == (30, 30)


def test_records_whose_connection_is_lost_while_they_are_copied_are_stored_once(
    one: Store, other: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(one, other)
    insert_many, ended = one.database.insert_many, threading.Event()

    def dying(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]) -> None:
        if not ended.is_set():
            ended.set()
            end_connections(other)
        insert_many(connection, table, rows)

    monkeypatch.setattr(one.database, "insert_many", dying)
    assert save(one, project, a_record(project.id)).stored == 1
    assert ended.is_set()
    assert len(seqs(other)) == 1


# --- transactions that get in each other's way --------------------------------------------------------------


def test_two_that_wait_for_each_other_are_tried_again_and_nobody_is_told(
    one: Store, other: Store, project: Project, pool: ThreadPoolExecutor
) -> None:
    hold(one, other)
    both_hold_one = threading.Barrier(2)
    tries: list[int] = []

    def crossing(store: Store, first: int, second: int) -> StoreResult:
        inner = store._writer._save

        def crossed(connection: sa.Connection, batches: Sequence[Batch]) -> Sequence[StoreResult]:
            tries.append(first)
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": first})
            if len(tries) <= 2:
                both_hold_one.wait(WAIT_S)
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": second})
            return inner(connection, batches)

        store._writer._save = crossed
        return save(store, project, a_record(project.id))

    under_way: list[Future[StoreResult]] = [pool.submit(crossing, one, 1, 2), pool.submit(crossing, other, 2, 1)]
    assert [each.result(WAIT_S).stored for each in under_way] == [1, 1]
    assert len(tries) == 3
    assert one.writer_failures == other.writer_failures == 0


def test_a_connection_to_what_is_a_standby_now_is_given_up_for_a_fresh_one(one: Store, project: Project) -> None:
    hold(one)
    demote = sa.text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    one._writer.run(lambda connection: connection.execute(demote))
    assert save(one, project, a_record(project.id)).stored == 1
    one._writer.run(lambda connection: connection.execute(demote))
    assert one.projects.create("second").name == "second"


def test_a_database_that_takes_no_writes_refuses_no_record_for_good(
    one: Store, project: Project, made_postgres: Cluster
) -> None:
    hold(one)
    name = asked(one, lambda connection: connection.execute(sa.text("SELECT current_database()")).scalar_one())
    end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
    made_postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    made_postgres.execute(end, [name])
    with pytest.raises(StoreUnavailable, match="cannot write"):
        save(one, project, a_record(project.id))
    with pytest.raises(StoreUnavailable, match="cannot write"):
        one.projects.create("second")
    made_postgres.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert save(one, project, a_record(project.id)).stored == 1
