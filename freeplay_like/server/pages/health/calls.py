"""How the calls of a project go: over time, by model and by template."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

import attrs

from freeplay_like.server.pages.addresses import calls_address
from freeplay_like.server.pages.health.drawing import marks
from freeplay_like.server.store.derived.charts import Chart, ChartAsk, ChartPoint, span_of
from freeplay_like.server.store.derived.filters import Filter, Term, all_of, not_, term
from freeplay_like.server.store.derived.rollups import DAY_S, HOUR_S, Span
from freeplay_like.server.store.derived.statistics import Statistics

By: TypeAlias = Literal["calls", "cost", "errors"]
"""What the tables are sorted by."""
BYS: Final[tuple[By, ...]] = get_args(By)

VALUES_LIMIT: Final = 200
"""So many models or templates are told apart; the others are one row."""
ROWS_SHOWN: Final = 10
MINUTE_S: Final = 60

_LENGTHS: Final = {
    "1h": (timedelta(hours=1), MINUTE_S),
    "24h": (timedelta(hours=24), HOUR_S),
    "7d": (timedelta(days=7), HOUR_S),
    "30d": (timedelta(days=30), DAY_S),
}


def stretch(period: str, now: datetime) -> Span:
    """The whole grains of a time range that moves along."""
    if period in _LENGTHS:
        length, grain_s = _LENGTHS[period]
        return span_of(now - length, now, grain_s)
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "yesterday":
        return span_of(day - timedelta(days=1), day, HOUR_S)
    return span_of(day, max(now, day + timedelta(seconds=1)), HOUR_S)  # at midnight too there is an hour to show


@attrs.frozen(kw_only=True)
class Grain:
    """The calls that began in one part of the time, None where there are none."""

    begins_at: datetime
    ends_at: datetime
    point: ChartPoint | None


@attrs.frozen(kw_only=True)
class Row:
    """The calls of one model or template; `value` is "" for those that have none. `is_rest`: of all others."""

    value: str
    is_rest: bool
    point: ChartPoint


@attrs.frozen(kw_only=True)
class Table:
    """The calls of the whole time by a field. `more` values are not shown."""

    field: str
    rows: tuple[Row, ...]
    more: int


@attrs.frozen(kw_only=True)
class CallsView:
    """How the calls of a project go in a time range."""

    project_id: str
    period: str
    by: By
    grains: tuple[Grain, ...]
    total: ChartPoint | None
    models: Table
    templates: Table
    is_partial: bool

    @property
    def begins_at(self) -> datetime:
        """Where the time begins."""
        return self.grains[0].begins_at

    @property
    def ends_at(self) -> datetime:
        """Where it ends."""
        return self.grains[-1].ends_at

    def address(self, *further: Filter) -> str:
        """The calls of the whole time, narrowed."""
        return behind(self.project_id, self.begins_at, self.ends_at, *further)

    def address_of(self, grain: Grain, *further: Filter) -> str:
        """The calls of a part of the time."""
        return behind(self.project_id, grain.begins_at, grain.ends_at, *further)

    @staticmethod
    def slower(name: str, at_least_ms: float) -> Filter:
        """The calls that took at least so long."""
        return term(name, "gte", at_least_ms)

    @staticmethod
    def known(name: str) -> Filter:
        """The calls of which a number is known."""
        return term(name, "exists", True)

    @property
    def marks(self) -> tuple[str, ...]:
        """The times below each drawing."""
        words = "%H:%M" if self.ends_at - self.begins_at <= timedelta(days=1, hours=1) else "%d %b"
        return tuple(self.grains[place].begins_at.strftime(words) for place in marks(len(self.grains)))


def behind(project_id: str, begins_at: datetime, ends_at: datetime, *further: Filter) -> str:
    """The list of the calls of a stretch of time."""
    within = [
        term("started_at", "gte", begins_at.astimezone(UTC).isoformat()),
        term("started_at", "lt", ends_at.astimezone(UTC).isoformat()),
    ]
    return calls_address(project_id, all_of([*further, *within]))


def valued(field: str, row: Row) -> Filter | None:
    """The calls of a row of a table, None where no filter says it."""
    if row.is_rest:
        return None
    return term(field, "eq", row.value) if row.value else not_(Term(field=field, op="exists", value=True))


def look(statistics: Statistics, project_id: str, period: str, by: By, now: datetime) -> CallsView:
    """Ask for all of it."""
    span = stretch(period, now)

    def ask(field: str | None, *, is_whole: bool) -> Chart:
        wanted = ChartAsk(span=span, by=field, filter=all_of([]), is_whole=is_whole, limit=VALUES_LIMIT)
        return statistics.chart(project_id, wanted)

    over_time, whole = ask(None, is_whole=False), ask(None, is_whole=True)
    by_model, by_template = ask("model", is_whole=True), ask("template", is_whole=True)
    points = {moment: point for series in over_time.series for moment, point in series.points}
    return CallsView(
        project_id=project_id,
        period=period,
        by=by,
        grains=tuple(
            _grain(starts_at, span.grain_s, points) for starts_at in range(span.begins_at, span.ends_at, span.grain_s)
        ),
        total=next((point for series in whole.series for _, point in series.points), None),
        models=_table("model", by_model, by),
        templates=_table("template", by_template, by),
        is_partial=any(chart.is_partial for chart in (over_time, whole, by_model, by_template)),
    )


def _grain(starts_at: int, grain_s: int, points: dict[datetime, ChartPoint]) -> Grain:
    begins_at = datetime.fromtimestamp(starts_at, UTC)
    return Grain(begins_at=begins_at, ends_at=begins_at + timedelta(seconds=grain_s), point=points.get(begins_at))


_ORDERS: Final[dict[By, Callable[[ChartPoint], float]]] = {
    "calls": lambda point: point.calls,
    "cost": lambda point: point.cost_usd,
    "errors": lambda point: point.errors,
}


def _table(field: str, chart: Chart, by: By) -> Table:
    rows = [
        Row(value=series.value, is_rest=series.is_rest, point=point)
        for series in chart.series
        for _, point in series.points
    ]
    rows.sort(key=lambda row: (row.is_rest, -_ORDERS[by](row.point), -row.point.calls, row.value))
    return Table(field=field, rows=tuple(rows[:ROWS_SHOWN]), more=max(0, len(rows) - ROWS_SHOWN))
