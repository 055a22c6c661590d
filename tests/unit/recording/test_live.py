"""Telling the backend of calls that run, beside what is recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from freeplay_like.clock import SystemClock
from freeplay_like.core.wire import to_wire
from freeplay_like.recording import live
from freeplay_like.recording.live import Broadcast, Heard, RunningCalls, is_wanted
from support.sink import make_record, make_start


class StandingClock(SystemClock):
    at_s = 1_000.0

    def monotonic_ns(self) -> int:
        return int(self.at_s * 1e9)


@attrs.define
class Ear:
    """A backend that hears."""

    said: list[tuple[str, list[dict[str, Any]]]] = attrs.field(factory=list)
    heard: Heard = "heard"
    unknown: frozenset[str] = frozenset()

    def tell(self, project_id: str, calls: Sequence[bytes]) -> tuple[Heard, frozenset[str]]:
        self.said.append((project_id, [json.loads(call) for call in calls]))
        return self.heard, self.unknown


@attrs.define
class Stage:
    """Running calls, and what a backend hears of them as time goes by."""

    clock: StandingClock = attrs.field(factory=StandingClock)
    ear: Ear = attrs.field(factory=Ear)
    calls: RunningCalls = attrs.field(init=False)
    broadcast: Broadcast = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.calls = RunningCalls(self.clock)
        self.broadcast = Broadcast(self.calls, self.ear, is_on=True)

    def begin(self, **changes: object) -> str:
        record = make_start(make_record(**changes))
        self.calls.began(record, to_wire(record))
        return record.record_id

    def after(self, seconds: float) -> list[dict[str, Any]]:
        """What is told when so much time has gone by."""
        self.clock.at_s += seconds
        before = len(self.ear.said)
        self.broadcast.step(self.clock.at_s)
        return [call for _, calls in self.ear.said[before:] for call in calls]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_call_that_ends_soon_is_never_told_of(stage: Stage) -> None:
    call = stage.begin()
    stage.calls.grew(call, "quick")
    assert stage.after(0.6) == []
    stage.calls.ended(call)
    assert stage.after(5) == []


def test_a_longer_one_is_told_of_with_its_record_and_then_by_what_came(stage: Stage) -> None:
    call = stage.begin()
    stage.calls.grew(call, "To be")
    (first,) = stage.after(0.7)
    assert (first["record_id"], first["record"]["record_id"], first["at"], first["text"]) == (call, call, 0, "To be")
    stage.calls.grew(call, " or ")
    stage.calls.grew(call, "not")
    assert stage.after(0.5) == [], "at most once a second"
    (second,) = stage.after(0.5)
    assert second == {"record_id": call, "at": 5, "text": " or not"}
    assert stage.after(1) == [], "there is nothing new"


def test_a_call_that_says_nothing_gives_a_sign_of_life(stage: Stage) -> None:
    call = stage.begin()
    stage.after(1)
    assert stage.after(9) == []
    assert stage.after(1) == [{"record_id": call, "at": 0, "text": ""}]


def test_a_call_that_the_backend_has_lost_is_told_whole(stage: Stage) -> None:
    call = stage.begin()
    stage.calls.grew(call, "To be")
    stage.after(1)
    stage.calls.grew(call, " or not")
    stage.ear.unknown = frozenset({call})
    stage.after(1)
    stage.ear.unknown = frozenset()
    (again,) = stage.after(1)
    assert (again["at"], again["text"]) == (0, "To be or not")
    assert "record" in again


def test_an_older_backend_is_asked_once(stage: Stage) -> None:
    stage.ear.heard = "deaf"
    stage.begin()
    assert len(stage.after(1)) == 1
    stage.begin()
    assert stage.after(60) == []
    assert stage.begin(project_id="another") in {call["record_id"] for call in stage.after(60)}


def test_a_backend_that_is_away_is_left_alone_for_a_while(stage: Stage) -> None:
    stage.ear.heard = "away"
    call = stage.begin()
    stage.calls.grew(call, "To be")
    stage.after(1)
    stage.ear.heard = "heard"
    assert stage.after(29) == []
    (told,) = stage.after(2)
    assert told["text"] == "To be"


def test_projects_are_told_apart_and_take_turns(stage: Stage) -> None:
    stage.begin(project_id="one")
    stage.begin(project_id="two")
    stage.after(1)
    stage.after(1)
    assert [project_id for project_id, _ in stage.ear.said] == ["one", "two"]


def test_what_is_told_at_once_is_bounded_and_nobody_is_left_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BODY_LIMIT_BYTES", 10_000)
    calls = [stage.begin() for _ in range(3)]
    for call in calls:
        stage.calls.grew(call, "x" * 8_000)
    told = [stage.after(1) for _ in range(3)]
    assert [[one["record_id"] for one in bodies] for bodies in told] == [[call] for call in calls]


def test_more_calls_than_may_be_are_not_told_of(stage: Stage) -> None:
    calls = [stage.begin() for _ in range(live.CALLS_LIMIT + 5)]
    assert [call["record_id"] for call in stage.after(1)] == calls[: live.CALLS_LIMIT]
    stage.calls.ended(calls[0])
    late = stage.begin()
    assert [call["record_id"] for call in stage.after(1)] == [late]


def test_the_text_that_is_told_has_an_end(stage: Stage) -> None:
    call = stage.begin()
    for _ in range(40):
        stage.calls.grew(call, "x" * 10_000)
    (told,) = stage.after(1)
    assert live.TEXT_LIMIT <= len(told["text"]) < live.TEXT_LIMIT + 10_000


def test_the_thread_sleeps_where_nothing_runs(stage: Stage) -> None:
    assert stage.broadcast.due_s(stage.clock.at_s) == float("inf")
    call = stage.begin()
    assert stage.broadcast.due_s(stage.clock.at_s) == pytest.approx(stage.clock.at_s + live.TOLD_AFTER_S)
    stage.calls.ended(call)
    stage.clock.at_s += 1
    assert stage.broadcast.due_s(stage.clock.at_s) == stage.clock.at_s + live.EVERY_S, "the next is looked for"
    stage.clock.at_s += live.RESTLESS_S
    assert stage.broadcast.due_s(stage.clock.at_s) == float("inf")


@pytest.mark.parametrize(
    ("said", "variable", "wanted"),
    [
        (None, None, True),
        (None, "0", False),
        (None, "off", False),
        (None, "1", True),
        (True, "0", True),
        (False, "1", False),
    ],
)
def test_it_can_be_turned_off(said: bool | None, variable: str | None, wanted: bool) -> None:
    assert is_wanted(said, {} if variable is None else {live.LIVE_VARIABLE: variable}) is wanted
