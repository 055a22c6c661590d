from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
import sqlalchemy as sa

from freeplay_like.clock import SystemClock
from freeplay_like.core.ids import uuid7
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter, term
from freeplay_like.server.store.engines import sqlite_files
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.records.trace_views import TraceChange
from freeplay_like.server.store.removal.belonging import of_project
from freeplay_like.server.store.removal.beside import says
from freeplay_like.server.store.removal.deletion import SLICE_RECORDS, DeletionReport
from freeplay_like.server.store.removal.tombstones import KEPT
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.tables import metadata
from freeplay_like.server.store.views import Batch, Incoming, IncomingAmendment, Project
from support.clocks import SetClock
from support.databases import over_sqlite
from support.plain_records import a_record
from support.waiting import until

SECRET = "ꙮꙮꙮꙮ-geheimnis-4711"
NOW = SetClock.moment

Ask = Callable[[sa.Connection], object]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def kept(database: Database, clock: SetClock) -> Iterator[Store]:
    store = Store(database, clock=clock)
    yield store
    store.close()


@pytest.fixture
def mine(kept: Store) -> Project:
    return kept.projects.create("mine")


def save(store: Store, project: Project, records: Sequence[Record], said: Sequence[Amendment] = ()) -> int:
    result = store.save(
        Batch(
            project_key=project.key,
            records=tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records)),
            amendments=tuple(
                IncomingAmendment(index=i, amendment=each, body=to_wire(each)) for i, each in enumerate(said)
            ),
            received_at=NOW,
        )
    )
    return result.stored


def an_amendment(record: Record, comment: str = "well done") -> Amendment:
    return Amendment(
        amendment_id=SystemClock().new_id(),
        record_id=record.record_id,
        project_id=record.project_id,
        made_at=NOW,
        feedback="positive",
        comments={"comment": comment},
        scores={"accuracy": 1.0},
    )


def ask(store: Store, question: Ask) -> object:
    engine = store.database.open(is_writer=False)
    try:
        with engine.begin() as connection:
            return question(connection)
    finally:
        engine.dispose()


def rows(store: Store) -> dict[str, int]:
    """How many rows each table of ours has."""

    def count(connection: sa.Connection) -> dict[str, int]:
        counts = {
            name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }
        return {name: found for name, found in counts.items() if found}

    found = ask(store, count)
    assert isinstance(found, dict)
    return found


def everything_followed(store: Store) -> None:
    """Wait until what follows the records has come to the last one."""

    def is_done(connection: sa.Connection) -> bool:
        newest = connection.scalar(sa.select(sa.func.max(metadata.tables["record"].c.seq))) or 0
        return following.indexed_seq(connection) >= newest

    until(lambda: ask(store, is_done), what="the text index")


def ids(store: Store, project: Project, which: Filter = EVERYTHING) -> set[str]:
    return {row.record_id for row in store.calls.page(project.id, which, limit=1000).rows}


def files_with(folder: Path, text: str) -> list[str]:
    return [path.name for path in folder.iterdir() if text.encode() in path.read_bytes()]


def test_a_record_goes_with_its_body_and_all_that_was_said_of_it(kept: Store, mine: Project) -> None:
    before = rows(kept)
    gone, stays = a_record(mine.id, session_id="s"), a_record(mine.id, session_id="s")
    save(kept, mine, [gone, stays], [an_amendment(gone), an_amendment(gone), an_amendment(stays)])
    report = kept.deletion.record(mine, gone.record_id)
    assert report == DeletionReport(records=1, amendments=2)
    assert kept.calls.get(mine.id, gone.record_id) is None
    assert ids(kept, mine) == {stays.record_id}
    assert kept.deletion.record(mine, stays.record_id).records == 1
    assert {name: count for name, count in rows(kept).items() if count != before.get(name)} == {"deleted_record": 2}


def test_a_deleted_record_that_is_sent_late_is_not_stored_again_for_thirty_days(
    kept: Store, mine: Project, clock: SetClock
) -> None:
    record, never_came = a_record(mine.id), a_record(mine.id)
    save(kept, mine, [record])
    kept.deletion.records(mine, [record.record_id, never_came.record_id])
    other = kept.projects.create("other")
    assert save(kept, mine, [record, never_came], [an_amendment(record)]) == 0
    assert kept.calls.get(mine.id, record.record_id) is None
    assert "amendment" not in rows(kept), "what is said of it late is as little stored"
    assert save(kept, other, [attrs.evolve(record, project_id=other.id)]) == 1, "another project has its own records"
    clock.moment += KEPT + timedelta(seconds=1)
    kept.deletion.purge_tombstones()
    assert save(kept, mine, [record]) == 1


def test_a_session_goes_whole_in_slices_and_its_neighbours_stay(kept: Store, mine: Project) -> None:
    other = kept.projects.create("other")
    theirs = a_record(other.id, session_id="s")
    save(kept, mine, [a_record(mine.id, session_id="s") for _ in range(SLICE_RECORDS * 2 + 1)])
    neighbour = a_record(mine.id, session_id="t")
    save(kept, mine, [neighbour])
    save(kept, other, [theirs])
    kept.traces.save(mine, "s", "trace-1", TraceChange(input=SECRET, output=SECRET))
    kept.session_metadata.merge(mine, "s", {"plan": "gold"})
    report = kept.deletion.session(mine, "s")
    assert (report.records, report.sessions) == (SLICE_RECORDS * 2 + 1, 1)
    assert ids(kept, mine) == {neighbour.record_id}
    assert ids(kept, other) == {theirs.record_id}
    assert not {"trace", "session_metadata"} & set(rows(kept))
    assert kept.deletion.session(mine, "s") == DeletionReport()


def test_a_persons_data_go_by_exact_metadata_from_wherever_they_are(kept: Store, mine: Project) -> None:
    hers = a_record(mine.id, session_id="a", metadata={"user_id": "u-1", "n": 1})
    in_her_session = a_record(mine.id, session_id="b")
    in_her_trace = a_record(mine.id, session_id="c", trace_id="trace-1")
    not_hers = [
        a_record(mine.id, session_id="a", metadata={"user_id": "u-10"}),
        a_record(mine.id, session_id="c", metadata={"user": "u-1"}),
        a_record(mine.id, metadata={"user_id": ["u-1"]}),
    ]
    save(kept, mine, [hers, in_her_session, in_her_trace, *not_hers])
    kept.session_metadata.merge(mine, "b", {"user_id": "u-1"})
    kept.traces.save(mine, "c", "trace-1", TraceChange(metadata={"user_id": "u-1"}))
    whole = kept.deletion.whole(mine, {"user_id": "u-1"})
    assert (whole.session_ids, whole.trace_ids) == (("b",), ("trace-1",))
    report = kept.deletion.person(mine, {"user_id": "u-1"})
    assert report.records == 3
    assert ids(kept, mine) == {each.record_id for each in not_hers}
    assert "trace" not in rows(kept)
    with pytest.raises(ValueError, match="at least one"):
        kept.deletion.person(mine, {})


@pytest.mark.parametrize(
    ("value", "wanted", "is_said"),
    [("u", "u", True), ("u", "U", False), (42, "42", True), (42, 42, True), (True, 1, False), (1, True, False),
     ("42", 42, False), (None, "null", True), ({"a": 1}, '{"a":1}', True), ("", "", True)],
)  # fmt: skip
def test_metadata_are_compared_exactly_but_a_text_stands_for_what_it_writes(
    value: object, wanted: object, is_said: bool
) -> None:
    assert says({"k": value}, {"k": wanted}) is is_said
    assert not says({"other": value}, {"k": wanted})


def test_test_cases_made_from_deleted_records_go_but_stay_where_their_time_was_over(kept: Store, mine: Project) -> None:
    from freeplay_like.server.store.trials.tables import dataset, test_case

    record = a_record(mine.id)
    save(kept, mine, [record])
    engine = kept.database.open(is_writer=True)
    with engine.begin() as connection:
        values = {"id": "d", "project_key": mine.key, "name": "d", "description": "", "input_names": [],
                  "media_input_names": [], "support_history": False, "created_at": 0}  # fmt: skip
        connection.execute(sa.insert(dataset).values(values))
        key = connection.scalar(sa.select(dataset.c.key))
        for case_id, source in (("from-it", record.record_id), ("from-another", "r-2"), ("own", None)):
            case = {"id": case_id, "dataset_key": key, "size_bytes": 0, "zstd": b"", "created_at": 0}
            connection.execute(sa.insert(test_case).values({**case, "source_record_id": source}))
    engine.dispose()
    assert kept.deletion.record(mine, record.record_id).test_cases == 1
    assert rows(kept)["test_case"] == 2
    while kept.retention.expire_some(mine, NOW + timedelta(days=1)):
        pass
    assert rows(kept)["test_case"] == 2


def test_what_is_older_than_a_project_keeps_goes_and_may_come_again(kept: Store, mine: Project) -> None:
    began = NOW - timedelta(days=40)
    old = [a_record(mine.id, session_id="s", started_at=began + timedelta(days=i)) for i in range(20)]
    save(kept, mine, old)
    before = NOW - timedelta(days=30)
    while kept.retention.expire_some(mine, before):
        pass
    assert ids(kept, mine) == {each.record_id for each in old if each.started_at >= before}
    assert save(kept, mine, old[:1]) == 1


def test_a_project_goes_with_every_row_of_every_table_and_its_number_is_not_given_again(kept: Store) -> None:
    kept.projects.create("first")
    before = rows(kept)
    second = kept.projects.create("second")
    record = a_record(second.id, session_id="s", metadata={"user_id": "u"})
    save(kept, second, [record], [an_amendment(record)])
    kept.keys.create(second, name="app")
    kept.traces.save(second, "s", "trace-1", TraceChange(name="t"))
    kept.session_metadata.merge(second, "s", {"plan": "gold"})
    everything_followed(kept)
    assert kept.deletion.project(second).records == 1
    assert rows(kept) == before
    assert kept.projects.get(second.id) is None
    assert kept.projects.create("third").key > second.key


def test_every_table_is_a_projects_or_known_to_be_nobodys() -> None:
    nobodys = {
        "store_state",
        "price_due",
        "person",
        "sign_in_link",
        "browser_session",
        "word",
        "facet_block",
        "size_sample",
    }
    found = {name for name, table in metadata.tables.items() if of_project(table, 1) is None}
    assert found == nobodys, "a table that no deletion of a project would reach"


@over_sqlite
def test_every_text_index_is_merged_when_the_file_is_wiped(kept: Store) -> None:
    names = ask(
        kept,
        lambda connection: set(
            connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%USING fts5%'").scalars()
        ),
    )
    assert names == set(sqlite_files.TEXT_INDEXES)


@over_sqlite
def test_nothing_of_what_was_deleted_is_in_the_files_after_they_were_wiped(
    kept: Store, mine: Project, tmp_path: Path
) -> None:
    def one(number: int) -> Record:
        is_hers = number % 10 == 0
        words = f"word{number} " * (1 + number * 7 % 400)
        return a_record(
            mine.id,
            session_id=f"{SECRET}-{number}" if is_hers else f"s-{number % 7}",
            question=words + (SECRET if is_hers else "nobody"),
            answer=SECRET * 300 if is_hers else "a fine answer",
            metadata={"user_id": SECRET if is_hers else f"u-{number}"},
            messages=(Message(role="user", content=words + (SECRET if is_hers else "nobody")),),
        )

    records = [one(number) for number in range(600)]
    for start in range(0, 600, 60):
        some = records[start : start + 60]
        save(kept, mine, some, [an_amendment(some[0], comment=SECRET)])
    everything_followed(kept)
    assert files_with(tmp_path, "geheimnis")
    assert kept.deletion.person(mine, {"user_id": SECRET}).records == 60
    assert ids(kept, mine, term("text", "contains", SECRET)) == set()
    assert kept.deletion.wipe_due_at() > 0
    assert kept.deletion.wipe()
    assert files_with(tmp_path, "geheimnis") == []
    assert files_with(tmp_path, "ꙮꙮ") == []
    assert kept.deletion.wipe_due_at() == 0
    assert len(ids(kept, mine, term("text", "contains", "nobody"))) == 540


def test_wiping_is_put_off_for_further_deletions_and_asked_for_once(
    kept: Store, mine: Project, clock: SetClock
) -> None:
    first, second = a_record(mine.id), a_record(mine.id)
    save(kept, mine, [first, second])
    assert not kept.deletion.is_wipe_due()
    kept.deletion.record(mine, first.record_id)
    due = kept.deletion.wipe_due_at()
    clock.moment += timedelta(seconds=30)
    kept.deletion.record(mine, second.record_id)
    assert kept.deletion.wipe_due_at() == due, "a later deletion does not put it off for ever"
    assert not kept.deletion.is_wipe_due()
    clock.moment += timedelta(minutes=1)
    assert kept.deletion.is_wipe_due()


def test_a_wipe_that_was_broken_off_is_still_due(kept: Store, mine: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_files, "WIPE_PAGES", 2)
    records = [a_record(mine.id, answer="x" * 5000) for _ in range(200)]
    save(kept, mine, records)
    everything_followed(kept)
    kept.deletion.records(mine, [each.record_id for each in records])
    assert not kept.deletion.wipe(lambda: True)
    assert kept.deletion.wipe_due_at() > 0
    assert kept.deletion.wipe()


def test_ids_of_records_are_kept_as_hashes_alone(kept: Store, mine: Project, tmp_path: Path) -> None:
    record = attrs.evolve(a_record(mine.id), record_id=f"ada-{uuid7(0, b'0123456789')[:8]}")
    save(kept, mine, [record])
    kept.deletion.record(mine, record.record_id)
    assert kept.deletion.wipe()
    assert files_with(tmp_path, record.record_id) == []
