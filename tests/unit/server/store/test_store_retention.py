"""Stretches of calls that are kept no longer are dropped whole, and answers are as if each call had been deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs
import pytest
import sqlalchemy as sa

from freeplay_like.core.records import Choice, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.charts import ChartAsk, span_of
from freeplay_like.server.store.derived.filters import EVERYTHING, all_of, term
from freeplay_like.server.store.engines import postgres_tables
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project
from support.databases import count_rows
from support.plain_records import a_record
from support.waiting import until

NOW: Final = datetime.now(UTC)
SPAN: Final = 64
QUESTIONS: Final = (
    EVERYTHING,
    term("model", "eq", "claude"),
    term("metadata.channel", "eq", "mail"),
    term("text", "contains", "common"),
    term("text", "contains", "word3 東京"),
    all_of([term("text", "contains", "only7"), term("model", "eq", "gpt")]),
)


@pytest.fixture
def store(pg_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(postgres_tables, "PARTITION", SPAN)
    opened = Store(PostgresDatabase(pg_database))
    yield opened
    opened.close()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Store]:
    """The same by the slow way: over SQLite each record is deleted."""
    opened = Store(SqliteDatabase(tmp_path / DATABASE_NAME))
    yield opened
    opened.close()


def calls(count: int, days_old: float) -> list[Record]:
    """Calls that are alike in each store: `days_old` ones, of several models, channels, sessions and words."""
    return [
        attrs.evolve(
            a_record("p"),
            record_id=f"{days_old}-{number}",
            session_id=f"s{number % 3}",
            choices=(Choice(text=f"common only{number} word{number % 7} 東京タワー", finish_reason="stop"),),
            model=("gpt", "claude")[number % 2],
            metadata={"channel": ("web", "mail", "app")[number % 3]},
            started_at=NOW - timedelta(days=days_old, seconds=number),
        )
        for number in range(count)
    ]


def save(store: Store, project: Project, records: Sequence[Record]) -> None:
    incoming = tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=NOW))
    store.deletion._access.change(lambda connection: following.derive_slice(connection, least=1))
    until(lambda: all(lag.records == 0 for lag in store.status.now().lags), what="what follows the records")


def expire(store: Store) -> None:
    store.retention.expire(lambda: False)


def answers(store: Store, project: Project) -> list[object]:
    span = span_of(NOW - timedelta(days=40), NOW + timedelta(days=1), 3_600)
    found: list[object] = []
    for which in QUESTIONS:
        found.append(sorted(row.record_id for row in store.calls.page(project.id, which, limit=1_000).rows))
        found.append(store.statistics.facets(project.id, which, ["model", "metadata.channel"]))
        found.append(store.statistics.chart(project.id, ChartAsk(span=span, by="model", filter=which)))
    sessions = store.sessions.page(project.id, EVERYTHING, 0, 100)
    return [*found, sorted((each.session_id, each.calls) for each in sessions)]


def parts(store: Store) -> list[int]:
    return store.deletion._access.ask(postgres_tables.partitions)


def test_a_stretch_that_is_over_is_dropped_and_answers_are_as_if_each_call_had_been_deleted(
    store: Store, plain: Store
) -> None:
    found = []
    for each in (store, plain):
        project = each.projects.create("p")
        each.projects.change(project, retention_days=30)
        save(each, project, calls(2 * SPAN, days_old=31))
        save(each, project, calls(SPAN, days_old=2))
        expire(each)
        found.append(answers(each, project))
    assert found[0] == found[1]
    assert 0 not in parts(store)
    assert [count_rows(store, table) for table in ("record", "record_body", "record_search", "record_key")] == [
        SPAN
    ] * 4
    words = store.deletion._access.ask(lambda connection: set(connection.scalars(sa.text("SELECT text FROM word"))))
    assert words == plain.deletion._access.ask(
        lambda connection: set(connection.scalars(sa.text("SELECT text FROM word")))
    )


def test_numbers_go_on_after_a_stretch_was_dropped(store: Store) -> None:
    project = store.projects.create("p")
    store.projects.change(project, retention_days=30)
    save(store, project, calls(SPAN, days_old=31))
    save(store, project, calls(1, days_old=1))
    expire(store)
    for days_old in (0.1, 0.2, 0.3, 0.4, 0.5):
        save(store, project, calls(SPAN, days_old=days_old))
    assert len(store.calls.page(project.id, EVERYTHING, limit=1_000).rows) == 5 * SPAN + 1
    assert 0 not in parts(store)


def test_a_stretch_in_which_somebody_keeps_a_call_stays_and_what_is_over_there_is_deleted(store: Store) -> None:
    short, forever = store.projects.create("short"), store.projects.create("forever")
    store.projects.change(short, retention_days=30)
    save(store, short, calls(SPAN - 2, days_old=31))
    save(store, forever, calls(2, days_old=31))
    expire(store)
    assert 0 in parts(store)
    assert [count_rows(store, table) for table in ("record", "record_body", "record_search")] == [2] * 3
    assert len(store.calls.page(forever.id, EVERYTHING).rows) == 2


def test_bodies_that_were_left_to_a_stretch_go_when_it_is_to_stay(store: Store) -> None:
    project = store.projects.create("p")
    store.projects.change(project, retention_days=30)
    over, nearly = calls(SPAN // 2, days_old=30.1), calls(SPAN, days_old=29.5)
    save(store, project, over)
    save(store, project, nearly)
    expire(store)
    assert count_rows(store, "record") == SPAN
    assert count_rows(store, "record_body") == SPAN + len(over)
    store.projects.change(project, retention_days=60)
    expire(store)
    assert count_rows(store, "record_body") == count_rows(store, "record_search") == SPAN


def test_a_stretch_that_somebody_reads_is_dropped_later_and_nobody_waits_for_it(store: Store) -> None:
    project = store.projects.create("p")
    store.projects.change(project, retention_days=30)
    save(store, project, calls(SPAN, days_old=31))
    save(store, project, calls(1, days_old=1))
    engine = store.database.open(is_writer=False)
    with engine.begin() as reading:
        reading.execute(sa.text("SELECT count(*) FROM record"))
        expire(store)
        assert 0 in parts(store)
        save(store, project, calls(2, days_old=2))
    engine.dispose()
    expire(store)
    assert 0 not in parts(store)


def test_room_is_made_ahead_of_what_comes(store: Store) -> None:
    project = store.projects.create("p")
    save(store, project, calls(SPAN, days_old=1))
    store.retention.make_room()
    assert max(parts(store)) == 1 + postgres_tables.AHEAD
    cluster = store.status.cluster()
    assert cluster is not None
    assert cluster.partitions_ahead == postgres_tables.AHEAD
