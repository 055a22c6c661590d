"""Asking again, in a real browser: one call, many, and the playground, against a simulated provider."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from freeplay_like.core.records import Record
from freeplay_like.local.simulator import Simulator
from support.browser import Pages
from support.plain_records import a_record
from support.shop import Shop

SECRET = "a-secret-of-the-provider-0123456789"
PATIENCE_MS = 60_000
"""How long an answer may take, on a busy machine."""


@pytest.fixture
def asking(new_shop: Shop, simulator: Simulator) -> Shop:
    """A project whose server can ask the simulated provider."""
    url = f"{new_shop.backend.api_base}/v2/projects/{new_shop.project_id}/providers/openai_chat"
    body = {"base_url": simulator.openai_base, "secret": SECRET}
    headers = {"Authorization": f"Bearer {new_shop.api_key}"}
    assert requests.put(url, json=body, headers=headers, timeout=30).status_code == 200
    return new_shop


def recorded(shop: Shop, *answers: str) -> list[Record]:
    made = [a_record(shop.project_id, question=f"question {n}", answer=each) for n, each in enumerate(answers)]
    shop.post(*made)
    return made


def place(shop: Shop, path: str) -> str:
    return f"{shop.backend.url}/projects/{shop.project_id}/{path}"


def is_within(page: Page) -> bool:
    """Whether the page needs no scrolling to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_call_is_asked_again_with_the_keyboard_alone_and_seen_growing(
    asking: Shop, pages: Pages, simulator: Simulator
) -> None:
    (original,) = recorded(asking, "tok0 tok1 and more")
    page = asking.sign_in(pages.open())
    page.goto(place(asking, f"calls/{original.record_id}/replay"))
    model = page.get_by_label("Model")
    model.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("sim:chunks=30,delay_ms=100")
    page.keyboard.press("Control+Enter")
    growing = page.locator("[data-grows]")
    expect(growing).to_contain_text("tok3", timeout=PATIENCE_MS)
    seen = len(growing.inner_text())
    page.wait_for_function("n => (document.querySelector('[data-grows]')?.innerText.length ?? 1e9) > n", arg=seen)
    expect(page.locator(".tag.state")).to_have_text("complete", timeout=PATIENCE_MS)
    expect(page.locator(".said del")).to_contain_text(["more"])
    expect(page.locator(".said ins")).to_contain_text(["tok29"])
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_text("Asked differently")).to_be_visible()
    page.locator("body").press("r")
    expect(page).to_have_url(re.compile("/replay$"))
    assert [request.body["messages"] for request in simulator.requests] == [[{"role": "user", "content": "question 0"}]]


def test_many_calls_are_asked_again_and_the_worst_is_shown_first(
    asking: Shop, pages: Pages, simulator: Simulator
) -> None:
    recorded(asking, "question 0", "question 1 indeed", "nothing alike at all")
    page = asking.sign_in(pages.open())
    page.goto(place(asking, "replays/new"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Replay 3 calls")
    page.get_by_label("Model").fill("sim:echo")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.locator(".tag.state")).to_have_text("complete", timeout=PATIENCE_MS)
    expect(page.locator(".case h3")).to_have_text(["question 2", "question 1", "question 0"])
    expect(page.locator(".case").last).to_contain_text("same answer")
    expect(page.locator(".strip")).to_contain_text("33 %")
    page.locator(".strip a").first.click()
    expect(page).to_have_url(re.compile(r"/calls\?q=metadata\.replay"))
    page.goto(place(asking, "replays"))
    expect(page.locator(".jobs tbody tr")).to_have_count(1)


def test_the_playground_finds_variables_while_they_are_typed_and_asks_two_models(
    asking: Shop, pages: Pages, simulator: Simulator
) -> None:
    page = asking.sign_in(pages.open())
    page.goto(place(asking, "playground"))
    page.get_by_label("Text of message 1").fill("You are a {{role}}.")
    page.get_by_label("Text of message 2").fill("{{question}}")
    page.get_by_label("role", exact=True).fill("baker")
    page.get_by_label("question", exact=True).fill("When?")
    page.get_by_label("Model", exact=True).fill("sim:echo")
    page.get_by_role("button", name="Ask another model too").click()
    page.get_by_label("Model", exact=True).last.fill("sim:text=At seven.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#replay .tag.state")).to_have_text("complete", timeout=PATIENCE_MS)
    expect(page.locator("#replay .said")).to_have_text(["When?", "At seven."])
    expect(page.get_by_label("Text of message 1")).to_have_value("You are a {{role}}.")
    page.get_by_text("Save as a version").click()
    page.get_by_label("Template").fill("shop/asked")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(re.compile("/templates/.+/versions/"))
    assert len(simulator.requests) == 2


def test_what_does_not_render_is_said_before_anything_is_sent(asking: Shop, pages: Pages, simulator: Simulator) -> None:
    page = asking.sign_in(pages.open())
    pages.expect("422")
    page.goto(place(asking, "playground"))
    page.get_by_label("Text of message 1").fill("{{#open}}")
    page.get_by_label("Text of message 2").fill("{{")
    page.get_by_label("Parameters, as JSON").fill("{")
    page.get_by_role("button", name="Run").click()
    problems = page.locator(".nobody li")
    expect(problems).to_have_count(3)
    expect(problems).to_contain_text(["message 1", "message 2", "Parameters"])
    assert simulator.requests == []


def test_without_javascript_everything_is_done_by_forms(asking: Shop, pages: Pages, simulator: Simulator) -> None:
    (original,) = recorded(asking, "question 0")
    page = asking.sign_in(pages.open(java_script_enabled=False))
    page.goto(place(asking, f"calls/{original.record_id}/replay"))
    page.get_by_label("Model").fill("sim:echo")
    page.get_by_role("button", name="Replay", exact=True).click()
    simulator.wait_for_requests(1, 30)
    _reloaded_until(page, "same answer")
    page.goto(place(asking, f"playground?call={original.record_id}"))
    page.get_by_role("button", name="Add a message").click()
    page.get_by_label("Text of message 2").fill("Well then.")
    page.get_by_role("button", name="Move message 2 up").click()
    expect(page.get_by_label("Text of message 1")).to_have_value("Well then.")
    page.get_by_role("button", name="Remove message 1").click()
    page.get_by_label("Model", exact=True).fill("sim:text=Good.")
    page.get_by_role("button", name="Run").click()
    simulator.wait_for_requests(2, 30)
    _reloaded_until(page, "Good.")


def _reloaded_until(page: Page, text: str) -> None:
    """Follow the link that looks again, as somebody would."""
    for _ in range(200):
        if page.get_by_text(text).count():
            return
        page.reload()
    expect(page.get_by_text(text)).to_be_visible()


def test_nobody_to_ask_and_nothing_to_send_are_said(new_shop: Shop, pages: Pages) -> None:
    (original,) = recorded(new_shop, "yes")
    gone = a_record(new_shop.project_id, messages=(), metadata={"redaction": "a hook that failed"})
    new_shop.post(gone)
    page = new_shop.sign_in(pages.open())
    for path in (f"calls/{original.record_id}/replay", "replays/new", "playground"):
        page.goto(place(new_shop, path))
        expect(page.get_by_text("This server has nobody to ask.")).to_be_visible()
    expect(page.get_by_role("link", name="Settings, Providers")).to_have_attribute(
        "href", re.compile("/settings/providers$")
    )
    page.goto(place(new_shop, f"calls/{gone.record_id}/replay"))
    expect(page.get_by_text("its contents were not kept")).to_be_visible()
    expect(page.get_by_role("button", name="Replay", exact=True)).to_have_count(0)


def test_what_others_wrote_does_nothing_here(asking: Shop, pages: Pages, simulator: Simulator) -> None:
    nasty = "<img src=x onerror=alert(1)>{{7*7}}</textarea><script>alert(2)</script>"
    made = a_record(asking.project_id, question=nasty, answer=nasty, variables={nasty: nasty})
    asking.post(made)
    page = asking.sign_in(pages.open())
    page.goto(place(asking, f"playground?call={made.record_id}"))
    expect(page.get_by_label("Text of message 1")).to_have_value(nasty)
    page.goto(place(asking, f"calls/{made.record_id}/replay"))
    page.get_by_label("Model").fill("sim:echo,chunks=20,delay_ms=40")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.locator(".tag.state")).to_have_text("complete", timeout=PATIENCE_MS)
    expect(page.locator(".side .said").last).to_contain_text("onerror=alert(1)")


def test_the_pages_fit_a_narrow_window(asking: Shop, pages: Pages, simulator: Simulator) -> None:
    (original,) = recorded(asking, "a-word-that-does-not-end-" * 30)
    page = asking.sign_in(pages.open(viewport={"width": 390, "height": 800}))
    page.goto(place(asking, f"calls/{original.record_id}/replay"))
    assert is_within(page)
    page.get_by_label("Model").fill("sim:echo")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.locator(".tag.state")).to_have_text("complete", timeout=PATIENCE_MS)
    assert is_within(page)
    for path in ("replays", "replays/new", "playground", f"playground?call={original.record_id}"):
        page.goto(place(asking, path))
        assert is_within(page), path
