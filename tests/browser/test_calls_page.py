"""The list of calls, in a real browser, with and without JavaScript."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
from playwright.sync_api import Locator, Page, expect

from freeplay_like.core.completion import Choice
from support.browser import Pages
from support.shop import Shop
from support.waiting import until

pytestmark = pytest.mark.browser

ROWS = "#rows > tr"
WITH_AND_WITHOUT = pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])


def asked(page: Page, name: str = "q") -> str:
    """What the address says."""
    return parse_qs(urlsplit(page.url).query).get(name, [""])[0]


def outcomes(page: Page) -> set[str]:
    return set(page.locator(f"{ROWS} .outcome").all_inner_texts())


def group(page: Page, title: str) -> Locator:
    return page.locator("details.facet", has=page.locator("summary", has_text=re.compile(f"^{title}$")))


def look_for(page: Page, query: str) -> None:
    page.get_by_label("Search").fill(query)
    page.get_by_role("button", name="Search").click()


# --- rows


def test_shows_the_newest_call_first_with_everything_a_row_has(page: Page, new_shop: Shop) -> None:
    older, newer = new_shop.maker().one(0, age_s=60), new_shop.maker().one(5, age_s=5)
    new_shop.post(older, newer)
    new_shop.sign_in(page)
    expect(page.locator(ROWS)).to_have_count(2)
    first = page.locator(ROWS).first
    # Each server loads the list of prices with the first call it takes in; a call's price is there a moment later.
    until(lambda: page.reload() and "$0.000" in first.inner_text(), what="the price")
    assert newer.usage is not None
    assert newer.template is not None
    for text in (
        "complete",
        "s ago",
        newer.messages[-1].text[:20],
        newer.text[:20],
        "claude-sonnet-4-5-20250929",
        f"{newer.template.name}@{newer.template.version} prod",
        f"{newer.usage.input_tokens} → {newer.usage.output_tokens}",
    ):
        expect(first).to_contain_text(text)
    expect(first.locator("time")).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$"))
    expect(first.locator(".c-latency")).to_have_text(re.compile(r"^(\d+ ms|\d\.\d\d s)\s*\d+ ms$"))


@WITH_AND_WITHOUT
def test_pages_hold_every_call_once(pages: Pages, shop: Shop, *, has_javascript: bool) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=has_javascript))
    seen = [link.get_attribute("href") for link in page.locator(".row-link").all()]
    page.get_by_role("link", name="Older →").click()
    expect(page.get_by_role("link", name="← Newer")).to_be_visible()
    seen += [link.get_attribute("href") for link in page.locator(".row-link").all()]
    every = [*shop.records, *shop.special.values()]
    assert sorted(str(href).rpartition("/")[2] for href in seen) == sorted(record.record_id for record in every)
    expect(page.get_by_role("link", name="Older →")).to_have_count(0)
    page.get_by_role("link", name="← Newer").click()
    expect(page.locator(ROWS)).to_have_count(50)


# --- looking for calls


@WITH_AND_WITHOUT
def test_finds_words_and_fields_and_the_address_says_so(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    cake, bread = new_shop.maker().one(1), new_shop.maker(seed=4).one(0)
    new_shop.post(cake, bread)
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    look_for(page, '"HAZELNUT cake of that size" outcome:complete')
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS)).to_contain_text("birthday cake")
    assert asked(page) == '"HAZELNUT cake of that size" outcome:complete'
    colleague = new_shop.sign_in(pages.open())
    colleague.goto(page.url)
    expect(colleague.locator(ROWS)).to_have_count(1)
    expect(colleague.get_by_label("Search")).to_have_value('"HAZELNUT cake of that size" outcome:complete')


def test_typing_narrows_the_list_and_what_is_wrong_is_said_beside_it(page: Page, shop: Shop) -> None:
    shop.sign_in(page).get_by_label("Search").press_sequentially("outcome:refused")
    expect(page).to_have_url(re.compile("refused"))
    expect(page.locator("#found")).to_contain_text("call")
    assert outcomes(page) == {"refused"}
    count = page.locator(ROWS).count()
    page.get_by_label("Search").press_sequentially(" colour:blue")
    expect(page.locator("#wrong")).to_contain_text("there is no field 'colour' to filter by")
    expect(page.locator(ROWS)).to_have_count(count)
    assert asked(page) == "outcome:refused"
    page.get_by_label("Search").fill("outcome:error")
    expect(page.locator("#wrong")).to_be_hidden()
    expect(page.locator(ROWS).first).to_contain_text("error")


def test_without_javascript_what_is_wrong_is_said_beside_the_box(pages: Pages, shop: Shop) -> None:
    pages.expect("400")
    page = shop.sign_in(pages.open(java_script_enabled=False))
    look_for(page, "colour:blue")
    expect(page.locator("#wrong")).to_contain_text("there is no field 'colour' to filter by")
    expect(page.get_by_label("Search")).to_have_value("colour:blue")
    look_for(page, "outcome:refused")
    assert outcomes(page) == {"refused"}


@WITH_AND_WITHOUT
def test_a_value_is_chosen_beside_another_and_ruled_out(pages: Pages, shop: Shop, *, has_javascript: bool) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=has_javascript))
    count = int(group(page, "Outcome").locator(".pick", has_text="error").locator(".num").inner_text())
    group(page, "Outcome").locator(".pick", has_text="error").click()
    expect(page.get_by_label("Search")).to_have_value("outcome:error")
    expect(page.locator(ROWS)).to_have_count(count)
    expect(group(page, "Outcome").locator("[aria-current]")).to_contain_text("error")
    group(page, "Outcome").locator(".pick", has_text="refused").click()
    expect(page.get_by_label("Search")).to_have_value("outcome:error OR outcome:refused")
    assert outcomes(page) == {"error", "refused"}
    group(page, "Outcome").locator(".pick", has_text="error").click()
    expect(page.get_by_label("Search")).to_have_value("outcome:refused")
    group(page, "Outcome").get_by_role("link", name="Rule out refused").click()
    expect(page.get_by_label("Search")).to_have_value("-outcome:refused")
    assert "refused" not in outcomes(page)
    group(page, "Outcome").get_by_role("link", name="Allow refused").click()
    expect(page.get_by_label("Search")).to_have_value("")


@WITH_AND_WITHOUT
def test_a_range_of_a_number_narrows_the_list(pages: Pages, shop: Shop, *, has_javascript: bool) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=has_javascript))
    group(page, "Latency").locator("summary").click()
    page.get_by_label("Latency at least, in seconds").fill("1")
    page.get_by_label("Latency at most, in seconds").fill("1.5")
    group(page, "Latency").get_by_role("button", name="Set").click()
    expect(page.get_by_label("Search")).to_have_value("latency_ms:>=1s latency_ms:<=1500ms")
    expect(page.get_by_label("Latency at most, in seconds")).to_have_value("1.5")
    times = page.locator(f"{ROWS} .c-latency").all_inner_texts()
    assert times
    assert all(1.0 <= float(text.split()[0]) <= 1.5 for text in times)
    group(page, "Latency").get_by_role("link", name="any").click()
    expect(page.get_by_label("Search")).to_have_value("")


def test_numbers_lead_to_the_calls_behind_them(page: Page, shop: Shop) -> None:
    shop.sign_in(page)
    errors = int(page.locator("#found a").inner_text().split()[0])
    assert f"{len(shop.records) + len(shop.special)} calls" in page.locator("#found").inner_text()
    page.locator("#found a").click()
    expect(page.locator("#found strong")).to_have_text(str(errors))
    assert outcomes(page) == {"error"}
    page.goto(shop.calls)
    slow = page.locator("#sums a").nth(2)
    expect(slow).to_have_attribute("title", "One call in twenty takes at least this long")
    slow.click()
    expect(page.get_by_label("Search")).to_have_value(re.compile(r"^latency_ms:>=[\d.]+m?s$"))
    assert 1 <= page.locator(ROWS).count() <= 6


# --- time


def test_a_bar_leads_to_its_calls_with_and_without_javascript(pages: Pages, shop: Shop) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=False))
    bar = page.locator("#histogram a").first
    calls = int(re.search(r": (\d+) calls?", str(bar.get_attribute("aria-label"))).group(1))  # type: ignore[union-attr]
    page.goto(f"{shop.backend.url}{bar.get_attribute('href')}")
    expect(page.locator(ROWS)).to_have_count(calls)
    assert asked(page).startswith("started_at:>=")


def test_several_bars_are_chosen_by_dragging_or_with_the_arrows(page: Page, shop: Shop) -> None:
    shop.sign_in(page)
    every = page.locator("#histogram a").count()
    assert every > 3
    box = page.locator("#histogram svg").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=4)
    expect(page.locator("#histogram .brushed")).to_contain_text(" to ")
    page.mouse.up()
    expect(page).to_have_url(re.compile("started_at"))
    assert re.fullmatch(r"started_at:>=\S+ started_at:<\S+", asked(page))
    page.goto(shop.calls)
    page.locator("#histogram a").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#histogram .is-brushed")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("started_at"))


# --- keys, and the call beside the list


def test_keys_walk_through_the_rows_and_open_calls_beside_the_list(page: Page, shop: Shop) -> None:
    shop.sign_in(page)
    hrefs = [str(link.get_attribute("href")) for link in page.locator(".row-link").all()]
    for name in "jjjk":
        page.keyboard.press(name)
    expect(page.locator(".row-link").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#peek #call")).to_be_visible()
    assert asked(page, "peek") == hrefs[1].rpartition("/")[2]
    page.keyboard.press("j")
    expect(page.locator(f'#call[data-record="{hrefs[2].rpartition("/")[2]}"]')).to_be_visible()
    page.reload()
    expect(page.locator(f'#call[data-record="{hrefs[2].rpartition("/")[2]}"]')).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#peek")).to_be_hidden()
    assert asked(page, "peek") == ""
    page.locator(".row-link").nth(3).click()
    expect(page.locator("#peek #call")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{shop.backend.url}{hrefs[3]}")
    page.go_back()
    expect(page.locator("#peek #call")).to_be_visible()


def test_without_javascript_a_row_leads_to_the_call(pages: Pages, shop: Shop) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=False))
    href = page.locator(".row-link").nth(2).get_attribute("href")
    page.locator(".row-link").nth(2).click()
    expect(page).to_have_url(f"{shop.backend.url}{href}")


def test_keys_lead_to_the_next_error_the_search_the_filters_and_other_rooms(page: Page, shop: Shop) -> None:
    shop.sign_in(page).keyboard.press(".")
    expect(page.locator(f"{ROWS}:has(.outcome.error) .row-link").first).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("jk")
    expect(page.get_by_label("Search")).to_have_value("jk")
    expect(page).to_have_url(re.compile("q=jk"))
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(page.locator("#facets summary").first).to_be_focused()
    page.keyboard.press("?")
    for about in ("Next error", "Choose the row", "Save the view", "Go to a room", "Good"):
        expect(page.locator("#keys dl")).to_contain_text(about)
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("2")
    expect(page).to_have_url(re.compile("/sessions"))


def test_a_verdict_is_given_on_the_row_that_has_the_focus(page: Page, new_shop: Shop) -> None:
    new_shop.post(*new_shop.maker().make(3))
    new_shop.sign_in(page)
    page.keyboard.press("j")
    page.keyboard.press("b")
    expect(page.locator(ROWS).first.locator("[data-marks]")).to_contain_text("bad")
    page.reload()
    expect(page.locator(ROWS).first.locator("[data-marks]")).to_contain_text("bad")


# --- what is done with several


def test_calls_are_chosen_by_keys_and_compared(page: Page, shop: Shop) -> None:
    shop.sign_in(page)
    expect(page.locator("#selection")).to_be_hidden()
    wanted = [page.locator(f"{ROWS} input").nth(place).get_attribute("value") for place in (0, 1, 2)]
    for name in ("j", "x", "j", "j", "X"):
        page.keyboard.press(name)
    expect(page.locator("#chosen")).to_have_text("3 chosen")
    page.keyboard.press("d")
    expect(page).to_have_url(re.compile("/compare"))
    assert parse_qs(urlsplit(page.url).query)["call"] == wanted


@WITH_AND_WITHOUT
def test_all_that_match_go_into_a_new_dataset_once(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    new_shop.post(*(new_shop.maker(seed=seed).one(seed) for seed in range(7)))
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    look_for(page, "template:shop/answer")
    expect(page.locator(ROWS)).to_have_count(4)
    for known in (False, True):
        page.locator(f"{ROWS} input").first.check()
        page.get_by_label("that match").check()
        page.locator("#into summary").click()
        if known:
            page.locator("select[name=dataset]").select_option(label="bread (4)")
            page.get_by_role("button", name="Add", exact=True).click()
        else:
            page.get_by_label("A new dataset called").fill("bread")
            page.get_by_label("A new dataset called").press("Enter")
        expect(page.get_by_role("heading", name="Added to bread")).to_be_visible()
        said = "0 calls were added; the dataset has 4" if known else "4 calls were added; the dataset has 4"
        expect(page.locator("main")).to_contain_text(said)
        page.get_by_role("link", name="Back to the calls").click()
        expect(page.locator(ROWS)).to_have_count(4)


def test_calls_that_were_chosen_come_as_a_file(page: Page, shop: Shop) -> None:
    shop.sign_in(page)
    page.locator(f"{ROWS} input").nth(4).check()
    page.locator(f"{ROWS} input").nth(1).check()
    ids = {page.locator(f"{ROWS} input").nth(place).get_attribute("value") for place in (1, 4)}
    page.locator("#selection summary", has_text="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV, a row a call").click()
    assert re.fullmatch(r"calls-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("record_id,")
    assert {line.partition(",")[0] for line in lines[1:] if line.partition(",")[0] in ids} == ids


def test_nothing_is_done_without_a_choice(pages: Pages, shop: Shop) -> None:
    pages.expect("400")
    page = shop.sign_in(pages.open(java_script_enabled=False))
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("main")).to_contain_text("No call has a mark")


# --- saved views


@WITH_AND_WITHOUT
def test_a_view_is_saved_opened_and_deleted(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    new_shop.post(*new_shop.maker().make(6))
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    page.goto(f"{new_shop.calls}?q=outcome:error&period=7d")
    if has_javascript:
        page.keyboard.press("s")
    else:
        page.locator("#views summary").click()
    page.get_by_label("Save what is shown as").fill("Failures <b>")
    page.get_by_role("button", name="Save view").click()
    page.goto(new_shop.calls)
    page.locator("#views summary").click()
    page.get_by_role("link", name="Failures <b>").click()
    assert (asked(page), asked(page, "period")) == ("outcome:error", "7d")
    page.locator("#views summary").click()
    page.get_by_role("button", name="Delete the view Failures <b>").click()
    expect(page.locator("#views a")).to_have_count(0)


# --- the page as a whole


@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_is_never_wider_than_its_window(pages: Pages, shop: Shop, *, width: int, scheme: str) -> None:
    page = shop.sign_in(pages.open(viewport={"width": width, "height": 700}, color_scheme=scheme))
    for details in page.locator("details:not(.menu)").all():
        details.evaluate("element => { element.open = true }")
    page.locator(f"{ROWS} input").first.check()
    expect(page.locator("#selection")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground == "rgb(18, 19, 22)") is (scheme == "dark")


def test_the_first_thing_that_tab_reaches_skips_to_the_content(page: Page, shop: Shop) -> None:
    shop.sign_in(page).keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_an_empty_project_shows_its_first_call_as_it_comes(page: Page, new_shop: Shop) -> None:
    new_shop.sign_in(page)
    expect(page.locator(ROWS)).to_have_count(0)
    new_shop.post(new_shop.maker().one(0))
    expect(page.locator(ROWS)).to_have_count(1)


def test_says_when_nothing_matches_and_leads_back(page: Page, shop: Shop) -> None:
    shop.sign_in(page).goto(f"{shop.calls}?q=there+is+no+such+text")
    expect(page.get_by_text("No call matches.")).to_be_visible()
    page.get_by_role("link", name="Show all calls").last.click()
    expect(page.locator(ROWS)).to_have_count(50)


def test_the_scripts_of_the_page_weigh_less_than_100_kb(page: Page, shop: Shop) -> None:
    scripts = [script.get_attribute("src") for script in shop.sign_in(page).locator("script").all()]
    assert len(scripts) >= 4
    assert sum(len(page.request.get(f"{shop.backend.url}{src}").body()) for src in scripts) < 100_000


def test_the_figures_come_on_their_own_too(page: Page, shop: Shop) -> None:
    figures = shop.sign_in(page).request.get(f"{shop.calls}/figures?q=outcome:error")
    for part in ('id="facets"', 'id="histogram"', 'id="sums"', 'id="found"'):
        assert part in figures.text()
    twin = page.request.get(f"{shop.calls}/figures.json?q=outcome:error").json()
    assert twin["figures"]["summary"]["errors"] == twin["figures"]["summary"]["calls"] > 0


def test_the_json_twin_holds_what_the_page_shows(page: Page, new_shop: Shop) -> None:
    record = attrs.evolve(new_shop.maker().one(0), choices=(Choice(text="only this one", finish_reason="stop"),))
    new_shop.post(new_shop.maker(seed=4).one(1), record)
    new_shop.sign_in(page)
    answer = page.request.get(f"{new_shop.calls}.json?q=only+this")
    assert answer.headers["content-type"] == "application/json"
    context = answer.json()
    assert [row["record_id"] for row in context["page"]["rows"]] == [record.record_id]
    assert context["query"] == "only this"
    assert context["project"]["id"] == new_shop.project_id
