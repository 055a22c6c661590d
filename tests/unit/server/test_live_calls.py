"""The calls that run now, as a server remembers them, and as servers share them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import attrs
import pytest
import sqlalchemy as sa

from freeplay_like.server import live_shared
from freeplay_like.server.live_calls import LiveCalls, MemoryLiveCalls
from freeplay_like.server.live_shared import SharedLiveCalls
from freeplay_like.server.store import live as limits
from freeplay_like.server.store.engines.database import Database, RecordKey
from freeplay_like.server.store.live import FORGOTTEN_S, TEXT_LIMIT, Growth
from freeplay_like.server.store.views import StoreUnavailable
from support.databases import over_sqlite
from support.plain_records import a_record
from support.postgres import Cluster
from support.waiting import until

SHOP, OTHER = 1, 2
over_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


@attrs.define
class Hours:
    """A clock that is set."""

    at_s: float = 100.0

    def __call__(self) -> float:
        return self.at_s


@attrs.define
class Watched:
    """Calls that run, and how to let time pass for them."""

    calls: LiveCalls
    wait_s: Callable[[float], None]

    def begin(self, text: str = "", *, project_key: int = SHOP, ends: int = 0) -> RecordKey:
        record = attrs.evolve(a_record("shop"), metadata={"long": "x" * ends})
        call = project_key, record.record_id
        assert self.calls.tell({call: Growth(record=record, at=0, text=text)}) == []
        return call

    def grow(self, call: RecordKey, text: str = "", at: int | None = None) -> bool:
        return not self.calls.tell({call: Growth(text=text, at=at)})

    def text(self, call: RecordKey) -> str | None:
        found = self.calls.get(call)
        return None if found is None else found.text


def in_memory() -> Watched:
    now = Hours()

    def wait(seconds: float) -> None:
        now.at_s += seconds

    return Watched(MemoryLiveCalls(now), wait)


def shared(database: Database) -> SharedLiveCalls:
    calls = database.live_calls()
    assert calls is not None
    return SharedLiveCalls(calls, lambda: None)


@pytest.fixture
def watched(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    if not database.is_shared:
        yield in_memory()
        return
    monkeypatch.setattr(live_shared, "FORGET_EVERY_S", 0.0)
    engine = database.open(is_writer=True)

    def wait(seconds: float) -> None:
        with engine.begin() as connection:
            later = sa.text("UPDATE live_call SET heard_at = heard_at - make_interval(secs => :seconds)")
            connection.execute(later, {"seconds": seconds})

    calls = shared(database)
    yield Watched(calls, wait)
    calls.stop()
    engine.dispose()


def test_a_call_grows_until_it_ends(watched: Watched) -> None:
    call = watched.begin()
    assert watched.text(call) == ""
    assert watched.grow(call, "To be")
    assert watched.grow(call, " or not", at=5)
    assert watched.text(call) == "To be or not"
    assert watched.calls.text(call, 0) == "To be or not"
    assert watched.calls.text(call, 6) == "or not"
    assert watched.calls.text(call, 50) == ""
    assert watched.calls.text((SHOP, "another"), 0) is None


def test_a_call_that_is_told_of_again_begins_anew(watched: Watched) -> None:
    record = a_record("shop")
    call = SHOP, record.record_id
    watched.calls.tell({call: Growth(record=record, at=0, text="one two")})
    watched.calls.tell({call: Growth(record=record, at=0, text="three")})
    assert watched.grow(call, " four", at=5)
    assert watched.text(call) == "three four"


def test_projects_do_not_see_each_others_calls(watched: Watched) -> None:
    call = watched.begin(project_key=OTHER)
    assert watched.calls.get((SHOP, call[1])) is None
    assert (watched.calls.of(SHOP), watched.calls.ids(SHOP)) == ((), ())
    assert [one.record.record_id for one in watched.calls.of(OTHER)] == [call[1]]


def test_the_newest_call_comes_first(watched: Watched) -> None:
    begun = [watched.begin() for _ in range(3)]
    started = {call.record.record_id: call.record.started_at for call in watched.calls.of(SHOP)}
    assert sorted(started) == sorted(record_id for _, record_id in begun)
    assert watched.calls.ids(SHOP) == tuple(sorted(started, key=lambda one: (-started[one].timestamp(), one)))


def test_a_gap_in_the_text_is_not_papered_over(watched: Watched) -> None:
    call = watched.begin("abc")
    assert not watched.grow(call, "xyz", at=4)
    assert not watched.grow(call, "abc", at=0)
    assert watched.text(call) == "abc"
    assert not watched.grow((SHOP, "nobody told of it"), "more")


def test_a_call_of_which_nothing_is_heard_is_forgotten(watched: Watched) -> None:
    silent, alive = watched.begin(), watched.begin()
    watched.wait_s(FORGOTTEN_S - 1)
    assert watched.grow(alive)  # a sign of life has no text
    assert watched.text(silent) == ""
    watched.wait_s(2)
    assert watched.text(silent) is None
    assert watched.calls.ids(SHOP) == (alive[1],)
    assert not watched.grow(silent, "more")


def test_a_text_without_end_is_cut(watched: Watched) -> None:
    call = watched.begin()
    watched.grow(call, "a" * (TEXT_LIMIT - 1), at=0)
    watched.grow(call, "bcd", at=TEXT_LIMIT - 1)
    assert watched.grow(call, "efg", at=TEXT_LIMIT + 2), "a call whose text is cut goes on"
    seen = watched.calls.get(call)
    assert seen is not None
    assert seen.is_cut
    assert len(seen.text) == TEXT_LIMIT
    assert seen.text.endswith("ab")


def test_the_quietest_are_forgotten_where_there_are_too_many(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CALLS", 3)
    first, second, third = (watched.begin() for _ in range(3))
    watched.grow(first, "still talking")
    fourth = watched.begin()
    assert watched.text(second) is None
    assert set(watched.calls.ids(SHOP)) == {first[1], third[1], fourth[1]}


def test_all_together_take_no_more_than_may_be(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOTAL_LIMIT", 100_000)
    first, second = watched.begin(ends=40_000), watched.begin(ends=40_000)
    watched.grow(second, "x" * 30_000)
    third = watched.begin()
    assert [watched.text(call) is None for call in (first, second, third)] == [True, False, False]


@over_sqlite
def test_what_was_forgotten_is_not_counted_any_more(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOTAL_LIMIT", 100_000)
    watched.calls.end(watched.begin(ends=90_000))
    assert watched.text(watched.begin(ends=90_000)) == ""


async def test_those_who_wait_are_woken_from_any_thread(watched: Watched) -> None:
    live = watched.calls
    live.start(asyncio.get_running_loop())
    call = await asyncio.to_thread(watched.begin)
    await live.wait(10, 0)
    issue = live.issue
    waiting = asyncio.create_task(live.wait(60, issue))
    await asyncio.to_thread(watched.grow, call, "words")
    await asyncio.wait_for(waiting, 10)
    assert live.issue > issue
    await asyncio.wait_for(live.wait(60, issue), 1)  # what changed between the look and this is not missed
    assert await asyncio.to_thread(watched.text, call) == "words"


async def test_a_servers_own_calls_are_seen_as_well(watched: Watched) -> None:
    live, record = watched.calls, a_record("shop")
    live.start(asyncio.get_running_loop())
    call = SHOP, record.record_id
    live.begin(call, record)
    for word in ("To ", "be", " \ud83d"):
        live.grow(call, word)
    await asyncio.to_thread(until, lambda: (watched.text(call) or "").startswith("To be "), 20, "the whole text")
    live.end(call)
    await asyncio.to_thread(until, lambda: live.get(call) is None, 20, "its end")


@over_postgres
def test_what_one_server_is_told_another_shows(watched: Watched, database: Database) -> None:
    other = shared(database)
    call = watched.begin("To be")
    seen = other.get(call)
    assert seen is not None
    assert (seen.text, other.ids(SHOP)) == ("To be", (call[1],))
    assert other.tell({call: Growth(at=5, text=" or not")}) == []
    assert not watched.grow(call, "!", at=5), "it has grown elsewhere"
    assert watched.text(call) == "To be or not"
    other.stop()


@over_postgres
def test_a_page_shows_no_running_call_where_the_database_is_gone(database: Database, postgres: Cluster) -> None:
    calls = shared(database)
    assert calls.ids(SHOP) == ()
    postgres.drop_database(database.name.partition(" ")[0])
    assert (calls.ids(SHOP), calls.of(SHOP), calls.get((SHOP, "a"))) == ((), (), None)
    assert calls.failures == 3
    with pytest.raises(StoreUnavailable):
        calls.text((SHOP, "a"), 0)
    calls.stop()
