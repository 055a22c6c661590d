"""What a difference says: against what is worked out by hand, and by trying all ways coins can fall."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.server.pages.trials.noise import likely_share, said_of, sign_test, verdict


@pytest.mark.parametrize(("better", "worse"), [(0, 1), (2, 3), (5, 0), (1, 7), (4, 4), (6, 2)])
def test_the_chance_is_the_share_of_all_tosses_that_are_as_uneven(better: int, worse: int) -> None:
    count = better + worse
    tosses = [sum(toss) for toss in itertools.product((0, 1), repeat=count)]
    as_uneven = [heads for heads in tosses if abs(2 * heads - count) >= abs(better - worse)]
    assert sign_test(better, worse) == pytest.approx(len(as_uneven) / len(tosses))


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_a_chance_is_one_and_both_ways_alike(better: int, worse: int) -> None:
    chance = sign_test(better, worse)
    assert 0 <= chance <= 1
    assert chance == sign_test(worse, better)


def test_few_cases_give_no_verdict_and_many_do() -> None:
    assert [verdict(0, 0), verdict(5, 0), verdict(6, 0), verdict(0, 6), verdict(60, 40), verdict(70, 30)] == [
        "same", "unclear", "better", "worse", "unclear", "better",
    ]  # fmt: skip


def test_the_words_hold_what_they_rest_on() -> None:
    assert said_of(0, 0) == "no case in both differs"
    assert said_of(3, 1) == "within noise: chance alone does this 62 % of the time"
    assert said_of(0, 6) == "worse, beyond noise: chance alone does this 3.1 % of the time"
    assert said_of(40, 0) == "better, beyond noise: chance alone does this under 0.1 % of the time"


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (8, 10, 0.4902, 0.9433), (500, 1000, 0.4691, 0.5309)],
)
def test_a_share_lies_likely_within_wilsons_interval(hits: int, count: int, low: float, high: float) -> None:
    assert likely_share(hits, count) == pytest.approx((low, high), abs=1e-4)


def test_nothing_has_no_share() -> None:
    assert likely_share(0, 0) is None
