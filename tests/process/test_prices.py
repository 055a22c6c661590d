"""Prices through a real server: set by HTTP and by the command, seen in calls, pages and sums."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import requests

from freeplay_like.core.chunks import Usage
from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from support.backend import CLI, BackendProcess
from support.plain_records import a_record
from support.waiting import until

TIMEOUT_S = 30
USAGE = Usage(input_tokens=1000, output_tokens=100)
RATES = {"input_usd": 1, "output_usd": 2}


def ask(backend: BackendProcess, method: str, path: str, **more: Any) -> requests.Response:
    return requests.request(
        method, f"{backend.project_base}/{path}", headers=backend.headers, timeout=TIMEOUT_S, **more
    )


def sent(backend: BackendProcess, model: str, session_id: str | None = None) -> Record:
    record = a_record(backend.project_id, model=model, requested_model=model, usage=USAGE, session_id=session_id)
    answer = ask(backend, "POST", "records:batch", data=to_wire({"records": [record]}))
    assert answer.json()["stored"] == 1, answer.text
    return record


def cost_of(backend: BackendProcess, record: Record) -> dict[str, Any]:
    """The cost of a call, once it is looked up."""
    cost = until(lambda: known(ask(backend, "GET", f"completions/{record.record_id}/cost")), what="the cost")
    assert cost is not None
    return cost


def known(answer: requests.Response) -> dict[str, Any] | None:
    assert answer.status_code in {200, 404}, answer.text
    return answer.json() if answer.status_code == 200 else None


def command(backend: BackendProcess, *arguments: str) -> str:
    environment = {"FREEPLAY_LIKE_API_BASE": backend.api_base, "FREEPLAY_LIKE_API_KEY": backend.api_key}
    done = subprocess.run(
        [*CLI, "prices", *arguments], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_call_shows_what_it_cost_and_why(backend: BackendProcess) -> None:
    cost = cost_of(backend, sent(backend, "gpt-4o"))
    assert (cost["cost_usd"], cost["cost_nano_usd"], cost["matched_model"]) == (0.0035, 3_500_000, "gpt-4o")
    assert [(line["bucket"], line["count"], line["rate_usd"], line["usd"]) for line in cost["lines"]] == [
        ("input", 1000, 2.5, 0.0025),
        ("output", 100, 10.0, 0.001),
    ]


def test_a_price_can_be_set_read_changed_and_taken_back(backend: BackendProcess) -> None:
    made = ask(backend, "POST", "models", json={"provider": "openai", "model": "crud", "rates": RATES})
    assert made.status_code == 201
    place = f"models/id/{made.json()['id']}"
    assert ask(backend, "GET", place).json() == made.json()
    again = ask(backend, "POST", "models", json={"provider": "openai", "model": "crud", "rates": RATES})
    assert (again.status_code, "crud" in again.json()["message"]) == (409, True)
    as_listed = {"provider": "openai", "model": "crud", "same_as": {"provider": "openai", "model": "gpt-4o"}}
    assert ask(backend, "PUT", place, json=as_listed).json()["same_as"] == as_listed["same_as"]
    assert made.json()["id"] in {one["id"] for one in ask(backend, "GET", "models").json()["models"]}
    assert ask(backend, "DELETE", place).status_code == 204
    assert ask(backend, "GET", place).status_code == 404


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"provider": "openai", "model": "m"}, "rates"),
        ({"provider": "openai", "model": "m", "rates": RATES, "same_as": {"provider": "p", "model": "m"}}, "same_as"),
        ({"provider": "openai", "model": "m", "rates": {"input_usd": -1, "output_usd": 1}}, "input_usd"),
        ({"provider": "openai", "model": "m", "rates": {"input_usd": 1}}, "output_usd"),
        ({"provider": "openai", "model": "a\nb", "rates": RATES}, "model"),
        ({"provider": "openai", "model": "m", "rates": RATES, "valid_from": "soon"}, "valid_from"),
        ({"provider": "x", "model": "m", "same_as": {"provider": "openai", "model": "gpt-5.1-mini"}}, "codex-mini"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused_by_its_field(
    backend: BackendProcess, body: dict[str, Any], names: str
) -> None:
    refused = ask(backend, "POST", "models", json=body)
    assert refused.status_code == 400
    assert names in refused.json()["message"]


def test_the_list_says_what_it_has_and_whether_that_is_the_model(backend: BackendProcess) -> None:
    exact = ask(backend, "GET", "models/listed?provider=openai&model=gpt-4o").json()
    assert (exact["is_exact"], exact["rates"]["output"]) == (True, 10.0)
    near = ask(backend, "GET", "models/listed?provider=openai&model=gpt-5.1-mini").json()
    assert (near["is_exact"], near["matched_model"]) == (False, "gpt-5.1-codex-mini")
    assert ask(backend, "GET", "models/listed?provider=nobody&model=nothing").status_code == 404


def test_the_command_sets_prices_and_prices_calls_again(backend: BackendProcess) -> None:
    record = sent(backend, "our-model", session_id="priced again")
    unpriced = sent(backend, "nobodys-model", session_id="priced again")
    assert ask(backend, "GET", f"completions/{record.record_id}/cost").status_code == 404
    made = json.loads(command(backend, "set", "openai", "our-model", "--input", "1", "--output", "2", "--json"))
    assert "our-model: input $1, output $2" in command(backend, "list")
    done = json.loads(command(backend, "reprice", "--model", "our-model", "--json"))
    assert (done["calls"], done["changed"], done["before_usd"], done["after_usd"]) == (1, 1, 0, 0.0012)
    assert cost_of(backend, record)["source"] == "team"
    totals = ask(backend, "GET", "sessions/priced%20again").json()["totals"]
    assert (totals["calls"], totals["priced_calls"], totals["cost_nano_usd"]) == (2, 1, 1_200_000)
    assert ask(backend, "GET", f"completions/{unpriced.record_id}/cost").status_code == 404
    command(backend, "remove", made["id"])
    assert "our-model" not in command(backend, "list")


def test_the_command_works_in_the_data_folder_too(backend: BackendProcess) -> None:
    place = ("--data", str(backend.data_dir), "--project", "tests")
    made = json.loads(command(backend, "set", "azure", "chat", "--same-as", "openai/gpt-4o", "--json", *place))
    assert "azure chat: as openai gpt-4o" in command(backend, "list", *place)
    command(backend, "remove", made["id"], *place)


def test_the_page_of_a_call_and_of_its_session_show_the_cost(backend: BackendProcess) -> None:
    record = sent(backend, "gpt-4o", session_id="with costs")
    cost_of(backend, record)
    browser = requests.Session()
    browser.get(backend.sign_in_url(), timeout=TIMEOUT_S)
    page = f"{backend.url}/projects/{backend.project_id}"
    call = browser.get(f"{page}/calls/{record.record_id}?tab=cost", timeout=TIMEOUT_S).text
    assert "$0.0035" in call
    assert re.search(r'>input</th><td class="num">1,000</td><td class="num">\$2\.50 <span[^>]*>/ 1M</span></td>', call)
    twin = browser.get(f"{page}/calls/{record.record_id}.json", timeout=TIMEOUT_S).json()
    assert twin["cost"]["cost_nano_usd"] == twin["call"]["row"]["cost_nano_usd"] == 3_500_000
    session = browser.get(f"{page}/sessions/with%20costs.json", timeout=TIMEOUT_S).json()
    figures = session["figures"]
    assert (figures["priced_calls"], figures["cost_nano_usd"]) == (1, 3_500_000)
