"""Asking PostgreSQL's index of words: the same answers as a plain look, and no text is read that need not be."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import pytest
import sqlalchemy as sa

from freeplay_like.server.store.engines import postgres_tables, postgres_words
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.store import Store
from support.databases import hold
from support.postgres import Cluster

PARTITION: Final = 500
TEXTS: Final = 2_400


@pytest.fixture(scope="module")
def store(postgres: Cluster) -> Iterator[Store]:
    """An index of texts, in five partitions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_tables, "PARTITION", PARTITION)
        patch.setattr(postgres_words, "NEAR", 40)
        opened = Store(PostgresDatabase(postgres.create_database("words")))
        hold(opened)
        engine = opened.database.open(is_writer=True)
        with engine.begin() as writing:
            postgres_tables.make_partitions(writing, TEXTS // PARTITION + 1)
            postgres_words.index(writing, sorted(words().items()))
        with engine.begin() as writing:
            writing.execute(sa.text("SELECT gin_clean_pending_list('record_search_1_words_idx')"))
            writing.execute(sa.text("ANALYZE record_search"))
        engine.dispose()
        yield opened
        opened.close()
    postgres.drop_database("words")


@pytest.fixture
def connection(store: Store) -> Iterator[sa.Connection]:
    with store._reading.begin() as reading:
        yield reading


def words() -> dict[int, set[str]]:
    draw = random.Random(7)  # noqa: S311  the same words each time
    return {
        seq: {"even" if seq % 2 == 0 else "odd", f"w{draw.randrange(200)}", f"u{seq}", "it's"}
        | ({"common"} if draw.random() < 0.6 else set())
        for seq in range(1, TEXTS)
        if seq % 11
    }


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 10, 300, 5_000])
@pytest.mark.parametrize(
    "groups",
    [[["common"]], [["even"], ["odd"]], [["u77"]], [["common"], ["w5", "w6"]], [["it's"], ["odd"]], [["nowhere"]]],
    ids=str,
)
def test_the_first_texts_from_one_end_are_found_across_partitions(
    connection: sa.Connection, groups: list[list[str]], limit: int, is_newest_first: bool
) -> None:
    for span in (range(TEXTS + 1), range(490, 510), range(777, 1_999), range(TEXTS, 9_000)):
        having = [seq for seq, own in words().items() if seq in span and all(own.intersection(each) for each in groups)]
        wanted = sorted(having, reverse=is_newest_first)[:limit]
        found = postgres_words.seqs_with(connection, groups, span, limit, is_newest_first=is_newest_first)
        assert found == wanted, span


@pytest.mark.parametrize("query", ["'u77'", "'even' & 'odd'", "'common'"])
def test_no_text_is_read_to_look_for_a_word(connection: sa.Connection, query: str) -> None:
    plans: list[str] = []

    def explain(*, is_newest_first: bool) -> None:
        statement = postgres_words._NEWEST if is_newest_first else postgres_words._OLDEST
        asked = {"words": query, "lowest": 500, "highest": 900, "floor": 500, "ceiling": 999, "limit": 50}
        plans.append("\n".join(connection.scalars(sa.text(f"EXPLAIN {statement.text}"), asked)))

    connection.execute(postgres_words._SCANNING, {"tables": "off", "in_order": "off"})
    for is_newest_first in (True, False):
        explain(is_newest_first=is_newest_first)
    for plan in plans:
        assert "Bitmap Index Scan on record_search_1_words_idx" in plan
        assert plan.count("record_search_1_words_idx") == plan.count("Bitmap Index Scan")


def test_the_settings_for_looking_up_words_do_not_outlast_it(connection: sa.Connection) -> None:
    postgres_words.seqs_with(connection, [["common"]], range(TEXTS), 5, is_newest_first=True)
    for setting in ("enable_seqscan", "enable_indexscan"):
        assert connection.scalar(sa.text("SELECT current_setting(:name)"), {"name": setting}) == "on"
