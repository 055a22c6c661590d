"""The calls of templates and of their versions in numbers, from the sums that are kept by the hour and the day.

All templates are answered in one question. A day here is one of UTC, an hour a whole one: so a stretch of time begins
at a moment that a list of calls can be narrowed by, and finds the same calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.derived import rollups
from freeplay_like.server.store.derived.counting import count_facets, newest_calls
from freeplay_like.server.store.derived.facets import Facts, facet_value
from freeplay_like.server.store.derived.filters import all_of, term
from freeplay_like.server.store.derived.following import derived_seq
from freeplay_like.server.store.derived.rollups import DAY_S, HOUR_S, Key, Span, Totals
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import from_micros
from freeplay_like.server.store.views import Project

DAYS: Final = 7
"""How many days the figures of a template are about, today among them."""
VERSIONS_LIMIT: Final = 12
"""The most versions that figures are told of at once: thumbs are counted for each."""

_REVIEW: Final = "score.review"
_HOURS: Final = 24
_MICROS: Final = 1_000_000
_FAR_S: Final = 1 << 40


@attrs.frozen(kw_only=True)
class CallFigures:
    """Some calls in numbers.

    Tokens and costs leave out what is not known; `priced_calls` have a cost. Quantiles are None where no call has a
    latency, and can be wrong by `histogram.RELATIVE_ERROR`.
    """

    calls: int = 0
    errors: int = 0
    latency_p50_ms: float | None = None
    latency_p90_ms: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    priced_calls: int = 0
    cost_nano_usd: int = 0

    @property
    def error_share(self) -> float | None:
        """The share of the calls that failed; None where there are none."""
        return self.errors / self.calls if self.calls else None

    @property
    def cost_per_call_nano_usd(self) -> int | None:
        """What a call costs on average, of those whose cost is known; None where there are none."""
        return round(self.cost_nano_usd / self.priced_calls) if self.priced_calls else None

    @property
    def tokens_per_call(self) -> float | None:
        """Input and output tokens of a call on average; None where there are no calls."""
        return (self.input_tokens + self.output_tokens) / self.calls if self.calls else None


NO_CALLS: Final = CallFigures()


@attrs.frozen(kw_only=True)
class FiguresByTemplate:
    """The calls of every template, by its name: how many since `day_since`, and all figures since `week_since`.

    `is_partial`: not all calls were counted, because the newest are not derived yet.
    """

    day_since: datetime
    week_since: datetime
    day_calls: Mapping[str, int]
    week: Mapping[str, CallFigures]
    by_day: Mapping[str, tuple[int, ...]]
    is_partial: bool


@attrs.frozen(kw_only=True)
class Thumbs:
    """How many calls users found good or bad (their feedback), and how many reviewers did (`good`, `bad`)."""

    positive: int = 0
    negative: int = 0
    good: int = 0
    bad: int = 0


NO_THUMBS: Final = Thumbs()


@attrs.frozen(kw_only=True)
class FiguresByVersion:
    """All calls of some versions of a template, by their labels; `is_partial` as in `FiguresByTemplate`."""

    calls: Mapping[str, CallFigures]
    thumbs: Mapping[str, Thumbs]
    is_partial: bool


@attrs.define
class _Sum:
    totals: Totals = attrs.field(factory=Totals)
    errors: int = 0

    def merge(self, outcome: str, more: Totals) -> None:
        self.totals.merge(more)
        self.errors += more.calls if outcome == "error" else 0

    def figures(self) -> CallFigures:
        totals = self.totals
        return CallFigures(
            calls=totals.calls,
            errors=self.errors,
            latency_p50_ms=totals.latency.quantile(0.5),
            latency_p90_ms=totals.latency.quantile(0.9),
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            priced_calls=totals.priced_calls,
            cost_nano_usd=totals.cost_nano_usd,
        )


def figures_by_template(connection: sa.Connection, of: Project, now: datetime) -> FiguresByTemplate:
    """The calls of every template that calls name, also of those that are not stored here."""
    now_s = int(now.timestamp())
    day = Span(grain_s=HOUR_S, begins_at=now_s - now_s % HOUR_S - (_HOURS - 1) * HOUR_S, ends_at=_FAR_S)
    week = Span(grain_s=DAY_S, begins_at=now_s - now_s % DAY_S - (DAYS - 1) * DAY_S, ends_at=_FAR_S)
    tail = newest_calls(connection, of)
    in_day: dict[str, int] = defaultdict(int)
    in_week: dict[str, _Sum] = defaultdict(_Sum)
    by_day: dict[str, list[int]] = defaultdict(lambda: [0] * DAYS)
    for _, name, _, totals in rollups.read(connection, of.key, day, "template", {}, has_spreads=False):
        in_day[name] += totals.calls
    for starts_at, name, outcome, totals in rollups.read(connection, of.key, week, "template", {}, has_spreads=True):
        in_week[name].merge(outcome, totals)
        by_day[name][min((starts_at - week.begins_at) // DAY_S, DAYS - 1)] += totals.calls
    for facts in tail:
        name, began_s = facet_value(facts.template_name or ""), facts.started_at // _MICROS
        in_day[name] += began_s >= day.begins_at
        if began_s >= week.begins_at:
            in_week[name].merge(facts.outcome, _totals_of(facts))
            by_day[name][min((began_s - week.begins_at) // DAY_S, DAYS - 1)] += 1
    return FiguresByTemplate(
        day_since=from_micros(day.begins_at * _MICROS),
        week_since=from_micros(week.begins_at * _MICROS),
        day_calls={name: calls for name, calls in in_day.items() if name},
        week={name: those.figures() for name, those in in_week.items() if name},
        by_day={name: tuple(calls) for name, calls in by_day.items() if name},
        is_partial=_is_partial(connection, of, len(tail)),
    )


def figures_by_version(connection: sa.Connection, of: Project, name: str, labels: Collection[str]) -> FiguresByVersion:
    """All calls of versions of a template, at most `VERSIONS_LIMIT` of them."""
    asked = list(labels)[:VERSIONS_LIMIT]
    kept = {facet_value(label): label for label in asked}
    wanted: dict[Key, frozenset[str]] = {"template": frozenset({facet_value(name)}), "version": frozenset(kept)}
    ever = Span(grain_s=DAY_S, begins_at=-_FAR_S, ends_at=_FAR_S)
    sums: dict[str, _Sum] = {label: _Sum() for label in asked}
    for _, value, outcome, totals in rollups.read(connection, of.key, ever, "version", wanted, has_spreads=True):
        sums[kept[value]].merge(outcome, totals)
    tail = newest_calls(connection, of)
    for facts in tail:
        label = facts.template_version or ""
        if facts.template_name == name and label in sums:
            sums[label].merge(facts.outcome, _totals_of(facts))
    return FiguresByVersion(
        calls={label: those.figures() for label, those in sums.items()},
        thumbs={
            label: _thumbs(connection, of, name, label) if sums[label].totals.calls else NO_THUMBS for label in asked
        },
        is_partial=_is_partial(connection, of, len(tail)),
    )


def _thumbs(connection: sa.Connection, of: Project, name: str, label: str) -> Thumbs:
    which = all_of([term("template", "eq", name), term("version", "eq", label)])
    fields = count_facets(connection, of, which, ("feedback", _REVIEW), 10).fields
    feedback, review = ({each.value: each.calls for each in fields[name]} for name in ("feedback", _REVIEW))
    return Thumbs(
        positive=feedback.get("positive", 0),
        negative=feedback.get("negative", 0),
        good=review.get("good", 0),
        bad=review.get("bad", 0),
    )


def _totals_of(facts: Facts) -> Totals:
    totals = Totals()
    totals.add(facts)
    return totals


def _is_partial(connection: sa.Connection, of: Project, counted: int) -> bool:
    """Whether there are more calls that are not derived yet than were counted."""
    derived = derived_seq(connection)
    waiting = sa.select(sa.func.count()).where(record.c.project_key == of.key, record.c.seq > derived)
    return (connection.scalar(waiting) or 0) > counted


class PromptFigures(Part):
    """The calls of templates in numbers."""

    def by_template(self, project: Project) -> FiguresByTemplate:
        """The calls of every template that calls name."""
        return self._access.ask_list(figures_by_template, project, self._access.clock.now())

    def by_version(self, project: Project, name: str, labels: Collection[str]) -> FiguresByVersion:
        """All calls of some versions of a template, by their labels."""
        return self._access.ask_list(figures_by_version, project, name, labels)
