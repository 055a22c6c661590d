"""Reviewing: verdicts and notes by key, queues with a cursor, agreement, and from a review to a dataset."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from freeplay_like.core.records import Record
from freeplay_like.server.store.accounts.people import Role
from support.browser import Pages
from support.records import NASTY, special_records
from support.shop import Shop
from support.waiting import until

pytestmark = pytest.mark.browser


def sign_in_as(pages: Pages, shop: Shop, name: str, role: Role = "reviewer", **options: object) -> Page:
    """A page of somebody's own, at the room."""
    name = f"{name} of {shop.name}"
    with shop.backend.store() as store:
        person = next((one for one in store.people.all() if one.name == name), None)
        person = person or store.people.create(name, role)
        token = store.people.create_sign_in_link(person.id)
    page = pages.open(**options)
    page.goto(f"{shop.backend.url}/sign-in?token={token}&next=/projects/{shop.project_id}/review")
    page.goto(room(shop))
    return page


def room(shop: Shop) -> str:
    return f"{shop.backend.url}/projects/{shop.project_id}/review"


def filled(shop: Shop, count: int = 4) -> list[Record]:
    """Some complete calls, in the order they arrived."""
    maker = shop.maker(seed=5)
    shop.records = [maker.one(number, age_s=600 - number) for number in range(count)]
    shop.post(*shop.records)
    return shop.records


def press(page: Page, key: str) -> None:
    """Press a key that leads to another page."""
    with page.expect_navigation():
        page.keyboard.press(key)


def question(page: Page, record: Record) -> None:
    expect(page.locator(".conversation article.user .text").last).to_have_text(record.messages[-1].text)


def scores(shop: Shop, record: Record) -> list[dict[str, object]]:
    """What was said of a call, as the API tells it."""
    answer = requests.get(
        f"{shop.backend.project_base.rpartition('/')[0]}/{shop.project_id}/sessions/{record.session_id}",
        headers={"Authorization": f"Bearer {shop.api_key}"},
        timeout=20,
    )
    answer.raise_for_status()
    return [said for sent in answer.json()["records"] for said in sent["amendments"]]


def test_a_queue_is_gone_through_with_the_keyboard_alone(pages: Pages, new_shop: Shop) -> None:
    first, second, third, fourth = filled(new_shop)
    page = sign_in_as(pages, new_shop, "Ada")
    page.get_by_role("button", name="Review these").focus()
    press(page, "Enter")
    question(page, first)
    press(page, "g")
    question(page, second)
    expect(page.get_by_role("status").filter(has_text="good")).to_contain_text(first.messages[-1].text)
    page.keyboard.press("n")
    page.keyboard.type("Never says the price.")
    press(page, "Control+Enter")
    question(page, second)  # a note does not move on
    expect(page.get_by_label("Note")).to_have_value("Never says the price.")
    page.locator("main").focus()
    press(page, "b")
    question(page, third)
    expect(page.locator(".progress")).to_contain_text("2 of 4 reviewed by me")
    press(page, "s")
    question(page, fourth)
    press(page, "[")
    question(page, third)
    press(page, "]")
    question(page, fourth)
    press(page, "g")
    expect(page.get_by_role("heading", name="The end of this queue")).to_be_visible()
    page.get_by_role("link", name="Go through the one that is left").focus()
    press(page, "Enter")
    question(page, third)
    press(page, "g")
    expect(page.get_by_role("heading", name="All reviewed")).to_be_visible()
    page.goto(f"{new_shop.calls}?q=score.review:bad")
    expect(page.locator("tbody .row-link")).to_have_count(1)
    expect(page.locator("tbody .row-link")).to_contain_text(second.messages[-1].text)


def test_undo_leads_back_to_the_call_without_its_verdict(pages: Pages, new_shop: Shop) -> None:
    first, second = filled(new_shop, 2)
    page = sign_in_as(pages, new_shop, "Ada")
    page.goto(f"{room(new_shop)}/calls")
    press(page, "b")
    question(page, second)
    press(page, "u")
    question(page, first)
    expect(page.get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".progress")).to_contain_text("0 of 2")


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_a_verdict_a_note_and_scores_are_given_and_taken_back(
    pages: Pages, new_shop: Shop, *, has_javascript: bool
) -> None:
    (record,) = filled(new_shop, 1)
    page = sign_in_as(pages, new_shop, "Ada", java_script_enabled=has_javascript)
    page.goto(f"{room(new_shop)}/calls?at={record.record_id}")
    page.get_by_label("Note").fill("Wrong day.\nSunday is closed.")
    page.get_by_text("Scores", exact=True).click()
    page.get_by_label("Name of another score").fill("accuracy")
    page.get_by_label("Value of the other score").fill("2")
    page.get_by_role("button", name="Bad").click()
    expect(page.get_by_role("heading", name="All reviewed")).to_be_visible()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("button", name="Bad", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Note")).to_have_value("Wrong day.\nSunday is closed.")
    expect(page.get_by_label("accuracy")).to_have_value("2")
    page.goto(f"{new_shop.calls}?q=score.accuracy:<3")
    expect(page.locator("tbody .row-link")).to_have_count(1)
    page.goto(f"{room(new_shop)}/calls?at={record.record_id}")
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_role("button", name="Bad", exact=True)).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_label("Note")).to_have_value("Wrong day.\nSunday is closed.")


def test_a_note_is_kept_that_is_typed_while_the_verdict_is_on_its_way(pages: Pages, new_shop: Shop) -> None:
    (record,) = filled(new_shop, 1)
    page = sign_in_as(pages, new_shop, "Ann Baker")
    page.goto(new_shop.call(record))
    page.keyboard.press("b")
    page.keyboard.press("n")
    page.keyboard.type("Stops in the middle.")
    page.keyboard.press("Control+Enter")

    def kept() -> list[tuple[str | None, str]]:
        with new_shop.backend.store() as store:
            project = store.projects.get(new_shop.project_id)
            assert project is not None
            reviews = store.reviews.of_calls(project, [record.record_id]).get(record.record_id, ())
        return [(review.verdict, review.note) for review in reviews]

    until(lambda: kept() == [("bad", "Stops in the middle.")], 20, "the verdict and the note")
    expect(page.get_by_label("Note")).to_have_value("Stops in the middle.")


def test_a_verdict_on_the_page_of_a_call_stays_there(pages: Pages, new_shop: Shop) -> None:
    (record,) = filled(new_shop, 1)
    page = sign_in_as(pages, new_shop, "Ada")
    page.goto(new_shop.call(record))
    good = page.get_by_role("button", name="Good", exact=True)
    good.focus()
    page.keyboard.press("Enter")
    expect(good).to_have_attribute("aria-pressed", "true")
    expect(good).to_be_focused()
    assert page.url == new_shop.call(record)
    page.keyboard.press("b")
    expect(page.get_by_role("button", name="Bad", exact=True)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("u")
    expect(page.get_by_role("button", name="Bad", exact=True)).to_have_attribute("aria-pressed", "false")


def test_rows_of_the_list_are_judged_by_key_and_show_it(pages: Pages, new_shop: Shop) -> None:
    first, second = filled(new_shop, 2)
    page = sign_in_as(pages, new_shop, "Ada")
    page.goto(new_shop.calls)
    page.keyboard.press("j")
    page.keyboard.press("g")
    row = page.locator("tr[data-review]", has_text=second.messages[-1].text)
    expect(row.get_by_title(re.compile("^Good: A.* \\(Ada of"))).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("b")
    other = page.locator("tr[data-review]", has_text=first.messages[-1].text)
    expect(other.get_by_title(re.compile("^Bad: "))).to_be_visible()
    page.keyboard.press("u")
    expect(other.locator(".verdict-mark")).to_have_count(0)
    expect(row.locator(".verdict-mark")).to_have_count(1)


def test_a_queue_that_is_a_saved_view_goes_on_where_each_person_was(pages: Pages, new_shop: Shop) -> None:
    first, second, third, _ = filled(new_shop)
    with new_shop.backend.store() as store:
        project = store.projects.get(new_shop.project_id)
        assert project is not None
        store.saved_views.create(project, name="Everything", query="", period=None, person_id=None)
    page = sign_in_as(pages, new_shop, "Ada")
    page.get_by_role("link", name="Begin Everything").click()
    question(page, first)
    page.get_by_role("button", name="Skip").click()
    question(page, second)
    press(page, "g")
    question(page, third)
    again = sign_in_as(pages, new_shop, "Ada")  # in another browser
    again.get_by_role("link", name="Go on with Everything").click()
    question(again, third)
    other = sign_in_as(pages, new_shop, "Bob")
    other.get_by_role("link", name="Begin Everything").click()
    question(other, first)
    other.get_by_role("link", name="Newest first").click()
    question(other, new_shop.records[-1])


def test_calls_that_arrive_later_are_appended(pages: Pages, new_shop: Shop) -> None:
    filled(new_shop, 1)
    page = sign_in_as(pages, new_shop, "Ada")
    page.goto(f"{room(new_shop)}/calls")
    press(page, "g")
    expect(page.get_by_role("heading", name="All reviewed")).to_be_visible()
    late = new_shop.maker(seed=6).one(2)
    new_shop.post(late)
    page.reload()
    question(page, late)


def test_what_others_said_is_hidden_until_one_has_said_something(pages: Pages, new_shop: Shop) -> None:
    (record,) = filled(new_shop, 1)
    at = f"{room(new_shop)}/calls?at={record.record_id}"
    page = sign_in_as(pages, new_shop, "Ada")
    page.goto(at)
    page.get_by_label("Note").fill("Much too long.")
    page.get_by_role("button", name="Bad").click()
    other = sign_in_as(pages, new_shop, "Bob")
    other.goto(at)
    expect(other.get_by_text("One other person reviewed this call")).to_be_visible()
    expect(other.get_by_text("Much too long.")).to_be_hidden()
    other.get_by_role("button", name="Good").click()
    other.get_by_role("link", name="Look again").click()
    expect(other.get_by_text("Much too long.")).to_be_visible()


def test_two_reviewers_are_compared_and_each_number_leads_to_its_calls(pages: Pages, new_shop: Shop) -> None:
    records = filled(new_shop)
    for name, verdicts in (("Ada", "ggbb"), ("Bob", "gbbg")):
        page = sign_in_as(pages, new_shop, name)
        page.goto(f"{room(new_shop)}/calls")
        for key in verdicts:
            press(page, key)
    page.goto(f"{room(new_shop)}/agreement")
    strip = page.locator(".strip")
    assert re.search(r"Judged by both\s+4\s+Agree\s+2\s+50 %\s+Disagree\s+2", strip.inner_text())
    assert re.search(r"Cohen's kappa\s+0\.00", strip.inner_text())
    assert page.locator("article.apart").count() == 2
    page.get_by_role("link", name=re.compile("^1 calls: Bob of .* good, Ada of .* bad$")).click()
    expect(page.locator("tbody .row-link")).to_have_count(1)
    expect(page.locator("tbody .row-link")).to_contain_text(records[3].messages[-1].text)
    page.go_back()
    strip.get_by_role("link", name="2").last.click()
    expect(page.locator("tbody .row-link")).to_have_count(2)


def test_agreement_needs_two(pages: Pages, new_shop: Shop) -> None:
    filled(new_shop, 1)
    page = sign_in_as(pages, new_shop, "Ada")
    page.goto(f"{room(new_shop)}/agreement")
    expect(page.get_by_role("heading", name="Two reviewers are needed")).to_be_visible()


def test_the_first_page_counts_and_each_number_leads_to_its_calls(pages: Pages, new_shop: Shop) -> None:
    filled(new_shop)
    page = sign_in_as(pages, new_shop, "Ada")
    page.goto(f"{room(new_shop)}/calls")
    for key in "ggb":
        press(page, key)
    page.goto(room(new_shop))
    assert re.search(
        r"Calls\s+4\s+Reviewed\s+3\s+75 %\s+Good\s+2\s+67 %\s+Bad\s+1", page.locator(".strip").inner_text()
    )
    for number, label in ((4, "Calls"), (3, "Reviewed"), (2, "Good"), (1, "Bad"), (3, "Reviewed by me")):
        cell = page.locator(".strip > div", has=page.get_by_text(label, exact=True))
        cell.get_by_role("link").click()
        expect(page.locator("tbody .row-link")).to_have_count(number)
        page.go_back()


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_a_call_becomes_a_test_case_with_the_answer_it_should_have_given(
    pages: Pages, new_shop: Shop, *, has_javascript: bool
) -> None:
    (record,) = filled(new_shop, 1)
    page = sign_in_as(pages, new_shop, "Ada", java_script_enabled=has_javascript)
    page.goto(f"{room(new_shop)}/calls?at={record.record_id}")
    page.get_by_text("With the answer it should have given").click()
    expect(page.get_by_label("What it should have said")).to_have_value(record.text)
    page.get_by_label("What it should have said").fill("It is 4.20 a loaf.")
    page.get_by_label("A new dataset").fill("regressions")
    page.get_by_role("button", name="Put into the dataset").click()
    expect(page.get_by_role("link", name="regressions")).to_be_visible()
    with new_shop.backend.store() as store:
        project = store.projects.get(new_shop.project_id)
        assert project is not None
        (holding,) = store.reviews.holding(project, record.record_id)
        case = store.test_cases.get(project, holding.dataset_id, holding.case_id)
    assert case.content.output == "It is 4.20 a loaf."
    assert case.content.inputs == record.variables


def test_what_is_refused_is_said_and_nothing_is_kept(pages: Pages, new_shop: Shop) -> None:
    (record,) = filled(new_shop, 1)
    page = sign_in_as(pages, new_shop, "Ada", java_script_enabled=False)
    pages.expect("status of 400")
    page.goto(f"{room(new_shop)}/calls?at={record.record_id}")
    page.get_by_text("Scores", exact=True).click()
    page.get_by_label("Name of another score").fill("review")
    page.get_by_label("Value of the other score").fill("bad")
    page.get_by_role("button", name="Good").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This could not be done")
    page.goto(f"{room(new_shop)}/calls?at={record.record_id}")
    expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "false")


def test_hostile_text_stays_text(pages: Pages, new_shop: Shop) -> None:
    nasty = special_records(new_shop.project_id)["nasty"]
    new_shop.post(nasty)
    page = sign_in_as(pages, new_shop, "Ada")
    at = f"{room(new_shop)}/calls?at={nasty.record_id}"
    page.goto(at)
    page.get_by_label("Note").fill(NASTY)
    page.get_by_role("button", name="Bad").click()
    other = sign_in_as(pages, new_shop, "Bob")
    other.goto(at)
    other.get_by_role("button", name="Good").click()
    other.get_by_role("link", name="Look again").click()
    expect(other.locator(".said .text")).to_have_text(NASTY)
    other.goto(f"{room(new_shop)}/agreement")
    expect(other.locator(".said .text")).to_have_text(NASTY)


def test_nothing_is_wider_than_a_small_screen(pages: Pages, new_shop: Shop) -> None:
    filled(new_shop, 2)
    for name in ("Ada", "Bob"):
        page = sign_in_as(pages, new_shop, name, viewport={"width": 390, "height": 844})
        page.goto(f"{room(new_shop)}/calls")
        page.get_by_role("button", name="Good").click()
        expect(page.locator(".just-said")).to_be_visible()
    for place in ("", "/calls", "/agreement", f"/calls?at={new_shop.records[0].record_id}"):
        page.goto(room(new_shop) + place)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place


def test_a_review_is_part_of_what_the_api_tells(pages: Pages, new_shop: Shop) -> None:
    record = new_shop.maker(seed=5).one(1, session_id=new_shop.maker().new_id(new_shop.maker().now))
    new_shop.post(record)
    page = sign_in_as(pages, new_shop, "Ada")
    page.goto(f"{room(new_shop)}/calls")
    page.get_by_label("Note").fill("Fine.")
    page.get_by_role("button", name="Good").click()
    expect(page.locator(".just-said")).to_be_visible()
    (said,) = scores(new_shop, record)
    assert said["scores"] == {"review": "good"}
    assert said["comments"] == {"note": "Fine."}
    assert said["reviewer"] == f"Ada of {new_shop.name}"
