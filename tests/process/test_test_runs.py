"""Datasets and test runs over real HTTP, in the words of Freeplay's clients, new and old."""

from __future__ import annotations

import pytest
import requests

from freeplay_like.clock import SystemClock
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment
from freeplay_like.core.wire import to_wire
from support.backend import BackendProcess
from support.plain_records import a_record

pytestmark = pytest.mark.over("sqlite", "servers")

TIMEOUT_S = 30

CASES = [
    {
        "inputs": {"question": "q1"},
        "output": "a1",
        "metadata": {"n": 1},
        "history": [{"role": "user", "content": "before"}],
        "output_message": {"role": "assistant", "content": "a1"},
        "media_inputs": {"pic": {"type": "url", "url": "https://example.com/x.png"}},
    },
    {"inputs": {"question": "q2"}},
]


def request(backend: BackendProcess, method: str, path: str, body: object = None) -> requests.Response:
    data = None if body is None else to_wire(body)
    url = f"{backend.project_base}/{path}"
    return requests.request(method, url, data=data, headers=backend.headers, timeout=TIMEOUT_S)


def a_dataset(backend: BackendProcess, *cases: object) -> tuple[str, str]:
    """Name and id of a fresh dataset."""
    name = f"cities {SystemClock().new_id()}"
    made = request(backend, "POST", "prompt-datasets", {"name": name, "description": "where things are"})
    assert made.status_code == 201, made.text
    dataset_id = made.json()["id"]
    if cases:
        added = request(backend, "POST", f"datasets/id/{dataset_id}/test-cases", {"examples": cases})
        assert added.status_code == 201, added.text
        assert len(added.json()["test_case_ids"]) == len(cases)
    return name, dataset_id


def test_a_dataset_and_its_cases_are_written_and_read_in_freeplays_words(backend: BackendProcess) -> None:
    name, dataset_id = a_dataset(backend, *CASES)
    listed = request(backend, "GET", "prompt-datasets?page_size=1").json()
    assert listed["pagination"] == {"page": 1, "page_size": 1, "has_next": listed["pagination"]["has_next"]}
    (newest,) = listed["data"]
    assert (newest["id"], newest["name"], newest["description"]) == (dataset_id, name, "where things are")
    assert "key" not in newest
    cases = request(backend, "GET", f"datasets/id/{dataset_id}/test-cases").json()
    ids = [case.pop("id") for case in cases]
    assert len(set(ids)) == 2
    expected = [{**CASES[0], "values": {"question": "q1"}}, {"values": {"question": "q2"}, "output": None}]
    for case, want in zip(cases, expected, strict=True):
        assert {field: case[field] for field in want if field != "inputs"} == {
            field: value for field, value in want.items() if field != "inputs"
        }


def test_a_list_of_datasets_goes_on_from_page_to_page(backend: BackendProcess) -> None:
    made = [a_dataset(backend)[1] for _ in range(3)]
    first = request(backend, "GET", "prompt-datasets?page_size=2").json()
    assert [each["id"] for each in first["data"]] == made[:0:-1]
    assert first["pagination"]["has_next"] is True
    second = request(backend, "GET", "prompt-datasets?page=2&page_size=2").json()
    assert second["data"][0]["id"] == made[0]
    beyond = request(backend, "GET", "prompt-datasets?page=1000000&page_size=100").json()
    assert (beyond["data"], beyond["pagination"]["has_next"]) == ([], False)


def test_a_run_goes_from_its_dataset_to_its_scores(backend: BackendProcess) -> None:
    name, dataset_id = a_dataset(backend, *CASES)
    made = request(backend, "POST", "test-runs", {"dataset_name": name, "test_run_name": "nightly"})
    assert made.status_code == 201
    run = made.json()
    assert run["trace_test_cases"] is None
    assert [case["variables"] for case in run["test_cases"]] == [{"question": "q1"}, {"question": "q2"}]
    assert {case["output"] for case in run["test_cases"]} == {None}
    first = run["test_cases"][0]
    assert first["test_case_type"] == "completion"
    assert first["history"] == CASES[0]["history"]
    assert first["custom_metadata"] == CASES[0]["metadata"]
    assert first["media_variables"] == CASES[0]["media_inputs"]
    seen = []
    for case in run["test_cases"]:
        record = a_record(backend.project_id, test_run_id=run["test_run_id"], test_case_id=case["test_case_id"])
        score = Amendment(
            amendment_id=SystemClock().new_id(),
            record_id=record.record_id,
            project_id=record.project_id,
            made_at=SystemClock().now(),
            scores={"accuracy": 5, "good": True},
        )
        request(backend, "POST", "records:batch", {"records": [record], "amendments": [score]})
        seen.append(request(backend, "GET", f"test-runs/id/{run['test_run_id']}").json())
    assert [(each["status"], each["finished_test_cases"]) for each in seen] == [("in-progress", 1), ("complete", 2)]
    last = seen[-1]
    assert (last["id"], last["name"], last["description"]) == (run["test_run_id"], "nightly", "")
    assert (last["dataset_id"], last["dataset_name"], last["records"], last["test_cases"]) == (dataset_id, name, 2, 2)
    assert last["summary_statistics"] == {
        "auto_evaluation": {},
        "human_evaluation": {},
        "client_evaluation": {"accuracy": {"5": 2}, "good": {"true": 2}},
    }


def test_expected_outputs_come_only_where_they_are_asked_for(backend: BackendProcess) -> None:
    name, _ = a_dataset(backend, *CASES)
    run = request(backend, "POST", "test-runs", {"dataset_name": name, "include_outputs": True}).json()
    assert [case["output"] for case in run["test_cases"]] == ["a1", None]
    assert run["test_cases"][0]["output_message"] == CASES[0]["output_message"]


def test_a_client_of_0_1_6_gets_the_inputs_of_its_playlist(backend: BackendProcess) -> None:
    name, _ = a_dataset(backend, *CASES)
    url = f"{backend.api_base}/projects/{backend.project_id}/test-runs"
    made = requests.post(url, json={"playlist_name": name}, headers=backend.headers, timeout=TIMEOUT_S)
    assert made.status_code == 201
    assert made.json()["inputs"] == [{"question": "q1"}, {"question": "q2"}]
    state = request(backend, "GET", f"test-runs/id/{made.json()['test_run_id']}")
    assert (state.status_code, state.json()["name"]) == (200, name)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("prompt-datasets", {}, 400, "name"),
        ("prompt-datasets", {"name": " "}, 400, "a dataset's name has 1 to 200"),
        ("prompt-datasets", {"name": "x" * 201}, 400, "length <= 200 - at `$.name`"),
        ("prompt-datasets", {"name": "a", "input_names": ["\n"]}, 400, "input_names: a variable's name"),
        ("prompt-datasets", {"name": "a", "input_names": ["a"] * 201}, 400, "length <= 200 - at `$.input_names`"),
        ("datasets/id/none/test-cases", {"examples": []}, 404, "no dataset 'none'"),
        ("datasets/id/none/test-cases", {"examples": [{"inputs": []}]}, 400, "$.examples[0].inputs"),
        ("datasets/id/none/test-cases", {"examples": [{"history": [{}]}]}, 400, "examples[0].history[0] has no role"),
        ("datasets/id/none/test-cases", {"examples": [{}] * 501}, 413, "501 test cases; 500 are taken"),
        ("test-runs", {"dataset_name": "none such"}, 404, "no dataset 'none such'"),
        ("test-runs", {"dataset_name": "x", "test_run_name": "\x00"}, 400, "test_run_name: a test run's name"),
        ("test-runs", {"dataset_name": "x", "flavor_name": "x" * 1_001}, 400, "at `$.flavor_name`"),
        ("test-runs", {"dataset_name": "x", "environment": "\x00"}, 400, "environment holds a NUL"),
        ("test-runs", {"dataset_name": "x", "parameters": {"a": "x" * 70_000}}, 400, "parameters has more than"),
        ("datasets/id/none/test-cases", {"examples": [{"id": "1"}]}, 400, "$.examples[0].id"),
        ("datasets/id/none/from-calls", {"record_ids": []}, 400, "$.record_ids"),
        ("datasets/id/none/from-calls", {"record_ids": ["r"]}, 404, "no dataset 'none'"),
        ("prompt-datasets/none/test-cases/bulk", {"data": [{}] * 101}, 400, "length <= 100"),
        ("agent-datasets/none/test-cases/bulk", {"data": [{"inputs": 1}]}, 404, "no agent dataset 'none'"),
        ("test-suites", {"name": "a", "test_list_id": "none"}, 404, "no dataset 'none'"),
        ("test-suites", {"name": "a", "test_list_id": "x", "thresholds": {"a": "b"}}, 400, "$.thresholds"),
        ("test-suites/none/runs", {}, 404, "no test suite 'none'"),
        ("test-suites/none/runs/execute", {}, 404, "no test suite 'none'"),
        ("test-runs", {"dataset_name": None}, 400, "$.dataset_name"),
    ],
)
def test_a_bad_body_is_refused_by_its_field(
    backend: BackendProcess, path: str, body: object, status: int, message: str
) -> None:
    answer = request(backend, "POST", path, body)
    assert (answer.status_code, list(answer.json())) == (status, ["message"])
    assert message in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("datasets/id/none/test-cases", "no dataset 'none'"),
        ("test-runs/id/none", "no test run 'none'"),
        ("test-runs/id/none/cases", "no test run 'none'"),
        ("test-runs/compare?runs=a", "'runs' names 1 test runs"),
        ("prompt-datasets/none", "no prompt dataset 'none'"),
        ("prompt-datasets/none/test-cases/none", "no prompt dataset 'none'"),
        ("datasets/name/none", "no dataset 'none'"),
        ("test-suites/none/runs/none/results", "no test suite 'none'"),
        ("prompt-datasets?page=0", "'page' is a number from 1"),
        ("prompt-datasets?page_size=101", "'page_size' is a number from 1 to 100"),
    ],
)
def test_a_bad_question_is_refused_by_its_name(backend: BackendProcess, path: str, message: str) -> None:
    answer = request(backend, "GET", path)
    assert answer.status_code == (400 if "?" in path else 404)
    assert message in answer.json()["message"]


def test_a_run_over_no_cases_and_a_taken_name_are_refused(backend: BackendProcess) -> None:
    name, dataset_id = a_dataset(backend)
    empty = request(backend, "POST", "test-runs", {"dataset_name": name})
    assert empty.status_code == 400
    assert dataset_id in empty.json()["message"]
    taken = request(backend, "POST", "prompt-datasets", {"name": name})
    assert taken.status_code == 409
    assert "choose another name" in taken.json()["message"]


def test_a_dataset_and_its_cases_are_changed_and_deleted(backend: BackendProcess) -> None:
    name, dataset_id = a_dataset(backend, *CASES)
    one = f"prompt-datasets/{dataset_id}"
    changed = request(backend, "PATCH", one, {"description": "new", "input_names": ["question"]}).json()
    assert (changed["name"], changed["description"], changed["input_names"], changed["cases"]) == (
        name,
        "new",
        ["question"],
        2,
    )
    assert request(backend, "GET", f"datasets/name/{name}").json() == changed
    assert request(backend, "GET", f"prompt-datasets?name={name}").json()["data"] == [changed]
    page = request(backend, "GET", f"{one}/test-cases?page_size=1").json()
    assert page["pagination"]["has_next"] is True
    (case,) = page["data"]
    assert {field: case[field] for field in CASES[0]} == CASES[0]
    kept = request(backend, "PATCH", f"{one}/test-cases/{case['id']}", {"output": None, "metadata": {"n": 2}}).json()
    assert kept == {**case, "output": None, "metadata": {"n": 2}}
    assert request(backend, "GET", f"{one}/test-cases/{case['id']}").json() == kept
    bad = request(backend, "PATCH", f"{one}/test-cases/{case['id']}", {"history": [{}]})
    assert (bad.status_code, bad.json()["message"][:10]) == (400, "history[0]")
    more = request(backend, "POST", f"{one}/test-cases/bulk", {"data": [{"inputs": {"question": "q3"}}] * 2})
    assert (more.status_code, [each["inputs"] for each in more.json()["data"]]) == (201, [{"question": "q3"}] * 2)
    ids = [each["id"] for each in more.json()["data"]]
    assert request(backend, "DELETE", f"{one}/test-cases/bulk", {"test_case_ids": ids}).status_code == 200
    assert request(backend, "DELETE", f"{one}/test-cases/{case['id']}").status_code == 200
    left = request(backend, "GET", f"datasets/name/{name}/test-cases").json()
    assert [each["values"] for each in left] == [{"question": "q2"}]
    assert request(backend, "DELETE", one).status_code == 200
    assert request(backend, "GET", one).status_code == 404
    assert a_dataset_named(backend, name) != dataset_id


def a_dataset_named(backend: BackendProcess, name: str, kind: str = "prompt") -> str:
    made = request(backend, "POST", f"{kind}-datasets", {"name": name})
    assert made.status_code == 201, made.text
    return made.json()["id"]


def test_a_dataset_for_agents_takes_and_gives_any_json(backend: BackendProcess) -> None:
    name = f"agents {SystemClock().new_id()}"
    dataset_id = a_dataset_named(backend, name, "agent")
    one = f"agent-datasets/{dataset_id}"
    cases = [
        {"inputs": "where?", "outputs": "there"},
        {"inputs": [1, {"a": None}], "outputs": {"n": 2}, "metadata": {"m": 1}},
    ]
    added = request(backend, "POST", f"{one}/test-cases/bulk", {"data": cases})
    assert added.status_code == 201, added.text
    read = request(backend, "GET", f"{one}/test-cases").json()["data"]
    assert read == added.json()["data"]
    assert [(each["input"], each["output"]) for each in read] == [("where?", "there"), ([1, {"a": None}], {"n": 2})]
    assert request(backend, "GET", f"prompt-datasets/{dataset_id}").status_code == 404
    run = request(backend, "POST", "test-runs", {"dataset_name": name, "include_outputs": True}).json()
    assert run["test_cases"] is None
    assert [(each["input"], each["output"], each["test_case_type"]) for each in run["trace_test_cases"]] == [
        ("where?", "there", "trace"),
        ('[1,{"a":null}]', '{"n":2}', "trace"),
    ]
    changed = request(backend, "PATCH", f"{one}/test-cases/{read[1]['id']}", {"outputs": "three"}).json()
    assert (changed["output"], changed["input"], changed["metadata"]) == ("three", [1, {"a": None}], {"m": 1})
    assert changed["id"] != read[1]["id"]  # the run keeps what it was given


def a_scored_run(backend: BackendProcess, name: str, *scores: dict[str, object]) -> str:
    """A run whose cases got these scores, in their order."""
    run = request(backend, "POST", "test-runs", {"dataset_name": name}).json()
    records, amendments = [], []
    for number, (case, said) in enumerate(zip(run["test_cases"], scores, strict=True)):
        record = a_record(
            backend.project_id,
            test_run_id=run["test_run_id"],
            test_case_id=case["test_case_id"],
            latency_ms=100.0 * (number + 1),
        )
        records.append(record)
        amendments.append(
            Amendment(
                amendment_id=SystemClock().new_id(),
                record_id=record.record_id,
                project_id=record.project_id,
                made_at=SystemClock().now(),
                scores=said,
                feedback="positive",
            )
        )
    request(backend, "POST", "records:batch", {"records": records, "amendments": amendments})
    return run["test_run_id"]


def test_two_runs_are_compared_with_regressions_first(backend: BackendProcess) -> None:
    name, _ = a_dataset(backend, *CASES)
    before = a_scored_run(backend, name, {"good": True, "insults": 2}, {"good": True})
    after = a_scored_run(backend, name, {"good": True, "insults": 0}, {"good": False})
    found = request(backend, "GET", f"test-runs/compare?runs={before},{after}&lower_is_better=insults").json()
    assert [run["id"] for run in found["runs"]] == [before, after]
    good = found["scores"]["good"]
    assert (good["difference"], good["better"], good["worse"], good["same"]) == (-0.5, 0, 1, 1)
    assert (found["scores"]["insults"]["better"], found["regressions"]) == (1, 1)
    assert [case["is_regression"] for case in found["cases"]] == [True, False]
    assert found["cases"][0]["differences"] == {"good": -1.0}
    assert found["differences"]["latency_ms"]["mean"] == 0.0
    cases = request(backend, "GET", f"test-runs/id/{after}/cases?page_size=1").json()
    assert cases["pagination"]["has_next"] is True
    (record,) = cases["data"][0]["records"]
    assert (record["scores"], record["feedback"], record["answer"]) == (
        {"good": True, "insults": 0},
        "positive",
        "In France.",
    )
    state = request(backend, "GET", f"test-runs/id/{after}").json()
    assert state["summary_statistics"]["human_evaluation"] == {"freeplay_feedback": {"positive": 2}}
    assert (state["results"]["scores"]["good"]["pass_rate"], state["results"]["latency_ms"]["p95"]) == (0.5, 200.0)
    newest = request(backend, "GET", "test-runs?page_size=2").json()["data"]
    assert [(run["id"], run["status"]) for run in newest] == [(after, "complete"), (before, "complete")]


def test_recorded_calls_become_test_cases_once(backend: BackendProcess) -> None:
    name, dataset_id = a_dataset(backend)
    history = (Message(role="user", content="before"),)
    good = a_record(backend.project_id, variables={"question": "q"}, messages=history)
    failed = a_record(backend.project_id, variables={"question": "r"}, messages=(), outcome="error")
    request(backend, "POST", "records:batch", {"records": [good, failed]})
    ids = [good.record_id, failed.record_id, "made-up"]
    taken = [request(backend, "POST", f"datasets/id/{dataset_id}/from-calls", {"record_ids": ids}) for _ in range(2)]
    assert [each.status_code for each in taken] == [201, 201]
    assert taken[0].json() == taken[1].json()
    assert [each["record_id"] for each in taken[0].json()["skipped"]] == ["made-up"]
    cases = request(backend, "GET", f"datasets/id/{dataset_id}/test-cases").json()
    assert [case["values"] for case in cases] == [{"question": "q"}, {"question": "r"}]
    assert [case["output"] for case in cases] == ["In France.", None]
    assert [case["source_record_id"] for case in cases] == [good.record_id, failed.record_id]
    assert cases[0]["history"] == [{"role": "user", "content": "before"}]
    agents = a_dataset_named(backend, f"agents {name}", "agent")
    refused = request(backend, "POST", f"datasets/id/{agents}/from-calls", {"record_ids": ids})
    assert (refused.status_code, "for agents" in refused.json()["message"]) == (400, True)


def test_a_suite_without_a_template_starts_runs_for_clients_and_executes_none(backend: BackendProcess) -> None:
    name, dataset_id = a_dataset(backend, *CASES)
    body = {"name": f"suite {name}", "test_list_id": dataset_id, "thresholds": {"good": 0.5}}
    made = request(backend, "POST", "test-suites", body)
    assert made.status_code == 201, made.text
    suite = f"test-suites/{made.json()['id']}"
    assert request(backend, "GET", suite).json() == made.json()
    run = request(backend, "POST", f"{suite}/runs", {"name": "tonight"})
    assert (run.status_code, run.json()["total_test_cases"], run.json()["prompt_template"]) == (201, 2, None)
    run_id = run.json()["run_id"]
    results = f"{suite}/runs/{run_id}/results"
    assert request(backend, "GET", results).json()["passed"] is None
    cases = request(backend, "GET", f"{suite}/runs/{run_id}/test-cases?page_size=1").json()
    assert (len(cases["data"]), cases["pagination"]["has_next"], cases["data"][0]["output"]) == (1, True, "a1")
    refused = request(backend, "POST", f"{suite}/runs/execute", {})
    assert (refused.status_code, "run() in the place of execute()" in refused.json()["message"]) == (409, True)
    in_use = request(backend, "DELETE", f"prompt-datasets/{dataset_id}")
    assert in_use.status_code == 409
    assert request(backend, "DELETE", suite).status_code == 200
    assert request(backend, "GET", f"test-runs/id/{run_id}").json()["test_suite_id"] is None
