"""The list of calls, in a real browser, with and without JavaScript."""

from __future__ import annotations

import re

import attrs
import pytest
from playwright.sync_api import Page, expect

from freeplay_like.core.completion import Choice
from support.browser import Pages
from support.shop import Shop

pytestmark = pytest.mark.browser

ROWS = "table.calls tbody tr"


def rows(page: Page) -> list[str]:
    """What each row shows, but for its age, which goes on."""
    return [re.sub(r"\b\d+ (s|min|h|d) ago", "ago", row.inner_text()) for row in page.locator(ROWS).all()]


def test_shows_the_newest_call_first_with_everything_a_row_has(page: Page, new_shop: Shop) -> None:
    older, newer = new_shop.maker().one(0, age_s=60), new_shop.maker().one(5, age_s=5)
    new_shop.post(older, newer)
    new_shop.sign_in(page)
    expect(page.locator(ROWS)).to_have_count(2)
    first = page.locator(ROWS).first
    assert newer.usage is not None
    assert newer.template is not None
    for text in (
        "complete",
        "s ago",
        newer.messages[-1].text[:20],
        newer.text[:20],
        "claude-sonnet-4-5-20250929",
        "for claude-sonnet-4-5",
        f"{newer.template.name}@{newer.template.version}",
        "prod",
        f"{newer.usage.input_tokens} → {newer.usage.output_tokens}",
    ):
        expect(first).to_contain_text(text)
    expect(first.locator("time")).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$"))
    expect(first.locator(".c-latency")).to_have_text(re.compile(r"^\d+ ms$|^\d\.\d\d s$"))


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
@pytest.mark.parametrize(
    ("label", "value", "cell"),
    [
        ("Status", "error", "error"),
        ("Model", "gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("Template", "shop/triage", "shop/triage"),
    ],
)
def test_filters_by_a_choice(
    pages: Pages, shop: Shop, *, has_javascript: bool, label: str, value: str, cell: str
) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=has_javascript))
    page.get_by_label(label).select_option(value)
    if not has_javascript:
        page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("show all calls").first).to_be_visible()
    found = rows(page)
    assert found
    assert all(cell in row for row in found)
    assert re.search(rf"[?&]\w+={re.escape(value.replace('/', '%2F'))}", page.url)


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_filters_by_text_in_the_answer(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    cake, bread = new_shop.maker().one(1), new_shop.maker(seed=4).one(0)
    new_shop.post(cake, bread)
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    page.get_by_label("Text").fill("HAZELNUT cake of that size")
    if not has_javascript:
        page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("show all calls").first).to_be_visible()
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS)).to_contain_text("birthday cake")


def test_an_address_that_is_sent_shows_the_same_list(pages: Pages, shop: Shop) -> None:
    page = shop.sign_in(pages.open())
    page.get_by_label("Status").select_option("truncated")
    expect(page).to_have_url(f"{shop.calls}?outcome=truncated")
    page.get_by_label("Text").fill("bakery")
    expect(page).to_have_url(f"{shop.calls}?text=bakery&outcome=truncated")
    mine = rows(page)
    colleague = shop.sign_in(pages.open())
    colleague.goto(page.url)
    assert rows(colleague) == mine
    expect(colleague.get_by_label("Status")).to_have_value("truncated")
    expect(colleague.get_by_label("Text")).to_have_value("bakery")


def test_going_back_from_a_call_finds_the_filtered_list(page: Page, shop: Shop) -> None:
    shop.sign_in(page).get_by_label("Status").select_option("refused")
    expect(page).to_have_url(f"{shop.calls}?outcome=refused")
    page.locator(ROWS).first.click()
    expect(page.get_by_role("heading", name="refused")).to_be_visible()
    page.go_back()
    expect(page.locator(ROWS).first).to_contain_text("refused")
    assert all("refused" in row for row in rows(page))


def test_says_when_nothing_matches_and_leads_back(page: Page, shop: Shop) -> None:
    shop.sign_in(page).goto(f"{shop.calls}?text=there+is+no+such+text")
    expect(page.get_by_text("No call matches.")).to_be_visible()
    page.get_by_role("link", name="Show all calls").last.click()
    expect(page.locator(ROWS)).to_have_count(50)


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_pages_hold_every_call_once(pages: Pages, shop: Shop, *, has_javascript: bool) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=has_javascript))
    seen = [link.get_attribute("href") for link in page.locator(".row-link").all()]
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newer")).to_be_visible()
    seen += [link.get_attribute("href") for link in page.locator(".row-link").all()]
    every = [*shop.records, *shop.special.values()]
    assert sorted(str(href).rpartition("/")[2] for href in seen) == sorted(record.record_id for record in every)
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator(ROWS)).to_have_count(50)


def test_keys_walk_through_the_rows_and_open_one(page: Page, shop: Shop) -> None:
    shop.sign_in(page)
    hrefs = [link.get_attribute("href") for link in page.locator(".row-link").all()]
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".row-link").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{shop.backend.url}{hrefs[1]}")


def test_the_slash_key_goes_to_the_search_and_letters_then_are_text(page: Page, shop: Shop) -> None:
    shop.sign_in(page).keyboard.press("/")
    expect(page.get_by_label("Text")).to_be_focused()
    page.keyboard.type("jk/")
    expect(page.get_by_label("Text")).to_have_value("jk/")


def test_the_first_thing_that_tab_reaches_skips_to_the_content(page: Page, shop: Shop) -> None:
    shop.sign_in(page).keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


@pytest.mark.parametrize("width", [1280, 400, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_window(pages: Pages, shop: Shop, *, width: int, scheme: str) -> None:
    page = shop.sign_in(pages.open(viewport={"width": width, "height": 700}, color_scheme=scheme))
    session = f"{shop.backend.url}/projects/{shop.project_id}/sessions/{shop.special['tools'].session_id}"
    others = [f"{shop.backend.url}/projects", f"{shop.backend.url}/projects/{shop.project_id}/templates", session]
    for address in (shop.calls, *others, *(shop.call(record) for record in shop.special.values())):
        page.goto(address)
        for details in page.locator("details").all():
            details.evaluate("element => { element.open = true }")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, address
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground == "rgb(18, 19, 22)") is (scheme == "dark")


def test_the_scripts_of_a_page_weigh_less_than_100_kb(page: Page, shop: Shop) -> None:
    scripts = [script.get_attribute("src") for script in shop.sign_in(page).locator("script").all()]
    assert len(scripts) == 3
    assert sum(len(page.request.get(f"{shop.backend.url}{src}").body()) for src in scripts) < 100_000


def test_an_empty_project_says_how_to_make_the_first_call_and_shows_it(page: Page, new_shop: Shop) -> None:
    new_shop.sign_in(page)
    expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
    expect(page.locator("main")).to_contain_text(f"FREEPLAY_LIKE_API_BASE={new_shop.backend.url}/api")
    expect(page.locator("main")).to_contain_text(new_shop.project_id)
    new_shop.post(new_shop.maker().one(0))
    expect(page.locator(ROWS)).to_have_count(1)


def test_the_json_twin_holds_what_the_page_shows(page: Page, new_shop: Shop) -> None:
    record = attrs.evolve(new_shop.maker().one(0), choices=(Choice(text="only this one", finish_reason="stop"),))
    new_shop.post(new_shop.maker(seed=4).one(1), record)
    new_shop.sign_in(page)
    answer = page.request.get(f"{new_shop.calls}.json?text=only+this")
    assert answer.headers["content-type"] == "application/json"
    context = answer.json()
    assert [row["record_id"] for row in context["page"]["rows"]] == [record.record_id]
    assert context["filter"]["text"] == "only this"
    assert context["project"]["id"] == new_shop.project_id
