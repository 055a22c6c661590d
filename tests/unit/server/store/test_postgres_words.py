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
@pytest.mark.parametrize("size", [10, 20, 300])
@pytest.mark.parametrize(
    "groups",
    [[["common"]], [["even"], ["odd"]], [["u77"]], [["common"], ["w5", "w6"]], [["it's"], ["odd"]], [["nowhere"]]],
    ids=str,
)
@pytest.mark.parametrize("few", [1, 8])
def test_all_texts_of_a_span_are_found_from_one_end_to_the_other(
    connection: sa.Connection,
    groups: list[list[str]],
    size: int,
    is_newest_first: bool,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_words, "FEW", few)
    for span in (range(TEXTS + 1), range(490, 510), range(777, 1_999), range(TEXTS, 9_000)):
        rest = span
        while rest:
            found = postgres_words.hits(connection, groups, rest, size, is_newest_first=is_newest_first)
            assert sorted(found.seqs) == having(groups, found.looked)
            assert found.looked
            if is_newest_first:
                assert found.looked.stop == rest.stop
                rest = range(rest.start, found.looked.start)
            else:
                assert found.looked.start == rest.start
                rest = range(found.looked.stop, rest.stop)
        some = span[::7]
        among = postgres_words.hits_among(connection, groups, some)
        assert sorted(among) == [seq for seq in having(groups, span) if seq in some]


def having(groups: list[list[str]], span: range) -> list[int]:
    return [seq for seq, own in words().items() if seq in span and all(own.intersection(each) for each in groups)]


@pytest.mark.parametrize("query", ["'u77'", "'even' & 'odd'", "'w5' | 'w6'"])
@pytest.mark.parametrize("statement", [postgres_words._IN_WINDOW, postgres_words._IN_PARTITION], ids=["few", "many"])
def test_no_text_is_read_to_look_for_a_word(connection: sa.Connection, query: str, statement: sa.TextClause) -> None:
    asked = {"words": query, "lowest": 510, "highest": 900, "floor": 500, "ceiling": 999}
    connection.execute(postgres_words._SCANNING, postgres_words._BY_WORDS)
    plan = "\n".join(connection.scalars(sa.text(f"EXPLAIN {statement.text}"), asked))
    assert "Bitmap Index Scan on record_search_1_words_idx" in plan


def test_the_settings_for_looking_up_words_do_not_outlast_it(connection: sa.Connection) -> None:
    postgres_words.hits(connection, [["common"]], range(TEXTS), 5, is_newest_first=True)
    for setting in ("enable_seqscan", "enable_indexscan"):
        assert connection.scalar(sa.text("SELECT current_setting(:name)"), {"name": setting}) == "on"
