"""Replays that the backend carries out itself: a real server process, a simulated provider, and a real form."""

from __future__ import annotations

from typing import Any

from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess
from support.plain_records import a_record
from support.records import post_records
from support.reviewer import PATIENCE_S, SECRET, Reviewer, asked_again, connected, recorded
from support.waiting import until


def test_a_call_is_asked_again_and_its_record_says_of_which(own_backend: BackendProcess, simulator: Simulator) -> None:
    reviewer = connected(own_backend, simulator)
    (original,) = recorded(own_backend, 1)
    fields = {"flavor": "openai_chat", "model": "sim:echo", "parameters": '{"temperature": 0.5}', "times": 2}
    place = reviewer.begin(f"calls/{original.record_id}/replay", **fields)
    end = reviewer.ended(place)
    assert (end["replay"]["state"], end["replay"]["totals"]["equal"], len(simulator.requests)) == ("complete", 2, 2)
    for pair in end["pairs"]:
        answer = pair["answer"]
        assert (answer["replay_of"], answer["outcome"]) == (original.record_id, "complete")
        assert (answer["session_id"], answer["template"]) == (None, None), "a replay is nothing that a user did"
        assert answer["parameters"]["temperature"]["value"] == 0.5
        assert answer["record_id"] == pair["item"]["record_id"]
    found = reviewer.read("calls", q=f"replay_of:{original.record_id}")["page"]["rows"]
    assert {row["record_id"] for row in found} == {pair["item"]["record_id"] for pair in end["pairs"]}
    assert {request.headers["authorization"] for request in simulator.requests} == {f"Bearer {SECRET}"}


def test_a_replay_of_a_killed_server_goes_on_and_asks_no_answered_call_again(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    simulator.enqueue(*["echo"] * 6, *["hang"] * 4)
    reviewer, place = asked_again(own_backend, simulator, 24)
    simulator.wait_for_requests(10, PATIENCE_S)
    until(lambda: reviewer.read(place)["replay"]["totals"]["answered"] == 6, PATIENCE_S, "the six answers")
    own_backend.kill()
    own_backend.start()
    end = reviewer.ended(place)
    totals = end["replay"]["totals"]
    assert (end["replay"]["state"], totals["answered"], totals["equal"]) == ("complete", 24, 24)
    assert len(simulator.requests) == 28, "only what was under way is asked again"
    replay_id = end["replay"]["id"]

    def outcomes() -> list[str]:
        rows = reviewer.read("calls", q=f"metadata.replay:{replay_id}")["page"]["rows"]
        return sorted(row["outcome"] for row in rows)

    until(lambda: len(outcomes()) == 28, PATIENCE_S, "the records of the calls of the dead server")
    assert outcomes() == ["complete"] * 24 + ["interrupted"] * 4


def test_a_server_that_is_stopped_leaves_its_replay_to_the_next_one(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    reviewer, place = asked_again(own_backend, simulator, 12, model="sim:echo,first_delay_ms=150")
    simulator.wait_for_requests(3, PATIENCE_S)
    assert own_backend.stop() == 0
    assert len(simulator.requests) < 12
    own_backend.start()
    assert reviewer.ended(place)["replay"]["totals"]["answered"] == 12
    assert len(simulator.requests) == 12, "calls under way were waited for"


def test_a_cancelled_replay_breaks_its_calls_off(own_backend: BackendProcess, simulator: Simulator) -> None:
    reviewer, place = asked_again(own_backend, simulator, 9, model="sim:chunks=3,hang_after=1")
    simulator.wait_for_requests(4, PATIENCE_S)
    reviewer.begin(f"{place}/cancel")

    def outcomes() -> list[str]:
        pairs = reviewer.read(place)["pairs"]
        return sorted(pair["item"]["answer"]["outcome"] for pair in pairs if pair["item"]["answer"])

    until(lambda: outcomes() == ["cancelled"] * 4, PATIENCE_S, "the ends of the calls")
    assert (reviewer.read(place)["replay"]["state"], len(simulator.requests)) == ("cancelled", 4)
    assert reviewer.post(f"{place}/cancel").status_code == 409


def test_a_call_that_fails_and_one_that_cannot_be_sent_do_not_stop_the_others(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    reviewer = connected(own_backend, simulator)
    recorded(own_backend, 3)
    gone = a_record(own_backend.project_id, messages=(), metadata={"redaction": "a hook that failed"})
    post_records(own_backend.api_base, own_backend.api_key, [gone])
    simulator.enqueue("status=400")
    end = reviewer.ended(reviewer.begin("replays/new", model="sim:echo", limit=10))
    totals = end["replay"]["totals"]
    assert (totals["items"], totals["answered"], totals["failed"], totals["skipped"]) == (4, 3, 1, 1)
    assert end["pairs"][0]["answer"]["error"]["status"] == 400, "the worst comes first"
    problems = [pair["item"]["problem"] for pair in end["pairs"] if pair["item"]["problem"]]
    assert ["contents were not kept" in problem for problem in problems] == [True]


def test_without_a_connection_nothing_is_begun(own_backend: BackendProcess) -> None:
    reviewer = Reviewer(own_backend)
    (original,) = recorded(own_backend, 1)
    for path, fields in (
        (f"calls/{original.record_id}/replay", {"flavor": "openai_chat", "model": "m"}),
        ("replays/new", {"limit": 5}),
        (
            "playground",
            {"do": "run", "lines": 1, "role.0": "user", "content.0": "x", "flavor.0": "openai_chat", "model.0": "m"},
        ),
    ):
        refused = reviewer.post(path, **fields)
        assert (refused.status_code, "Settings, Providers" in refused.text) == (409, True), path
    assert reviewer.read("replays")["replays"] == []


def test_the_playground_leaves_a_record_that_leads_back_to_it(
    own_backend: BackendProcess, simulator: Simulator
) -> None:
    reviewer = connected(own_backend, simulator)
    fields = {
        "do": "run",
        "lines": 2,
        "role.0": "system",
        "content.0": "Be a {{role}}.",
        "role.1": "user",
        "content.1": "When?",
        "var.role": "baker",
        "flavor.0": "openai_chat",
        "model.0": "sim:echo",
        "parameters": '{"temperature": 0.1}',
    }
    answer = reviewer.post("playground", **fields)
    assert answer.status_code == 303
    replay_id = answer.headers["location"].partition("run=")[2].partition("#")[0]

    def shown() -> Any:
        return reviewer.read("playground", run=replay_id)

    until(lambda: shown()["replay"]["state"] == "complete", PATIENCE_S, "the answer")
    (pair,) = shown()["pairs"]
    record = pair["answer"]
    assert [message["content"] for message in record["messages"]] == ["Be a baker.", "When?"]
    assert (record["metadata"]["made_in"], record["replay_of"], record["variables"]) == (
        "playground",
        None,
        {"role": "baker"},
    )
    back = reviewer.read("playground", call=record["record_id"])
    assert [line["content"] for line in back["sheet"]["lines"]] == ["Be a {{role}}.", "When?"]
    missing = reviewer.post("playground", **{**fields, "content.1": "{{when}} {{", "parameters": "["})
    assert missing.status_code == 422
    for part in ("message 2", "Parameters"):
        assert part in missing.text, "all errors are said at once"
    assert len(simulator.requests) == 1, "and nothing was sent"
