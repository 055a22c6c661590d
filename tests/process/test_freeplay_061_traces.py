"""The unmodified client freeplay 0.6.1 against a real server: traces, metadata and feedback."""

from __future__ import annotations

import uuid

import pytest

from support.backend import BackendProcess
from support.environments import Environment
from support.freeplay_061 import ANSWERED, ask, run

pytestmark = pytest.mark.over("sqlite", "servers")


def test_traces_of_every_kind_are_recorded_updated_and_read_back(
    freeplay_061: Environment, backend: BackendProcess
) -> None:
    session_id, child_id, parent_id, completion_id = run(
        freeplay_061,
        backend,
        """
session = fp.sessions.create()
agent = session.create_trace({"task": "find"}, agent_name="scout", custom_metadata={"a": 1, "b": 2}, kind="agent")
tool = session.create_trace("q", parent_id=UUID(agent.trace_id), kind="tool", name="lookup")
done = fp.recordings.create(RecordPayload(
    project, [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
    session_info=session.session_info, parent_id=UUID(agent.trace_id),
))
tool.record_output(project, ["found", 2], eval_results={"hit": True})
agent.record_output(project, {"answer": 42}, test_run_info=TestRunInfo("run-t", "case-t"))
fp.metadata.update_trace(project, session.session_id, agent.trace_id, {"b": 3, "c": "x"})
fp.traces.update(TraceUpdatePayload(
    project, session.session_id, agent.trace_id, output="better", metadata={"d": True},
    feedback={"freeplay_feedback": "positive"}, eval_results={"good": 0.75},
))
fp.customer_feedback.update_trace(project, agent.trace_id, {"freeplay_feedback": "negative", "stars": 2})
print(json.dumps([session.session_id, tool.trace_id, agent.trace_id, done.completion_id]))
""",
    )
    whole = ask(backend, "GET", f"traces/{parent_id}").json()
    assert whole["completion_ids"] == [completion_id]
    assert whole["child_trace_ids"] == [child_id]
    assert (whole["input"], whole["output"], whole["agent_name"], whole["kind"]) == (
        {"task": "find"},
        "better",
        "scout",
        "agent",
    )
    assert whole["custom_metadata"] == {"a": 1, "b": 3, "c": "x", "d": True}
    assert whole["feedback"] == {"freeplay_feedback": "negative", "stars": 2}
    assert whole["eval_results"] == {"good": 0.75}
    assert whole["test_run_info"] == {"test_run_id": "run-t", "test_case_id": "case-t"}
    listed = ask(backend, "GET", f"sessions/{session_id}/traces").json()
    assert [each["trace_id"] for each in listed["data"]] == [parent_id, child_id]
    assert (listed["data"][1]["output"], listed["data"][1]["parent_id"]) == (["found", 2], parent_id)


def test_metadata_of_a_session_is_merged_over_that_of_its_records(
    freeplay_061: Environment, backend: BackendProcess
) -> None:
    session_id = run(
        freeplay_061,
        backend,
        """
session = fp.sessions.create({"user": "u-1", "plan": "free"})
asked = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
done = fp.recordings.create(RecordPayload(project, asked, session_info=session.session_info))
fp.metadata.update_session(project, session.session_id, {"plan": "paid", "ticket": 7})
fp.metadata.update_session(project, session.session_id, {"ticket": 8})
fp.customer_feedback.update(project, done.completion_id, {"freeplay_feedback": "positive", "note": "ja"})
print(json.dumps(session.session_id))
""",
    )
    session = ask(backend, "GET", f"sessions/{session_id}").json()
    assert session["metadata"] == {"user": "u-1", "plan": "paid", "ticket": 8}
    (amendment,) = session["records"][0]["amendments"]
    assert (amendment["feedback"], amendment["comments"]) == ("positive", {"note": "ja"})


def test_a_trace_stays_in_its_session_and_its_metadata_within_bounds(backend: BackendProcess) -> None:
    one, other, trace_id = (str(uuid.uuid4()) for _ in range(3))
    assert ask(backend, "POST", f"sessions/{one}/traces/id/{trace_id}", {"input": 1}).status_code == 201
    elsewhere = ask(backend, "POST", f"sessions/{other}/traces/id/{trace_id}", {"input": 2})
    assert (elsewhere.status_code, "is of session" in elsewhere.json()["message"]) == (409, True)
    path = f"sessions/{one}/traces/id/{trace_id}/metadata"
    assert ask(backend, "PATCH", path, {str(n): n for n in range(200)}).status_code == 200
    full = ask(backend, "PATCH", path, {"one more": 1})
    assert (full.status_code, "201 names" in full.json()["message"]) == (400, True)
    assert ask(backend, "PATCH", path, {"0": None, "one more": 1}).status_code == 200
    assert ask(backend, "PATCH", f"sessions/{other}/traces/id/{trace_id}/metadata", {"a": 1}).status_code == 404


def test_a_trace_that_only_its_calls_know_is_known(backend: BackendProcess) -> None:
    session_id, trace_id = str(uuid.uuid4()), str(uuid.uuid4())
    body = {**ANSWERED, "trace_info": {"trace_id": trace_id}}
    completion_id = ask(backend, "POST", f"sessions/{session_id}/completions", body).json()["completion_id"]
    found = ask(backend, "GET", f"traces/{trace_id}").json()
    assert (found["session_id"], found["completion_ids"]) == (session_id, [completion_id])
    assert ask(backend, "POST", f"trace-feedback/id/{trace_id}", {"stars": 5}).status_code == 201
    assert ask(backend, "GET", f"traces/{trace_id}").json()["feedback"] == {"stars": 5}
    assert ask(backend, "GET", f"traces/{uuid.uuid4()}").status_code == 404
