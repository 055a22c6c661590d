from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from freeplay_like.core.bitmaps import BLOCK
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store import schema
from freeplay_like.server.store.bodies import Packer
from freeplay_like.server.store.derived import finding, following, matching
from freeplay_like.server.store.derived.charts import ChartAsk, Span
from freeplay_like.server.store.derived.facets import METADATA_KEYS, VALUE_LIMIT, facet_value, kept_metadata
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter, term
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, IncomingAmendment, Project
from support.databases import hold, skip_to
from support.plain_records import a_record
from support.waiting import until

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def save(store: Store, project: Project, *records: Record) -> None:
    incoming = tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=NOW))


def answers(store: Store, project: Project, which: Filter) -> list[str]:
    return [row.first_answer for row in store.calls.page(project.id, which).rows]


def derive(store: Store) -> None:
    store._writer.run(lambda connection: following.derive_slice(connection, least=1))


def index(store: Store) -> None:
    store._writer.run(following.index_slice)


def count(store: Store, table: str) -> int:
    with store._reading.begin() as connection:
        return connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0  # noqa: S608  our own names


def delete(store: Store, seqs: Sequence[int]) -> None:
    def job(connection: sa.Connection) -> None:
        following.forget(connection, seqs)
        connection.execute(sa.delete(record_body).where(record_body.c.seq.in_(seqs)))
        connection.execute(sa.delete(record).where(record.c.seq.in_(seqs)))

    store._writer.run(job)


def test_the_writer_derives_behind_its_commits(store: Store, project: Project) -> None:
    records = [a_record(project.id, answer=f"number {number}") for number in range(following.DERIVE_FROM + 1)]
    save(store, project, *records)

    def is_done() -> bool:
        with store._reading.begin() as connection:
            return following.derived_seq(connection) == following.indexed_seq(connection) == len(records)

    until(is_done, what="what is derived")
    assert answers(store, project, term("text", "contains", "umber 399")) == ["number 399"]


def test_a_few_records_wait_for_others_but_are_found(store: Store, project: Project) -> None:
    save(store, project, a_record(project.id, answer="a"))
    assert store._writer.run(following.derive_slice) is False
    with store._reading.begin() as connection:
        assert following.derived_seq(connection) == 0
    assert answers(store, project, term("outcome", "eq", "complete")) == ["a"]


def test_words_that_only_a_deleted_record_had_are_gone(store: Store, project: Project) -> None:
    hold(store)
    save(store, project, a_record(project.id, answer="shared secret-4711"), a_record(project.id, answer="shared"))
    index(store)
    delete(store, [1])
    with store._reading.begin() as connection:
        words = set(connection.scalars(sa.text("SELECT text FROM word")))
    assert "shared" in words
    assert not words & {"secret", "4711"}
    assert answers(store, project, term("text", "contains", "shared")) == ["shared"]
    assert answers(store, project, term("text", "contains", "ecre")) == []


def test_a_value_that_only_a_deleted_record_had_is_gone(store: Store, project: Project) -> None:
    hold(store)
    save(store, project, a_record(project.id, metadata={"user": "u-1"}), a_record(project.id))
    derive(store)
    delete(store, [1])
    with store._reading.begin() as connection:
        assert "u-1" not in set(connection.scalars(sa.text("SELECT value FROM facet")))
    assert store.statistics.facets(project.id, EVERYTHING, ["metadata.user"]).fields["metadata.user"] == ()


def test_a_deleted_project_leaves_nothing_derived(store: Store, project: Project) -> None:
    hold(store)
    save(store, project, a_record(project.id, session_id="s"))
    derive(store)
    delete(store, [1])
    store._writer.run(lambda connection: following.forget_project(connection, project.key))
    assert [count(store, table) for table in ("facet", "facet_block", "rollup", "session_summary")] == [0, 0, 0, 0]


def test_the_last_thumb_counts_whenever_it_comes(store: Store, project: Project) -> None:
    hold(store)
    made = a_record(project.id, answer="a")

    def say(number: int, thumb: str) -> None:
        said = Amendment(
            amendment_id=f"a{number}",
            record_id=made.record_id,
            project_id=project.id,
            made_at=NOW.replace(second=number),
            feedback="positive" if thumb == "up" else "negative",
        )
        incoming = IncomingAmendment(index=0, amendment=said, body=to_wire(said))
        store.save(Batch(project_key=project.key, amendments=(incoming,), received_at=NOW))

    say(1, "up")
    save(store, project, made)
    assert answers(store, project, term("feedback", "eq", "positive")) == ["a"]
    derive(store)
    assert answers(store, project, term("feedback", "eq", "positive")) == ["a"]
    say(3, "down")
    say(2, "up")
    assert answers(store, project, term("feedback", "eq", "negative")) == ["a"]
    assert answers(store, project, term("feedback", "eq", "positive")) == []


def test_a_block_ends_where_the_next_one_begins(store: Store, project: Project) -> None:
    hold(store)
    skip_to(store, BLOCK - 2)
    save(store, project, *(a_record(project.id, answer=str(number)) for number in range(5)))
    derive(store)
    which = term("outcome", "eq", "complete")
    assert count(store, "facet_block") > 2
    page = store.calls.page(project.id, which, limit=3)
    assert [row.first_answer for row in page.rows] == ["4", "3", "2"]
    assert [row.first_answer for row in store.calls.page(project.id, which, before=page.older).rows] == ["1", "0"]
    assert [row.first_answer for row in store.calls.after(project.id, which, BLOCK - 2)] == ["1", "2", "3", "4"]


def test_a_search_that_takes_too_long_says_where_it_stopped(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(store)
    save(store, project, *(a_record(project.id, answer=f"needle {number}") for number in range(3)))
    monkeypatch.setattr(matching, "TIME_LIMIT_S", -1.0)
    page = store.calls.page(project.id, term("text", "contains", "needle 0"))
    assert page.is_partial
    assert page.older is not None
    monkeypatch.undo()
    rest = store.calls.page(project.id, term("text", "contains", "needle 0"), before=page.older)
    assert ([row.first_answer for row in rest.rows], rest.is_partial) == (["needle 0"], False)


def test_a_value_too_long_keeps_its_identity() -> None:
    long, other = "x" * 300, "x" * 299 + "y"
    assert facet_value("x" * VALUE_LIMIT) == "x" * VALUE_LIMIT
    assert len(facet_value(long)) == VALUE_LIMIT
    assert facet_value(long) != facet_value(other)


def test_metadata_is_kept_as_texts_within_limits() -> None:
    said = {"a": 1, "b": True, "c": 1.5, "d": "x", "tags": ["p", 2, None], "deep": {"e": 1}, "none": None, "": 1}
    assert kept_metadata(said) == '{"a":"1","b":"true","c":"1.5","d":"x","tags":["p","2"]}'
    assert kept_metadata({"deep": {}}) is None
    many = kept_metadata({str(number): number for number in range(100)})
    assert many is not None
    assert many.count(":") == METADATA_KEYS


def test_records_of_an_older_release_are_found_by_all_they_have(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    engine = SqliteDatabase(path).open(is_writer=True)
    old = a_record("p", answer="a", metadata={"channel": "web"})
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema._MIGRATIONS))
        command.upgrade(config, "0009")
        connection.execute(sa.text("INSERT INTO project (key, id, name, created_at) VALUES (1, 'p', 'old', 0)"))
        connection.execute(
            sa.text(
                "INSERT INTO record (seq, project_key, record_id, provider, flavor, outcome, started_at, received_at, "
                "is_stream, first_user, first_answer) VALUES (1, 1, :id, 'openai', 'f', 'complete', 0, 0, 0, '', 'a')"
            ),
            {"id": old.record_id},
        )
        body = Packer().pack(to_wire(old))
        connection.execute(sa.text("INSERT INTO record_body (seq, zstd) VALUES (1, :body)"), {"body": body})
    engine.dispose()
    store = Store(SqliteDatabase(path))
    (project,) = store.projects.all()
    for which in (term("metadata.channel", "eq", "web"), term("text", "contains", "web")):
        assert answers(store, project, which) == ["a"]
        derive(store)
    store.close()


def test_a_page_of_large_calls_is_cut_short_of_their_bodies(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "PAGE_BYTES", 1_000)
    save(store, project, *(a_record(project.id, answer="x" * 900) for _ in range(3)))
    found = store.search.calls(project.id, EVERYTHING, 0, 10)
    assert [call.sent is not None for call in found.calls] == [True, False, False]


def test_a_value_with_a_character_that_not_every_database_has_is_derived_from_each_time(
    store: Store, project: Project
) -> None:
    for answer in ("first", "second"):
        save(store, project, a_record(project.id, metadata={"na\0me": "x\0y"}, answer=answer))
        derive(store)
    assert answers(store, project, term("metadata.na\ufffdme", "eq", "x\ufffdy")) == ["second", "first"]


def test_values_that_are_counted_are_read_together(store: Store, project: Project) -> None:
    asked: list[str] = []
    sa.event.listen(store._reading, "before_cursor_execute", lambda *them: asked.append(them[2]))

    def statements() -> int:
        asked.clear()
        which = term("outcome", "eq", "complete")
        store.statistics.facets(project.id, which, ["model"], limit=50)
        store.statistics.summary(project.id, which)
        span = Span(grain_s=60, begins_at=0, ends_at=60 * round(NOW.timestamp() / 60) + 3_600)
        store.statistics.chart(project.id, ChartAsk(span=span, by="model", filter=which))
        return len(asked)

    hold(store)
    save(store, project, a_record(project.id, model="m"))
    derive(store)
    one = statements()
    save(store, project, *(a_record(project.id, model=f"m-{number}") for number in range(20)))
    derive(store)
    assert statements() == one
