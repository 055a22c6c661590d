"""Copying a store in rounds: what changes, goes and comes in between, and what is found to differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from freeplay_like.core.records import Amendment, Record, ScoreValue
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.tables import facet, rollup, session_summary, word
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.moving import applying, checking, rows
from freeplay_like.server.store.moving.checking import Difference
from freeplay_like.server.store.moving.copying import Copy, Round
from freeplay_like.server.store.moving.steps import MoveRefused
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project
from support.databases import count_rows, skip_to
from support.plain_records import a_record, an_unsettled

DERIVED = (facet, rollup, session_summary, word)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    """The store that is copied, into each kind of database."""
    store = Store(SqliteDatabase(tmp_path / "source.db"))
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _derive_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following.derive_slice, "__kwdefaults__", {"least": 1})


def save(store: Store, project: Project, *records: Record) -> None:
    incoming = tuple(Incoming(index=i, record=one, body=to_wire(one)) for i, one in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=datetime.now(UTC)))


def say(store: Store, project: Project, record: Record, name: str, **scores: ScoreValue) -> None:
    said = Amendment(
        amendment_id=name,
        record_id=record.record_id,
        project_id=project.id,
        made_at=datetime.now(UTC),
        scores=scores,
    )
    assert store.calls.amend(project, said)


def copying(source: Store, target: Database) -> Copy:
    return Copy(source.database, target, lambda step: None)


def differences(source: Store, target: Database) -> list[Difference]:
    found = checking.compare(source.database, target, lambda step: None)
    return [one for one in found if isinstance(one, Difference)]


def finish(source: Store, target: Database) -> None:
    with copying(source, target) as copy:
        assert [one for one in copy.finish() if isinstance(one, Difference)] == []


def change(database: Database, job: Callable[[sa.Connection], object]) -> None:
    engine = database.open(is_writer=True)
    with engine.begin() as connection:
        job(connection)
    engine.dispose()


def derived(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What was derived, without the keys that each database gives by itself."""
    engine = database.open(is_writer=False)
    with engine.begin() as connection:
        found = {
            table.name: sorted(
                map(tuple, connection.execute(sa.select(*(each for each in table.c if each.name != "key"))))
            )
            for table in DERIVED
        }
    engine.dispose()
    return found


def test_a_store_that_changes_between_rounds_arrives_as_it_is_at_the_end(
    source: Store, database: Database, tmp_path: Path
) -> None:
    project, other = source.projects.create("ours"), source.projects.create("gone soon")
    records = [a_record(project.id, question=f"question number{n}", session_id=f"s{n % 3}") for n in range(12)]
    late = an_unsettled(records[3])
    save(source, project, *records[:3], late, *records[4:])
    save(source, other, *(a_record(other.id) for _ in range(4)))
    say(source, project, records[5], "first", good=1, short=True)
    with copying(source, database) as copy:
        assert copy.round().new == 16
        source.deletion.session(project, "s1")
        source.deletion.project(other)
        save(source, project, records[3], a_record(project.id, question="a question that is new"))
        say(source, project, records[5], "again", good=0)
        third = source.projects.create("ours too")
        found = copy.round()
        assert (found.new, found.changed > 0) == (1, True)
        assert copy.round() == Round(new=0, changed=0)
    finish(source, database)
    whole = SqliteDatabase(tmp_path / "at once.db")
    finish(source, whole)
    assert derived(database) == derived(whole), "what is derived followed the changes"
    moved = Store(database)
    try:
        assert {each.name for each in moved.projects.all()} == {"ours", "ours too"}
        assert moved.projects.create("next").key == third.key + 1, "no number of a deleted project is given again"
        assert moved.calls.newest_seq(project.id) == source.calls.newest_seq(project.id)
        new = a_record(project.id)
        save(moved, project, records[0], records[1], new)
        assert count_rows(moved, "record") == count_rows(source, "record") + 1, "what is there or was deleted is known"
        assert moved.calls.newest_seq(project.id) > source.calls.newest_seq(project.id)
    finally:
        moved.close()


def test_numbers_go_on_after_the_last_one_that_was_given_also_to_a_record_that_is_deleted(
    source: Store, database: Database
) -> None:
    project = source.projects.create("ours")
    skip_to(source, 3 * rows.BLOCK)
    kept, gone = a_record(project.id), a_record(project.id)
    save(source, project, kept, gone)
    source.deletion.record(project, gone.record_id)
    finish(source, database)
    moved = Store(database)
    try:
        save(moved, project, gone, a_record(project.id))
        assert moved.calls.newest_seq(project.id) > 3 * rows.BLOCK + 1
        assert {moved.calls.get(project.id, each.record_id) is None for each in (kept, gone)} == {False, True}
    finally:
        moved.close()


def test_names_that_are_exchanged_between_rounds_do_not_get_in_each_others_way(
    source: Store, database: Database
) -> None:
    one, two = source.projects.create("one"), source.projects.create("two")
    with copying(source, database) as copy:
        copy.round()
        source.projects.change(one, name="aside", retention_days=None)
        source.projects.change(two, name="one", retention_days=None)
        source.projects.change(one, name="two", retention_days=7)
        assert copy.round().changed == 2
    finish(source, database)


def test_texts_with_nul_arrive_as_they_would_from_a_sender(source: Store, database: Database) -> None:
    project = source.projects.create("ours")
    sessions = ("a", "a\0", "a\0z", "a\x01", "b")
    save(source, project, *(a_record(project.id, session_id=each, question="a\0b") for each in sessions))
    for session_id in sessions:
        source.session_metadata.merge(project, session_id, {"k": session_id})
    finish(source, database)
    assert differences(source, database) == []


def test_rows_are_compared_in_order_though_nul_is_replaced_in_their_keys() -> None:
    keys = ["a", "a\0b", "a\0c", "a\x01", "b", "\ud7ff", "\ufffda"]
    found = list(rows._plain([(key, 1) for key in sorted(keys)], lambda row: row[0]))
    assert [key for key, _ in found] == sorted(key.replace("\0", "\ufffd") for key in keys)


@pytest.mark.parametrize(
    ("damage", "table", "about"),
    [
        (sa.update(record).where(record.c.seq == 2).values(model="another"), "record", "not the same: model"),
        (sa.text("UPDATE record_body SET zstd = 'x' WHERE seq = 3"), "record_body", "not the same: zstd"),
        (sa.text("DELETE FROM record_body WHERE seq = 1"), "record_body", "it is not in the target"),
        (sa.text("DELETE FROM api_key"), "api_key", "it is not in the target"),
        (sa.text("UPDATE project SET retention_days = 3"), "project", "not the same: retention_days"),
    ],
)
def test_a_row_that_is_not_the_same_is_named(
    source: Store, database: Database, damage: sa.Executable, table: str, about: str
) -> None:
    project = source.projects.create("ours")
    source.keys.create(project)
    save(source, project, *(a_record(project.id) for _ in range(4)))
    finish(source, database)
    assert differences(source, database) == []
    change(database, lambda connection: connection.execute(damage))
    (found,) = differences(source, database)
    assert (found.table, found.about) == (table, about)
    with pytest.raises(MoveRefused, match="is not empty"), copying(source, database):
        pass


def test_a_copy_goes_on_only_from_where_it_began_and_only_into_what_is_its_own(
    source: Store, database: Database, tmp_path: Path
) -> None:
    source.projects.create("ours")
    with copying(source, database) as copy:
        copy.round()
        with copying(source, database):
            pass  # as after it was broken off
    other = SqliteDatabase(tmp_path / "other.db")
    with pytest.raises(MoveRefused, match="has not the tables"), Copy(other, database, lambda step: None):
        pass
    Store(other).close()
    with pytest.raises(MoveRefused, match="was begun from"), Copy(other, database, lambda step: None):
        pass
    with pytest.raises(MoveRefused, match="source and target at once"), Copy(other, other, lambda step: None):
        pass


def test_two_copies_into_one_database_at_once_do_not_mix(source: Store, database: Database) -> None:
    project = source.projects.create("ours")
    with copying(source, database) as one, copying(source, database) as two:
        save(source, project, a_record(project.id))
        assert one.round().new == 1
        with pytest.raises(MoveRefused, match="another copy"):
            two.round()
    finish(source, database)


def test_every_table_is_moved_made_again_or_a_database_s_own() -> None:
    moved = {part.table.name for part in rows.beside_records()} | {table.name for table in rows.RECORDS}
    not_moved = {table.name for table in rows.metadata.sorted_tables} - moved
    assert not_moved == {"facet", "facet_block", "rollup", "session_summary", "word", "size_sample"}


def test_every_row_that_may_give_its_name_to_another_can_be_renamed_first() -> None:
    for part in rows.beside_records():
        names = applying._unnamed(part.table)
        for constraint in part.table.constraints:
            if isinstance(constraint, sa.UniqueConstraint) and part.table.name != "prompt_version":
                assert {column.name for column in constraint.columns} & set(names), part.table.name
