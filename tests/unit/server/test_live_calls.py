"""The calls that run now, as the server remembers them."""

from __future__ import annotations

import asyncio

import pytest

from freeplay_like.server import live_calls
from freeplay_like.server.live_calls import FORGOTTEN_S, TEXT_LIMIT, LiveCalls
from support.plain_records import a_record

SHOP, OTHER = 1, 2


class Hours:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def now() -> Hours:
    return Hours()


@pytest.fixture
def live(now: Hours) -> LiveCalls:
    return LiveCalls(now)


def begin(live: LiveCalls, *, project_key: int = SHOP, size: int = 0) -> str:
    record = a_record("shop")
    live.begin(project_key, record, size=size)
    return record.record_id


def text_of(live: LiveCalls, record_id: str) -> str | None:
    call = live.get(SHOP, record_id)
    return None if call is None else call.text


def test_a_call_grows_until_it_ends(live: LiveCalls) -> None:
    call = begin(live)
    assert text_of(live, call) == ""
    assert live.grow(SHOP, call, "To be")
    assert live.grow(SHOP, call, " or not", at=5)
    assert text_of(live, call) == "To be or not"
    live.end(SHOP, call)
    assert live.get(SHOP, call) is None
    assert not live.grow(SHOP, call, "more")


def test_projects_do_not_see_each_others_calls(live: LiveCalls) -> None:
    call = begin(live, project_key=OTHER)
    assert live.get(SHOP, call) is None
    assert live.of(SHOP) == ()
    assert [one.record.record_id for one in live.of(OTHER)] == [call]


def test_a_gap_in_the_text_is_not_papered_over(live: LiveCalls) -> None:
    call = begin(live)
    live.grow(SHOP, call, "abc", at=0)
    assert not live.grow(SHOP, call, "xyz", at=4)
    assert not live.grow(SHOP, call, "abc", at=0)
    assert text_of(live, call) == "abc"


def test_a_call_of_which_nothing_is_heard_is_forgotten(live: LiveCalls, now: Hours) -> None:
    silent, alive = begin(live), begin(live)
    now.at_s += FORGOTTEN_S - 1
    assert live.grow(SHOP, alive)  # a sign of life has no text
    assert text_of(live, silent) == ""
    now.at_s += 2
    assert live.get(SHOP, silent) is None
    assert text_of(live, alive) == ""


def test_a_text_without_end_is_cut(live: LiveCalls) -> None:
    call = begin(live)
    live.grow(SHOP, call, "a" * (TEXT_LIMIT - 1), at=0)
    live.grow(SHOP, call, "bcd", at=TEXT_LIMIT - 1)
    assert live.grow(SHOP, call, "efg", at=TEXT_LIMIT + 2), "a call whose text is cut goes on"
    seen = live.get(SHOP, call)
    assert seen is not None
    assert seen.is_cut
    assert len(seen.text) == TEXT_LIMIT
    assert seen.text.endswith("ab")


def test_the_quietest_are_forgotten_where_there_are_too_many(live: LiveCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_calls, "MOST_CALLS", 3)
    first, second, third = (begin(live) for _ in range(3))
    live.grow(SHOP, first, "still talking")
    fourth = begin(live)
    assert live.get(SHOP, second) is None
    assert {one.record.record_id for one in live.of(SHOP)} == {first, third, fourth}


def test_all_together_take_no_more_than_may_be(live: LiveCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_calls, "TOTAL_LIMIT", 100)
    first, second = begin(live, size=40), begin(live, size=40)
    live.grow(SHOP, second, "x" * 30)
    assert [live.get(SHOP, call) is None for call in (first, second)] == [True, False]
    live.end(SHOP, second)
    third = begin(live, size=90)
    assert live.get(SHOP, third) is not None, "what was forgotten is not counted any more"


async def test_those_who_wait_are_woken_from_any_thread(live: LiveCalls) -> None:
    live.start(asyncio.get_running_loop())
    call = begin(live)
    await live.wait(10)
    waiting = asyncio.create_task(live.wait(60))
    await asyncio.sleep(0)
    await asyncio.to_thread(live.grow, SHOP, call, "words")
    await asyncio.wait_for(waiting, 10)
    assert text_of(live, call) == "words"
