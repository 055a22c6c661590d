"""The calls of a filter over their time, in a few dozen bars: what stands above a list of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.derived.charts import Chart, ChartAsk, draw, is_rolled
from freeplay_like.server.store.derived.filters import AllOf, Filter, Term
from freeplay_like.server.store.derived.rollups import DAY_S, HOUR_S, Span
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import from_micros
from freeplay_like.server.store.views import Project

BARS: Final = 32
"""The most bars."""

_GRAINS_S: Final = (
    *(1, 2, 5, 10, 15, 30),  # seconds, then minutes, hours and days
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(HOUR_S * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY_S * days for days in (1, 2, 7)),
)
_MICROS: Final = 1_000_000


@attrs.frozen(kw_only=True)
class Bar:
    """The calls that began from `starts_at` on, up to before `ends_at`, and how many of them ended in an error."""

    starts_at: datetime
    ends_at: datetime
    calls: int
    errors: int


@attrs.frozen(kw_only=True)
class Timeline:
    """Bars of the same width, without gaps; none where there are no calls.

    `is_partial`: not all calls were looked at, for want of time.
    """

    bars: tuple[Bar, ...]
    is_partial: bool

    @property
    def highest(self) -> int:
        """The calls of the highest bar."""
        return max((bar.calls for bar in self.bars), default=0)


NOTHING: Final = Timeline(bars=(), is_partial=False)


def timeline(connection: sa.Connection, of: Project, which: Filter, now: datetime) -> Timeline:
    """The calls of a filter over the time that it speaks of, or over that of all calls of the project."""
    ends = _ends(connection, of, which, now)
    if ends is None:
        return NOTHING
    span = _span(*ends)
    ask = ChartAsk(span=_asked(which, span), by=None, filter=which, has_quantiles=False)
    return _bars(draw(connection, of, ask), span)


def time_bounds(which: Filter) -> tuple[datetime | None, datetime | None]:
    """From when, and until when, calls of a filter began, as far as every one of its parts says so."""
    lowest: datetime | None = None
    highest: datetime | None = None
    for term in _time_terms(which):
        moment = term.value
        if not isinstance(moment, datetime):
            continue
        if term.op in ("gt", "gte", "eq"):
            lowest = moment if lowest is None else max(lowest, moment)
        if term.op in ("lt", "lte", "eq"):
            highest = moment if highest is None else min(highest, moment)
    return lowest, highest


def _time_terms(which: Filter) -> Iterable[Term]:
    parts = which.parts if isinstance(which, AllOf) else (which,)
    return (part for part in parts if isinstance(part, Term) and part.field == "started_at")


def _ends(connection: sa.Connection, of: Project, which: Filter, now: datetime) -> tuple[int, int] | None:
    """The first and the last second to be drawn; None where there is nothing.

    Where a filter says since when, it goes on until now: a list of the last hour ends in the quiet of its last minutes.
    """
    began = sa.select(record.c.started_at).where(record.c.project_key == of.key).limit(1)
    first = connection.scalar(began.order_by(record.c.started_at))
    last = connection.scalar(began.order_by(record.c.started_at.desc()))
    if first is None or last is None:
        return None
    lowest, highest = time_bounds(which)
    first_s, last_s = first // _MICROS, last // _MICROS
    if lowest is not None:
        first_s, last_s = max(first_s, int(lowest.timestamp())), int(now.timestamp())
    if highest is not None:
        last_s = min(last_s, int(highest.timestamp()))
    return None if last_s < first_s else (first_s, last_s)


def _span(first_s: int, last_s: int) -> Span:
    """The bars: as narrow as they may be, so that there are at most `BARS`."""
    length_s = last_s - first_s
    widest = -(-(length_s + 1) // ((BARS - 1) * DAY_S)) * DAY_S
    grain_s = next((grain for grain in _GRAINS_S if length_s // grain + 2 <= BARS), widest)
    return Span(grain_s=grain_s, begins_at=first_s - first_s % grain_s, ends_at=last_s - last_s % grain_s + grain_s)


def _asked(which: Filter, span: Span) -> Span:
    """What is asked for: what is kept by the day is put together into wider bars afterwards.

    Not so what is kept by the hour: where that is many rows for one bar, the sets of facets answer in half the time.
    """
    return attrs.evolve(span, grain_s=DAY_S) if is_rolled(which) and span.grain_s % DAY_S == 0 else span


def _bars(chart: Chart, span: Span) -> Timeline:
    calls: dict[int, int] = defaultdict(int)
    errors: dict[int, int] = defaultdict(int)
    for series in chart.series:
        for starts_at, point in series.points:
            place = (int(starts_at.timestamp()) - span.begins_at) // span.grain_s
            calls[place] += point.calls
            errors[place] += point.errors
    bars = tuple(
        Bar(
            starts_at=from_micros((span.begins_at + place * span.grain_s) * _MICROS),
            ends_at=from_micros((span.begins_at + (place + 1) * span.grain_s) * _MICROS),
            calls=calls[place],
            errors=errors[place],
        )
        for place in range((span.ends_at - span.begins_at) // span.grain_s)
    )
    return Timeline(bars=bars, is_partial=chart.is_partial)
