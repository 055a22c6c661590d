"""The drawings of how a call went in time."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.limits import Attempt
from freeplay_like.core.records import Record
from freeplay_like.server.pages.call.timeline import BAR_WIDTH, HEIGHT, WIDTH, bar, longest_pause, plot_of, steps_of

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


def test_tries_pauses_the_wait_and_the_answer_follow_one_another() -> None:
    attempt = Attempt(number=1, started_ms=0, latency_ms=100, waited_ms=50, error="E", message="m", status=429)
    record = attrs.evolve(
        RECORD, attempts=(attempt,), is_stream=True, time_to_first_chunk_ms=200.0, latency_ms=1000.0, outcome="complete"
    )
    assert [(step.kind, step.started_ms, step.took_ms) for step in steps_of(record)] == [
        ("failed", 0, 100),
        ("pause", 100, 50),
        ("wait", 150, 50),
        ("stream", 200, 800),
    ]
    assert steps_of(record)[0].about == "E 429"
    assert (steps_of(record)[3].x, steps_of(record)[3].width) == (200, 800)


def test_a_call_that_was_not_streamed_is_one_step() -> None:
    (step,) = steps_of(attrs.evolve(RECORD, latency_ms=5.0))
    assert (step.label, step.x, step.width) == ("Answer, not streamed", 0, BAR_WIDTH)
    assert steps_of(RECORD) == ()


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(-10, 1e9))
def test_a_bar_stays_inside_and_can_be_seen(started_ms: float, took_ms: float, total_ms: float) -> None:
    x, width = bar(started_ms, took_ms, total_ms)
    assert x >= 0
    assert width >= 4
    assert x + width <= BAR_WIDTH + 0.1


def test_the_longest_silence_is_found() -> None:
    assert longest_pause(attrs.evolve(RECORD, timeline=((10, 1), (20, 2), (70, 3), (80, 4)))) == (20, 50)
    assert longest_pause(RECORD) is None
