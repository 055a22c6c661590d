"""Whatever is sent to the API, the answer is one that says what is wrong: never a 500."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freeplay_like.clock import SystemClock
from freeplay_like.core.wire import to_wire
from support.backend import BackendProcess
from support.freeplay_061 import SOME
from support.plain_records import a_record

pytestmark = pytest.mark.over("sqlite", "servers")

TIMEOUT_S = 30

COMPLETION_FIELDS = (
    *("messages", "inputs", "tool_schema", "output_schema", "session_info", "custom_metadata", "parent_id"),
    *("prompt_info", "call_info", "completion_id", "response_info", "test_run_info", "eval_results", "trace_info"),
    *("media_inputs", "details"),
)
TRACE_FIELDS = (
    *("input", "output", "agent_name", "kind", "name", "parent_id", "custom_metadata", "eval_results"),
    *("test_run_info", "start_time", "end_time"),
)

ROUTES: list[tuple[str, str, tuple[str, ...]]] = [
    ("POST", "records:batch", ("records", "amendments", "sender")),
    ("GET", "completions/{id}", ()),
    ("POST", "completions/{id}", ("new_messages", "eval_results")),
    ("POST", "completion-feedback/id/{id}", ("freeplay_feedback", "note")),
    ("POST", "sessions/{id}/completions", ("messages",)),
    ("POST", f"sessions/{SOME}/completions", COMPLETION_FIELDS),
    ("GET", "sessions?page={text}&page_size={text}&from_date={text}&test_list={text}", ()),
    ("GET", "sessions?custom_metadata.{text}={text}&prompt_name={text}", ()),
    ("PATCH", "sessions/id/{id}/metadata", ("a", "role")),
    ("POST", f"sessions/{SOME}/traces/id/{SOME}", TRACE_FIELDS),
    ("PATCH", f"sessions/{SOME}/traces/id/{SOME}", ("output", "metadata", "feedback", "eval_results", "test_run_info")),
    ("PATCH", f"sessions/{SOME}/traces/id/{SOME}/metadata", ("a", "role")),
    ("POST", f"trace-feedback/id/{SOME}", ("freeplay_feedback", "note")),
    ("GET", "traces/{id}", ()),
    ("GET", "sessions/{id}/traces?page={text}", ()),
    ("DELETE", "sessions/{id}", ()),
    ("GET", "sessions/{id}?limit={text}", ()),
    ("GET", "prompt-datasets?page={text}&page_size={text}", ()),
    ("POST", "prompt-datasets", ("name", "description", "input_names", "media_input_names", "support_history")),
    ("GET", "datasets/id/{id}/test-cases", ()),
    ("POST", "datasets/id/{dataset}/test-cases", ("examples",)),
    ("POST", "test-runs", ("dataset_name", "include_outputs", "test_run_name", "test_run_description", "flavor_name")),
    ("GET", "test-runs/id/{id}", ()),
]

WORDS = [
    *("record_id", "amendment_id", "project_id", "made_at", "started_at", "role", "content", "history", "inputs"),
    *("output", "scores", "comments", "feedback", "positive", "user", "2026-11-21T12:00:00Z", "text", "tool_calls"),
]
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(max_size=20), st.sampled_from(["\0", "\ud800", "x" * 2_000, "../.."]))
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([2**63, -(2**70)]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=5)),
    max_leaves=20,
)


MESSAGE = {"role": "assistant", "content": "a", "name": "n", "tool_calls": [], "tool_call_id": "t"}
CASE = {
    "inputs": {"a": 1},
    "output": "o",
    "output_message": MESSAGE,
    "history": [MESSAGE],
    "metadata": {},
    "media_inputs": {"pic": {"type": "url", "url": "u"}},
}


def nearly(valid: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A good value, of which some fields are replaced by anything."""
    return st.dictionaries(st.sampled_from(sorted(valid)), VALUES, max_size=2).map(lambda odd: {**valid, **odd})


CALL_INFO = {
    "start_time": 1.5,
    "end_time": 2.5,
    "model": "m",
    "provider": "openai",
    "api_style": "default",
    "llm_parameters": {"a": 1},
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}
DETAILS = {
    "outcome": "error",
    "error": {"type": "t", "message": "m"},
    "latency_ms": 1,
    "time_to_first_chunk_ms": 1,
    "timeline": [[1.5, 2]],
    "parameters": {"a": {"value": 1, "layer": "call"}},
}
SHAPES = {
    "new_messages": st.lists(nearly(MESSAGE), max_size=3),
    "examples": st.lists(nearly(CASE), max_size=3),
    "messages": st.lists(st.one_of(nearly(MESSAGE), VALUES), max_size=3),
    "call_info": nearly(CALL_INFO),
    "details": nearly(DETAILS),
}


@pytest.fixture(scope="module")
def dataset_id(backend: BackendProcess) -> str:
    url = f"{backend.project_base}/prompt-datasets"
    made = requests.post(url, json={"name": "strange requests"}, headers=backend.headers, timeout=TIMEOUT_S)
    return str(made.json()["id"])


@pytest.mark.parametrize(("method", "path", "fields"), ROUTES, ids=[f"{method} {path}" for method, path, _ in ROUTES])
def test_nothing_that_is_sent_gives_a_500(
    backend: BackendProcess, dataset_id: str, method: str, path: str, fields: tuple[str, ...]
) -> None:
    session = requests.Session()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def try_it(data: st.DataObject) -> None:
        text = quote(data.draw(TEXTS), safe="", errors="replace")
        address = path.format(id=text or "%00", text=text, dataset=dataset_id)
        shape = st.fixed_dictionaries({}, optional={field: SHAPES.get(field, VALUES) for field in fields})
        body = data.draw(st.one_of(shape, VALUES)) if fields else None
        answer = session.request(
            method,
            f"{backend.project_base}/{address}",
            data=None if body is None else json.dumps(body),
            headers=backend.headers,
            timeout=TIMEOUT_S,
        )
        assert answer.status_code in {200, 201, 400, 404, 405, 409, 413}, (answer.status_code, answer.text)
        assert isinstance(answer.json(), (dict, list))
        if not answer.ok:
            assert list(answer.json()) == ["message"]

    try_it()
    session.close()


def test_what_was_stored_can_be_shown_however_strange_it_is(backend: BackendProcess) -> None:
    person = requests.Session()
    person.get(backend.sign_in_url(), timeout=TIMEOUT_S)
    record = json.loads(to_wire(a_record(backend.project_id, session_id="strange", test_run_id="r")))
    amendment = {
        "project_id": backend.project_id,
        "made_at": "2026-11-21T12:00:00Z",
        "feedback": "positive",
        "comments": {"a": 1},
        "scores": {"a": 1},
        "new_messages": [MESSAGE],
    }
    stored = []

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(nearly(record), st.lists(nearly(amendment), max_size=3))
    def try_it(odd: dict[str, Any], said: list[dict[str, Any]]) -> None:
        sent = {**odd, "record_id": SystemClock().new_id()}
        amendments = [{**a, "record_id": sent["record_id"], "amendment_id": SystemClock().new_id()} for a in said]
        body = json.dumps({"records": [sent], "amendments": amendments})
        api, page = backend.project_base, f"{backend.url}/projects/{backend.project_id}"
        answer = requests.post(f"{api}/records:batch", data=body, headers=backend.headers, timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text
        if answer.json()["stored"]:
            stored.append(sent["record_id"])
            read = requests.get(f"{api}/completions/{stored[-1]}", headers=backend.headers, timeout=TIMEOUT_S)
            assert len(read.json()["amendments"]) == answer.json()["amendments_stored"]
            shown = person.get(f"{page}/calls/{stored[-1]}", timeout=TIMEOUT_S)
            assert (read.status_code, shown.status_code) == (200, 200)
            for address in (f"{page}/calls", f"{page}/sessions/strange"):
                assert person.get(address, timeout=TIMEOUT_S).status_code in {200, 404}
            assert requests.get(f"{api}/sessions/strange", headers=backend.headers, timeout=TIMEOUT_S).status_code in {
                200,
                404,
            }

    try_it()
    assert len(stored) > 10
    person.close()
