"""The list of calls while calls come in."""

from __future__ import annotations

import json
import re
import time

import attrs
import pytest
import requests
from playwright.sync_api import Page, Route, expect

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from support.browser import Pages
from support.shop import Shop

pytestmark = pytest.mark.browser

ROWS = "#rows > tr"


def ids(page: Page) -> list[str]:
    return [str(link.get_attribute("href")).rpartition("/")[2] for link in page.locator(".row-link").all()]


def is_live(page: Page) -> None:
    expect(page.locator("[data-live]")).to_be_visible()
    expect(page.locator("[data-live]")).to_have_text("live")


def watch(shop: Shop, page: Page) -> Record:
    """The page at a list of one call, connected; a mark in it tells whether it was loaded again."""
    first = shop.maker(seed=1).one(0, age_s=90)
    shop.post(first)
    shop.sign_in(page)
    is_live(page)
    page.evaluate("window.mark = 'here'")
    return first


def test_a_new_call_appears_on_top_once_without_a_reload(page: Page, new_shop: Shop) -> None:
    first = watch(new_shop, page)
    second, third, fourth = (new_shop.maker(seed=seed).one(seed) for seed in (2, 3, 4))
    new_shop.post(second)
    expect(page.locator(ROWS)).to_have_count(2)
    new_shop.post(third, fourth)
    expect(page.locator(ROWS)).to_have_count(4)
    assert ids(page) == [record.record_id for record in (fourth, third, second, first)]
    new_shop.post(second, third)  # the same records again change nothing
    new_shop.post(fifth := new_shop.maker(seed=5).one(5))
    expect(page.locator(ROWS)).to_have_count(5)
    assert ids(page)[0] == fifth.record_id
    assert page.evaluate("window.mark") == "here"


def test_only_calls_that_the_filter_lets_through_appear(page: Page, new_shop: Shop) -> None:
    watch(new_shop, page)
    page.get_by_label("Search").fill("outcome:complete")
    expect(page).to_have_url(re.compile("complete"))
    expect(page.get_by_role("link", name="show all calls")).to_be_visible()
    is_live(page)
    refused = new_shop.maker(seed=2).one(1, outcome="refused")
    complete = new_shop.maker(seed=3).one(2)
    new_shop.post(refused)
    new_shop.post(complete)
    expect(page.locator(ROWS)).to_have_count(2)
    assert ids(page)[0] == complete.record_id


def test_a_list_that_lost_its_server_goes_on_where_it_was(pages: Pages, own_shop: Shop) -> None:
    for part in ("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "htmx:sse:error"):
        pages.expect(part)
    page = pages.open()
    first = watch(own_shop, page)
    second, third, fourth = (own_shop.maker(seed=seed).one(seed) for seed in (2, 3, 4))
    own_shop.post(second)
    expect(page.locator(ROWS)).to_have_count(2)
    own_shop.backend.stop()
    expect(page.locator("[data-live]")).to_have_text("waiting for the server")
    own_shop.backend.start()
    own_shop.post(third)
    expect(page.locator(ROWS)).to_have_count(3, timeout=20_000)
    is_live(page)
    own_shop.post(fourth)
    expect(page.locator(ROWS)).to_have_count(4)
    assert ids(page) == [record.record_id for record in (fourth, third, second, first)]
    assert page.evaluate("window.mark") == "here"


def test_a_list_that_falls_far_behind_is_loaded_again_in_place(page: Page, new_shop: Shop) -> None:
    watch(new_shop, page)
    many = new_shop.maker(seed=9).make(130)
    loads: list[Route] = []
    page.route(new_shop.calls, lambda route: loads.append(route))
    with page.expect_request(new_shop.calls):
        new_shop.post(*many)
    for _ in range(3):  # while its rows are under way, it is told again
        with page.expect_response("**/calls/tail*"):
            pass
    loads[0].continue_()
    expect(page.locator(".row-link").first).to_have_attribute("href", re.compile(many[-1].record_id))
    assert len(ids(page)) == len(set(ids(page)))
    expect(page.locator(ROWS)).to_have_count(50)
    new_shop.post(last := new_shop.maker(seed=10).one(1))
    expect(page.locator(ROWS)).to_have_count(51)
    assert ids(page)[0] == last.record_id
    assert page.evaluate("window.mark") == "here"
    assert len(loads) == 1


@pytest.mark.parametrize("slow", ["htmx.min.js", "hx-sse.min.js", "app.js"])
def test_a_list_is_live_however_slowly_its_scripts_come(page: Page, new_shop: Shop, slow: str) -> None:
    def come_late(route: Route) -> None:
        time.sleep(0.3)  # stands for a slow network: what is tested is the order that follows from it
        route.continue_()

    page.route(f"**/{slow}*", come_late)
    watch(new_shop, page)
    new_shop.post(new_shop.maker(seed=2).one(1))
    expect(page.locator(ROWS)).to_have_count(2)


def test_an_older_page_stays_as_it_is(page: Page, new_shop: Shop) -> None:
    records = new_shop.maker().make(60)
    new_shop.post(*records)
    new_shop.sign_in(page).get_by_role("link", name="Older →").click()
    expect(page.locator(ROWS)).to_have_count(10)
    assert page.locator("[data-live]").count() == 0
    assert page.locator("[hx-sse\\:connect]").count() == 0


def test_what_somebody_reads_does_not_move_until_they_are_done(page: Page, new_shop: Shop) -> None:
    first = watch(new_shop, page)
    page.keyboard.press("j")
    new_shop.post(second := new_shop.maker(seed=2).one(2))
    expect(page.get_by_role("link", name="1 new call")).to_be_visible()
    expect(page.locator("[data-live]")).to_have_text("paused")
    new_shop.post(third := new_shop.maker(seed=3).one(3))
    expect(page.get_by_role("link", name="2 new calls")).to_be_visible()
    assert ids(page) == [first.record_id]
    page.keyboard.press("G")
    expect(page.locator(ROWS)).to_have_count(3)
    assert ids(page) == [third.record_id, second.record_id, first.record_id]
    is_live(page)
    new_shop.post(new_shop.maker(seed=4).one(4))
    expect(page.locator(ROWS)).to_have_count(4)
    assert page.evaluate("window.mark") == "here"


def test_new_calls_wait_while_some_are_chosen(page: Page, new_shop: Shop) -> None:
    watch(new_shop, page)
    page.locator(f"{ROWS} input").check()
    new_shop.post(new_shop.maker(seed=2).one(2))
    expect(page.get_by_role("link", name="1 new call")).to_be_visible()
    expect(page.locator(f"{ROWS} input")).to_be_checked()
    page.locator(f"{ROWS} input").uncheck()
    page.get_by_role("link", name="1 new call").click()
    expect(page.locator(ROWS)).to_have_count(2)


def test_the_figures_follow_what_has_come(page: Page, new_shop: Shop) -> None:
    watch(new_shop, page)
    expect(page.locator("#found")).to_have_text("1 call")
    new_shop.post(new_shop.maker(seed=2).one(2, outcome="error"))
    expect(page.locator("#found")).to_have_text("2 calls, 1 error (50.0 %)", timeout=20_000)
    expect(page.locator("details.facet[data-facet=outcome] .pick")).to_have_count(2)
    assert page.evaluate("window.mark") == "here"


def test_says_how_many_calls_run_now_and_forgets_them_when_they_end(page: Page, new_shop: Shop) -> None:
    watch(new_shop, page)
    expect(page.locator("#running")).to_have_text("")
    ended = new_shop.maker(seed=2).one(2)
    begun = attrs.evolve(ended, outcome="interrupted", ended_at=None, latency_ms=None, choices=())
    told = {"calls": [{"record_id": begun.record_id, "record": json.loads(to_wire(begun)), "at": 0, "text": "In"}]}
    answer = requests.post(
        f"{new_shop.backend.api_base}/v2/projects/{new_shop.project_id}/records:live",
        json=told,
        headers={"Authorization": f"Bearer {new_shop.api_key}"},
        timeout=20,
    )
    assert answer.json() == {"unknown": []}
    expect(page.locator("#running")).to_contain_text("1 streaming now")
    expect(page.locator("#running a")).to_have_attribute("href", re.compile(f"/calls/{begun.record_id}$"))
    new_shop.post(ended)
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.locator("#running")).to_have_text("")
