"""Questions are answered in turn, refused where that takes too long, and asked again where a connection was lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from freeplay_like.server.store.engines import postgres
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.reading import Reader
from freeplay_like.server.store.views import StoreUnavailable
from support.waiting import until

WAIT_S = 20


@pytest.fixture
def reader(pg_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setattr(postgres, "READERS", 1)
    monkeypatch.setattr(postgres, "READER_WAIT_S", 0.05)
    made = Reader(PostgresDatabase(pg_database).open(is_writer=False), "the database")
    yield made
    made.engine.dispose()


def one(connection: sa.Connection) -> int:
    return int(connection.execute(sa.text("SELECT 1")).scalar_one())


def kill_all(url: str) -> None:
    with PostgresDatabase(url).connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_question_whose_turn_does_not_come_is_refused_and_counted(reader: Reader) -> None:
    go, begun = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> bool:
        begun.set()
        return go.wait(WAIT_S)

    busy = threading.Thread(target=reader.answer, args=(slow,))
    busy.start()
    assert begun.wait(WAIT_S)
    with pytest.raises(StoreUnavailable, match="too many questions wait"):
        reader.answer(one)
    figures = reader.figures
    assert (figures.size, figures.used, figures.waiting, figures.turned_away) == (1, 1, 0, 1)
    go.set()
    busy.join()
    assert reader.answer(one) == 1
    assert reader.figures.used == 0


def test_a_question_on_a_lost_connection_is_asked_again_on_a_new_one(reader: Reader, pg_database: str) -> None:
    assert reader.answer(one) == 1
    kill_all(pg_database)
    assert reader.answer(one) == 1


def test_a_database_that_cannot_be_reached_is_said_once_and_so_is_its_return(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(connection: sa.Connection) -> int:
        return int(connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())::int")).scalar_one())

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="the database is stopping"):
                reader.answer(gone)
        assert reader.answer(one) == 1
    assert [each.message for each in caplog.records] == [
        "the database cannot be read: the database is stopping",
        "the database can be read again",
    ]


def test_what_is_wrong_with_the_question_itself_comes_out_as_it_is(reader: Reader) -> None:
    with pytest.raises(sa.exc.ProgrammingError):
        reader.answer(lambda connection: connection.execute(sa.text("SELECT no_such_column")))
    until(lambda: reader.figures.used == 0, what="the connection to come back")


def test_a_reader_cannot_write(reader: Reader) -> None:
    with pytest.raises(StoreUnavailable, match="takes no writes"):
        reader.answer(lambda connection: connection.execute(sa.text("CREATE TABLE x (y int)")))
