"""The small drawing of when the text came. Pure: numbers in, the points of an SVG out."""

from __future__ import annotations

import attrs

from freeplay_like.core.records import Record

WIDTH, HEIGHT = 600, 72
"""The drawing's own units; the page stretches it."""


@attrs.frozen(kw_only=True)
class Plot:
    """A step line of characters over milliseconds. `first_x` is where the first chunk came, None where unknown."""

    line: str
    area: str
    first_x: float | None
    total_ms: float
    characters: int


def plot_of(record: Record) -> Plot | None:
    """The drawing of a record's timeline, None where fewer than two points came."""
    if len(record.timeline) < 2:
        return None
    total_ms = max(record.latency_ms or 0.0, record.timeline[-1][0])
    characters = max(characters for _, characters in record.timeline)
    if total_ms <= 0 or characters <= 0:
        return None

    def x(ms: float) -> float:
        return round(min(max(ms, 0.0), total_ms) / total_ms * WIDTH, 1)

    def y(so_far: int) -> float:
        return round(HEIGHT - max(so_far, 0) / characters * (HEIGHT - 2), 1)

    steps: list[str] = [f"0,{HEIGHT}"]
    before = 0
    for ms, so_far in record.timeline:
        steps += (f"{x(ms)},{y(before)}", f"{x(ms)},{y(so_far)}")
        before = so_far
    steps.append(f"{WIDTH},{y(before)}")
    first = record.time_to_first_chunk_ms
    return Plot(
        line=" ".join(steps),
        area=" ".join([*steps, f"{WIDTH},{HEIGHT}"]),
        first_x=None if first is None else x(first),
        total_ms=total_ms,
        characters=characters,
    )
