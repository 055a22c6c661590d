"""Calls over time: sums and quantiles by the hour or the day, for all calls or those of a filter.

Where a filter speaks only of what rollups are kept by, they are read; else the sets of facets answer, exactly, for any
filter and any field.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.bitmaps import Column, mask_of, nearest_rank
from freeplay_like.core.histogram import Histogram
from freeplay_like.server.store.derived import rollups
from freeplay_like.server.store.derived.counting import column_of, most_common
from freeplay_like.server.store.derived.facet_index import column_facet
from freeplay_like.server.store.derived.facets import ANSWERED, FAILED, Facts, facet_value, unscaled, values_of
from freeplay_like.server.store.derived.facts import facts_where
from freeplay_like.server.store.derived.filters import AllOf, Filter, Term, all_of, find_field, term
from freeplay_like.server.store.derived.following import derived_seq
from freeplay_like.server.store.derived.matching import Matcher, Stretch
from freeplay_like.server.store.derived.rollups import Key, Span
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import from_micros
from freeplay_like.server.store.views import Project, Refused

POINTS_LIMIT: Final = 1_000
"""The most points of time of one chart."""
SERIES_LIMIT: Final = 20
"""The most values that get a series of their own; the rest are put together."""
REST: Final = None
"""The name of the series of the values that have none of their own."""
_TAIL_LIMIT: Final = 20_000
_MICROS: Final = 1_000_000
_SHARES: Final = (0.50, 0.95, 0.99)


@attrs.frozen(kw_only=True)
class ChartAsk:
    """Which chart: a stretch of time in grains, the field that makes the series, and the calls that count.

    `has_quantiles`: points say how latencies are spread, which takes longer. `is_whole`: each series has one point, for
    the whole stretch. `limit`: so many values get a series of their own, and the rest are put together.
    """

    span: Span
    by: str | None
    filter: Filter
    has_quantiles: bool = True
    is_whole: bool = False
    limit: int = SERIES_LIMIT

    def place(self, starts_at: int) -> int:
        """The point that a grain counts for, by where it begins."""
        return self.span.begins_at if self.is_whole else starts_at


@attrs.frozen(kw_only=True)
class Quantiles:
    """What half, 95 % and 99 % of the calls do not exceed."""

    p50: float
    p95: float
    p99: float


@attrs.frozen(kw_only=True)
class ChartPoint:
    """The calls of one series that began in one grain of time.

    Tokens and costs leave out what is not known; `priced_calls` have a cost. Quantiles are None where no call has the
    number, and can be wrong by `histogram.RELATIVE_ERROR`.
    """

    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    priced_calls: int
    cost_usd: float
    latency_ms: Quantiles | None
    time_to_first_chunk_ms: Quantiles | None


@attrs.frozen(kw_only=True)
class Series:
    """A line of a chart: `value` is that of the field asked for, "" where calls have none or no field was asked for.

    `is_rest`: it is all further values together. Grains without calls are left out.
    """

    value: str
    is_rest: bool
    points: tuple[tuple[datetime, ChartPoint], ...]


@attrs.frozen(kw_only=True)
class Chart:
    """The series of a chart, that of most calls first. `is_partial`: not all calls were looked at, for want of time."""

    span: Span
    series: tuple[Series, ...]
    is_partial: bool


def span_of(begins_at: datetime, ends_at: datetime, grain_s: int) -> Span:
    """The whole grains that a stretch of time touches.

    Raises:
        Refused: it ends before it begins, or has too many grains.
    """
    begins_s, ends_s = int(begins_at.timestamp()), int(-(-ends_at.timestamp() // 1))
    span = Span(grain_s=grain_s, begins_at=begins_s - begins_s % grain_s, ends_at=ends_s + (-ends_s % grain_s))
    count = (span.ends_at - span.begins_at) // grain_s
    if count <= 0:
        raise Refused(f"'to' ({ends_at.isoformat()}) must be after 'from' ({begins_at.isoformat()})")
    if count > POINTS_LIMIT:
        raise Refused(
            f"from {begins_at.isoformat()} to {ends_at.isoformat()} are {count} points; {POINTS_LIMIT} can be drawn"
        )
    return span


def draw(connection: sa.Connection, of: Project, ask: ChartAsk) -> Chart:
    """The chart that is asked for."""
    wanted = _wanted(ask.filter)
    is_kept = ask.span.grain_s in rollups.GRAINS and (ask.by is None or ask.by in rollups.KEYS)
    if wanted is not None and is_kept:
        return _from_rollups(connection, of, ask, wanted)
    return _from_facets(connection, of, ask)


_ROLLED: Final[dict[str, Key]] = {
    "environment": "environment",
    "template": "template",
    "version": "version",
    "provider": "provider",
    "outcome": "outcome",
}


def is_rolled(filter: Filter) -> bool:
    """Whether a filter speaks only of what rollups are kept by."""
    return _wanted(filter) is not None


def _wanted(filter: Filter) -> dict[Key, frozenset[str]] | None:
    """What rollups must have, where they can answer a filter. (Not `model`: rollups know only which one answered.)"""
    parts = filter.parts if isinstance(filter, AllOf) else (filter,)
    wanted: dict[Key, frozenset[str]] = {}
    for part in parts:
        if not (isinstance(part, Term) and part.op == "eq" and part.field in _ROLLED):
            return None
        key = _ROLLED[part.field]
        value = frozenset({facet_value(str(part.value))})
        wanted[key] = wanted[key] & value if key in wanted else value
    return wanted


@attrs.define
class _Cell:
    """What is known of a point so far: numbers kept as histograms, or as columns and who counts in them."""

    totals: rollups.Totals = attrs.field(factory=rollups.Totals)
    errors: int = 0
    latency: list[tuple[int, Column]] = attrs.field(factory=list)
    first_chunk: list[tuple[int, Column]] = attrs.field(factory=list)

    def merge(self, other: rollups.Totals, *, is_error: bool) -> None:
        self.totals.merge(other)
        self.errors += other.calls if is_error else 0

    def point(self) -> ChartPoint:
        totals = self.totals
        return ChartPoint(
            calls=totals.calls,
            errors=self.errors,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            priced_calls=totals.priced_calls,
            cost_usd=unscaled("cost_usd", totals.cost_nano_usd),
            latency_ms=_quantiles("latency_ms", totals.latency, self.latency),
            time_to_first_chunk_ms=_quantiles("time_to_first_chunk_ms", totals.first_chunk, self.first_chunk),
        )


def _quantiles(name: str, histogram: Histogram, parts: Sequence[tuple[int, Column]]) -> Quantiles | None:
    if parts:
        ranks = [nearest_rank(parts, share) for share in _SHARES]
        found = [None if rank is None else unscaled(name, rank) for rank in ranks]
    else:
        found = [histogram.quantile(share) for share in _SHARES]
    p50, p95, p99 = found
    return None if p50 is None or p95 is None or p99 is None else Quantiles(p50=p50, p95=p95, p99=p99)


_Cells = dict[tuple[str | None, int], _Cell]
"""By value (`REST` for the rest) and the beginning of the grain, in seconds."""


def _from_rollups(connection: sa.Connection, of: Project, ask: ChartAsk, wanted: dict[Key, frozenset[str]]) -> Chart:
    by: Key | None = next((key for key in rollups.KEYS if key == ask.by), None)
    cells: _Cells = defaultdict(_Cell)
    stored = rollups.read(connection, of.key, ask.span, by, wanted, has_spreads=ask.has_quantiles)
    for starts_at, value, outcome, totals in stored:
        cells[value, ask.place(starts_at)].merge(totals, is_error=outcome == "error")
    tail, is_partial = _tail(connection, of)
    for facts in tail:
        keys = dict(zip(rollups.KEYS, rollups.keys_of(facts), strict=True))
        starts_at = facts.started_at // _MICROS // ask.span.grain_s * ask.span.grain_s
        is_wanted = all(keys[name] in values for name, values in wanted.items())
        if is_wanted and ask.span.begins_at <= starts_at < ask.span.ends_at:
            one = rollups.Totals()
            one.add(facts)
            cells["" if by is None else keys[by], ask.place(starts_at)].merge(one, is_error=facts.outcome == "error")
    return Chart(span=ask.span, series=_series(_with_rest(cells, ask.limit)), is_partial=is_partial)


def _tail(connection: sa.Connection, of: Project) -> tuple[list[Facts], bool]:
    """The calls that no rollup knows yet, the newest where they are too many; and whether they are."""
    is_tail = sa.and_(record.c.project_key == of.key, record.c.seq > derived_seq(connection))
    lowest = connection.scalar(
        sa.select(record.c.seq).where(is_tail).order_by(record.c.seq.desc()).offset(_TAIL_LIMIT).limit(1)
    )
    is_tail = is_tail if lowest is None else sa.and_(is_tail, record.c.seq > lowest)
    return facts_where(connection, is_tail, is_said=False), lowest is not None


def _with_rest(cells: _Cells, limit: int) -> _Cells:
    """The cells of the most common values, and those of the others put together."""
    calls: dict[str | None, int] = defaultdict(int)
    for (value, _), cell in cells.items():
        calls[value] += cell.totals.calls
    kept = set(sorted(calls, key=lambda value: (-calls[value], value or ""))[:limit])
    merged: _Cells = defaultdict(_Cell)
    for (value, starts_at), cell in cells.items():
        into = merged[value if value in kept else REST, starts_at]
        into.totals.merge(cell.totals)
        into.errors += cell.errors
    return merged


def _series(cells: _Cells) -> tuple[Series, ...]:
    by_value: dict[str | None, list[tuple[int, _Cell]]] = defaultdict(list)
    for (value, starts_at), cell in cells.items():
        by_value[value].append((starts_at, cell))

    def rank(value: str | None) -> tuple[bool, int, str]:
        return value is REST, -sum(cell.totals.calls for _, cell in by_value[value]), value or ""

    return tuple(
        Series(
            value=value or "",
            is_rest=value is REST,
            points=tuple(
                (from_micros(starts_at * _MICROS), cell.point())
                for starts_at, cell in sorted(by_value[value], key=lambda point: point[0])
            ),
        )
        for value in sorted(by_value, key=rank)
    )


def _from_facets(connection: sa.Connection, of: Project, ask: ChartAsk) -> Chart:
    in_time = [
        term("started_at", "gte", ask.span.begins_at),
        term("started_at", "lt", ask.span.ends_at),
    ]
    matcher = Matcher(connection, of, all_of([ask.filter, *in_time]), is_said=True)
    table = _Table(connection, of, matcher, ask)
    for stretch, members in matcher.walk():
        if members:
            table.add(stretch, members)
    return Chart(span=ask.span, series=_series(table.cells), is_partial=matcher.is_partial)


class _Table:
    """Fills the cells of a chart, a stretch of calls at a time."""

    def __init__(self, connection: sa.Connection, of: Project, matcher: Matcher, ask: ChartAsk) -> None:
        self._reader = matcher.reader
        self._span = ask.span
        self._place = ask.place
        self._limit = ask.limit
        self._has_quantiles = ask.has_quantiles
        self._by = None if ask.by is None else ANSWERED if ask.by == "model" else find_field(ask.by)[0].name
        self._values = (
            [] if self._by is None else [value for value, _ in most_common(connection, of, self._by, ask.limit)]
        )
        by_value = [(self._by or "", value) for value in self._values]
        keys = self._reader.keys([*by_value, FAILED, *map(column_facet, _COLUMNS)])
        self._reader.together(keys.values())
        self._keys = {value: keys.get((name, value)) for name, value in by_value}
        self._failed = keys.get(FAILED)
        self._columns = {name: keys.get(column_facet(name)) for name in _COLUMNS}
        self.cells: _Cells = defaultdict(_Cell)

    def add(self, stretch: Stretch, members: int) -> None:
        """Count some calls of a stretch."""
        tail = {place: facts for place, facts in stretch.tail.items() if members >> place & 1}
        columns = {name: self._column(stretch, tail, name) for name in _COLUMNS}
        failed = mask_of(place for place, facts in tail.items() if facts.outcome == "error")
        if self._failed is not None and stretch.stored:
            failed |= self._reader.mask(self._failed, stretch.block) & stretch.stored
        groups = list(self._groups(stretch, tail, members))
        for starts_at, in_grain in self._grains(columns["started_at"], members):
            for value, in_group in groups:
                found = in_grain & in_group
                if found:
                    self._count(self.cells[value, self._place(starts_at)], columns, found, failed)

    def _column(self, stretch: Stretch, tail: dict[int, Facts], name: str) -> Column:
        key = self._columns[name]
        stored = Column()
        if key is not None and stretch.stored:
            stored = self._reader.column(key, stretch.block)
        return stored | column_of(tail.items(), name) if tail else stored

    def _groups(self, stretch: Stretch, tail: dict[int, Facts], members: int) -> Iterator[tuple[str | None, int]]:
        """The calls of each value; the rest have other values, or none."""
        if self._by is None:
            yield "", members
            return
        rest = members
        for value, key in self._keys.items():
            found = 0
            if key is not None and stretch.stored:
                found = self._reader.mask(key, stretch.block) & stretch.stored
            found |= mask_of(place for place, facts in tail.items() if value in values_of(facts, self._by))
            rest &= ~found
            if found & members:
                yield value, found & members
        if rest:
            yield REST if len(self._values) == self._limit else "", rest

    def _grains(self, column: Column, members: int) -> Iterator[tuple[int, int]]:
        """The calls that began in each grain of time."""
        first, last = nearest_rank([(members, column)], 0), nearest_rank([(members, column)], 1)
        if first is None or last is None:
            return
        grain_ms = self._span.grain_s * 1_000
        begins_ms = first - first % grain_ms
        before = 0
        while begins_ms <= last:
            until = column.compare("lt", begins_ms + grain_ms) & members
            if until & ~before:
                yield begins_ms // 1_000, until & ~before
            before, begins_ms = until, begins_ms + grain_ms

    def _count(self, cell: _Cell, columns: dict[str, Column], found: int, failed: int) -> None:
        totals = cell.totals
        totals.calls += found.bit_count()
        cell.errors += (found & failed).bit_count()
        totals.input_tokens += columns["input_tokens"].sum(found)
        totals.output_tokens += columns["output_tokens"].sum(found)
        totals.priced_calls += (found & columns["cost_usd"].present).bit_count()
        totals.cost_nano_usd += columns["cost_usd"].sum(found)
        if self._has_quantiles:
            cell.latency.append((found, columns["latency_ms"]))
            cell.first_chunk.append((found, columns["time_to_first_chunk_ms"]))


_COLUMNS: Final = ("started_at", "latency_ms", "time_to_first_chunk_ms", "cost_usd", "input_tokens", "output_tokens")
