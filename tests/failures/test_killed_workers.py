"""Kill -9 of a server in the middle of a job: another one carries it on, and nothing is done twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from freeplay_like.local.simulator import Simulator
from support import reviewer, suites
from support.reviewer import Reviewer
from support.waiting import until
from support.writers import Note, Reckoning, StartServers

pytestmark = pytest.mark.timeout(300)
PATIENCE_S = 60.0
CASES = 24
ANSWERED, UNDER_WAY = 6, 4
"""When the server is killed: so many cases have their answer, and so many are waited for."""


def test_a_test_run_of_a_killed_server_is_carried_on_by_another(
    database_url: str, servers: StartServers, simulator: Simulator, note: Note
) -> None:
    (one,) = servers(database_url, 1)
    suites.connected(one, simulator)
    suite = suites.a_suite(one, CASES)
    simulator.enqueue(*["echo"] * ANSWERED, *["hang"] * UNDER_WAY)
    run_id = suites.executed(one, suite)
    simulator.wait_for_requests(ANSWERED + UNDER_WAY, PATIENCE_S)
    (other,) = servers(database_url, 1)
    until(lambda: suites.results(other, suite, run_id)["finished_test_cases"] == ANSWERED, PATIENCE_S)

    gap_s = taken_over(one.kill, simulator)
    end = suites.ended(other, suite, run_id)
    assert (end["status"], end["finished_test_cases"]) == ("complete", CASES)

    def outcomes() -> list[list[str]]:
        return [sorted(record["outcome"] for record in case["records"]) for case in suites.tried(other, run_id)]

    broken_off = ["complete", "interrupted"]  # what was under way when the server died has its record too
    until(lambda: outcomes().count(broken_off) == UNDER_WAY, PATIENCE_S, "the records of the dead server's calls")
    answers = [each.count("complete") for each in outcomes()]
    assert len(simulator.requests) == CASES + UNDER_WAY, "only what was under way is asked again"
    note(f"kill -9 in a test run of {CASES} cases", reckoned(answers, gap_s))


def test_a_replay_of_a_killed_server_is_carried_on_by_another(
    database_url: str, servers: StartServers, simulator: Simulator, note: Note
) -> None:
    (one,) = servers(database_url, 1)
    simulator.enqueue(*["echo"] * ANSWERED, *["hang"] * UNDER_WAY)
    _, place = reviewer.asked_again(one, simulator, CASES)
    simulator.wait_for_requests(ANSWERED + UNDER_WAY, PATIENCE_S)
    (other,) = servers(database_url, 1)
    watching = Reviewer(other)
    until(lambda: watching.read(place)["replay"]["totals"]["answered"] == ANSWERED, PATIENCE_S, "the first answers")

    gap_s = taken_over(one.kill, simulator)
    end = watching.ended(place)
    assert (end["replay"]["state"], end["replay"]["totals"]["equal"]) == ("complete", CASES)

    def answers() -> list[tuple[str, str]]:
        rows = watching.read("calls", q=f"metadata.replay:{end['replay']['id']}")["page"]["rows"]
        return [(row["first_user"], row["outcome"]) for row in rows]

    until(lambda: len(answers()) == CASES + UNDER_WAY, PATIENCE_S, "the records of the dead server's calls")
    times = Counter(question for question, outcome in answers() if outcome == "complete")
    assert len(simulator.requests) == CASES + UNDER_WAY, "only what was under way is asked again"
    note(f"kill -9 in a replay of {CASES} calls", reckoned([times[f"q{number}"] for number in range(CASES)], gap_s))


def taken_over(kill: Callable[[], None], simulator: Simulator) -> float:
    """Kill the server that works; the seconds until another one asks."""
    asked, began = len(simulator.requests), time.monotonic()
    kill()
    simulator.wait_for_requests(asked + 1, PATIENCE_S)
    return time.monotonic() - began


def reckoned(answers: list[int], gap_s: float) -> Reckoning:
    """The figures of a job, of the number of answers that each of its cases has."""
    return Reckoning(
        acknowledged=len(answers),
        lost=answers.count(0),
        doubled=sum(max(0, count - 1) for count in answers),
        gap_s=gap_s,
        refusals=Counter(),
        told_again=0,
    )
