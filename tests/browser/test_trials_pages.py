"""Datasets, test runs and comparisons, in a real browser, with and without JavaScript, against a simulated provider."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
import pytest
import requests
from playwright.sync_api import Page, expect

from freeplay_like.core.records import Amendment
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.local.simulator import Simulator
from support.browser import Pages
from support.records import NASTY
from support.shop import Shop
from support.waiting import until

pytestmark = pytest.mark.browser

QUESTIONS = ("rye", "cake", "rolls")
NARROW = {"width": 390, "height": 800}


def ask(shop: Shop, method: str, path: str, body: JsonValue = None) -> JsonObject:
    """The API of the shop's project."""
    url = f"{shop.backend.api_base}/v2/projects/{shop.project_id}/{path}"
    answer = requests.request(method, url, json=body, headers={"Authorization": f"Bearer {shop.api_key}"}, timeout=20)
    assert answer.ok, answer.text
    found: JsonObject = answer.json()
    return found


def at(shop: Shop, path: str) -> str:
    return f"{shop.backend.url}/projects/{shop.project_id}/{path}"


def a_dataset(shop: Shop, *questions: str, name: str = "questions", expected: str = "{}") -> str:
    made = ask(shop, "POST", "prompt-datasets", {"name": name})
    examples = [{"inputs": {"question": text}, "output": expected.format(text)} for text in questions]
    if examples:
        ask(shop, "POST", f"datasets/id/{made['id']}/test-cases", {"examples": examples})
    return str(made["id"])


def a_version(shop: Shop, *, text: str = "{{question}}", model: str = "sim:echo") -> JsonObject:
    """A version of the template `shop/answer`, with its ids; the simulated provider answers with the question."""
    body: JsonObject = {"template_messages": [{"role": "user", "content": text}], "model": model, "provider": "openai"}
    return ask(shop, "POST", "prompt-templates/name/shop%2Fanswer/versions", body)


def connect(shop: Shop, simulator: Simulator) -> None:
    ask(shop, "PUT", "providers/openai_chat", {"base_url": simulator.openai_base, "secret": "s" * 20})


def a_run(shop: Shop, name: str, answers: dict[str, tuple[str, bool]], dataset: str = "questions") -> str:
    """A run that a client sent: what it answered to each question, and whether a check said yes."""
    made = ask(shop, "POST", "test-runs", {"dataset_name": dataset, "test_run_name": name, "include_outputs": True})
    maker, records, amendments = shop.maker(), [], []
    cases = made["test_cases"]
    assert isinstance(cases, list)
    for number, case in enumerate(cases):
        text, is_good = answers.get(case["variables"]["question"], ("", True))
        if not text:
            continue
        record = maker.one(1, age_s=number)
        choice = attrs.evolve(record.choices[0], text=text)
        record = attrs.evolve(
            record,
            record_id=f"{str(made['test_run_id'])[:18]}-{number}",
            test_run_id=made["test_run_id"],
            test_case_id=case["test_case_id"],
            choices=(choice,),
            variables=case["variables"],
        )
        said = Amendment(
            amendment_id=f"{record.record_id}-s",
            record_id=record.record_id,
            project_id=shop.project_id,
            made_at=record.started_at,
            scores={"grounded": is_good},
        )
        records.append(record)
        amendments.append(said)
    answer = requests.post(
        f"{shop.backend.api_base}/v2/projects/{shop.project_id}/records:batch",
        data=to_wire({"records": records, "amendments": amendments}),
        headers={"Authorization": f"Bearer {shop.api_key}", "Content-Type": "application/json"},
        timeout=20,
    )
    assert answer.json()["stored"] == len(records), answer.text
    assert answer.json()["amendments_stored"] == len(amendments), answer.text
    return str(made["test_run_id"])


def wait_for_end(shop: Shop, run_id: str) -> None:
    until(lambda: ask(shop, "GET", f"test-runs/id/{run_id}")["status"] != "in-progress", 60.0, "the end of the run")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def enter(page: Page) -> None:
    """Press Enter, and wait for the page that it leads to."""
    with page.expect_navigation():
        page.keyboard.press("Enter")


def tab_to(page: Page, name: str) -> None:
    """Go to what is called so by the Tab key alone."""
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "(e => (e.ariaLabel || e.labels?.[0]?.innerText || e.innerText || '').trim())(document.activeElement)"
            )
        )
        if seen[-1].startswith(name):
            return
    raise AssertionError(f"the Tab key never comes to {name!r}, only to {seen}")


def test_from_a_file_to_a_run_by_the_keyboard_alone(page: Page, new_shop: Shop, simulator: Simulator) -> None:
    connect(new_shop, simulator)
    a_version(new_shop)
    new_shop.sign_in(page)
    page.goto(at(new_shop, "datasets"))
    tab_to(page, "Name")
    page.keyboard.type("opening hours")
    enter(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("opening hours")
    tab_to(page, "Import")
    enter(page)
    tab_to(page, "The lines of a file")
    page.keyboard.insert_text("question,ideal\nrye?,rye\ncake?,no cake\n")
    tab_to(page, "See what it becomes")
    enter(page)
    expect(page.get_by_role("combobox", name="ideal")).to_have_value("output")
    tab_to(page, "Add 2 cases")
    enter(page)
    expect(page.locator("table.cases tbody tr")).to_have_count(2)
    tab_to(page, "Run over it")
    enter(page)
    tab_to(page, "Begin")
    enter(page)
    expect(page.locator(".outcome.complete").first).to_be_visible(timeout=60_000)
    assert page.url.startswith(at(new_shop, "test-runs/"))
    rows = page.locator("table.cases tbody tr")
    expect(rows.nth(0)).to_contain_text("cake?")
    expect(rows.nth(0)).to_contain_text("✗ false")
    expect(rows.nth(1)).to_contain_text("✓ true")
    press(page, "j", "j")
    expect(rows.nth(1).get_by_role("link", name="call")).to_be_focused()
    press(page, "k", "Enter")
    expect(page).to_have_url(re.compile(r"/calls/[\w-]+$"))


def test_two_versions_are_tried_and_compared_without_javascript(
    pages: Pages, new_shop: Shop, simulator: Simulator
) -> None:
    connect(new_shop, simulator)
    dataset = a_dataset(new_shop, *QUESTIONS)
    first, second = a_version(new_shop), a_version(new_shop, text="Say nothing about it", model="sim:echo")
    page = new_shop.sign_in(pages.open(java_script_enabled=False))
    page.goto(at(new_shop, f"test-runs/new?dataset={dataset}"))
    chosen = page.get_by_role("combobox", name=re.compile("^(Version|and)$"))
    chosen.nth(0).select_option(str(first["prompt_template_version_id"]))
    chosen.nth(1).select_option(str(second["prompt_template_version_id"]))
    page.get_by_label("exact_match", exact=True).check()
    page.get_by_role("button", name="Begin").click()
    ids = re.findall(r"run=([\w-]+)", page.url)
    assert len(ids) == 2
    for run_id in ids:
        wait_for_end(new_shop, run_id)
    page.reload()
    row = page.get_by_role("row", name=re.compile("^exact_match"))
    expect(row).to_contain_text("100 %")
    expect(row).to_contain_text("0.0 %")
    expect(row).to_contain_text("\N{MINUS SIGN}100 points")
    expect(row).to_contain_text("within noise: chance alone does this 25 % of the time")
    row.get_by_role("link", name="3 worse").click()
    expect(page.locator("article.compared")).to_have_count(3)
    page.get_by_role("link", name="Swap the first two").click()
    assert re.findall(r"run=([\w-]+)", page.url) == ids[::-1]
    expect(page.get_by_role("row", name=re.compile("^exact_match"))).to_contain_text("+100 points")
    page.goto(at(new_shop, "test-suites"))
    expect(page.get_by_role("row", name=re.compile("over questions"))).to_be_visible()


def test_regressions_come_first_and_words_that_differ_are_marked(page: Page, new_shop: Shop) -> None:
    a_dataset(new_shop, *QUESTIONS, "fine")
    before = a_run(new_shop, "before", {"rye": ("yes, rye", True), "cake": ("a cake", False), "rolls": ("rolls", True)})
    after = a_run(
        new_shop, "after", {"rye": (f"no {NASTY} rye", False), "cake": ("a cake", True), "rolls": ("rolls", True)}
    )
    new_shop.sign_in(page)
    page.goto(at(new_shop, f"compare?run={before}&run={after}"))
    found = page.locator("article.compared")
    expect(found.nth(0)).to_contain_text("↓ worse")
    expect(found.nth(0).locator("del").first).to_have_text("yes,")
    expect(found.nth(0)).to_contain_text(NASTY)
    expect(found.nth(1)).to_contain_text("↑ better")
    tabs = page.get_by_role("navigation", name="Which cases")
    for show, count in (("Worse", 1), ("Better", 1), ("Same", 1), ("In one only", 0)):
        tabs.get_by_role("link", name=re.compile(f"^{show}")).click()
        expect(found).to_have_count(count)
        expect(tabs.locator("[aria-current]")).to_contain_text(f"{show} {count}")


def test_failing_cases_are_found_from_the_number_that_counts_them(page: Page, new_shop: Shop) -> None:
    a_dataset(new_shop, *QUESTIONS)
    run_id = a_run(new_shop, "before", {"rye": ("rye", True), "cake": (NASTY, False)})
    new_shop.sign_in(page)
    page.goto(at(new_shop, f"test-runs/{run_id}"))
    expect(page.get_by_role("link", name=re.compile(r"^Waiting 1"))).to_be_visible()
    page.locator(".strip").get_by_role("link", name="1", exact=True).click()
    assert page.url.endswith("?show=failing")
    rows = page.locator("table.cases tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(NASTY)
    answer = page.request.get(at(new_shop, f"test-runs/{run_id}.json?show=failing"))
    assert [case["case"]["content"]["inputs"] for case in answer.json()["cases"]] == [{"question": "cake"}]


def test_all_lines_that_cannot_be_read_are_told_and_nothing_is_stored(
    page: Page, new_shop: Shop, tmp_path: Path
) -> None:
    dataset = a_dataset(new_shop)
    file = tmp_path / "cases.jsonl"
    file.write_text('{"inputs": {"question": "rye"}}\n{"input": 1}\nnothing\n')
    new_shop.sign_in(page)
    page.goto(at(new_shop, f"datasets/{dataset}/import"))
    page.get_by_label("A file", exact=True).set_input_files(file)
    expect(page.get_by_label("The lines of a file")).to_have_value(file.read_text())
    page.get_by_role("button", name="See what it becomes").click()
    expect(page.get_by_role("alert").filter(has_text="2 lines cannot be read")).to_contain_text(
        "line 2: unknown field 'input'"
    )
    expect(page.get_by_text("line 3: ")).to_be_visible()
    expect(page.get_by_role("button", name="Add 1 case")).to_have_count(0)
    assert ask(new_shop, "GET", f"datasets/id/{dataset}")["cases"] == 0
    page.get_by_label("The lines of a file").fill('{"inputs": {"question": "rye"}, "output": "yes"}')
    page.get_by_role("button", name="Read it again").click()
    page.get_by_role("button", name="Add 1 case").click()
    expect(page.locator("table.cases tbody tr")).to_have_count(1)


@pytest.mark.parametrize("has_javascript", [True, False], ids=["javascript", "no javascript"])
def test_a_case_is_written_changed_and_deleted(pages: Pages, new_shop: Shop, *, has_javascript: bool) -> None:
    dataset = a_dataset(new_shop, "rye")
    page = new_shop.sign_in(pages.open(java_script_enabled=has_javascript))
    page.goto(at(new_shop, f"datasets/{dataset}/cases/new"))
    page.get_by_label("question").fill("cake?")
    page.get_by_label("What is expected").fill(NASTY)
    page.get_by_role("button", name="Add it", exact=True).click()
    rows = page.locator("table.cases tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text(NASTY)
    rows.nth(1).get_by_role("link", name="Edit").click()
    page.get_by_label("question").fill("which cake?")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("question")).to_have_value("which cake?")
    page.get_by_role("link", name="JSON", exact=True).last.click()
    assert json.loads(page.locator("textarea[name=json]").input_value()) == {
        "inputs": {"question": "which cake?"},
        "output": NASTY,
    }
    page.get_by_text("Delete this case").click()
    page.get_by_role("button", name="Delete it").click()
    expect(rows).to_have_count(1)


def test_cases_are_searched_and_exported(page: Page, new_shop: Shop) -> None:
    dataset = a_dataset(new_shop, *QUESTIONS)
    new_shop.sign_in(page)
    page.goto(at(new_shop, f"datasets/{dataset}"))
    page.get_by_label("Search in the cases").fill("CAKE")
    page.keyboard.press("Enter")
    expect(page.locator("table.cases tbody tr")).to_have_count(1)
    expect(page.get_by_text("1 case with “CAKE”")).to_be_visible()
    page.get_by_text("More").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "questions.csv"
    assert Path(download.value.path()).read_text() == "question,output\n" + "".join(f"{q},{q}\n" for q in QUESTIONS)


def test_a_dataset_is_deleted_only_after_a_second_look(pages: Pages, new_shop: Shop) -> None:
    dataset = a_dataset(new_shop, "rye")
    pages.expect("404")
    page = new_shop.sign_in(pages.open())
    page.goto(at(new_shop, f"datasets/{dataset}/delete"))
    expect(page.get_by_text("Its 1 case goes with it")).to_be_visible()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("There is no dataset yet")).to_be_visible()
    page.goto(at(new_shop, f"datasets/{dataset}"))
    expect(page.get_by_text(f"no dataset '{dataset}'")).to_be_visible()


def test_without_a_connection_it_says_so_and_begins_nothing(pages: Pages, new_shop: Shop) -> None:
    a_dataset(new_shop, "rye")
    version = a_version(new_shop)
    pages.expect("409")
    page = new_shop.sign_in(pages.open())
    page.goto(at(new_shop, f"test-runs/new?version={version['prompt_template_version_id']}"))
    expect(page.get_by_role("link", name="Set it up in the settings")).to_be_visible()
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_text("no provider connection")).to_be_visible()
    page.goto(at(new_shop, "test-runs"))
    expect(page.get_by_text("There is no test run")).to_be_visible()


def test_a_run_under_way_is_watched_and_cancelled(page: Page, new_shop: Shop, simulator: Simulator) -> None:
    connect(new_shop, simulator)
    dataset = a_dataset(new_shop, *(f"q{number}" for number in range(40)))
    version = a_version(new_shop, model="sim:chunks=400,delay_ms=50")
    new_shop.sign_in(page)
    page.goto(at(new_shop, f"test-runs/new?dataset={dataset}&version={version['prompt_template_version_id']}"))
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_text("this page looks again by itself")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("It was cancelled")).to_be_visible()
    expect(page.get_by_text("this page looks again by itself")).to_have_count(0)


def test_calls_are_compared_with_what_differs_marked(page: Page, new_shop: Shop) -> None:
    first, second = new_shop.maker().one(0), new_shop.maker(seed=4).one(4)
    new_shop.post(first, second)
    new_shop.sign_in(page)
    page.goto(at(new_shop, f"compare?call={first.record_id}&call={second.record_id}"))
    expect(page.get_by_role("heading", level=1)).to_have_text("2 calls")
    expect(page.locator("#answers ~ .sides del").first).to_be_visible()
    expect(page.locator("#answers ~ .sides ins").first).to_be_visible()
    differing = page.locator("tr.differs")
    assert differing.count() == page.get_by_text("differs", exact=True).count() > 0
    page.get_by_role("link", name="Swap the first two").click()
    assert re.findall(r"call=([\w-]+)", page.url) == [second.record_id, first.record_id]


def test_every_page_fits_a_narrow_window_and_every_link_leads_somewhere(pages: Pages, new_shop: Shop) -> None:
    dataset = a_dataset(new_shop, *QUESTIONS, "x" * 300)
    versions = [
        str(a_version(new_shop, text=f"{word} {{{{question}}}}")["prompt_template_version_id"]) for word in "ab"
    ]
    answers = {question: (f"about {question} {'y' * 300}", question != "rye") for question in QUESTIONS}
    runs = [a_run(new_shop, name, answers) for name in ("before", "after")]
    page = new_shop.sign_in(pages.open(viewport=NARROW))
    case = ask_cases(new_shop, dataset)
    links: set[str] = set()
    for path in (
        "datasets", f"datasets/{dataset}", f"datasets/{dataset}/import", f"datasets/{dataset}/delete",
        f"datasets/{dataset}/cases/{case}", f"datasets/{dataset}/cases/new?as=json", "test-runs", "test-runs/new",
        f"test-runs/{runs[0]}", "test-suites", "compare", f"compare?run={runs[0]}&run={runs[1]}",
        f"compare?version={versions[0]}&version={versions[1]}",
    ):  # fmt: skip
        page.goto(at(new_shop, path))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        for menu in page.locator("details.menu > summary").all():
            menu.click()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"the menu of {path}"
        links |= set(page.eval_on_selector_all("main a[href]", "all => all.map(a => a.href)"))
        main, _, query = path.partition("?")
        assert page.request.get(at(new_shop, f"{main}.json?{query}")).ok or "/delete" in path, f"the JSON of {path}"
    mine = [link for link in links if re.search(r"/(datasets|test-runs|test-suites|compare|calls)\b", link)]
    assert len(mine) > 30
    broken = [link for link in mine if page.request.get(link).status >= 400]
    assert broken == []


def ask_cases(shop: Shop, dataset: str) -> str:
    """The id of the first case."""
    url = f"{shop.backend.api_base}/v2/projects/{shop.project_id}/datasets/id/{dataset}/test-cases"
    answer = requests.get(url, headers={"Authorization": f"Bearer {shop.api_key}"}, timeout=20)
    return str(answer.json()[0]["id"])
