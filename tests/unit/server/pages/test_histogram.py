from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from freeplay_like.server.pages.calls.histogram import HEIGHT, STEP, drawn, label_of
from freeplay_like.server.store.derived.timeline import NOTHING, Bar, Timeline

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def bar(calls: int, errors: int = 0, *, starts_at: datetime = NOON, width: timedelta = timedelta(hours=3)) -> Bar:
    return Bar(starts_at=starts_at, ends_at=starts_at + width, calls=calls, errors=errors)


def test_bars_are_as_high_as_they_have_calls_and_empty_ones_are_left_out() -> None:
    made = drawn(Timeline(bars=(bar(10, 5), bar(0), bar(5), bar(1_000, 1)), is_partial=False))
    assert [each.x for each in made] == [0, 2 * STEP, 3 * STEP]
    assert made[-1].height == HEIGHT
    assert made[-1].top == 0
    assert made[0].height == made[1].height == 1.5  # a few among a thousand are seen still
    assert made[0].failed_height == 1.5
    assert made[1].failed_height == 0
    assert drawn(NOTHING) == ()


@pytest.mark.parametrize(
    ("one", "label"),
    [
        (bar(34, 2), "20 Nov 12:00 to 15:00 UTC: 34 calls, 2 errors"),
        (bar(1, 1, width=timedelta(seconds=5)), "20 Nov 12:00:00 to 12:00:05 UTC: 1 call, 1 error"),
        (bar(1_200, starts_at=NOON.replace(hour=0), width=timedelta(days=1)), "20 Nov 2026: 1,200 calls"),
        (bar(7, starts_at=NOON.replace(hour=0), width=timedelta(days=7)), "20 Nov to 26 Nov 2026: 7 calls"),
    ],
)
def test_a_bar_says_when_and_how_many(one: Bar, label: str) -> None:
    assert label_of(one) == label
