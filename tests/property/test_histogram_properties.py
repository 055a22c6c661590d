"""Histograms can be put together and taken apart, and their quantiles are near the true ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.histogram import RELATIVE_ERROR, Histogram

numbers = st.lists(st.floats(0.001, 1e9), max_size=60)


@given(numbers, numbers)
def test_two_histograms_are_that_of_all_numbers(first: list[float], second: list[float]) -> None:
    both = Histogram.of(first)
    both.merge(Histogram.of(second))
    assert both == Histogram.of([*first, *second])
    both.merge(Histogram.of(second), -1)
    assert Histogram.unpack(both.pack()) == Histogram.of(first)


@given(numbers.filter(bool), st.floats(0.01, 1))
def test_a_quantile_is_near_the_number_of_its_rank(values: list[float], share: float) -> None:
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert Histogram.of(values).quantile(share) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


@pytest.mark.parametrize("number", [0.0, -1.0, 1e300, math.inf])
def test_a_number_beyond_the_buckets_counts_at_their_end(number: float) -> None:
    assert Histogram.of([number]).count == 1


def test_an_empty_histogram_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None
