"""The page of one call, of a session, and the words for what is not there."""

from __future__ import annotations

import re

import attrs
import pytest
from playwright.sync_api import Page, expect

from freeplay_like.core.limits import Attempt
from support.browser import Pages
from support.records import NASTY
from support.shop import Shop

pytestmark = pytest.mark.browser


def section(page: Page, heading: str) -> str:
    return page.locator("section", has=page.get_by_role("heading", name=heading, exact=True)).last.inner_text()


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_shows_the_whole_call(pages: Pages, shop: Shop, *, has_javascript: bool) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=has_javascript))
    record = shop.special["plain"]
    page.goto(shop.call(record))
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("complete")
    expect(heading).to_contain_text("claude-sonnet-4-5 → claude-sonnet-4-5-20250929")
    expect(page.locator("article.user .text")).to_have_text(record.messages[-1].text)
    expect(page.locator("article.reply .text")).to_have_text(record.text)
    assert "Émile Zola" in section(page, "Variables")
    assert re.search(r"temperature\s+0\.3\s+0\.5 session\s+0\.7 template\s+call", section(page, "Parameters"))
    assert re.search(r"top_p\s+not sent\s+0\.9 template\s+session", section(page, "Parameters"))
    assert re.search(r"Chunks\s+\d+", section(page, "Timings"))
    expect(page.get_by_role("img", name="Characters over time")).to_be_visible()
    assert "from cache" in section(page, "Tokens")
    assert str(record.request_id) in section(page, "Ids")
    page.get_by_text("Request as sent").click()
    expect(page.locator(".raw pre").first).to_contain_text('"model": "claude-sonnet-4-5"')


def test_marks_the_values_of_variables_in_the_prompt(page: Page, shop: Shop) -> None:
    shop.sign_in(page).goto(shop.call(shop.special["plain"]))
    expect(page.locator("article.system mark").first).to_have_text("Émile Zola")
    expect(page.locator("article.system mark").first).to_have_attribute("title", "customer")


def test_shows_tool_calls_reasoning_and_parts_that_are_not_text(page: Page, shop: Shop) -> None:
    shop.sign_in(page).goto(shop.call(shop.special["tools"]))
    expect(page.get_by_text("The model asked for tools.")).to_be_visible()
    expect(page.locator("article.assistant:not(.reply) pre")).to_contain_text('"item": "rye bread"')
    expect(page.locator("article.reply pre")).to_have_text('{"item":"baguette"')  # cut off: shown as it came
    expect(page.locator("article.tool")).to_contain_text('{"left": 4}')
    page.locator(".reasoning summary").click()
    expect(page.locator(".reasoning .text")).to_contain_text("The picture shows a baguette.")
    expect(page.get_by_text("image_url").first).to_be_visible()
    expect(page.locator("article.system details")).not_to_have_attribute("open", "")


@pytest.mark.parametrize(
    ("name", "explanation"),
    [
        ("killed", "The process ended before the call did: this is what had arrived."),
        ("refused", "The model, or a filter of the provider's, declined to answer."),
        ("bare", "No answer has arrived"),
    ],
)
def test_explains_how_a_call_ended(page: Page, shop: Shop, name: str, explanation: str) -> None:
    shop.sign_in(page).goto(shop.call(shop.special[name]))
    expect(page.locator(".explanation")).to_contain_text(explanation)


def test_shows_what_failed_and_why(page: Page, shop: Shop) -> None:
    record = next(record for record in shop.records if record.error and record.error.status == 429)
    shop.sign_in(page).goto(shop.call(record))
    failure = page.get_by_role("region", name="Error")
    for text in ("ProviderRateLimited", "429", "rate_limit_error", "may succeed later", "RateLimitError"):
        expect(failure).to_contain_text(text)


def test_what_a_model_or_a_user_wrote_stays_text(pages: Pages, shop: Shop) -> None:
    page = shop.sign_in(pages.open())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    record = shop.special["nasty"]
    for address in (
        shop.call(record),
        f"{shop.calls}?text=onerror",
        f"{shop.calls}?model=<img src=x>&outcome=</select>",
    ):
        page.goto(address)
        page.wait_for_load_state("load")
        assert page.locator("main script, main img, main svg:not(.plot)").count() == 0
    assert [url for url in asked if not url.startswith(shop.backend.url)] == []
    page.goto(shop.call(record))
    expect(page.locator("article.user .text")).to_have_text(NASTY)


def test_leads_through_the_session_by_links_and_keys(page: Page, shop: Shop) -> None:
    first, second = shop.special["plain"], shop.special["tools"]
    shop.sign_in(page).goto(shop.call(first))
    page.get_by_role("link", name="Next in session").click()
    expect(page).to_have_url(shop.call(second))
    page.keyboard.press("[")
    expect(page).to_have_url(shop.call(first))
    page.keyboard.press("]")
    expect(page).to_have_url(shop.call(second))
    page.get_by_role("link", name=re.compile("^session ")).click()
    expect(page.locator(".exchange")).to_have_count(2)
    expect(page.locator(".exchange").first).to_contain_text(first.text[:30])
    page.get_by_role("link", name="as a list of calls").click()
    expect(page.locator("table.calls tbody tr")).to_have_count(2)


def test_folds_what_came_before_the_last_question(page: Page, shop: Shop) -> None:
    record = max(shop.records, key=lambda record: len(record.messages))
    assert len(record.messages) >= 7
    shop.sign_in(page).goto(shop.call(record))
    expect(page.locator("article.user:visible")).to_have_count(1)
    page.get_by_text("earlier messages").click()
    expect(page.locator("article.user:visible")).to_have_count(sum(m.role == "user" for m in record.messages))


def test_copies_its_own_address(pages: Pages, shop: Shop) -> None:
    page = shop.sign_in(pages.open(permissions=["clipboard-read", "clipboard-write"]))
    page.goto(shop.call(shop.special["plain"]))
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == shop.call(shop.special["plain"])


def test_the_json_twin_holds_the_record(page: Page, shop: Shop) -> None:
    record = shop.special["nasty"]
    context = shop.sign_in(page).request.get(f"{shop.call(record)}.json").json()
    assert context["call"]["record"]["choices"][0]["text"] == NASTY
    assert context["call"]["row"]["record_id"] == record.record_id
    assert context["explanation"] == "The model ran to its natural end."


def test_templates_and_their_versions_can_be_read(page: Page, new_shop: Shop) -> None:
    backend = new_shop.backend
    version = {
        "template_messages": [{"role": "system", "content": "Greet {{name}}. <b>"}, {"kind": "history"}],
        "provider": "openai",
        "model": "gpt-4o-mini",
        "llm_parameters": {"temperature": 0.2},
        "environments": ["prod"],
    }
    made = page.request.post(
        f"{backend.api_base}/v2/projects/{new_shop.project_id}/prompt-templates/name/shop/hello/versions",
        data=version,
        headers={"Authorization": f"Bearer {new_shop.api_key}", "Sec-Fetch-Site": "none"},
    )
    assert made.status == 201, made.text()
    new_shop.sign_in(page)
    page.get_by_role("link", name="Templates").first.click()
    expect(page.get_by_role("heading", name="shop/hello")).to_be_visible()
    expect(page.locator(".versions tbody tr")).to_contain_text("prod")
    page.locator(".versions .row-link").click()
    expect(page.locator("article.system .text")).to_have_text("Greet {{name}}. <b>")
    expect(page.locator("article.history")).to_contain_text("The conversation so far goes here.")
    expect(page.get_by_text("temperature")).to_be_visible()
    twin = page.request.get(f"{page.url}.json").json()
    assert twin["variables"] == ["name"]


@pytest.mark.parametrize("path", ["calls/no-such", "sessions/no-such", "templates/a/versions/b"])
def test_what_is_not_there_is_said_kindly(pages: Pages, shop: Shop, path: str) -> None:
    pages.expect("404")
    page = shop.sign_in(pages.open())
    address = f"{shop.backend.url}/projects/{shop.project_id}/{path}"
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_contain_text("No such")
    page.get_by_role("link", name="Go to the calls").click()
    expect(page).to_have_url(re.compile("/projects"))
    twin = page.request.get(f"{address}.json")
    assert twin.status == 404
    assert list(twin.json()) == ["message"]


def test_a_damaged_cursor_is_said_kindly(pages: Pages, shop: Shop) -> None:
    pages.expect("400")
    page = shop.sign_in(pages.open())
    answer = page.goto(f"{shop.calls}?before=<script>")
    assert answer is not None
    assert answer.status == 400
    expect(page.get_by_role("heading", name="This address is damaged")).to_be_visible()


def test_who_is_not_signed_in_learns_how_to_be(pages: Pages, shop: Shop) -> None:
    pages.expect("401")
    page = pages.open()
    answer = page.goto(shop.calls)
    assert answer is not None
    assert answer.status == 401
    expect(page.locator("main")).to_contain_text("freeplay-like init --data DIR --project NAME")
    page.goto(shop.backend.sign_in_url())
    page.goto(shop.calls)
    expect(page.locator("table.calls")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in with a link")).to_be_visible()


def test_shows_the_tries_before_and_the_call_it_follows(page: Page, new_shop: Shop) -> None:
    parent, record = new_shop.maker().make(2)
    attempt = Attempt(
        number=1,
        started_ms=0,
        latency_ms=12,
        waited_ms=500,
        error="ProviderRateLimited",
        message="slow down, please",
        status=429,
    )
    record = attrs.evolve(record, attempts=(attempt,), parent_id=parent.record_id, handler_errors=3)
    new_shop.post(parent, record)
    new_shop.sign_in(page).goto(new_shop.call(record))
    tries = section(page, "Tries that failed before")
    assert "ProviderRateLimited" in tries
    assert "429" in tries
    assert "slow down, please" in tries
    assert re.search(r"program's handlers\s+3", section(page, "Timings"))
    page.get_by_role("link", name="follows").click()
    expect(page).to_have_url(new_shop.call(parent))
