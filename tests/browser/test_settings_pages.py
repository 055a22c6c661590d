"""The settings, and the list of projects, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import attrs
import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from support.browser import Pages
from support.records import NASTY
from support.shop import Shop

pytestmark = pytest.mark.browser

TABS = ("", "/keys", "/people", "/providers", "/prices", "/data")
NARROW = {"width": 390, "height": 844}
SECRET = "sk-not-a-real-key-4711"


def settings(shop: Shop, tab: str = "") -> str:
    """The address of a tab."""
    return f"{shop.backend.url}/projects/{shop.project_id}/settings{tab}"


def opened(shop: Shop, pages: Pages, tab: str = "", **options: object) -> Page:
    """A tab, as an administrator sees it."""
    page = shop.sign_in(pages.open(**options))
    page.goto(settings(shop, tab))
    return page


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(100):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} cannot be reached with Tab")


def status_with(shop: Shop, key: str) -> int:
    """What the API answers to a key that asks for its project."""
    address = f"{shop.backend.api_base}/v2/projects/{shop.project_id}"
    return requests.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=10).status_code


def figures_of(page: Page) -> dict[str, str]:
    """The numbers of a strip, by what they are called."""
    names, values = (page.locator(f".strip {part}").all_inner_texts() for part in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def add_person(page: Page, shop: Shop, name: str, role: str = "reviewer") -> str:
    """Somebody new; their sign-in link."""
    page.goto(settings(shop, "/people"))
    form = page.locator("form", has=page.get_by_role("button", name="Add, and make a link"))
    form.get_by_label("Name").fill(name)
    form.get_by_role("radio", name=re.compile(role)).check()
    form.get_by_role("button").click()
    return page.locator("#made-link").inner_text()


@pytest.fixture
def reviewer(pages: Pages, new_shop: Shop) -> Iterator[Page]:
    """A reviewer's browser, at the settings; removed when the test ends."""
    name = f"Rita of {new_shop.name}"
    admin = opened(new_shop, pages)
    page = pages.open()
    page.goto(add_person(admin, new_shop, name))
    page.goto(settings(new_shop))
    yield page
    admin.goto(settings(new_shop, "/people"))
    admin.get_by_role("button", name=f"Remove {name}").first.click()
    admin.locator(".confirm:popover-open").get_by_role("button", name="Remove").click()
    expect(admin.get_by_role("status").first).to_contain_text("They are removed")


# --- projects ---------------------------------------------------------------------------------------------


def test_the_list_of_projects_counts_the_calls_of_a_day_and_leads_to_them(pages: Pages, new_shop: Shop) -> None:
    maker = new_shop.maker()
    new_shop.post(*(maker.one(number, age_s=5) for number in range(3)), maker.one(4, outcome="error", age_s=3))
    page = new_shop.sign_in(pages.open())
    page.goto(f"{new_shop.backend.url}/projects")
    row = page.get_by_role("row").filter(has_text=new_shop.project_id)
    expect(row.get_by_role("img")).to_have_accessible_name("4 calls by the hour, 1 of them failed")
    expect(row).to_contain_text("25 %")
    row.get_by_role("link", name="4", exact=True).click()
    expect(page.locator("table.calls tbody tr")).to_have_count(4)
    page.go_back()
    row.get_by_role("link", name="25 %").click()
    expect(page.locator("table.calls tbody tr")).to_have_count(1)


def test_a_new_project_is_made_and_leads_to_its_empty_calls(pages: Pages, new_shop: Shop) -> None:
    name = f"made in {new_shop.name}"
    page = new_shop.sign_in(pages.open())
    page.goto(f"{new_shop.backend.url}/projects")
    page.get_by_role("button", name="New project").click()
    page.get_by_label("Name").fill(name)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/projects/[^/]+/calls$"))
    expect(page.locator(".project")).to_have_text(name)


def test_a_project_is_renamed_and_keeps_how_long_it_keeps_calls(pages: Pages, new_shop: Shop) -> None:
    address = f"{new_shop.backend.api_base}/v2/projects/{new_shop.project_id}"
    headers = {"Authorization": f"Bearer {new_shop.api_key}"}
    requests.put(address, json={"retention_days": 30}, headers=headers, timeout=10).raise_for_status()
    page = opened(new_shop, pages)
    page.get_by_label("Name of the project").fill(f"renamed {new_shop.name}")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("status").first).to_have_text("The project has its new name.")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"renamed {new_shop.name}")
    assert requests.get(address, headers=headers, timeout=10).json()["retention_days"] == 30


# --- keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_a_key_is_shown_once_works_and_is_revoked(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    page = opened(new_shop, pages, "/keys", java_script_enabled=has_javascript)
    page.get_by_label("What it is for").fill("<b>web</b> app")
    page.get_by_label("It ends").select_option("90")
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#made-key").inner_text().strip()
    lines = page.locator("#made-lines").inner_text()
    assert f"FREEPLAY_LIKE_API_KEY={key}" in lines
    assert new_shop.backend.api_base in lines
    assert new_shop.project_id in lines
    page.get_by_role("link", name="Back to the keys").click()
    assert key.split("_")[2] not in page.content()
    row = page.get_by_role("row").filter(has_text="<b>web</b> app")
    expect(row.locator(".tag")).to_have_text(["ingest", "read"])
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Revoke the key").locator("visible=true").click()
    expect(page.locator(".note")).to_contain_text("The key has ended")
    assert status_with(new_shop, key) == 401
    page.get_by_text("1 that ended").click()
    expect(page.get_by_role("row").filter(has_text="<b>web</b> app")).to_contain_text("revoked")


def test_a_replaced_key_goes_on_for_as_long_as_was_chosen(pages: Pages, new_shop: Shop) -> None:
    page = opened(new_shop, pages, "/keys")
    page.get_by_role("button", name="Replace").first.click()
    page.get_by_label("The old key ends").locator("visible=true").select_option("at once")
    page.get_by_role("button", name="Make the new key").locator("visible=true").click()
    expect(page.locator(".once")).to_contain_text("has ended")
    assert status_with(new_shop, page.locator("#made-key").inner_text().strip()) == 200
    assert status_with(new_shop, new_shop.api_key) == 401


def test_a_key_is_made_with_the_keyboard_alone(pages: Pages, new_shop: Shop) -> None:
    page = opened(new_shop, pages)
    tab_to(page, page.get_by_role("navigation", name="Settings").get_by_role("link", name="Keys"))
    page.keyboard.press("Enter")
    page.wait_for_url(settings(new_shop, "/keys"))
    tab_to(page, page.get_by_label("What it is for"))
    page.keyboard.type("by hand")
    tab_to(page, page.get_by_role("checkbox", name=re.compile("^deploy")))
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator(".once")).to_contain_text("It may: ingest, read, deploy.")
    tab_to(page, page.get_by_role("link", name="Back to the keys"))
    page.keyboard.press("Enter")
    revoke = page.get_by_role("button", name="Revoke by hand")
    tab_to(page, revoke)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Revoke the key").locator("visible=true"))
    page.keyboard.press("Escape")
    expect(page.locator(".confirm:popover-open")).to_have_count(0)
    expect(revoke).to_be_focused()


def test_a_key_that_may_do_nothing_is_not_made(pages: Pages, new_shop: Shop) -> None:
    pages.expect("400 (Bad Request)")
    page = opened(new_shop, pages, "/keys")
    page.get_by_label("What it is for").fill("idle")
    for name in ("ingest", "read"):
        page.get_by_role("checkbox", name=re.compile(f"^{name}")).uncheck()
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("main")).to_contain_text("check at least one thing that it may do")
    page.goto(settings(new_shop, "/keys"))
    expect(page.get_by_role("row").filter(has_text="idle")).to_have_count(0)


# --- people -----------------------------------------------------------------------------------------------


def test_somebody_is_added_signs_in_once_and_is_signed_out_and_removed(pages: Pages, new_shop: Shop) -> None:
    pages.expect("401 (Unauthorized)")
    name = f"Grace of {new_shop.name}"
    page = opened(new_shop, pages)
    link = add_person(page, new_shop, name)
    theirs, late = pages.open(), pages.open()
    theirs.goto(link)
    expect(theirs.locator(".top")).to_contain_text(name)
    late.goto(link)
    expect(late.locator("main")).to_contain_text("This browser is not signed in")

    page.goto(settings(new_shop, "/people"))
    row = page.get_by_role("row").filter(has_text=name)
    expect(row.get_by_role("cell").nth(2)).to_have_text("1")
    row.get_by_role("button", name="Sign out").first.click()
    expect(page.locator(".confirm:popover-open")).to_contain_text("1 browser is signed in.")
    page.locator(".confirm:popover-open").get_by_role("button", name="Sign out everywhere").click()
    theirs.reload()
    expect(theirs.locator("main")).to_contain_text("This browser is not signed in")

    row.get_by_role("button", name="Change").click()
    page.locator(".confirm:popover-open").get_by_role("radio", name=re.compile("^admin")).check()
    page.locator(".confirm:popover-open").get_by_role("button", name="Save").click()
    expect(row.get_by_role("cell").first).to_have_text("admin")
    row.get_by_role("button", name="Remove").first.click()
    page.locator(".confirm:popover-open").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("row").filter(has_text=name)).to_have_count(0)


def test_somebody_renames_themselves_and_signs_out_their_other_browser(
    pages: Pages, new_shop: Shop, reviewer: Page
) -> None:
    pages.expect("401 (Unauthorized)")
    name = f"Rita of {new_shop.name}"
    admin = opened(new_shop, pages, "/people")
    row = admin.get_by_role("row").filter(has_text=name)
    row.get_by_role("button", name="Link").click()
    admin.locator(".confirm:popover-open").get_by_role("button", name="Make the link").click()
    second = pages.open()
    second.goto(admin.locator("#made-link").inner_text())
    second.goto(settings(new_shop, "/people"))
    second.get_by_role("button", name="Sign out your 1 other browser").click()
    expect(second.locator(".note")).to_contain_text("this one is not")
    reviewer.reload()
    expect(reviewer.locator("main")).to_contain_text("This browser is not signed in")
    second.get_by_label("Your name").fill(f"{name} the second")
    second.get_by_role("button", name="Rename").click()
    expect(second.locator(".top")).to_contain_text(f"{name} the second")
    second.get_by_label("Your name").fill(name)
    second.get_by_role("button", name="Rename").click()
    expect(second.locator(".note")).to_have_text("The change is saved.")


def test_a_reviewer_sees_every_tab_without_what_they_may_not_do(reviewer: Page, new_shop: Shop) -> None:
    new_shop.post(new_shop.maker().one(3))
    for tab in TABS:
        reviewer.goto(settings(new_shop, tab))
        expect(reviewer.get_by_role("heading", level=1)).to_be_visible()
        expect(reviewer.locator(".only-admins")).to_contain_text("Only administrators")
        expect(reviewer.locator(".only-admins")).to_contain_text("Admin")
        forms = reviewer.locator("main form").evaluate_all("forms => forms.map(form => form.getAttribute('action'))")
        assert all("/people/you/" in action for action in forms), (tab, forms)


def test_a_reviewer_who_sends_an_administrators_form_is_told_so(pages: Pages, reviewer: Page, new_shop: Shop) -> None:
    pages.expect("403 (Forbidden)")
    address = settings(new_shop)
    paths = ("/name", "/keys", "/keys/x/revoke", "/people", "/people/x/remove", "/providers/openai_chat", "/prices")
    origin = {"Origin": new_shop.backend.url}
    for path in (*paths, "/prices/again", "/data/retention", "/data/delete", "/data/project"):
        answer = reviewer.request.post(f"{address}{path}", form={"name": "x"}, headers=origin)
        assert answer.status == 403, path
        assert "Only an administrator may do this" in answer.text()
    reviewer.goto(settings(new_shop, "/data/delete?session=s"))
    expect(reviewer.locator("main")).to_contain_text("Only an administrator may do this: Admin")


# --- providers --------------------------------------------------------------------------------------------


def provider(page: Page, flavor: str) -> Locator:
    """The panel of a flavor."""
    return page.locator(".provider").filter(has=page.locator("code", has_text=re.compile(f"^{flavor}$")))


def test_another_address_clears_the_key_and_says_so_before_and_after(pages: Pages, new_shop: Shop) -> None:
    page = opened(new_shop, pages, "/providers")
    panel = provider(page, "openai_chat")
    panel.locator("summary").click()
    panel.get_by_label("Key", exact=True).fill(SECRET)
    panel.get_by_role("button", name="Save").click()
    expect(page.locator(".note")).to_have_text("The connection is saved.")
    expect(panel).to_contain_text("is set")
    assert SECRET not in page.content()

    panel.locator("summary").click()
    expect(panel).to_contain_text("Another address clears the key")
    panel.get_by_label(re.compile("^Address")).fill("http://127.0.0.1:9/v1")
    panel.get_by_role("button", name="Save").click()
    expect(page.locator(".note")).to_contain_text("the key was cleared")
    expect(panel).to_contain_text("not set")
    expect(panel).to_contain_text("http://127.0.0.1:9/v1")


def test_a_key_stays_where_the_address_does_and_is_never_shown(pages: Pages, new_shop: Shop) -> None:
    page = opened(new_shop, pages, "/providers")
    panel = provider(page, "azure_openai_chat")
    panel.locator("summary").click()
    panel.get_by_label("Address of the resource").fill("http://127.0.0.1:9")
    panel.get_by_label("API version").fill("2024-10-21")
    panel.get_by_label("Key", exact=True).fill(SECRET)
    panel.get_by_role("button", name="Save").click()
    panel.locator("summary").click()
    panel.get_by_label("API version").fill("2025-01-01")
    panel.get_by_role("button", name="Save").click()
    expect(page.locator(".note")).to_have_text("The connection is saved.")
    expect(panel).to_contain_text("2025-01-01")
    expect(panel).to_contain_text("is set")
    expect(panel).to_contain_text("by Admin")
    twin = page.request.get(f"{settings(new_shop, '/providers')}.json")
    assert twin.status == 200
    assert SECRET not in twin.text()
    assert "has_secret" in twin.text()
    panel.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove the connection").locator("visible=true").click()
    expect(panel).to_contain_text("Not connected")


# --- prices -----------------------------------------------------------------------------------------------


def test_a_model_without_a_price_gets_one_and_its_calls_are_priced_again(pages: Pages, new_shop: Shop) -> None:
    new_shop.post(*(new_shop.maker(seed).one(3) for seed in range(3)))
    page = opened(new_shop, pages, "/prices")
    unpriced = page.locator(".unpriced li")
    expect(unpriced).to_have_count(1)
    expect(unpriced.get_by_role("link", name="3 calls")).to_have_attribute("href", re.compile(r"/calls\?q="))
    unpriced.get_by_role("link", name="Set its price").click()
    form = page.locator("#new-price form")
    expect(form.get_by_label("Model or deployment")).to_have_value("smollm2-135m-instruct")
    form.get_by_label("Input").fill("1000")
    form.get_by_label("Output").fill("2000")
    form.get_by_role("button", name="Set the price").click()
    expect(page.get_by_role("row").filter(has_text="smollm2")).to_contain_text("$1000")
    page.get_by_role("button", name="Price again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls are priced again")
    figures = figures_of(page)
    assert figures["Looked at"] == "3"
    assert figures["Have another cost now"] == "3"
    assert figures["Cost before"] == "$0"
    assert figures["Cost now"] != "$0"
    page.get_by_role("link", name="Back to the prices").click()
    expect(page.locator(".unpriced li")).to_have_count(0)
    page.get_by_role("link", name="smollm2-135m-instruct").click()
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("button", name="Remove the price").locator("visible=true").click()
    expect(page.locator(".note")).to_contain_text("The price is gone")


def test_pricing_again_goes_on_where_it_stopped_and_adds_up(pages: Pages, new_shop: Shop) -> None:
    new_shop.post(new_shop.maker().one(0))
    page = opened(new_shop, pages, "/prices")
    so_far = {"calls": "200", "changed": "7", "unpriced": "5", "total": "201", "after": "1.1"}
    origin = {"Origin": new_shop.backend.url}
    answer = page.request.post(settings(new_shop, "/prices/again"), form=so_far, headers=origin)
    assert answer.status == 200
    assert re.search(r"Looked at</dt><dd>201<", answer.text())
    assert re.search(r"Have no price</dt><dd>5<", answer.text())


# --- data -------------------------------------------------------------------------------------------------


def test_retention_says_how_many_calls_it_deletes_before_it_does(pages: Pages, new_shop: Shop) -> None:
    maker = new_shop.maker()
    new_shop.post(maker.one(0, age_s=60), *(maker.one(number, age_s=40 * 86_400) for number in (1, 2)))
    page = opened(new_shop, pages, "/data")
    page.get_by_label("Days that calls are kept; empty for ever").fill("30")
    page.get_by_role("button", name="See what it does").click()
    expect(page.locator(".once")).to_contain_text("2 calls began before")
    page.get_by_role("link", name="2 calls").click()
    expect(page.locator("table.calls tbody tr")).to_have_count(2)
    page.go_back()
    page.get_by_role("button", name="Delete them, and keep the others 30 days").click()
    expect(page.locator(".note")).to_contain_text("is saved")
    expect(page.locator("main")).to_contain_text("30 days from when they began")
    page.get_by_label("Days that calls are kept; empty for ever").fill("")
    page.get_by_role("button", name="See what it does").click()
    page.get_by_role("button", name="Keep calls for ever").click()
    expect(page.locator("main")).to_contain_text("For ever.")


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_somebodys_data_is_counted_confirmed_and_deleted(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    pages.expect("400 (Bad Request)")
    maker = new_shop.maker()
    theirs = [attrs.evolve(maker.one(number), metadata={"user_id": "u-1"}) for number in range(2)]
    new_shop.post(*theirs, maker.one(3))
    page = opened(new_shop, pages, "/data", java_script_enabled=has_javascript)
    page.get_by_label("Key of metadata").fill("user_id")
    page.get_by_label("Its value").fill("u-1")
    page.get_by_role("button", name="Look").last.click()
    expect(page.locator(".once")).to_contain_text("At least 2 calls")
    page.get_by_label("Type").fill("delete everything")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator("main")).to_contain_text("nothing was deleted")
    page.go_back()
    page.get_by_label("Type").fill("delete 2 calls")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Deleted: user_id = u-1")
    expect(page.locator(".strip dd").first).to_have_text("2")
    page.goto(new_shop.calls)
    expect(page.locator("table.calls tbody tr")).to_have_count(1)


def test_a_session_is_looked_at_and_deleted(pages: Pages, new_shop: Shop) -> None:
    maker = new_shop.maker()
    new_shop.post(maker.one(0, session_id="s-1"), maker.one(1, session_id="s-2"))
    page = opened(new_shop, pages, "/data")
    page.get_by_label("Id of the session").fill("s-1")
    page.get_by_role("button", name="Look").first.click()
    expect(page.get_by_role("link", name="1 call", exact=True)).to_have_attribute("href", re.compile("/sessions/s-1$"))
    page.get_by_label("Type").fill("delete 1 call")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator(".strip dd").first).to_have_text("1")


def test_a_project_is_deleted_by_typing_its_name(pages: Pages, new_shop: Shop) -> None:
    new_shop.post(new_shop.maker().one(0))
    page = opened(new_shop, pages, "/data")
    page.get_by_role("button", name="Delete the project", exact=True).click()
    expect(page.locator(".confirm")).to_contain_text("1 call is deleted")
    page.get_by_label(f"Type {new_shop.name} to confirm").fill(new_shop.name)
    page.get_by_role("button", name="Delete the project for good").click()
    expect(page.locator(".note")).to_have_text("The project is deleted.")
    expect(page.get_by_role("row").filter(has_text=new_shop.project_id)).to_have_count(0)
    assert urlsplit(page.url).path == "/projects"


# --- every tab --------------------------------------------------------------------------------------------


def test_nothing_is_wider_than_a_phone_whatever_things_are_called(pages: Pages, new_shop: Shop) -> None:
    page = opened(new_shop, pages, viewport=NARROW)
    name = f"{new_shop.name} {'x' * 90} {NASTY}"[:200]
    page.get_by_label("Name of the project").fill(name)
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.goto(settings(new_shop, "/keys"))
    page.get_by_label("What it is for").fill(f"{'k' * 120}{NASTY}"[:200])
    page.get_by_role("button", name="Make the key").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for address in (*(settings(new_shop, tab) for tab in TABS), f"{new_shop.backend.url}/projects"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


def test_every_tab_is_json_too(pages: Pages, new_shop: Shop) -> None:
    page = opened(new_shop, pages)
    for tab in TABS:
        answer = page.request.get(f"{settings(new_shop, tab)}.json")
        assert answer.status == 200, tab
        assert answer.json()["common"]["project"]["id"] == new_shop.project_id
