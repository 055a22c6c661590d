"""What servers over one PostgreSQL tell one another."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import attrs
import pytest

from freeplay_like.core.wire import to_wire
from freeplay_like.server import bulletin as module
from freeplay_like.server.bulletin import Bulletin
from freeplay_like.server.state import News, Topic, Work
from freeplay_like.server.store import schema
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming
from support.databases import over_sqlite
from support.plain_records import a_record
from support.postgres import Cluster
from support.waiting import until

over_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


@attrs.define
class Server:
    """What a server heard, a topic at a time."""

    bulletin: Bulletin
    heard: list[Topic]

    def hears(self, topic: Topic) -> None:
        until(lambda: topic in self.heard, 30, f"news of {topic}")


@contextmanager
def serving(database: Database) -> Iterator[Server]:
    heard: list[Topic] = []
    hear = {topic: functools.partial(heard.append, topic) for topic in module.TOPICS}
    server = Server(Bulletin(database, hear), heard)
    server.bulletin.start()
    try:
        if database.is_shared:
            until(lambda: set(heard) == module.TOPICS, 30, "the line")  # what was said before is taken to be news
            heard.clear()
        yield server
    finally:
        server.bulletin.stop()


@pytest.fixture
def pair(database: Database) -> Iterator[tuple[Server, Server]]:
    with serving(database) as a, serving(database) as b:
        a.heard.clear()
        yield a, b


@over_postgres
def test_what_one_tells_the_other_hears_and_not_itself(pair: tuple[Server, Server]) -> None:
    a, b = pair
    a.bulletin.tell("running")
    b.hears("running")
    b.bulletin.tell("work")
    a.hears("work")
    assert (a.heard, b.heard) == (["work"], ["running"])


@over_postgres
def test_news_that_come_together_are_told_together(pair: tuple[Server, Server]) -> None:
    a, b = pair
    for _ in range(200):
        a.bulletin.tell("running")
        a.bulletin.tell("prices")
    b.hears("running")
    b.hears("prices")
    assert len(b.heard) < 100


@over_postgres
def test_the_last_word_of_a_server_that_stops_is_heard(database: Database) -> None:
    with serving(database) as a:
        with serving(database) as b:
            b.bulletin.tell("work")
        a.hears("work")


@over_postgres
def test_a_broken_line_is_opened_again_and_all_is_looked_at(
    pair: tuple[Server, Server], database: Database, postgres: Cluster
) -> None:
    a, b = pair
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [_name(database)])
    for server in pair:
        until(lambda server=server: set(server.heard) == module.TOPICS, 30, "a new line")  # type: ignore[misc]
        assert server.bulletin.failures == 1
        server.heard.clear()
    a.bulletin.tell("running")
    b.hears("running")


@over_postgres
def test_a_record_of_which_nobody_told_is_noticed(pair: tuple[Server, Server], database: Database) -> None:
    a, b = pair
    store = Store(database)
    project = store.projects.create("shop")
    value = a_record(project.id)
    incoming = Incoming(index=0, record=value, body=to_wire(value))
    store.save(Batch(project_key=project.key, records=(incoming,), received_at=datetime.now(UTC)))
    for server in (a, b):
        server.hears("records")
    store.close()


@over_postgres
def test_a_server_says_which_schema_step_it_knows_while_it_runs(database: Database) -> None:
    engine = database.open(is_writer=True)

    def oldest() -> int | None:
        with engine.begin() as connection:
            return database.oldest_server(connection)

    assert oldest() is None
    with serving(database), serving(database):
        assert oldest() == int(schema.HEAD)
    until(lambda: oldest() is None, 30, "the ends of their connections")
    engine.dispose()


@over_sqlite
def test_a_server_alone_has_nobody_to_tell(database: Database) -> None:
    before = set(threading.enumerate())
    with serving(database) as alone:
        alone.bulletin.tell("records")
        assert set(threading.enumerate()) <= before
    assert (alone.heard, alone.bulletin.failures) == ([], 0)


async def test_news_and_work_tell_others_of_what_happened_here_alone() -> None:
    told: list[Topic] = []
    news = News()
    news.tell_others = told.append
    work = Work(news)
    news.announce()
    assert told == ["records"]
    news.hear()
    work.wake()
    assert (told, news.issue, work.is_set()) == (["records"], 2, True)
    work.clear()
    work.set()
    assert (told, work.is_set()) == (["records", "work"], True)


def _name(database: Database) -> str:
    return database.name.partition(" ")[0]
