from __future__ import annotations

from datetime import UTC, datetime

import pytest

from freeplay_like.server.pages.calls import narrowing
from freeplay_like.server.store.derived.filter_text import parse, write
from freeplay_like.server.store.derived.filters import BadFilter


@pytest.mark.parametrize(
    ("before", "choice", "after"),
    [
        ("", "in", "model:b"),
        ("model:b", "in", ""),
        ("refund model:a", "in", "refund (model:a OR model:b)"),
        ("refund (model:a OR model:b)", "in", "refund model:a"),
        ("model:a OR model:b", "in", "model:a"),
        ("-model:b outcome:error", "in", "outcome:error model:b"),
        ("model:b outcome:error", "out", "outcome:error -model:b"),
        ("-model:b outcome:error", "out", "outcome:error"),
        ("(model:a OR model:b)", "out", "-model:b model:a"),
        ("model:~gpt", "in", "model:~gpt model:b"),
        ("(model:a OR outcome:error)", "in", "(model:a OR outcome:error) model:b"),
    ],
)
def test_a_value_is_added_and_taken_away_again(before: str, choice: narrowing.Choice, after: str) -> None:
    assert write(narrowing.toggled(parse(before), "model", "b", choice)) == after


@pytest.mark.parametrize("before", ["", "model:a", "refund -model:c", "(model:a OR model:c) latency_ms:>2s"])
@pytest.mark.parametrize("choice", ["in", "out"])
def test_to_toggle_twice_is_to_do_nothing(before: str, choice: narrowing.Choice) -> None:
    once = narrowing.toggled(parse(before), "model", "b", choice)
    twice = narrowing.toggled(once, "model", "b", choice)
    assert set(narrowing.parts_of(twice)) == set(narrowing.parts_of(parse(before)))


def test_what_is_chosen_and_ruled_out_is_known() -> None:
    which = parse("refund (model:a OR model:b) -model:c -outcome:error")
    assert narrowing.chosen_values(which, "model") == {"a", "b"}
    assert narrowing.ruled_out_values(which, "model") == {"c"}
    assert narrowing.ruled_out_values(which, "outcome") == {"error"}
    assert write(narrowing.without_choice(which, "model")) == "refund -model:c -outcome:error"
    assert narrowing.chosen_values(parse("(model:a OR outcome:error)"), "model") == set()


def test_a_range_takes_the_place_of_another() -> None:
    which = parse("model:a latency:>1s latency:<=3s")
    assert narrowing.range_of(which, "latency") == ("1", "3")
    assert narrowing.range_of(which, "latency_ms") == ("1000", "3000")
    assert narrowing.range_of(which, "cost") == ("", "")
    assert write(narrowing.with_range(which, "latency", "5", "")) == "model:a latency_ms:>=5s"
    assert write(narrowing.with_range(which, "latency", "", "250ms")) == "model:a latency_ms:<=250ms"
    assert write(narrowing.with_range(which, "latency", "", "")) == "model:a"
    assert write(narrowing.with_range(which, "cost", "0.01", "")).endswith("latency_ms:<=3s cost_usd:>=0.01")
    with pytest.raises(BadFilter, match="'soon' is no time that something takes"):
        narrowing.with_range(which, "latency", "soon", "")


def test_a_stretch_of_time_takes_the_place_of_another() -> None:
    which = parse("model:a started_at:>2026-11-01")
    begins, ends = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 15, tzinfo=UTC)
    narrowed = narrowing.with_time(which, begins, ends)
    assert write(narrowed) == ("model:a started_at:>=2026-11-20T12:00:00+00:00 started_at:<2026-11-20T15:00:00+00:00")
    assert write(narrowing.with_range(narrowed, "started_at", "", "")) == "model:a"
