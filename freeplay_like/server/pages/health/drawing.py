"""Numbers over time as drawings. Pure: numbers in, SVG coordinates out; the page stretches them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final

import attrs

WIDTH: Final = 600
HEIGHT: Final = 100

Numbers = Sequence[float | None]


@attrs.frozen(kw_only=True)
class Rect:
    """A bar, or a part of one."""

    x: float
    y: float
    width: float
    height: float


@attrs.frozen(kw_only=True)
class Shape:
    """What is drawn of one row of numbers: bars, or a line in steps. `label` is its name, `kind` that of its colour."""

    label: str
    kind: str
    bars: tuple[Rect, ...] = ()
    line: str = ""


def highest(rows: Sequence[Numbers], *, is_stacked: bool) -> float:
    """The top of a drawing: a round number that no value exceeds; 0 where there is nothing to draw."""
    if is_stacked:
        top = max((sum(value or 0 for value in column) for column in zip(*rows, strict=True)), default=0)
    else:
        top = max((value for row in rows for value in row if value is not None), default=0)
    return _round_up(top)


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    if value <= 0:
        return 0
    unit = 10.0 ** floor(log10(value))
    step = next(step for step in (1, 2, 2.5, 5, 10) if value <= step * unit * (1 + 1e-9))
    return step * unit


def bars(rows: Sequence[Numbers], top: float) -> tuple[tuple[Rect, ...], ...]:
    """Bars that stand on each other, the first row at the bottom: the rectangles of each row."""
    count = max((len(row) for row in rows), default=0)
    heights = [0.0] * count
    drawn: list[tuple[Rect, ...]] = []
    for row in rows:
        rects = []
        for place, value in enumerate(row):
            if not value or top <= 0:
                continue
            height = max(value / top * HEIGHT, 0.75)  # what is there is seen
            x, width = slot(place, count)
            gap = min(width * 0.15, 1.5)
            y = HEIGHT - heights[place] - height
            rects.append(
                Rect(x=round(x + gap, 2), y=round(y, 2), width=round(width - 2 * gap, 2), height=round(height, 2))
            )
            heights[place] += height
        drawn.append(tuple(rects))
    return tuple(drawn)


def line(row: Numbers, top: float) -> str:
    """A line in steps, one a value, that is broken where there is none: the `d` of a path."""
    parts: list[str] = []
    is_drawing = False
    for place, value in enumerate(row):
        if value is None or top <= 0:
            is_drawing = False
            continue
        x, width = slot(place, len(row))
        y = round(HEIGHT - value / top * (HEIGHT - 1), 2)
        parts.append(f"V{y:g}H{x + width:.2f}" if is_drawing else f"M{x:.2f} {y:g}H{x + width:.2f}")
        is_drawing = True
    return "".join(parts)


def slot(place: int, count: int) -> tuple[float, float]:
    """Where a value stands, and how wide its place is."""
    width = WIDTH / count
    return place * width, width


def marks(count: int, most: int = 5) -> tuple[int, ...]:
    """The places that get a word below the drawing: the first, the last, and some between."""
    if count <= most:
        return tuple(range(count))
    step = ceil((count - 1) / (most - 1))
    return tuple(range(0, count, step))
