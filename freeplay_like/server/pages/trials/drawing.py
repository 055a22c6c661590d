"""How numbers lie, as bars over one axis: several rows of numbers can be looked at above one another. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import attrs

BARS: Final = 24
WIDTH: Final = 240.0
HEIGHT: Final = 36.0


@attrs.frozen(kw_only=True)
class Bar:
    """How many numbers lie from `low` up to `high`, and where that is drawn."""

    low: float
    high: float
    count: int
    x: float
    width: float
    height: float


@attrs.frozen(kw_only=True)
class Plot:
    """A row of numbers as bars, from the lowest number of all rows to the highest."""

    low: float
    high: float
    count: int
    bars: tuple[Bar, ...]


def plots(rows: Sequence[Collection[float]]) -> tuple[Plot, ...]:
    """Rows of numbers over one axis and to one scale, so that heights and places compare; empty where all are.

    Each row's bars show its shares: a run of 10 cases compares with one of 1,000.
    """
    every = [number for row in rows for number in row]
    if not every:
        return ()
    low, high = min(every), max(every)
    counts = [_counted(row, low, high) for row in rows]
    shares = [count / max(1, len(row)) for row, found in zip(rows, counts, strict=True) for count in found]
    tallest = max(shares) or 1.0
    return tuple(_plot(row, found, low, high, tallest) for row, found in zip(rows, counts, strict=True))


def _counted(row: Collection[float], low: float, high: float) -> list[int]:
    counts = [0] * BARS
    for number in row:
        place = BARS // 2 if high == low else int((number - low) / (high - low) * BARS)
        counts[min(place, BARS - 1)] += 1
    return counts


def _plot(row: Collection[float], counts: Sequence[int], low: float, high: float, tallest: float) -> Plot:
    step, width = (high - low) / BARS, WIDTH / BARS
    bars = tuple(
        Bar(
            low=low + place * step,
            high=low + (place + 1) * step,
            count=count,
            x=round(place * width + 0.5, 2),
            width=width - 1,
            height=round(max(2.0, count / len(row) / tallest * HEIGHT), 2),
        )
        for place, count in enumerate(counts)
        if count
    )
    return Plot(low=low, high=high, count=len(row), bars=bars)
