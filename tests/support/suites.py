"""Test runs that a backend carries out itself, asked for as a program would."""

from __future__ import annotations

import uuid
from typing import Any

from freeplay_like.core.wire import JsonObject
from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess
from support.freeplay_061 import ask
from support.waiting import until

SECRET = "a-secret-of-the-provider-0123456789"
PATIENCE_S = 60.0


def connected(backend: BackendProcess, simulator: Simulator, secret: str | None = SECRET) -> JsonObject:
    answer = ask(backend, "PUT", "providers/openai_chat", {"base_url": simulator.openai_base, "secret": secret})
    assert answer.status_code == 200, answer.text
    found: JsonObject = answer.json()
    return found


def a_suite(backend: BackendProcess, cases: int, *, model: str = "sim:echo", **more: object) -> str:
    """The id of a fresh suite over cases whose expected output is their question."""
    dataset = ask(backend, "POST", "prompt-datasets", {"name": f"questions {uuid.uuid4()}"}).json()
    examples = [{"inputs": {"question": f"q{number}"}, "output": f"q{number}"} for number in range(cases)]
    added = ask(backend, "POST", f"datasets/id/{dataset['id']}/test-cases", {"examples": examples})
    assert added.status_code == 201, added.text
    body = {
        "template_messages": [{"role": "user", "content": "{{question}}"}],
        "model": model,
        "provider": "openai",
        "llm_parameters": {"temperature": 0.2},
        "environments": ["prod"],
    }
    template = ask(backend, "POST", f"prompt-templates/name/asked-{uuid.uuid4()}/versions", body)
    assert template.status_code == 201, template.text
    suite = {"name": f"suite {uuid.uuid4()}", "test_list_id": dataset["id"]}
    suite["prompt_template_id"] = template.json()["prompt_template_id"]
    made = ask(backend, "POST", "test-suites", {**suite, **more})
    assert made.status_code == 201, made.text
    found: str = made.json()["id"]
    return found


def executed(backend: BackendProcess, suite: str) -> str:
    answer = ask(backend, "POST", f"test-suites/{suite}/runs/execute", {})
    assert (answer.status_code, answer.json()["status"]) == (201, "in-progress"), answer.text
    found: str = answer.json()["run_id"]
    return found


def results(backend: BackendProcess, suite: str, run_id: str) -> Any:
    return ask(backend, "GET", f"test-suites/{suite}/runs/{run_id}/results").json()


def ended(backend: BackendProcess, suite: str, run_id: str) -> Any:
    until(lambda: results(backend, suite, run_id)["status"] != "in-progress", PATIENCE_S, "the end of the run")
    return results(backend, suite, run_id)


def tried(backend: BackendProcess, run_id: str) -> list[Any]:
    found: list[Any] = ask(backend, "GET", f"test-runs/id/{run_id}/cases?page_size=100").json()["data"]
    return found
