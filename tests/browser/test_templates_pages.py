"""Templates: the tree, versions, what changed, the editor, and environments that are moved."""

from __future__ import annotations

import re
import time

import attrs
import pytest
import requests
from playwright.sync_api import Page, expect

from freeplay_like.core.template_files import from_text
from freeplay_like.core.templates import TemplateMessage
from freeplay_like.core.wire import JsonObject
from support.browser import Pages
from support.records import NASTY
from support.shop import Shop
from support.waiting import until

NARROW = {"width": 390, "height": 800}


def version(shop: Shop, *texts: str, name: str = "shop/answer", **more: object) -> JsonObject:
    """A version of a template, with a system message and a user's; what the API answers."""
    roles = ("system", "user")
    body = {"template_messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]}
    address = f"{shop.backend.api_base}/v2/projects/{shop.project_id}/prompt-templates/name/{name}/versions"
    made = requests.post(
        address, json={**body, **more}, headers={"Authorization": f"Bearer {shop.api_key}"}, timeout=20
    )
    assert made.status_code == 201, made.text
    return made.json()


def address(shop: Shop, made: JsonObject, place: str = "") -> str:
    """A template's page, or one below it."""
    return f"{shop.backend.url}/projects/{shop.project_id}/templates/{made['prompt_template_id']}{place}"


def templates(shop: Shop) -> str:
    return f"{shop.backend.url}/projects/{shop.project_id}/templates"


@pytest.fixture
def three(new_shop: Shop) -> list[JsonObject]:
    """Three versions of `shop/answer`: the first in prod, the last in staging."""
    return [
        version(new_shop, "Be warm.\nHelp {{customer}}.", "{{question}}", environments=["prod"], model="gpt-4o-mini"),
        version(new_shop, "Be friendly.\nHelp {{customer}}.", "{{question}}", llm_parameters={"temperature": 0.2}),
        version(
            new_shop,
            "Be brief.\nHelp {{customer}}.\nIn {{city}}.",
            "{{question}}",
            llm_parameters={"temperature": 0.4},
            environments=["staging"],
        ),
    ]


def test_the_tree_counts_calls_and_each_number_leads_to_them(
    page: Page, new_shop: Shop, three: list[JsonObject]
) -> None:
    version(new_shop, "Greet.", "{{name}}", name="greeting")
    records = [
        attrs.evolve(record, template=attrs.evolve(record.template, name="shop/answer", version=str(1 + number % 3)))
        for number, record in enumerate(new_shop.maker().make(24))
        if record.template is not None
    ]
    new_shop.post(*records)
    new_shop.sign_in(page)
    page.goto(templates(new_shop))
    row = page.locator("tr", has=page.get_by_role("link", name="answer", exact=True))
    expect(row).to_contain_text("prod 1")
    expect(row).to_contain_text("staging 3")
    expect(page.locator("tr.folder")).to_have_text("shop")
    week, failed = row.locator("td.num a.number").nth(1), row.locator("a.number.worse")
    assert week.inner_text() == "24"
    errors = sum(record.outcome == "error" for record in records)
    assert failed.inner_text() == f"{100 * errors / 24:.1f} %"
    failed.click()
    until(lambda: page.locator("tbody tr[id^=call-]").count() == errors)
    page.go_back()
    page.get_by_label("Search by name").fill("greet")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="answer", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="greeting", exact=True)).to_be_visible()
    twin = page.request.get(f"{templates(new_shop)}.json").json()
    assert [folder["path"] for folder in twin["folders"]] == ["", "shop"]


def test_with_the_keyboard_alone_a_version_is_written_and_an_environment_moved(
    page: Page, new_shop: Shop, three: list[JsonObject]
) -> None:
    new_shop.sign_in(page)
    page.goto(templates(new_shop))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/answer@3")
    page.keyboard.press("e")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/answer")
    page.locator("#m0-text").focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nUse {{currency}}.")
    page.locator("#variables").focus()
    page.keyboard.type('{"customer": "Ada", "city": "Bonn", "question": "Rye?"}')
    page.keyboard.press("Control+Enter")
    expect(page.locator("#rendering .problems")).to_have_text("Variables: no value for currency")
    expect(page.locator("#said")).to_have_text("1 problem")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/answer@4")
    expect(page.get_by_role("status").first).to_have_text("Saved as a new version.")
    page.get_by_role("link", name="Move prod here").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Move prod to version 4?")
    expect(page.locator("ins", has_text="currency")).to_be_visible()
    page.keyboard.type("it knows the currency")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/answer@4")
    moved = page.locator("section", has=page.get_by_role("heading", name="Moves of environments")).locator("tbody tr")
    expect(moved.first).to_contain_text("Admin")
    expect(moved.first).to_contain_text("it knows the currency")
    page.get_by_role("link", name="Move prod back to version 1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Move prod to version 1?")


def test_what_is_wrong_is_shown_as_it_is_typed_and_each_leads_to_its_place(
    page: Page, new_shop: Shop, three: list[JsonObject]
) -> None:
    new_shop.sign_in(page)
    page.goto(address(new_shop, three[0], "/edit"))
    page.locator("#m0-text").fill("Hello\n  {{#open}}")
    page.locator("#parameters").fill('{"temperature": }')
    problems = page.locator("#rendering .problems li")
    expect(problems).to_have_text(
        [
            re.compile("^Message 1, line 2:3: section 'open' is never closed"),
            re.compile("^Parameters, line 1:17: this is not JSON"),
            re.compile("no value for question"),
        ]
    )
    problems.nth(1).get_by_role("link").click()
    expect(page.locator("#parameters")).to_be_in_viewport()
    page.locator("#m0-text").fill("Hello {{name}}")
    page.locator("#parameters").fill("")
    page.locator("#variables").fill('{"name": "<b>Ada</b>", "question": "x", "shop": 3}')
    expect(page.locator("#rendering")).to_contain_text("Renders")
    expect(page.locator("#rendering")).to_contain_text("Not used by the template: shop")
    expect(page.locator("#rendering mark").first).to_have_text("<b>Ada</b>")


def test_values_come_from_a_recorded_call(page: Page, new_shop: Shop, three: list[JsonObject]) -> None:
    record = new_shop.maker().one(1)
    assert record.template is not None
    new_shop.post(attrs.evolve(record, template=attrs.evolve(record.template, name="shop/answer")))
    new_shop.sign_in(page)
    page.goto(address(new_shop, three[0], "/edit"))
    expect(page.locator("#rendering")).to_contain_text("Émile Zola")
    page.locator("#variables").fill("{}")
    expect(page.locator("#example")).to_have_value("")
    expect(page.locator("#rendering .problems li")).to_have_count(3)
    page.locator("#example").select_option(index=1)
    expect(page.locator("#variables")).to_have_value(re.compile("Émile Zola"))
    expect(page.locator("#rendering")).to_contain_text("Renders")


def test_messages_are_added_moved_and_removed_and_the_next_key_goes_on_there(
    page: Page, new_shop: Shop, three: list[JsonObject]
) -> None:
    new_shop.sign_in(page)
    page.goto(address(new_shop, three[0], "/edit"))
    page.locator("#m1-text").fill("typed")
    page.get_by_role("button", name="Add a message").click()
    expect(page.locator("#m2-text")).to_be_focused()
    page.keyboard.type("third")
    page.get_by_role("button", name="Move message 3 up").click()
    expect(page.locator("#m1-text")).to_have_value("third")
    expect(page.locator("#m2-text")).to_have_value("typed")
    page.get_by_role("button", name="Remove message 1").click()
    expect(page.locator("#m0-text")).to_be_focused()
    expect(page.locator("#m0-text")).to_have_value("third")
    page.get_by_label("Role of message 2").select_option("history")
    expect(page.locator("#m1-text")).to_be_visible()  # it has a text, which is not thrown away
    expect(page.locator("#rendering .problems")).to_contain_text("Message 2")
    page.locator("#m1-text").fill("")
    expect(page.locator("#rendering .problems")).to_have_count(0)
    page.locator("#save").click()
    expect(page.locator("article.turn")).to_have_count(2)
    expect(page.locator("article.history")).to_be_visible()


def test_without_javascript_a_template_is_written_with_all_input_kept(pages: Pages, new_shop: Shop) -> None:
    page = new_shop.sign_in(pages.open(java_script_enabled=False))
    page.goto(f"{templates(new_shop)}")
    page.get_by_role("link", name="New template").click()
    page.get_by_label("Name", exact=True).fill("shop/new")
    page.locator("#m0-text").fill("Hello {{name}}")
    page.locator("#m1-text").fill("{{question")
    page.locator("#parameters").fill("[]")
    page.locator("#variables").fill('{"name": "Ada"}')
    page.get_by_role("button", name="Add a message").click()
    expect(page.locator("#m2-role")).to_have_value("assistant")
    expect(page.locator("#m0-text")).to_have_value("Hello {{name}}")
    page.get_by_role("button", name="Remove message 3").click()
    expect(page.locator("#rendering article").first).to_contain_text("Hello Ada")
    pages.expect("400")
    page.get_by_role("button", name="Save as new version").click()
    expect(page.locator(".problem.inside li")).to_have_text(
        [re.compile("^Message 2, line 1:1"), re.compile("^Parameters: parameters are an object")]
    )
    expect(page.locator("#parameters")).to_have_attribute("aria-invalid", "true")
    page.locator("#m1-text").fill("{{question}}")
    page.locator("#parameters").fill("")
    page.get_by_role("button", name="Save as new version").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/new@1")


def test_a_version_that_somebody_else_made_meanwhile_is_told_and_nothing_is_lost(
    pages: Pages, new_shop: Shop, three: list[JsonObject]
) -> None:
    page = new_shop.sign_in(pages.open())
    page.goto(address(new_shop, three[0], "/edit"))
    page.locator("#m0-text").fill("Mine")
    version(new_shop, "Theirs", "{{question}}")
    pages.expect("409")
    page.locator("#save").click()
    expect(page.locator("#notice")).to_contain_text("Version 4 appeared while you were writing.")
    expect(page.locator("#m0-text")).to_have_value("Mine")
    page.get_by_role("button", name="Save after version 4").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/answer@5")


def test_the_same_content_is_no_new_version_unless_it_is_wanted(
    pages: Pages, new_shop: Shop, three: list[JsonObject]
) -> None:
    page = new_shop.sign_in(pages.open())
    page.goto(address(new_shop, three[0], f"/edit?version={three[0]['prompt_template_version_id']}"))
    pages.expect("409")
    page.locator("#save").click()
    expect(page.locator("#notice")).to_contain_text("Version 1 says exactly this already")
    page.get_by_label("Make a new version that says the same").check()
    page.locator("#save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/answer@4")


def test_a_name_that_is_taken_is_told(pages: Pages, new_shop: Shop, three: list[JsonObject]) -> None:
    page = new_shop.sign_in(pages.open())
    page.goto(f"{templates(new_shop)}/new?name=shop/answer")
    page.locator("#m0-text").fill("Mine")
    pages.expect("409")
    page.locator("#save").click()
    expect(page.locator(".problem.inside")).to_contain_text("there is a template 'shop/answer' already")
    expect(page.locator("#m0-text")).to_have_value("Mine")


def test_leaving_asks_where_input_would_be_lost(pages: Pages, new_shop: Shop, three: list[JsonObject]) -> None:
    page = new_shop.sign_in(pages.open())
    page.goto(address(new_shop, three[0], "/edit"))
    page.locator("#variables").fill("{}")  # an example is nothing that is kept
    page.get_by_role("link", name="shop/answer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/answer@3")
    page.keyboard.press("e")
    page.locator("#m0-text").fill("Mine")
    pages.expect("dialog: ")
    with page.expect_event("dialog") as asked:
        page.get_by_role("link", name="shop/answer").click(no_wait_after=True)
    assert asked.value.type == "beforeunload"
    expect(page.locator("#m0-text")).to_have_value("Mine")


def test_what_changed_is_shown_word_by_word_in_two_views(page: Page, new_shop: Shop, three: list[JsonObject]) -> None:
    new_shop.sign_in(page)
    page.goto(address(new_shop, three[0], "/diff"))
    expect(page.get_by_role("heading", level=1)).to_have_text("What changed from version 2 to 3")
    message = page.locator(".text-change", has_text="Message 1 (system)")
    expect(message.locator("tr.removed del")).to_have_text("friendly")
    expect(message.locator("tr.added ins").first).to_have_text("brief")
    values = page.get_by_role("region", name="Parameters").locator("tbody tr")
    expect(values).to_have_text(re.compile(r"temperature\s*0\.2\s*0\.4"))
    page.keyboard.press("s")
    expect(message.locator("tr.changed .old")).to_contain_text("friendly")
    expect(message.locator("tr.changed .new")).to_contain_text("brief")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", level=1)).to_have_text("What changed from version 1 to 2")
    assert "view=sides" in page.url
    with page.expect_navigation():  # a key is for the page that is there
        page.keyboard.press("u")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_have_text("What changed from version 2 to 3")
    page.get_by_label("From", exact=True).select_option(label="3 staging")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Both say the same")).to_be_visible()


def test_an_environment_that_moved_meanwhile_is_not_moved_again(
    pages: Pages, new_shop: Shop, three: list[JsonObject]
) -> None:
    page = new_shop.sign_in(pages.open())
    page.goto(address(new_shop, three[0], f"/move?environment=prod&version={three[2]['prompt_template_version_id']}"))
    version(new_shop, "Be friendly.\nHelp {{customer}}.", "{{question}}", llm_parameters={"temperature": 0.2},
            environments=["prod"])  # fmt: skip
    pages.expect("409")
    page.get_by_role("button", name="Move prod to version 3").click()
    expect(page.get_by_text("somebody has moved environment 'prod' since", exact=False)).to_be_visible()


def test_a_protected_environment_wants_an_administrator_and_a_reason(
    pages: Pages, new_shop: Shop, three: list[JsonObject]
) -> None:
    page = new_shop.sign_in(pages.open())
    page.goto(templates(new_shop))
    page.get_by_role("link", name="Environments").click()
    row = page.locator("tr", has=page.get_by_role("link", name="prod", exact=True))
    row.get_by_label("protected").check()
    row.get_by_role("button", name="Change").click()
    expect(row.locator(".tag")).to_have_text("protected")
    move = address(new_shop, three[0], f"/move?environment=prod&version={three[2]['prompt_template_version_id']}")
    page.goto(move)
    page.get_by_role("button", name="Move prod").click()
    expect(page.get_by_label("Why")).to_be_focused()  # the browser wants it
    reviewer = sign_in_reviewer(pages, new_shop)
    reviewer.goto(move)
    expect(reviewer.get_by_text("Only an administrator may move prod")).to_be_visible()
    pages.expect("403")
    refused = reviewer.request.post(
        address(new_shop, three[0], "/move"),
        form={
            "environment": "prod",
            "version": str(three[2]["prompt_template_version_id"]),
            "at": str(three[0]["prompt_template_version_id"]),
            "reason": "please",
        },
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert refused.status == 403
    page.get_by_label("Why").fill("tried for a week")
    page.get_by_role("button", name="Move prod").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/answer@3")
    expect(page.get_by_role("region", name="Moves of environments")).to_contain_text("tried for a week")


def sign_in_reviewer(pages: Pages, shop: Shop) -> Page:
    """A page where a reviewer is signed in."""
    with shop.backend.store() as store:
        person = store.people.create(f"Rita {time.monotonic_ns()}", "reviewer")
        token = store.people.create_sign_in_link(person.id)
    page = pages.open()
    page.goto(f"{shop.backend.url}/sign-in?token={token}")
    return page


def test_environments_are_made_renamed_and_deleted(pages: Pages, new_shop: Shop, three: list[JsonObject]) -> None:
    page = new_shop.sign_in(pages.open())
    page.goto(f"{new_shop.backend.url}/projects/{new_shop.project_id}/environments")
    expect(page.get_by_role("region", name="Versions by environment")).to_contain_text("2 behind")
    page.locator("form.panel").get_by_label("Name").fill("canary")
    page.get_by_role("button", name="Make it").click()
    row = page.locator("tr", has=page.get_by_role("link", name="canary", exact=True))
    row.get_by_label("Name of canary").fill("early")
    row.get_by_role("button", name="Change").click()
    expect(page.get_by_role("link", name="early", exact=True)).to_be_visible()
    pages.expect("409")
    page.locator("form.panel").get_by_label("Name").fill("prod")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#problem")).to_contain_text("There is an environment 'prod' already")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="early", exact=True)).to_have_count(0)


def test_a_version_is_a_file_and_code_and_is_put_away(page: Page, new_shop: Shop, three: list[JsonObject]) -> None:
    new_shop.sign_in(page)
    page.goto(address(new_shop, three[0], f"/versions/{three[1]['prompt_template_version_id']}"))
    with page.expect_download() as loading:
        page.get_by_role("link", name="File").click()
    assert loading.value.suggested_filename == "answer.prompt"
    read = from_text(loading.value.path().read_text(), name="shop/answer")
    assert read.messages[0] == TemplateMessage(role="system", content="Be friendly.\nHelp {{customer}}.")
    assert '"customer": ..., "question": ...' in page.locator("#code").inner_text()
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Put version 2 away").click()
    expect(page.get_by_role("status").first).to_have_text("The version was put away.")
    expect(page.get_by_role("region", name="Versions").locator("tbody tr")).to_have_count(2)
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Put the template away").click()
    expect(page.get_by_role("heading", name="No templates yet")).to_be_visible()
    page.goto(address(new_shop, three[0], f"/versions/{three[2]['prompt_template_version_id']}"))
    expect(page.get_by_text("This template was put away")).to_be_visible()


def test_every_page_is_json_too(page: Page, new_shop: Shop, three: list[JsonObject]) -> None:
    new_shop.sign_in(page)
    move = f"/move.json?environment=prod&version={three[2]['prompt_template_version_id']}"
    for place in (".json", "/edit.json", "/diff.json", move):
        answer = page.request.get(address(new_shop, three[0], place))
        assert answer.status == 200, place
        assert answer.json()["template"]["name"] == "shop/answer"
    shown = page.request.get(address(new_shop, three[0], ".json")).json()["content"]
    assert (shown["version"], shown["variables"]) == ("3", ["customer", "city", "question"])
    assert page.request.get(f"{templates(new_shop)}/new.json").json()["template"] is None
    environments = page.request.get(f"{templates(new_shop)[:-9]}environments.json").json()
    assert [each["name"] for each in environments["environments"]] == ["prod", "staging"]


def test_hostile_text_stays_text(page: Page, new_shop: Shop) -> None:
    made = version(
        new_shop,
        NASTY.replace("{{7*7}}", ""),
        "x",
        name=NASTY.replace("/", "|").replace("{{7*7}}", ""),
        version_name=NASTY[:150],
        version_description=NASTY,
        environments=["<b>prod"],
        llm_parameters={"<i>": NASTY},
    )
    new_shop.sign_in(page)
    for place in ("", "/edit", "/move?environment=<u>&version=" + str(made["prompt_template_version_id"])):
        page.goto(address(new_shop, made, place))
        assert page.locator("main script, main img, main b:not(.pointer b), main i, main u").count() == 0
    page.goto(templates(new_shop))
    expect(page.locator("tbody a").first).to_contain_text("<script>")


@pytest.mark.parametrize("java_script", [True, False], ids=["with script", "without"])
def test_nothing_is_wider_than_a_narrow_window(
    pages: Pages, new_shop: Shop, three: list[JsonObject], java_script: bool
) -> None:
    page = new_shop.sign_in(pages.open(viewport=NARROW, java_script_enabled=java_script))
    new_shop.post(*new_shop.maker().make(6))
    move = f"/move?environment=prod&version={three[2]['prompt_template_version_id']}"
    for place in ("", "/edit", "/diff", "/diff?view=sides", move):
        page.goto(address(new_shop, three[0], place))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
    for other in (templates(new_shop), f"{templates(new_shop)}/new", f"{templates(new_shop)[:-9]}environments"):
        page.goto(other)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), other
