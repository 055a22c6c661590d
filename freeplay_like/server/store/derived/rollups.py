"""Sums by the hour and by the day, so that a chart of a year does not read a year of calls.

One row a grain for all calls that are alike in `KEYS`. Latencies are histograms whose buckets never move, so those of
any rows can be put together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final, Literal, get_args

import attrs
import sqlalchemy as sa

from freeplay_like.core.bitmaps import NUMBER_LIMIT
from freeplay_like.core.histogram import Histogram
from freeplay_like.server.store.derived.facets import Facts, facet_value
from freeplay_like.server.store.derived.tables import rollup
from freeplay_like.server.store.engines.database import is_row_of, many

Key = Literal["environment", "template", "version", "provider", "model", "outcome"]
KEYS: Final[tuple[Key, ...]] = get_args(Key)
"""What calls of one row are alike in. The model is the one that answered, or else the one asked for."""

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
GRAINS: Final = (HOUR_S, DAY_S)

_MICROS: Final = 1_000_000
_SUMS: Final = ("calls", "input_tokens", "output_tokens", "priced_calls", "cost_nano_usd")

Cell = tuple[int | str, ...]
"""`(grain_s, starts_at, *KEYS)`; a moment in seconds since 1970."""


@attrs.define
class Totals:
    """Sums over some calls. Calls can be taken out again, if they were put in."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    priced_calls: int = 0
    cost_nano_usd: int = 0
    latency: Histogram = attrs.field(factory=Histogram)
    first_chunk: Histogram = attrs.field(factory=Histogram)

    def add(self, facts: Facts) -> None:
        """Put a call in."""
        self.calls += 1
        self.input_tokens += _bounded(facts.input_tokens)
        self.output_tokens += _bounded(facts.output_tokens)
        if facts.cost_nano_usd is not None:
            self.priced_calls += 1
            self.cost_nano_usd += _bounded(facts.cost_nano_usd)
        if facts.latency_ms is not None:
            self.latency.add(facts.latency_ms)
        if facts.time_to_first_chunk_ms is not None:
            self.first_chunk.add(facts.time_to_first_chunk_ms)

    def merge(self, other: Totals, times: int = 1) -> None:
        """Put all of another's calls in, or take them out (`times` -1)."""
        self.calls += times * other.calls
        self.input_tokens += times * other.input_tokens
        self.output_tokens += times * other.output_tokens
        self.priced_calls += times * other.priced_calls
        self.cost_nano_usd += times * other.cost_nano_usd
        self.latency.merge(other.latency, times)
        self.first_chunk.merge(other.first_chunk, times)

    def to_row(self) -> dict[str, object]:
        """The columns of a row."""
        sums: dict[str, object] = {name: getattr(self, name) for name in _SUMS}
        return {**sums, "latency": self.latency.pack(), "first_chunk": self.first_chunk.pack()}


def _bounded(number: int | None) -> int:
    return min(max(number or 0, 0), NUMBER_LIMIT)


def totals_of(row: sa.Row[tuple[object, ...]]) -> Totals:
    """The sums of a row of the table."""
    found = row._mapping
    return Totals(
        calls=found["calls"],
        input_tokens=found["input_tokens"],
        output_tokens=found["output_tokens"],
        priced_calls=found["priced_calls"],
        cost_nano_usd=found["cost_nano_usd"],
        latency=Histogram.unpack(found["latency"]),
        first_chunk=Histogram.unpack(found["first_chunk"]),
    )


def keys_of(facts: Facts) -> tuple[str, ...]:
    """What a call has in each of `KEYS`; "" stands for nothing."""
    values = (
        facts.environment,
        facts.template_name,
        facts.template_version,
        facts.provider,
        facts.model or facts.requested_model,
        facts.outcome,
    )
    return tuple(facet_value(value or "") for value in values)


_alike: Final[Callable[[Facts], tuple[object, ...]]] = attrgetter(
    "environment", "template_name", "template_version", "provider", "model", "requested_model", "outcome"
)
"""All that `keys_of` looks at."""


def cells_of(calls: Iterable[Facts]) -> dict[Cell, Totals]:
    """What calls of one project add up to, by `(grain_s, starts_at, *KEYS)`."""
    by_hour: dict[tuple[object, ...], list[Facts]] = defaultdict(list)
    for facts in calls:
        by_hour[facts.started_at // (_MICROS * HOUR_S), *_alike(facts)].append(facts)
    cells: dict[Cell, Totals] = defaultdict(Totals)
    for those in by_hour.values():
        totals = Totals()
        for facts in those:
            totals.add(facts)
        keys, began_s = keys_of(those[0]), those[0].started_at // _MICROS
        for grain_s in GRAINS:
            cells[grain_s, began_s - began_s % grain_s, *keys].merge(totals)
    return cells


_CELL: Final = (rollup.c.grain_s, rollup.c.starts_at, *(rollup.c[name] for name in KEYS))


def change(connection: sa.Connection, project_key: int, calls: Iterable[Facts], *, times: int = 1) -> None:
    """Put calls into the sums of a project, or take them out (`times` -1)."""
    cells = cells_of(calls)
    stored = _stored(connection, project_key, list(cells))
    is_it = sa.and_(
        rollup.c.project_key == project_key, *(column == sa.bindparam(f"of_{column.name}") for column in _CELL)
    )
    new, changed, gone = [], [], []
    for cell, more in cells.items():
        totals = stored.get(cell, Totals())
        totals.merge(more, times)
        if cell not in stored:
            named = dict(zip((column.name for column in _CELL), cell, strict=True))
            new.append({"project_key": project_key, **named, **totals.to_row()})
            continue
        place = {f"of_{column.name}": value for column, value in zip(_CELL, cell, strict=True)}
        if totals.calls > 0:
            changed.append({**place, **totals.to_row()})
        else:
            gone.append(place)
    for statement, rows in (
        (sa.insert(rollup), new),
        (sa.update(rollup).where(is_it), changed),
        (sa.delete(rollup).where(is_it), gone),
    ):
        if rows:
            connection.execute(statement, rows)


_STORED: Final = sa.select(rollup).where(rollup.c.project_key == sa.bindparam("project_key"), is_row_of(_CELL, "cells"))


def _stored(connection: sa.Connection, project_key: int, cells: Sequence[Cell]) -> dict[Cell, Totals]:
    rows = connection.execute(_STORED, {"project_key": project_key, "cells": many(cells)})
    return {tuple(row._mapping[column.name] for column in _CELL): totals_of(row) for row in rows}


@attrs.frozen(kw_only=True)
class Span:
    """A stretch of time in grains: from `begins_at` on, up to before `ends_at`, in seconds since 1970."""

    grain_s: int
    begins_at: int
    ends_at: int


def read(
    connection: sa.Connection,
    project_key: int,
    span: Span,
    by: Key | None,
    wanted: Mapping[Key, frozenset[str]],
    *,
    has_spreads: bool,
) -> Iterator[tuple[int, str, str, Totals]]:
    """The stored sums of a stretch, as `(starts_at, value of by, outcome, sums)`; the same may come more than once.

    `wanted` narrows keys to some values. `has_spreads` False leaves the histograms empty, and takes a fraction of the
    time.
    """
    value = sa.literal("") if by is None else rollup.c[by]
    where = [
        rollup.c.project_key == project_key,
        rollup.c.grain_s == span.grain_s,
        rollup.c.starts_at >= span.begins_at,
        rollup.c.starts_at < span.ends_at,
        *(rollup.c[name].in_(sorted(values)) for name, values in wanted.items()),
    ]
    sums = sa.select(rollup.c.starts_at, value, rollup.c.outcome, *(sa.func.sum(rollup.c[name]) for name in _SUMS))
    rows = connection.execute(sums.where(*where).group_by(rollup.c.starts_at, value, rollup.c.outcome))
    for starts_at, name, outcome, calls, input_tokens, output_tokens, priced_calls, cost_nano_usd in rows:
        yield (
            starts_at,
            name,
            outcome,
            Totals(
                calls=int(calls),
                input_tokens=int(input_tokens),
                output_tokens=int(output_tokens),
                priced_calls=int(priced_calls),
                cost_nano_usd=int(cost_nano_usd),
            ),
        )
    if has_spreads:
        spreads = sa.select(rollup.c.starts_at, value, rollup.c.outcome, rollup.c.latency, rollup.c.first_chunk)
        for starts_at, name, outcome, latency, first_chunk in connection.execute(spreads.where(*where)):
            spread = Totals(latency=Histogram.unpack(latency), first_chunk=Histogram.unpack(first_chunk))
            yield starts_at, name, outcome, spread
