"""Every kind of page there is, found by its links: what holds for all of them.

On a server with 200,000 generated calls, and a project with something of everything, a real model's answers among it.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from support.axe import violations
from support.browser import Pages
from support.crawl import Kind, crawl
from support.whole_shop import WholeShop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1_200)]  # the first test waits for the store to be filled

_LOADED = """() => performance.getEntriesByType("resource").map((each) =>
  ({name: each.name, kind: each.initiatorType, size: each.decodedBodySize}))"""

MOST_KINDS = 90
SCRIPT_LIMIT_BYTES = 100_000
NARROW = {"width": 390, "height": 800}
ZOOMED = {"width": 320, "height": 256}
"""What is left of 1280 by 1024 at 400 %."""

ROOMS = ("calls", "sessions", "review", "templates", "playground", "datasets", "test-runs", "health", "settings")


@pytest.fixture(scope="module")
def kinds(browser: Browser, whole: WholeShop) -> dict[Kind, str]:
    """One address of each kind of page."""
    opened = Pages(browser)
    page = whole.shop.sign_in(opened.open())
    found = crawl(page, whole.at("calls"), MOST_KINDS)
    for room in ROOMS:
        found.setdefault(Kind.of(whole.at(room)), whole.at(room))
    for kind, ids in (("version", whole.versions), ("run", whole.runs)):
        address = whole.at(f"compare?{kind}={ids[0]}&{kind}={ids[1]}")
        found.setdefault(Kind.of(address), address)
    assert opened.close() == [], "nothing complained while every page was opened"
    return found


@pytest.fixture(scope="module")
def places(kinds: dict[Kind, str]) -> list[str]:
    """One address of each path."""
    return list({kind.path: address for kind, address in reversed(kinds.items())}.values())


def signed_in(pages: Pages, whole: WholeShop, **options: object) -> Page:
    return whole.shop.sign_in(pages.open(**options))


def test_the_links_lead_to_every_room(kinds: dict[Kind, str], whole: WholeShop) -> None:
    paths = {kind.path for kind in kinds}
    assert {f"/projects/*/{room}" for room in ROOMS} <= paths
    for place in ("calls/*", "sessions/*", "templates/*/versions/*", "datasets/*", "test-runs/*", "compare"):
        assert f"/projects/*/{place}" in paths, place


def test_every_page_is_there_and_breaks_no_rule_of_accessibility(
    pages: Pages, whole: WholeShop, kinds: dict[Kind, str]
) -> None:
    page = signed_in(pages, whole)
    found = {}
    for address in kinds.values():
        answer = page.goto(address)
        assert answer is not None
        said = violations(page)
        page.emulate_media(color_scheme="dark")
        said += [f"dark: {each}" for each in violations(page)]
        page.emulate_media(color_scheme="light")
        if answer.status != 200 or page.locator("h1").count() != 1 or said:
            found[address] = (answer.status, page.locator("h1").count(), said)
    assert found == {}


@pytest.mark.parametrize("size", [NARROW, ZOOMED], ids=["390 pixels wide", "1280 pixels at 400 %"])
def test_no_page_is_wider_than_the_window(
    pages: Pages, whole: WholeShop, places: list[str], size: dict[str, int]
) -> None:
    page = signed_in(pages, whole, viewport=size)
    wide = {}
    for address in places:
        page.goto(address)
        width = page.evaluate("() => document.documentElement.scrollWidth")
        if width > size["width"]:
            wide[address] = width
    assert wide == {}


def test_every_page_says_the_same_without_javascript(pages: Pages, whole: WholeShop, places: list[str]) -> None:
    plain, scripted = signed_in(pages, whole, java_script_enabled=False), signed_in(pages, whole)
    missing = {}
    for address in places:
        plain.goto(address)
        scripted.goto(address)
        heading = scripted.locator("h1").first.inner_text()
        if plain.locator("h1").first.inner_text() != heading or plain.locator("main").inner_text().strip() == "":
            missing[address] = heading
    assert missing == {}


def test_no_page_loads_much_script_or_anything_from_elsewhere(
    pages: Pages, whole: WholeShop, places: list[str]
) -> None:
    page = signed_in(pages, whole)
    heavy, elsewhere = {}, []
    for address in places:
        page.goto(address, wait_until="load")
        loaded: list[dict[str, object]] = page.evaluate(_LOADED)
        size = sum(int(str(each["size"])) for each in loaded if each["kind"] == "script")
        if not 0 < size < SCRIPT_LIMIT_BYTES:
            heavy[address] = size
        elsewhere += [each["name"] for each in loaded if not str(each["name"]).startswith(whole.shop.backend.url)]
    assert heavy == {}
    assert elsewhere == []


@pytest.mark.over("sqlite")
def test_two_hundred_thousand_calls_are_listed_found_and_opened(pages: Pages, whole: WholeShop) -> None:
    backend = whole.shop.backend
    page = signed_in(pages, whole)
    page.goto(f"{backend.url}/projects/{backend.project_id}/calls")
    assert page.locator("tbody tr").count() == 50
    page.goto(f"{backend.url}/projects/{backend.project_id}/calls?q=outcome:error+latency:>2s")
    rows = page.locator("tbody a.row-link")
    assert rows.count() == 50
    page.goto(str(rows.first.evaluate("(link) => link.href")))
    assert "error" in page.locator("h1").inner_text()
