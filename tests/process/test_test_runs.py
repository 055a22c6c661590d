"""Datasets and test runs over real HTTP, in the words of Freeplay's clients, new and old."""

from __future__ import annotations

import pytest
import requests

from freeplay_like.clock import SystemClock
from freeplay_like.core.records import Amendment
from freeplay_like.core.wire import to_wire
from support.backend import BackendProcess
from support.plain_records import a_record

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
        ("prompt-datasets", {"name": "x" * 201}, 400, "a dataset's name"),
        ("prompt-datasets", {"name": "a", "input_names": ["\n"]}, 400, "input_names: a variable's name"),
        ("prompt-datasets", {"name": "a", "input_names": ["a"] * 201}, 400, "input_names has 201 names"),
        ("datasets/id/none/test-cases", {"examples": []}, 404, "no dataset 'none'"),
        ("datasets/id/none/test-cases", {"examples": [{"inputs": []}]}, 400, "$.examples[0].inputs"),
        ("datasets/id/none/test-cases", {"examples": [{"history": [{}]}]}, 400, "examples[0].history[0] has no role"),
        ("datasets/id/none/test-cases", {"examples": [{}] * 501}, 413, "501 test cases; 500 are taken"),
        ("test-runs", {"dataset_name": "none such"}, 404, "no dataset 'none such'"),
        ("test-runs", {"dataset_name": "x", "test_run_name": "\x00"}, 400, "test_run_name: a test run's name"),
        ("test-runs", {"dataset_name": "x", "flavor_name": "x" * 1_001}, 400, "flavor_name has 1001"),
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
