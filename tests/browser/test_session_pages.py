"""The list of sessions, and one session as people read it."""

from __future__ import annotations

import json
import re

import attrs
import pytest
from playwright.sync_api import Page, expect

from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Record
from support.browser import Pages
from support.shop import Shop

pytestmark = pytest.mark.browser


def conversation(shop: Shop, length: int, **fields: object) -> list[Record]:
    """Calls of one session, each of which sends again what was said before."""
    maker = shop.maker()
    session_id = maker.new_id(maker.now)
    history: tuple[Message, ...] = (Message(role="system", content="Be short."),)
    records = []
    for number in range(length):
        sent = (*history, Message(role="user", content=f"question {number + 1}"))
        answer = Choice(text=f"answer {number + 1}", finish_reason="stop")
        made = maker.one(1, age_s=1000 - number, session_id=session_id)
        records.append(attrs.evolve(made, messages=sent, choices=(answer,), template=None, **fields))  # type: ignore[arg-type]  # fields of a record
        history = (*sent, answer.as_message())
    return records


def address(shop: Shop, session_id: str | None) -> str:
    return f"{shop.backend.url}/projects/{shop.project_id}/sessions/{session_id}"


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_a_conversation_is_read_with_each_message_once(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    records = conversation(new_shop, 3)
    failed = new_shop.maker(seed=9).one(3, age_s=1, session_id=records[0].session_id, outcome="error")
    new_shop.post(*records, failed)
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    page.get_by_role("link", name="Sessions", exact=True).click()
    row = page.locator(".sessions tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("question 1")
    expect(row.locator("td").nth(2)).to_have_text("4")
    expect(row.locator("td").nth(3)).to_have_text("1")
    row.get_by_role("link", name="question 1").click()
    expect(page.locator("article.exchange")).to_have_count(4)
    asked = page.locator("article.user .text")
    expect(asked).to_have_text(["question 1", "question 2", "question 3", failed.messages[-1].text])
    expect(page.locator("article.reply .text")).to_contain_text(["answer 1", "answer 2", "answer 3"])
    expect(page.locator("article.system")).to_have_count(2)
    assert failed.error is not None
    expect(page.locator(".exchange .failure")).to_contain_text(failed.error.message[:30])
    sums = page.locator(".beside").nth(2).inner_text()
    assert re.search(r"\$0\.\d+ so far \$0\.\d+", sums)
    page.get_by_role("link", name="1", exact=True).click()
    expect(page).to_have_url(re.compile(r"outcome"))


def test_the_keyboard_leads_from_call_to_call(page: Page, new_shop: Shop) -> None:
    records = conversation(new_shop, 3)
    new_shop.post(*records)
    new_shop.sign_in(page).goto(address(new_shop, None).removesuffix("/None"))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(address(new_shop, records[0].session_id))
    page.keyboard.press("j")
    page.keyboard.press("]")
    expect(page.get_by_role("link", name="Call 2")).to_be_focused()
    page.keyboard.press("k")
    expect(page.get_by_role("link", name="Call 1")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(new_shop.call(records[0]))


def test_a_long_session_is_read_in_pages_that_repeat_nothing(page: Page, new_shop: Shop) -> None:
    records = conversation(new_shop, 45)
    new_shop.post(*records)
    new_shop.sign_in(page).goto(address(new_shop, records[0].session_id))
    expect(page.locator("article.exchange")).to_have_count(40)
    page.get_by_role("link", name="Later calls").click()
    expect(page.locator("article.exchange")).to_have_count(5)
    expect(page.locator("article.user .text").first).to_have_text("question 41")
    expect(page.locator("article.user")).to_have_count(5)
    page.get_by_role("link", name="Earlier calls").click()
    expect(page.locator("article.user .text").first).to_have_text("question 1")


def test_the_list_holds_the_sessions_with_such_a_call(page: Page, new_shop: Shop) -> None:
    first, second = conversation(new_shop, 2), conversation(new_shop, 1, model="rare-model")
    second = [attrs.evolve(each, session_id="other", record_id=f"other-{i}") for i, each in enumerate(second)]
    new_shop.post(*first, *second)
    new_shop.sign_in(page)
    page.get_by_role("link", name="Sessions", exact=True).click()
    expect(page.locator(".sessions tbody tr")).to_have_count(2)
    page.get_by_role("searchbox").fill("model:rare-model")
    page.keyboard.press("Enter")
    expect(page.locator(".sessions tbody tr")).to_have_count(1)
    expect(page.locator(".sessions tbody tr")).to_contain_text("rare-model")
    page.get_by_role("link", name="show all sessions").click()
    expect(page.locator(".sessions tbody tr")).to_have_count(2)


def test_the_calls_of_a_trace_stand_together(page: Page, new_shop: Shop) -> None:
    records = conversation(new_shop, 3)
    records = [records[0], *(attrs.evolve(each, trace_id="trace-1") for each in records[1:])]
    new_shop.post(*records)
    new_shop.sign_in(page).goto(address(new_shop, records[0].session_id))
    trace = page.locator("section.trace")
    expect(trace).to_have_count(1)
    expect(trace.locator("article.exchange")).to_have_count(2)
    expect(trace.locator(".trace-head")).to_contain_text("trace-1")


def test_a_session_is_exported_whole_and_then_deleted(page: Page, new_shop: Shop) -> None:
    records = conversation(new_shop, 42)
    new_shop.post(*records)
    new_shop.sign_in(page).goto(address(new_shop, records[0].session_id))
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename == f"session-{records[0].session_id}.json"
    held = json.loads(download.value.path().read_bytes())
    assert [call["record"]["record_id"] for call in held["calls"]] == [each.record_id for each in records]
    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete 42 calls").click()
    expect(page.get_by_text("No sessions yet")).to_be_visible()
    assert page.request.get(f"{address(new_shop, records[0].session_id)}.json").status == 404


def test_a_narrow_window_scrolls_down_only(pages: Pages, shop: Shop) -> None:
    page = shop.sign_in(pages.open(viewport={"width": 390, "height": 800}))
    for path in ("", f"/{shop.special['plain'].session_id}"):
        page.goto(f"{shop.backend.url}/projects/{shop.project_id}/sessions{path}")
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.parametrize("path", ["no-such", "no-such/delete", "no-such/export"])
def test_a_session_that_is_not_there_is_said_kindly(pages: Pages, shop: Shop, path: str) -> None:
    pages.expect("404")
    page = shop.sign_in(pages.open())
    answer = page.goto(address(shop, path))
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("No such session")
