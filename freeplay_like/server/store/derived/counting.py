"""Counting the calls of a filter: how many, by the values of their fields, and how their numbers are spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.bitmaps import Column, nearest_rank
from freeplay_like.server.store.derived.facet_index import column_facet
from freeplay_like.server.store.derived.facets import (
    EVERY,
    FAILED,
    HAS,
    Facts,
    facets_of,
    number_of,
    unscaled,
    values_of,
)
from freeplay_like.server.store.derived.facts import facts_where
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter
from freeplay_like.server.store.derived.following import derived_seq
from freeplay_like.server.store.derived.matching import Matcher, Stretch
from freeplay_like.server.store.derived.tables import facet
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.views import Project

MEASURES: Final = ("latency_ms", "time_to_first_chunk_ms", "cost_usd", "input_tokens", "output_tokens", "tokens")
_TAIL_LIMIT: Final = 5_000
"""The most calls that are not derived yet and are counted into what the filters offer."""


@attrs.frozen(kw_only=True)
class FacetValue:
    """A value of a field, and how many of the calls have it."""

    value: str
    calls: int


@attrs.frozen(kw_only=True)
class Facets:
    """The values of fields among the calls of a filter, the most common first.

    `is_partial`: looking took too long; the counts are at least these. `open_fields` are the names of the metadata
    and scores that calls of the project have.
    """

    calls: int
    fields: dict[str, tuple[FacetValue, ...]]
    open_fields: tuple[FacetValue, ...]
    is_partial: bool


@attrs.frozen(kw_only=True)
class Spread:
    """How the numbers of some calls are spread. `count` leaves out the calls that have none; all None where all do."""

    count: int
    sum: float
    average: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@attrs.frozen(kw_only=True)
class Summary:
    """The calls of a filter in numbers, by the name of the field; `is_partial` as in `Facets`."""

    calls: int
    errors: int
    numbers: dict[str, Spread]
    is_partial: bool


def most_common(
    connection: sa.Connection, of: Project, name: str, limit: int, tail: Sequence[Facts] | None = None
) -> list[tuple[str, int]]:
    """The most common values of a field among all calls of a project, and how many calls have each.

    `tail` are the calls of `newest_calls`, where they were read already.
    """
    stored = connection.execute(
        sa.select(facet.c.value, facet.c.calls)
        .where(facet.c.project_key == of.key, facet.c.name == name)
        .order_by(facet.c.calls.desc(), facet.c.value)
        .limit(limit)
    )
    counts = Counter({value: calls for value, calls in stored})
    counts.update(_tail_values(newest_calls(connection, of) if tail is None else tail, name))
    return _by_count(counts)[:limit]


def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def newest_calls(connection: sa.Connection, of: Project) -> list[Facts]:
    """The calls that are not derived yet, as far as they are counted."""
    derived = derived_seq(connection)
    statement = sa.select(record.c.seq).where(record.c.project_key == of.key, record.c.seq > derived)
    lowest = connection.scalar(statement.order_by(record.c.seq.desc()).offset(_TAIL_LIMIT).limit(1)) or derived
    return facts_where(connection, sa.and_(record.c.project_key == of.key, record.c.seq > lowest))


def _tail_values(calls: Sequence[Facts], name: str) -> Iterator[str]:
    if name == HAS:
        for those, facets in facets_of(calls):
            for facet_name, value in facets:
                if facet_name == HAS:
                    yield from (value for _ in those)
        return
    for facts in calls:
        yield from values_of(facts, name)


def count_facets(
    connection: sa.Connection, of: Project, which: Filter, names: Sequence[str], limit: int, open_limit: int = 0
) -> Facets:
    """The values of some fields among the calls of a filter, at most `limit` of each.

    `open_limit`: so many of the open fields that most calls have are counted too. Values are counted exactly, but for
    one that is common among these calls and among all calls is not one of the `limit` most common.
    """
    tail = newest_calls(connection, of)
    open_fields = _values(most_common(connection, of, HAS, limit, tail))
    names = list(dict.fromkeys([*names, *(field.value for field in open_fields[:open_limit])]))
    offered = {name: most_common(connection, of, name, limit, tail) for name in names}
    if which == EVERYTHING:
        return Facets(
            calls=_count_all(connection, of),
            fields={name: _values(counts) for name, counts in offered.items()},
            open_fields=open_fields,
            is_partial=False,
        )
    matcher = Matcher(connection, of, which, is_said=True)
    keys = matcher.reader.keys([(name, value) for name, counts in offered.items() for value, _ in counts])
    matcher.reader.together(keys.values())
    by_name = {name: {value: key for (of_name, value), key in keys.items() if of_name == name} for name in names}
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    calls = 0
    for stretch, members in matcher.walk():
        calls += members.bit_count()
        for name in names:
            _count_stretch(found[name], matcher, stretch, members, name, by_name[name])
    fields = {name: _values(_by_count(counts)[:limit]) for name, counts in found.items()}
    return Facets(calls=calls, fields=fields, open_fields=open_fields, is_partial=matcher.is_partial)


def _count_all(connection: sa.Connection, of: Project) -> int:
    counted = sa.select(facet.c.calls).where(facet.c.project_key == of.key, facet.c.name == EVERY, facet.c.value == "")
    is_newer = record.c.project_key == of.key, record.c.seq > derived_seq(connection)
    newer = sa.select(sa.func.count()).select_from(record).where(*is_newer)
    return (connection.scalar(counted) or 0) + (connection.scalar(newer) or 0)


def _count_stretch(
    counts: Counter[str], matcher: Matcher, stretch: Stretch, members: int, name: str, keys: dict[str, int]
) -> None:
    stored = members & stretch.stored
    if stored:
        for value, key in keys.items():
            common = (stored & matcher.reader.mask(key, stretch.block)).bit_count()
            if common:
                counts[value] += common
    for place, facts in stretch.tail.items():
        if members >> place & 1:
            counts.update(values_of(facts, name))


def _values(counts: Sequence[tuple[str, int]]) -> tuple[FacetValue, ...]:
    return tuple(FacetValue(value=value, calls=calls) for value, calls in counts)


def summarise(connection: sa.Connection, of: Project, which: Filter) -> Summary:
    """The calls of a filter in numbers, exactly."""
    matcher = Matcher(connection, of, which)
    keys = matcher.reader.keys([*map(column_facet, MEASURES), FAILED])
    matcher.reader.together(keys.values())
    columns = {name: keys.get(column_facet(name)) for name in MEASURES}
    failed = keys.get(FAILED)
    parts: dict[str, list[tuple[int, Column]]] = {name: [] for name in MEASURES}
    calls = errors = 0
    for stretch, members in matcher.walk():
        calls += members.bit_count()
        stored = members & stretch.stored
        if stored and failed is not None:
            errors += (stored & matcher.reader.mask(failed, stretch.block)).bit_count()
        tail = [(place, facts) for place, facts in stretch.tail.items() if members >> place & 1]
        errors += sum(facts.outcome == "error" for _, facts in tail)
        for name, key in columns.items():
            if stored and key is not None:
                parts[name].append((stored, matcher.reader.column(key, stretch.block)))
            if tail:
                parts[name].append((members, column_of(tail, name)))
    numbers = {name: _spread(name, found) for name, found in parts.items()}
    return Summary(calls=calls, errors=errors, numbers=numbers, is_partial=matcher.is_partial)


def column_of(calls: Iterable[tuple[int, Facts]], name: str) -> Column:
    """A column of the numbers of calls, each `(place, facts)`."""
    numbers = ((place, number_of(facts, name)) for place, facts in calls)
    return Column.of((place, number) for place, number in numbers if number is not None)


def _spread(name: str, parts: Sequence[tuple[int, Column]]) -> Spread:
    count = sum((members & column.present).bit_count() for members, column in parts)
    total = sum(column.sum(members & column.present) for members, column in parts)

    def rank(share: float) -> float | None:
        number = nearest_rank(parts, share)
        return None if number is None else unscaled(name, number)

    return Spread(
        count=count,
        sum=unscaled(name, total),
        average=unscaled(name, total) / count if count else None,
        p50=rank(0.50),
        p95=rank(0.95),
        p99=rank(0.99),
    )
