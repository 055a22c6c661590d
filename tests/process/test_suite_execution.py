"""Test runs that the backend carries out itself: a real server process, and a simulated provider."""

from __future__ import annotations

import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from freeplay_like.local.simulator import Simulator
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME
from support.backend import BackendProcess
from support.environments import Environment
from support.freeplay_061 import ask, run
from support.suites import PATIENCE_S, SECRET, a_suite, connected, ended, executed, results, tried
from support.waiting import until


def test_the_client_of_freeplay_executes_a_suite(
    freeplay_061: Environment, own_backend: BackendProcess, simulator: Simulator
) -> None:
    connected(own_backend, simulator)
    suite = a_suite(own_backend, 7, thresholds={"contains": 1, "exact_match": 0.9})
    answered = run(
        freeplay_061,
        own_backend,
        """
import time
from freeplay.resources.test_suites import TestSuites, TestSuiteRun
(suite,) = ARGS[3:]
suites = TestSuites(fp.call_support, fp.recordings)
begun = suites.execute(project, suite, environment="prod", name="by night")
handle = TestSuiteRun(begun.run_id, suite, project, "prompt", 7, None, fp.call_support, fp.recordings)
found, deadline = handle.get_results(), time.monotonic() + 50
while found.status == "in-progress" and time.monotonic() < deadline:
    time.sleep(0.05)
    found = handle.get_results()
statistics = found.summary_statistics
print(json.dumps([begun.status, begun.passed, begun.run_id, found.status, found.passed, found.eval_results,
                  statistics.client_evaluation, len(list(handle.test_cases))]))
""",
        suite,
    )
    status, passed, run_id, *end = answered
    assert (status, passed) == ("in-progress", None)
    judged = {
        "contains": {"mean": 1.0, "threshold": 1.0, "passed": True},
        "exact_match": {"mean": 1.0, "threshold": 0.9, "passed": True},
    }
    assert end == ["complete", True, judged, {"contains": {"true": 7}, "exact_match": {"true": 7}}, 7]
    cases = tried(own_backend, run_id)
    assert [[record["answer"] for record in case["records"]] for case in cases] == [[f"q{n}"] for n in range(7)]
    record = ask(own_backend, "GET", f"completions/{cases[0]['records'][0]['record_id']}").json()
    assert (record["test_run_id"], record["test_case_id"]) == (run_id, cases[0]["test_case_id"])
    assert record["parameters"]["temperature"]["layer"] == "template"
    assert record["template"]["environment"] == "prod"
    state = ask(own_backend, "GET", f"test-runs/id/{run_id}").json()
    assert (state["name"], state["status"], state["finished_test_cases"]) == ("by night", "complete", 7)
    assert len(simulator.requests) == 7
    assert {request.headers["authorization"] for request in simulator.requests} == {f"Bearer {SECRET}"}


def test_a_run_of_a_killed_server_goes_on_and_asks_no_answered_case_again(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    connected(own_backend, simulator)
    suite = a_suite(own_backend, 24)
    simulator.enqueue(*["echo"] * 6, *["hang"] * 4)
    run_id = executed(own_backend, suite)
    simulator.wait_for_requests(10, PATIENCE_S)
    assert results(own_backend, suite, run_id)["finished_test_cases"] == 6
    own_backend.kill()
    own_backend.start()
    end = ended(own_backend, suite, run_id)
    assert (end["status"], end["finished_test_cases"], len(simulator.requests)) == ("complete", 24, 28)

    def outcomes() -> list[list[str]]:
        return [sorted(record["outcome"] for record in case["records"]) for case in tried(own_backend, run_id)]

    broken_off = ["complete", "interrupted"]  # what was under way when the server died has its record too
    until(lambda: outcomes().count(broken_off) == 4, PATIENCE_S, "the records of the calls of the dead server")
    assert outcomes().count(["complete"]) == 20, "every case has one answer"


def test_a_server_that_is_stopped_leaves_its_run_to_the_next_one(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    connected(own_backend, simulator)
    suite = a_suite(own_backend, 12, model="sim:echo,first_delay_ms=150")
    run_id = executed(own_backend, suite)
    simulator.wait_for_requests(3, PATIENCE_S)
    assert own_backend.stop() == 0
    asked = len(simulator.requests)
    assert asked < 12
    own_backend.start()
    assert ended(own_backend, suite, run_id)["finished_test_cases"] == 12
    assert len(simulator.requests) == 12, "calls under way were waited for"


def test_a_call_that_does_not_end_is_broken_off_when_the_server_stops_and_asked_again(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    connected(own_backend, simulator)
    suite = a_suite(own_backend, 1, model="gpt-4o")
    simulator.enqueue("hang_after=1")
    run_id = executed(own_backend, suite)
    simulator.wait_for_requests(1, PATIENCE_S)
    assert own_backend.stop() == 0
    own_backend.start()
    assert ended(own_backend, suite, run_id)["status"] == "complete"
    (case,) = tried(own_backend, run_id)
    assert [record["outcome"] for record in case["records"]] == ["cancelled", "complete"]


def test_a_case_that_fails_has_its_record_and_the_others_go_on(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    connected(own_backend, simulator)
    simulator.enqueue("status=400")
    suite = a_suite(own_backend, 5)
    end = ended(own_backend, suite, executed(own_backend, suite))
    assert (end["status"], end["results"]["outcomes"]) == ("complete", {"complete": 4, "error": 1})


def test_a_case_that_does_not_fit_the_template_has_its_record_too(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    connected(own_backend, simulator)
    suite = a_suite(own_backend, 1)
    dataset = ask(own_backend, "GET", f"test-suites/{suite}").json()["test_list_id"]
    ask(own_backend, "POST", f"datasets/id/{dataset}/test-cases", {"examples": [{"inputs": {"other": 1}}]})
    run_id = executed(own_backend, suite)
    assert ended(own_backend, suite, run_id)["results"]["outcomes"] == {"complete": 1, "error": 1}
    (record,) = tried(own_backend, run_id)[1]["records"]
    kept = ask(own_backend, "GET", f"completions/{record['record_id']}").json()
    assert (kept["error"]["type"], kept["test_run_id"]) == ("MissingVariablesError", run_id)


def test_a_run_is_cancelled_with_the_calls_that_are_under_way(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    connected(own_backend, simulator)
    suite = a_suite(own_backend, 9, model="sim:chunks=3,hang_after=1")
    run_id = executed(own_backend, suite)
    simulator.wait_for_requests(4, PATIENCE_S)
    answer = ask(own_backend, "POST", f"test-suites/{suite}/runs/{run_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["message"] == "the run was cancelled"
    until(lambda: results(own_backend, suite, run_id)["results"]["outcomes"] == {"cancelled": 4}, PATIENCE_S)
    assert len(simulator.requests) == 4
    again = ask(own_backend, "POST", f"test-suites/{suite}/runs/{run_id}/cancel")
    assert (again.status_code, "not being carried out" in again.json()["message"]) == (409, True)


def test_without_a_connection_the_answer_says_who_sets_it_where(own_backend: BackendProcess) -> None:
    suite = a_suite(own_backend, 1)
    path = f"PUT /api/v2/projects/{own_backend.project_id}/providers/openai_chat"
    refused = ask(own_backend, "POST", f"test-suites/{suite}/runs/execute", {})
    assert (refused.status_code, path in refused.json()["message"]) == (409, True)
    assert ask(own_backend, "PUT", "providers/openai_chat", {}).json()["has_secret"] is False
    refused = ask(own_backend, "POST", f"test-suites/{suite}/runs/execute", {})
    assert (refused.status_code, "without a secret" in refused.json()["message"]) == (409, True)
    assert ask(own_backend, "GET", "test-runs").json()["data"] == [], "a run that cannot be is not made"


def test_a_run_whose_connection_goes_away_fails_and_says_so(own_backend: BackendProcess, simulator: Simulator) -> None:
    connected(own_backend, simulator)
    suite = a_suite(own_backend, 20, model="sim:echo,first_delay_ms=50")
    run_id = executed(own_backend, suite)
    simulator.wait_for_requests(2, PATIENCE_S)
    assert ask(own_backend, "DELETE", "providers/openai_chat").status_code == 200
    end = ended(own_backend, suite, run_id)
    assert (end["status"], "no provider connection for flavor 'openai_chat'" in end["message"]) == ("failed", True)


def test_an_agents_suite_is_left_to_the_client(own_backend: BackendProcess) -> None:
    dataset = ask(own_backend, "POST", "agent-datasets", {"name": "agents"}).json()["id"]
    ask(own_backend, "POST", f"agent-datasets/{dataset}/test-cases/bulk", {"data": [{"inputs": "x"}]})
    suite = ask(own_backend, "POST", "test-suites", {"name": "a", "test_list_id": dataset, "agent_id": "b"}).json()
    refused = ask(own_backend, "POST", f"test-suites/{suite['id']}/runs/execute", {})
    assert (refused.status_code, "run()" in refused.json()["message"]) == (409, True)


# --- secrets and addresses --------------------------------------------------------------------------------------


def test_the_secret_is_in_its_column_and_nowhere_else(own_backend: BackendProcess, simulator: Simulator) -> None:
    shown = connected(own_backend, simulator)
    assert shown["has_secret"] is True
    simulator.enqueue(f"text={SECRET}")  # a provider that says the key back
    suite = a_suite(own_backend, 2)
    run_id = executed(own_backend, suite)
    ended(own_backend, suite, run_id)
    said = [str(shown), own_backend.log, str(tried(own_backend, run_id)), str(results(own_backend, suite, run_id))]
    for path in ("providers", "api-keys", "test-runs", f"test-suites/{suite}", "records:export?format=jsonl"):
        said.append(ask(own_backend, "GET", path).text)
    for case in tried(own_backend, run_id):
        said.append(ask(own_backend, "GET", f"completions/{case['records'][0]['record_id']}").text)
    said.append(ask(own_backend, "PUT", "providers/openai_chat", {"secret": f"{SECRET} "}).text)
    said.append(requests.get(f"{own_backend.api_base}/openapi.json", headers=own_backend.headers, timeout=30).text)
    assert "[redacted]" in said[2]
    assert [text for text in said if SECRET in text] == []
    assert _columns_with(own_backend, SECRET) == ["provider_connection.secret"]


def _columns_with(backend: BackendProcess, text: str) -> list[str]:
    """The columns of the database that have a text in them, packed bodies apart."""
    database = sqlite3.connect(backend.data_dir / DATABASE_NAME)
    try:
        tables = [name for (name,) in database.execute("SELECT name FROM pragma_table_list WHERE type = 'table'")]
        return [
            f"{table}.{cursor.description[place][0]}"
            for table in tables
            for cursor in [database.execute(f"SELECT * FROM {table}")]  # noqa: S608  a name out of the schema
            for row in cursor
            for place, value in enumerate(row)
            if text in str(value)
        ]
    finally:
        database.close()


def test_another_address_clears_the_secret(own_backend: BackendProcess, simulator: Simulator) -> None:
    connected(own_backend, simulator)
    same = ask(own_backend, "PUT", "providers/openai_chat", {"base_url": f"{simulator.openai_base}/"}).json()
    assert (same["has_secret"], same["base_url"]) == (True, simulator.openai_base)
    moved = ask(own_backend, "PUT", "providers/openai_chat", {"base_url": "http://127.0.0.1:9/v1"}).json()
    assert moved["has_secret"] is False
    back = ask(own_backend, "PUT", "providers/openai_chat", {"base_url": simulator.openai_base}).json()
    assert back["has_secret"] is False
    given = {"base_url": "http://127.0.0.1:9/v1", "secret": SECRET}
    assert ask(own_backend, "PUT", "providers/openai_chat", given).json()["has_secret"] is True
    cleared = ask(own_backend, "PUT", "providers/openai_chat", {**given, "secret": None}).json()
    assert cleared["has_secret"] is False


def test_a_provider_cannot_send_the_server_elsewhere(own_backend: BackendProcess, simulator: Simulator) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(307)
            self.send_header("location", f"{simulator.openai_base}/chat/completions")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base_url = f"http://127.0.0.1:{server.server_port}/v1"
        ask(own_backend, "PUT", "providers/openai_chat", {"base_url": base_url, "secret": SECRET})
        suite = a_suite(own_backend, 1)
        end = ended(own_backend, suite, executed(own_backend, suite))
        server.shutdown()
    assert end["results"]["outcomes"] == {"error": 1}
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("flavor", "body", "message"),
    [
        ("openai_chat", {"base_url": "http://169.254.169.254/latest"}, "it is not called"),
        ("openai_chat", {"base_url": "http://2852039166/"}, "it is not called"),
        ("openai_chat", {"base_url": "http://[fd00:ec2::254]/"}, "it is not called"),
        ("openai_chat", {"base_url": "http://[::ffff:169.254.169.254]/"}, "it is not called"),
        ("openai_chat", {"base_url": "https://user:pass@example.org/v1"}, "give the key as 'secret'"),
        ("openai_chat", {"base_url": "file:///etc/passwd"}, "no address of http or https"),
        ("openai_chat", {"base_url": "https://example.org/v1?key=1"}, "a query or a fragment"),
        ("openai_chat", {"base_url": "http://exa\x00mple.org"}, "characters that no address has"),
        ("openai_chat", {"api_version": "2024-10-21"}, "only flavor 'azure_openai_chat' has one"),
        ("azure_openai_chat", {"base_url": "https://x.openai.azure.com"}, "api_version: flavor"),
        ("openai_chat", {"secret": "short"}, "$.secret"),
        ("gemini_chat", {"secret": SECRET}, "cannot be connected"),
    ],
)
def test_what_is_no_connection_is_refused(
    backend: BackendProcess, flavor: str, body: dict[str, object], message: str
) -> None:
    refused = ask(backend, "PUT", f"providers/{flavor}", body)
    assert (refused.status_code, message in refused.json()["message"]) == (400, True), refused.text


def test_keys_of_the_servers_environment_are_used_only_where_it_was_told_so(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.openai_base)
    with BackendProcess(tmp_path_factory.mktemp("plain") / "data") as backend:
        suite = a_suite(backend, 1)
        assert ask(backend, "POST", f"test-suites/{suite}/runs/execute", {}).status_code == 409
        connected(backend, simulator, secret=None)
        assert ended(backend, suite, executed(backend, suite))["status"] == "complete"
    assert SECRET not in str([request.headers for request in simulator.requests])
    simulator.clear()
    arguments = ("--provider-keys-from-environment",)
    with BackendProcess(tmp_path_factory.mktemp("told") / "data", arguments=arguments) as backend:
        suite = a_suite(backend, 1)
        assert ended(backend, suite, executed(backend, suite))["results"]["outcomes"] == {"complete": 1}
    assert SECRET in str([request.headers for request in simulator.requests])
