"""The drawing of when the text came."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.records import Record
from freeplay_like.server.pages.timeline import HEIGHT, WIDTH, plot_of

RECORD = Record(record_id="r", project_id="p", started_at=datetime(2026, 1, 1, tzinfo=UTC))


def points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, _, y in (point.partition(",") for point in text.split())]


def test_steps_up_when_text_came_and_ends_at_the_end() -> None:
    record = attrs.evolve(RECORD, timeline=((100.0, 10), (200.0, 20)), latency_ms=400.0, time_to_first_chunk_ms=100.0)
    plot = plot_of(record)
    assert plot is not None
    assert points(plot.line) == [(0, 72), (150, 72), (150, 37), (300, 37), (300, 2), (600, 2)]
    assert plot.first_x == 150
    assert (plot.total_ms, plot.characters) == (400.0, 20)


def test_too_little_is_not_drawn() -> None:
    assert plot_of(RECORD) is None
    assert plot_of(attrs.evolve(RECORD, timeline=((5.0, 3),))) is None
    assert plot_of(attrs.evolve(RECORD, timeline=((0.0, 0), (0.0, 0)))) is None


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(-5, 10**9)), max_size=20), st.none() | st.floats(0, 1e9))
def test_stays_inside_whatever_the_record_says(timeline: list[tuple[float, int]], latency_ms: float | None) -> None:
    plot = plot_of(attrs.evolve(RECORD, timeline=tuple(timeline), latency_ms=latency_ms, time_to_first_chunk_ms=1.0))
    if plot is not None:
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points(plot.area))
        assert plot.first_x is not None
        assert 0 <= plot.first_x <= WIDTH
