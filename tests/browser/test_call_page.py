"""The page of one call, and the words for what is not there."""

from __future__ import annotations

import re
import time
from contextlib import suppress

import attrs
import msgspec
import pytest
import requests
from playwright.sync_api import Error, Page, Route, expect

from freeplay_like.core.completion import Choice
from freeplay_like.core.limits import Attempt
from freeplay_like.core.messages import Message
from freeplay_like.core.records import TemplateRef
from freeplay_like.core.wire import to_wire
from support.browser import Pages
from support.records import NASTY
from support.shop import Shop

pytestmark = pytest.mark.browser


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="About the call").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("navigation", name="About the call").locator("[aria-current]")).to_have_text(name)


def version_of(shop: Shop, text: str) -> tuple[str, str]:
    """A template's id, and that of a version of it that says this."""
    made = requests.post(
        f"{shop.backend.api_base}/v2/projects/{shop.project_id}/prompt-templates/name/hello/versions",
        json={"template_messages": [{"role": "system", "content": text}], "provider": "openai", "model": "gpt-4o-mini"},
        headers={"Authorization": f"Bearer {shop.api_key}"},
        timeout=20,
    )
    assert made.status_code == 201, made.text
    return made.json()["prompt_template_id"], made.json()["prompt_template_version_id"]


def section(page: Page, heading: str) -> str:
    return page.locator("section", has=page.get_by_role("heading", name=heading, exact=True)).last.inner_text()


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_shows_the_whole_call_tab_by_tab(pages: Pages, shop: Shop, *, has_javascript: bool) -> None:
    page = shop.sign_in(pages.open(java_script_enabled=has_javascript))
    record = shop.special["plain"]
    page.goto(shop.call(record))
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("complete")
    expect(heading).to_contain_text("claude-sonnet-4-5 → claude-sonnet-4-5-20250929")
    expect(page.locator("article.user .text")).to_have_text(record.messages[-1].text)
    expect(page.locator("article.reply .text")).to_have_text(record.text)
    assert "Émile Zola" in section(page, "Variables")
    assert str(record.request_id) in section(page, "Ids")
    open_tab(page, "Parameters")
    assert re.search(r"temperature\s+0\.3\s+0\.5 session\s+0\.7 template\s+call", section(page, "Parameters"))
    assert re.search(r"top_p\s+not sent\s+0\.9 template\s+session", section(page, "Parameters"))
    open_tab(page, "Timeline")
    assert re.search(r"Chunks\s+\d+", section(page, "Timeline"))
    assert "Wait for the first chunk" in section(page, "Timeline")
    expect(page.get_by_role("img", name="Characters over time")).to_be_visible()
    open_tab(page, "Tools")
    assert "None were offered" in section(page, "Tools")
    open_tab(page, "Cost")
    assert "from cache" in section(page, "Tokens")
    assert re.search(r"output\s+[\d,]+\s+\$15\.00 / 1M\s+\$0\.000\d+", section(page, "Cost"))
    assert re.search(r"Source\s+genai-prices", section(page, "Cost"))
    open_tab(page, "Raw")
    expect(page.locator("#raw-request")).to_contain_text('"model": "claude-sonnet-4-5"')
    expect(page.locator("#raw-response")).to_contain_text(str(record.response_id))
    open_tab(page, "History")
    assert "Received by this server" in section(page, "History")
    open_tab(page, "Code")
    expect(page.locator("#code-curl")).to_contain_text("x-api-key: $ANTHROPIC_API_KEY")
    expect(page.locator("#code-sdk")).to_contain_text("get_completion_stream(")


def test_a_tab_keeps_the_place_the_focus_and_what_was_opened(page: Page, shop: Shop) -> None:
    record = shop.special["tools"]
    shop.sign_in(page).goto(shop.call(record))
    page.locator(".reasoning summary").click()
    page.get_by_role("link", name="Timeline", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    expect(page).to_have_url(f"{shop.call(record)}?tab=timeline")
    expect(page.get_by_role("link", name="Timeline", exact=True)).to_be_focused()
    expect(page.locator(".reasoning .text")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()


def test_everything_is_reached_with_the_keyboard_alone(page: Page, shop: Shop) -> None:
    record = shop.special["plain"]
    shop.sign_in(page).goto(shop.call(record))
    page.keyboard.press("m")
    expect(page.locator("article.reply .prose")).to_be_visible()
    page.keyboard.press("m")
    expect(page.locator("article.reply .prose")).to_have_count(0)
    page.keyboard.press("v")
    page.keyboard.press("$")
    expect(page.get_by_role("heading", name="Cost")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Replay")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("a")
    expect(page).to_have_url(re.compile(r"/case$"))


def test_a_key_counts_at_once_when_the_sheet_of_keys_is_closed(page: Page, shop: Shop) -> None:
    shop.sign_in(page).goto(shop.call(shop.special["plain"]))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.evaluate("""() => {
      const focused = document.activeElement;
      focused.closest("dialog").close();
      focused.dispatchEvent(new KeyboardEvent("keydown", {key: "a", bubbles: true}));
    }""")
    expect(page).to_have_url(re.compile(r"/case$"))


def test_of_two_views_the_one_asked_for_last_is_shown(page: Page, shop: Shop) -> None:
    shop.sign_in(page).goto(shop.call(shop.special["plain"]))
    held: list[Route] = []
    page.route("**/calls/*tab=raw", lambda route: held.append(route))
    with page.expect_request("**/calls/*tab=raw"):
        for key in ("v", "w"):
            page.keyboard.press(key)
    for key in ("v", "$"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Cost")).to_be_visible()
    assert len(held) == 1
    with suppress(Error):  # nobody waits for it any more
        held[0].continue_()
    page.wait_for_load_state("networkidle")
    expect(page.locator('[data-view="cost"][aria-current]')).to_have_count(1)


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_every_place_of_a_variable_is_marked(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    made = version_of(new_shop, "You help {{name}}, aged {{age}}. Yes, {{name}}!")
    record = attrs.evolve(
        new_shop.maker().one(),
        template=TemplateRef(name="hello", template_id=made[0], version_id=made[1], version="1"),
        variables={"name": "Al", "age": 7, "unused": "x"},
        messages=(
            Message(role="system", content="You help Al, aged 7. Yes, Al!"),
            Message(role="user", content="All 7?"),
        ),
    )
    new_shop.post(record)
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    page.goto(new_shop.call(record))
    marks = page.locator("article.system .filled")
    expect(marks).to_have_text(["Al", "7", "Al"])
    expect(marks.first).to_have_attribute("title", "name")
    expect(page.locator("article.user .filled")).to_have_count(0)
    if has_javascript:
        page.get_by_role("button", name="name", exact=True).click()
        expect(page.locator(".filled.is-shown")).to_have_text(["Al", "Al"])
        marks.nth(1).press("Enter")
        expect(page.locator(".variables .is-shown")).to_contain_text("age")
    page.get_by_role("link", name="Template", exact=True).click()
    expect(page.locator("article.system mark")).to_have_text(["{{name}}", "{{age}}", "{{name}}"])
    expect(page).to_have_url(re.compile(r"prompt=template"))
    page.get_by_role("link", name="Rendered", exact=True).click()
    expect(marks).to_have_count(3)


def test_shows_tool_calls_with_their_results_and_parts_that_are_not_text(page: Page, shop: Shop) -> None:
    shop.sign_in(page).goto(shop.call(shop.special["tools"]))
    expect(page.get_by_text("The model asked for tools.")).to_be_visible()
    called = page.locator("article.assistant:not(.reply) .tool-call")
    expect(called.locator("pre").first).to_contain_text('"item": "rye bread"')
    expect(called.locator(".tool-result pre")).to_contain_text('"left": 4')
    expect(page.locator("article.tool")).to_have_count(0)
    expect(page.locator("article.reply pre")).to_have_text('{"item":"baguette"')  # cut off: shown as it came
    page.locator(".reasoning summary").click()
    expect(page.locator(".reasoning .text")).to_contain_text("The picture shows a baguette.")
    expect(page.get_by_text("at evil.example, not loaded")).to_be_visible()
    expect(page.locator("article.system details")).not_to_have_attribute("open", "")


def test_shows_an_image_that_is_in_the_message_and_the_answers_one_by_one(page: Page, new_shop: Shop) -> None:
    parts = (
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    )
    record = attrs.evolve(
        new_shop.maker().one(),
        messages=(Message(role="user", content=parts),),
        choices=tuple(Choice(index=i, text=f'{{"sure":{i}}}', finish_reason="stop") for i in range(3)),
    )
    new_shop.post(record)
    new_shop.sign_in(page).goto(new_shop.call(record))
    image = page.get_by_role("img", name="Image in the message")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") == 1
    expect(page.locator("article.reply pre.json")).to_have_text('{\n  "sure": 0\n}')
    page.get_by_role("link", name="Answer 3").click()
    expect(page.locator("article.reply pre.json")).to_contain_text('"sure": 2')
    page.get_by_role("link", name="As it came").click()
    expect(page.locator("article.reply .text")).to_have_text('{"sure":2}')


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


def test_the_json_twin_holds_the_record(page: Page, shop: Shop) -> None:
    record = shop.special["nasty"]
    context = shop.sign_in(page).request.get(f"{shop.call(record)}.json").json()
    assert context["call"]["record"]["choices"][0]["text"] == NASTY
    assert context["call"]["row"]["record_id"] == record.record_id
    assert context["explanation"] == "The model ran to its natural end."


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


@pytest.mark.parametrize(
    "view", ["", "?as=markdown&tab=history", "?tab=parameters", "?tab=raw", "?tab=code", "?tab=tools"]
)
def test_what_a_model_or_a_user_wrote_stays_text(pages: Pages, shop: Shop, view: str) -> None:
    page = shop.sign_in(pages.open())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{shop.call(shop.special['nasty'])}{view}")
    page.wait_for_load_state("load")
    assert page.locator("main script, main img, main svg:not(.plot, .bar)").count() == 0
    assert [url for url in asked if not url.startswith(shop.backend.url)] == []
    expect(page.locator("article.user .text")).to_have_text(NASTY)


def test_leads_through_the_session_by_links_and_keys(page: Page, shop: Shop) -> None:
    first, second = shop.special["plain"], shop.special["tools"]
    shop.sign_in(page).goto(shop.call(first))
    expect(page.locator(".crumbs")).to_contain_text("call 1 of 2")
    page.get_by_role("link", name="Next →").click()
    expect(page).to_have_url(shop.call(second))
    page.keyboard.press("[")
    expect(page).to_have_url(shop.call(first))
    page.keyboard.press("]")
    expect(page).to_have_url(shop.call(second))
    page.get_by_role("link", name=re.compile("^session ")).click()
    expect(page).to_have_url(re.compile("/sessions/"))


def test_folds_what_came_before_the_last_question(page: Page, shop: Shop) -> None:
    record = max(shop.records, key=lambda record: len(record.messages))
    assert len(record.messages) >= 7
    shop.sign_in(page).goto(shop.call(record))
    expect(page.locator("article.user:visible")).to_have_count(1)
    page.get_by_text("earlier messages").click()
    expect(page.locator("article.user:visible")).to_have_count(sum(m.role == "user" for m in record.messages))


def test_a_huge_call_makes_a_light_page(page: Page, new_shop: Shop) -> None:
    long = new_shop.maker().one(1)
    exchange = (Message(role="user", content="y" * 2_000), Message(role="assistant", content="z" * 2_000))
    record = attrs.evolve(
        long,
        messages=(
            Message(role="system", content="x" * 1_000_000),
            *exchange * 250,
            Message(role="user", content="so?"),
        ),
        request={"messages": "x" * 1_000_000},
        timeline=tuple((float(i), i + 1) for i in range(512)),
        chunk_count=10_000,
    )
    new_shop.post(record)
    new_shop.sign_in(page)
    for tab in ("overview", "timeline", "raw", "code"):
        answer = page.goto(f"{new_shop.call(record)}?tab={tab}")
        assert answer is not None
        assert len(answer.body()) < 400_000, tab
    expect(page.get_by_text("500 earlier messages")).to_be_visible()
    page.locator("article.system summary").click()
    page.locator("article.system").get_by_role("link", name="show all").click()
    expect(page).to_have_url(re.compile("whole=1"))
    page.locator("article.system summary").click()
    assert len(page.locator("article.system .text").inner_text()) == 1_000_000


@pytest.mark.parametrize("tab", ["overview", "timeline", "cost", "raw", "code"])
def test_a_narrow_window_scrolls_down_only(pages: Pages, shop: Shop, tab: str) -> None:
    page = shop.sign_in(pages.open(viewport={"width": 390, "height": 800}))
    for name in ("plain", "nasty", "tools"):
        page.goto(f"{shop.call(shop.special[name])}?tab={tab}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_copies_its_own_address(pages: Pages, shop: Shop) -> None:
    page = shop.sign_in(pages.open(permissions=["clipboard-read", "clipboard-write"]))
    page.goto(shop.call(shop.special["plain"]))
    page.keyboard.press("c")
    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == shop.call(shop.special["plain"])
    open_tab(page, "Code")
    page.get_by_role("region", name="curl").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#code-curl").text_content()


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
    record = attrs.evolve(record, session_id=parent.session_id)
    new_shop.post(parent, record)
    new_shop.sign_in(page).goto(f"{new_shop.call(record)}?tab=timeline")
    tries = section(page, "Tries that failed before")
    assert "ProviderRateLimited" in tries
    assert "429" in tries
    assert "slow down, please" in tries
    assert re.search(r"program's handlers\s+3", section(page, "Timeline"))
    page.get_by_role("link", name="follows").click()
    expect(page).to_have_url(new_shop.call(parent))
    assert "Followed by" in section(page, "Belongs to")


def test_why_a_cost_is_not_known_is_said(page: Page, new_shop: Shop) -> None:
    unheard = attrs.evolve(new_shop.maker().one(1), model="no-such-model", requested_model="no-such-model")
    untold = attrs.evolve(new_shop.maker(seed=5).one(1), usage=None)
    new_shop.post(unheard, untold)
    new_shop.sign_in(page).goto(f"{new_shop.call(unheard)}?tab=cost")
    expect(page.get_by_text("No price is known for this model")).to_be_visible()
    page.goto(f"{new_shop.call(untold)}?tab=cost")
    expect(page.get_by_text("did not say how many tokens")).to_be_visible()


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_deletes_a_call_after_a_question(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    gone, kept = new_shop.maker().make(2)
    new_shop.post(gone, kept)
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    page.goto(new_shop.call(gone))
    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete the call").click()
    expect(page).to_have_url(new_shop.calls)
    assert page.request.get(f"{new_shop.call(gone)}.json").status == 404
    assert page.request.get(f"{new_shop.call(kept)}.json").status == 200


def test_shows_the_spans_of_its_trace_with_this_call_marked(page: Page, new_shop: Shop) -> None:
    trace_id, agent, call = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b173", "eee19b7ec3c1b174"
    began = time.time_ns()
    spans = [
        {
            "traceId": trace_id,
            "spanId": agent,
            "name": "invoke_agent baker",
            "startTimeUnixNano": str(began),
            "endTimeUnixNano": str(began + 10**9),
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}},
                {"key": "gen_ai.conversation.id", "value": {"stringValue": "traced"}},
            ],
        },
        {
            "traceId": trace_id,
            "spanId": call,
            "parentSpanId": agent,
            "name": "chat gpt-4o",
            "startTimeUnixNano": str(began + 10**8),
            "endTimeUnixNano": str(began + 9 * 10**8),
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
                {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
                {"key": "gen_ai.conversation.id", "value": {"stringValue": "traced"}},
            ],
        },
    ]
    sent = requests.post(
        f"{new_shop.backend.url}/v1/traces",
        json={"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]},
        headers={"Authorization": f"Bearer {new_shop.api_key}"},
        timeout=20,
    )
    assert sent.status_code == 200, sent.text
    new_shop.sign_in(page)
    page.goto(f"{new_shop.backend.url}/projects/{new_shop.project_id}/sessions/traced")
    page.get_by_role("link", name="Call 1").click()
    open_tab(page, "Timeline")
    lines = page.locator(".spans tbody tr")
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_contain_text("invoke_agent baker")
    expect(lines.nth(1)).to_contain_text("this call")
    expect(lines.nth(1).locator("th")).to_have_class("deep-1")


def test_a_call_that_runs_grows_and_becomes_the_whole_call(page: Page, new_shop: Shop) -> None:
    record = attrs.evolve(new_shop.maker().one(1), choices=(), outcome="interrupted", ended_at=None)
    live = f"{new_shop.backend.api_base}/v2/projects/{new_shop.project_id}/records:live"

    def tell(text: str) -> None:
        calls = [{"record_id": record.record_id, "record": msgspec.to_builtins(record), "text": text}]
        said = requests.post(
            live,
            data=to_wire({"calls": calls}),
            headers={"Authorization": f"Bearer {new_shop.api_key}", "Content-Type": "application/json"},
            timeout=20,
        )
        assert said.status_code < 300, said.text

    tell("It begins")
    new_shop.sign_in(page).goto(new_shop.call(record))
    expect(page.get_by_role("heading", level=1)).to_contain_text("running")
    expect(page.locator("article.reply .text")).to_have_text("It begins")
    tell("It begins <b>and</b> grows")
    expect(page.locator("article.reply .text")).to_have_text("It begins <b>and</b> grows")
    new_shop.post(attrs.evolve(new_shop.maker().one(1), record_id=record.record_id))
    expect(page.get_by_role("heading", level=1)).to_contain_text("complete")
    expect(page.locator("#verdict")).to_be_visible()
    expect(page.locator("[data-grows]")).to_have_count(0)
