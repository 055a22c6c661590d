"""The page of health, and calls that are only beginning, in a real browser."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import requests
from playwright.sync_api import Page, expect

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from support.browser import Pages
from support.plain_records import a_record
from support.shop import Shop

pytestmark = pytest.mark.browser


def health(shop: Shop, query: str = "") -> str:
    return f"{shop.backend.url}/projects/{shop.project_id}/health{query}"


def filled(shop: Shop, count: int = 30) -> list[Record]:
    """Records of the last hours, each ten minutes after the next."""
    now = datetime.now(UTC)
    records = []
    for number, record in enumerate(shop.maker().make(count)):
        length = None if record.ended_at is None else record.ended_at - record.started_at
        started_at = now - timedelta(minutes=10 * number + 5)
        ended_at = None if length is None else started_at + length
        records.append(attrs.evolve(record, started_at=started_at, ended_at=ended_at))
    shop.post(*records)
    return records


def send(shop: Shop, record: Record, **sender: object) -> None:
    """Deliver a record as a process that says how it is."""
    answer = requests.post(
        f"{shop.backend.api_base}/v2/projects/{shop.project_id}/records:batch",
        data=to_wire({"records": [record], "sender": {"sender_id": uuid.uuid4().hex, **sender}}),
        headers={"Authorization": f"Bearer {shop.api_key}"},
        timeout=20,
    )
    assert answer.json()["stored"] == 1, answer.text


def tell(shop: Shop, record: Record, text: str, at: int = 0) -> None:
    """Tell of a call that runs."""
    first = {} if at else {"record": record}
    answer = requests.post(
        f"{shop.backend.api_base}/v2/projects/{shop.project_id}/records:live",
        data=to_wire({"calls": [{"record_id": record.record_id, "at": at, "text": text, **first}]}),
        headers={"Authorization": f"Bearer {shop.api_key}"},
        timeout=20,
    )
    assert answer.json() == {"unknown": []}


def rows_behind(page: Page) -> int:
    """How many calls the list has that a link led to."""
    expect(page.locator("#rows")).to_be_visible()
    return page.locator("#rows > tr").count()


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_each_number_leads_to_the_calls_behind_it(pages: Pages, new_shop: Shop, has_javascript: bool) -> None:
    records = filled(new_shop)
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    errors = sum(record.outcome == "error" for record in records)
    assert errors
    for name, count in (("Calls", len(records)), ("Errors", errors)):
        page.goto(health(new_shop))
        number = page.locator(".strip > div", has=page.get_by_text(name, exact=True)).locator("a")
        assert int(number.inner_text()) == count
        number.click()
        assert rows_behind(page) == count
    page.goto(health(new_shop))
    row = page.locator("section.panel", has=page.get_by_role("heading", name="By template")).locator("tbody tr").first
    count = int(row.locator("td a").first.inner_text())
    row.locator("td a").first.click()
    assert rows_behind(page) == count


def test_a_point_of_a_drawing_says_what_it_is_and_leads_to_its_calls(page: Page, new_shop: Shop) -> None:
    filled(new_shop)
    new_shop.sign_in(page)
    page.goto(health(new_shop))
    chart = page.locator(".chart", has=page.get_by_text("Calls", exact=True))
    spot = chart.locator("a[data-at]").last
    spot.hover()
    said = chart.locator("[data-readout]")
    expect(said).to_have_text(re.compile(r"\d\d:\d\d: \d+ calls, \d+ errors"))
    assert page.locator(".chart .is-at").count() > 1, "the other drawings show the same time"
    count = int(re.findall(r"(\d+) calls", said.inner_text())[0])
    spot.click()
    assert rows_behind(page) == count


def test_the_same_stands_in_a_table_that_the_keyboard_opens(page: Page, new_shop: Shop) -> None:
    records = filled(new_shop, 12)
    new_shop.sign_in(page)
    page.goto(health(new_shop))
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("region", name="Calls over time")
    counts = [int(text) for text in table.locator("tbody tr td:nth-child(2)").all_inner_texts()]
    assert sum(counts) == len(records)
    table.locator("tbody td a").first.focus()
    page.keyboard.press("Enter")
    assert rows_behind(page) == counts[0]


def test_time_ranges_and_orders_stay_in_the_address(page: Page, new_shop: Shop) -> None:
    filled(new_shop)
    new_shop.sign_in(page)
    page.goto(health(new_shop))
    page.get_by_role("navigation", name="Order of the models").get_by_role("link", name="errors").click()
    page.get_by_role("link", name="last hour").click()
    assert "period=1h" in page.url
    assert "by=errors" in page.url
    expect(page.get_by_role("link", name="last hour")).to_have_attribute("aria-current", "page")
    calls = page.locator(".strip > div", has=page.get_by_text("Calls", exact=True)).locator("a")
    assert int(calls.inner_text()) == 6


def test_senders_are_shown_with_what_is_wrong_with_them(page: Page, new_shop: Shop) -> None:
    late = datetime.now(UTC) - timedelta(hours=2)
    send(
        new_shop, a_record(new_shop.project_id), host="web-1", pid=11, sdk="freeplay_like/1", dropped=0, spooled_bytes=0
    )
    send(new_shop, a_record(new_shop.project_id), host="web-2", pid=12, dropped=3, spooled_bytes=2_500_000)
    send(new_shop, a_record(new_shop.project_id), host="<b>web-3</b>", pid=13, oldest_unsent_at=late)
    new_shop.sign_in(page)
    page.goto(health(new_shop))
    rows = page.locator(".senders tbody tr")
    expect(rows.filter(has_text="web-1")).to_contain_text("good")
    expect(rows.filter(has_text="web-2")).to_contain_text("bad 3 records were lost")
    expect(rows.filter(has_text="web-2")).to_contain_text("2.5 MB")
    expect(rows.filter(has_text="<b>web-3</b>")).to_contain_text("its oldest record waited 2 h")
    expect(page.locator(".verdict")).to_contain_text("sender web-2: 3 records were lost")


def test_the_state_of_the_server_is_kept_fresh(page: Page, new_shop: Shop) -> None:
    page.clock.install()
    new_shop.sign_in(page)
    page.goto(health(new_shop))
    expect(page.locator("#server")).not_to_contain_text("Running now")
    running = a_record(new_shop.project_id, question="Who <i>runs</i>?", outcome="interrupted", ended_at=None)
    tell(new_shop, running, "so far")
    page.clock.fast_forward(6_000)
    expect(page.locator("#server")).to_contain_text("Running now: 1")
    expect(page.locator(".running")).to_contain_text("Who <i>runs</i>?")
    expect(page.locator(".running")).to_contain_text("6 characters")


def test_an_empty_time_says_so(pages: Pages, new_shop: Shop) -> None:
    pages.expect("400")
    page = new_shop.sign_in(pages.open())
    page.goto(health(new_shop))
    expect(page.locator("main")).to_contain_text("No call began in this time.")
    page.goto(health(new_shop, "?period=never"))
    expect(page.locator("main")).to_contain_text("The time range is one of 1h")


@pytest.mark.parametrize("where", ["health", "calls", "first-key"])
def test_nothing_sticks_out_of_a_narrow_window(pages: Pages, new_shop: Shop, where: str) -> None:
    page = new_shop.sign_in(pages.open(viewport={"width": 390, "height": 800}))
    if where == "first-key":
        page.get_by_role("button", name="Make a key").click()
        expect(page.locator("#first-environment")).to_contain_text("fpl_")
    elif where == "health":
        filled(new_shop)
        send(new_shop, a_record(new_shop.project_id), host="h" * 80, pid=2**40, sdk="s" * 80)
        page.goto(health(new_shop, "?period=7d"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("has_key", [False, True], ids=["the empty list", "the page with the key"])
def test_the_first_call_is_waited_for(page: Page, new_shop: Shop, has_key: bool) -> None:
    new_shop.sign_in(page)
    if has_key:
        page.get_by_role("button", name="Make a key").click()
        expect(page.locator("#first-environment")).to_contain_text(re.compile("FREEPLAY_LIKE_API_KEY=fpl_[^…]"))
    expect(page.locator(".first-run")).to_contain_text("No calls yet")
    new_shop.post(a_record(new_shop.project_id, question="Am I the first?"))
    expect(page.locator("#rows > tr")).to_contain_text("Am I the first?")
    assert page.url.split("?")[0] == new_shop.calls


def test_the_ways_to_a_first_call_are_found_with_the_keyboard(page: Page, new_shop: Shop) -> None:
    new_shop.sign_in(page)
    for name, block in (("With curl", "#first-curl"), ("With OpenTelemetry", "#first-otel")):
        expect(page.locator(block)).to_be_hidden()
        page.locator("summary", has_text=name).focus()
        page.keyboard.press("Enter")
        expect(page.locator(block)).to_be_visible()
    expect(page.locator("#first-curl")).to_be_hidden()
