"""What is said of records over real HTTP, and sessions read back."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import requests

from freeplay_like.clock import SystemClock
from freeplay_like.core.chunks import Usage
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import from_wire, to_wire
from support.backend import BackendProcess
from support.plain_records import a_record

TIMEOUT_S = 30


def request(backend: BackendProcess, method: str, path: str, body: object = None) -> requests.Response:
    data = None if body is None else to_wire(body)
    url = f"{backend.project_base}/{path}"
    return requests.request(method, url, data=data, headers=backend.headers, timeout=TIMEOUT_S)


def an_amendment(record: Record, **changes: object) -> Amendment:
    clock = SystemClock()
    made = Amendment(
        amendment_id=clock.new_id(), record_id=record.record_id, project_id=record.project_id, made_at=clock.now()
    )
    return attrs.evolve(made, **changes)


@attrs.frozen
class ReadBack:
    """What of a read-back record these tests look at."""

    amendments: tuple[Amendment, ...]


def said_of(backend: BackendProcess, record: Record) -> tuple[Amendment, ...]:
    answer = request(backend, "GET", f"completions/{record.record_id}")
    assert answer.status_code == 200, answer.text
    assert from_wire(answer.content, Record) == record
    return from_wire(answer.content, ReadBack).amendments


def test_amendments_are_stored_once_before_or_after_their_record(backend: BackendProcess) -> None:
    record = a_record(backend.project_id)
    early = an_amendment(record, feedback="positive", comments={"note": "früh 🎈"})
    late = an_amendment(record, scores={"exact": True}, new_messages=(Message(role="user", content="more"),))
    first = request(backend, "POST", "records:batch", {"records": [], "amendments": [early]})
    assert (first.status_code, first.json()["amendments_stored"]) == (200, 1)
    second = request(backend, "POST", "records:batch", {"records": [record], "amendments": [early, late]}).json()
    assert (second["stored"], second["amendments_stored"], second["amendments_duplicates"]) == (1, 1, 1)
    assert second["amendments_rejected"] == []
    assert said_of(backend, record) == (early, late)


def test_a_bad_amendment_is_named_and_does_not_keep_the_others_out(backend: BackendProcess) -> None:
    record = a_record(backend.project_id)
    good = an_amendment(record, feedback="negative")
    plain: dict[str, Any] = from_wire(to_wire(good), dict)
    bad: list[tuple[object, str]] = [
        ("not an amendment", "object"),
        ({**plain, "feedback": "splendid"}, "$.feedback"),
        ({**plain, "scores": {"a": [1]}}, "$.scores"),
        ({**plain, "scores": {"": 1}}, "a score's name"),
        ({**plain, "scores": {"a": "x" * 1_001}}, "put a longer one into comments"),
        ({**plain, "scores": {str(n): n for n in range(101)}}, "101 scores"),
        ({**plain, "amendment_id": "a/b"}, "amendment_id must be"),
        ({**plain, "record_id": ""}, "record_id must be"),
        ({**plain, "project_id": "another"}, "project_id is 'another'"),
        ({**plain, "made_at": "2026-11-21T12:00:00"}, "no time zone"),
        ({**plain, "made_at": "9999-12-31T23:59:59-14:00"}, "no time that a calendar"),
        ({**plain, "new_messages": [{"role": "king"}]}, "$.new_messages"),
    ]
    amendments = [good, *(wrong for wrong, _ in bad)]
    answer = request(backend, "POST", "records:batch", {"records": [record], "amendments": amendments})
    assert answer.status_code == 200
    assert (answer.json()["stored"], answer.json()["amendments_stored"]) == (1, 1)
    rejected = answer.json()["amendments_rejected"]
    assert [item["index"] for item in rejected] == list(range(1, len(bad) + 1))
    for item, (_, message) in zip(rejected, bad, strict=True):
        assert message in item["message"]
    assert [item["amendment_id"] for item in rejected[:2]] == [None, good.amendment_id]
    assert said_of(backend, record) == (good,)


def test_an_acknowledged_amendment_survives_kill_9(own_backend: BackendProcess) -> None:
    record = a_record(own_backend.project_id)
    amendment = an_amendment(record, feedback="positive")
    body = {"records": [record], "amendments": [amendment]}
    assert request(own_backend, "POST", "records:batch", body).json()["amendments_stored"] == 1
    own_backend.kill()
    own_backend.start()
    assert said_of(own_backend, record) == (amendment,)


# --- in Freeplay's words


def test_feedback_and_updates_of_freeplays_clients_are_amendments(backend: BackendProcess) -> None:
    record = a_record(backend.project_id)
    request(backend, "POST", "records:batch", {"records": [record]})
    comments = {"topic": "travel", "stars": 4, "ratio": 0.5, "again": True}
    feedback = {"freeplay_feedback": "positive", **comments}
    given = request(backend, "POST", f"completion-feedback/id/{record.record_id}", feedback)
    assert (given.status_code, given.json()) == (201, {"completion_id": record.record_id})
    update = {"new_messages": [{"role": "assistant", "content": "later"}], "eval_results": {"ok": True, "e": 0.5}}
    updated = request(backend, "POST", f"completions/{record.record_id}", update)
    assert (updated.status_code, updated.json()) == (201, {"completion_id": record.record_id})
    first, second = said_of(backend, record)
    assert (first.feedback, first.comments) == (
        "positive",
        {"topic": "travel", "stars": 4, "ratio": 0.5, "again": True},
    )
    assert second.scores == {"ok": True, "e": 0.5}
    assert second.new_messages == (Message(role="assistant", content="later"),)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("completions", {}, "give 'new_messages' or 'eval_results'"),
        ("completions", {"new_messages": None, "eval_results": None}, "changes nothing"),
        ("completions", {"new_messages": "x"}, "$.new_messages"),
        ("completions", {"eval_results": {"a": None}}, "$.eval_results"),
        ("completions", {"eval_results": {" ": 1}}, "a score's name"),
        ("completion-feedback/id", {"freeplay_feedback": "splendid"}, "'positive' or 'negative', not 'splendid'"),
        ("completion-feedback/id", {"freeplay_feedback": ["positive"]}, "body is not what this address takes"),
        ("completion-feedback/id", {"a": {"b": 1}}, "body is not what this address takes"),
        ("completion-feedback/id", {}, "the body says nothing"),
        ("completion-feedback/id", [], "Expected `object`"),
    ],
)
def test_a_bad_update_is_refused_by_its_field(backend: BackendProcess, path: str, body: object, message: str) -> None:
    record = a_record(backend.project_id)
    request(backend, "POST", "records:batch", {"records": [record]})
    answer = request(backend, "POST", f"{path}/{record.record_id}", body)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert said_of(backend, record) == ()


@pytest.mark.parametrize(
    ("path", "body"),
    [("completions", {"eval_results": {"e": 1.0}}), ("completion-feedback/id", {"freeplay_feedback": "negative"})],
)
def test_nothing_can_be_said_of_a_record_that_is_not_there(backend: BackendProcess, path: str, body: object) -> None:
    answer = request(backend, "POST", f"{path}/{SystemClock().new_id()}", body)
    assert answer.status_code == 404
    assert "no record" in answer.json()["message"]


# --- sessions


def test_a_session_is_read_back_whole(backend: BackendProcess) -> None:
    session_id = SystemClock().new_id()
    first, second = (
        a_record(backend.project_id, session_id=session_id, usage=Usage(input_tokens=n, output_tokens=1), metadata=said)
        for n, said in ((5, {"user": "u"}), (6, {"n": 3}))
    )
    amendment = an_amendment(first, feedback="positive")
    request(backend, "POST", "records:batch", {"records": [second, first], "amendments": [amendment]})
    answer = request(backend, "GET", f"sessions/{session_id}")
    assert answer.status_code == 200
    session = answer.json()
    records = session.pop("records")
    assert session == {
        "session_id": session_id,
        "project_id": backend.project_id,
        "metadata": {"user": "u", "n": 3},
        "totals": {"calls": 2, "input_tokens": 11, "output_tokens": 2, "priced_calls": 0, "cost_nano_usd": 0},
        "has_more": False,
    }
    assert [from_wire(to_wire(record), Record) for record in records] == [first, second]
    assert [len(record["amendments"]) for record in records] == [1, 0]
    newest = request(backend, "GET", f"sessions/{session_id}?limit=1").json()
    assert [record["record_id"] for record in newest["records"]] == [second.record_id]
    assert newest["has_more"]
    assert newest["totals"]["calls"] == 2


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "", "1001", "9" * 5_000, "٣"])
def test_a_limit_that_is_none_is_refused(backend: BackendProcess, limit: str) -> None:
    answer = request(backend, "GET", f"sessions/s?limit={limit}")
    assert answer.status_code == 400
    assert "'limit' is a number from 1 to 1000" in answer.json()["message"]


def test_a_session_that_is_not_there_is_not_found(backend: BackendProcess) -> None:
    answer = request(backend, "GET", "sessions/none")
    assert answer.status_code == 404
    assert "no session 'none'" in answer.json()["message"]


# --- the pages


def test_the_pages_show_what_was_said_and_the_test_run(backend: BackendProcess) -> None:
    nasty = "<script>alert(1)</script>"
    record = a_record(backend.project_id, session_id="shown", test_run_id="run-7", test_case_id="case-9")
    amendment = an_amendment(
        record,
        feedback="negative",
        comments={"why": nasty},
        scores={"tone": "cold"},
        new_messages=(Message(role="user", content="Is that so?"),),
    )
    request(backend, "POST", "records:batch", {"records": [record], "amendments": [amendment]})
    person = requests.Session()
    person.get(backend.sign_in_url(), timeout=TIMEOUT_S)
    project = f"{backend.url}/projects/{backend.project_id}"
    page = person.get(f"{project}/calls/{record.record_id}", timeout=TIMEOUT_S).text
    for shown in ("Feedback and scores", "negative", "tone", "cold", "Is that so?", "added later", "run-7", "case-9"):
        assert shown in page
    assert nasty not in page
    twin = person.get(f"{project}/calls/{record.record_id}.json", timeout=TIMEOUT_S).json()
    assert twin["call"]["amendments"][0]["comments"] == {"why": nasty}
    session = person.get(f"{project}/sessions/shown", timeout=TIMEOUT_S).text
    assert "/test-runs/run-7" in session
