"""The calls of a project in numbers: charts, counts, sums and quantiles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.api.operations import PROJECT, Ask, Query, operation
from freeplay_like.server.http import query_number
from freeplay_like.server.store.derived import filter_json
from freeplay_like.server.store.derived.charts import Chart, ChartAsk, ChartPoint, Quantiles, Series, span_of
from freeplay_like.server.store.derived.counting import Summary
from freeplay_like.server.store.derived.filters import BadFilter, Filter, all_of, any_of, find_field, term
from freeplay_like.server.store.derived.rollups import DAY_S, HOUR_S
from freeplay_like.server.store.views import Refused

FACETS: Final = (
    *("environment", "template", "version", "provider", "model", "flavor", "outcome", "error", "feedback", "api_key"),
)
"""The fields that are counted where nobody says which."""
FACETS_LIMIT: Final = 20
VALUES_LIMIT: Final = 100
_HOURS_LIMIT: Final = timedelta(days=4)
"""Up to how long a chart is drawn by the hour where nobody says how."""
_DEFAULT: Final = timedelta(days=1)

_FILTER: Final = (
    Query("q", "A filter as it is typed, such as `model:gpt-4o latency:>2s`.", {"type": "string", "maxLength": 4_000}),
    Query("filters", "A filter as JSON, as a search takes it.", {"type": "string", "maxLength": 20_000}),
    Query("model", "Or any other field of filters, once or more often.", {"type": "string", "maxLength": 1_000}),
)


def _quantile(pick: Callable[[Quantiles], float], name: str) -> Callable[[ChartPoint], float | None]:
    def value(point: ChartPoint) -> float | None:
        quantiles: Quantiles | None = getattr(point, name)
        return None if quantiles is None else pick(quantiles)

    return value


_VALUES: Final[dict[str, Callable[[ChartPoint], float | None]]] = {
    "calls": lambda point: point.calls,
    "errors": lambda point: point.errors,
    "error_rate": lambda point: point.errors / point.calls if point.calls else None,
    "cost_usd": lambda point: point.cost_usd if point.priced_calls else None,
    "input_tokens": lambda point: point.input_tokens,
    "output_tokens": lambda point: point.output_tokens,
    "tokens": lambda point: point.input_tokens + point.output_tokens,
    "latency_p50_ms": _quantile(lambda quantiles: quantiles.p50, "latency_ms"),
    "latency_p95_ms": _quantile(lambda quantiles: quantiles.p95, "latency_ms"),
    "latency_p99_ms": _quantile(lambda quantiles: quantiles.p99, "latency_ms"),
    "first_chunk_p50_ms": _quantile(lambda quantiles: quantiles.p50, "time_to_first_chunk_ms"),
    "first_chunk_p95_ms": _quantile(lambda quantiles: quantiles.p95, "time_to_first_chunk_ms"),
    "first_chunk_p99_ms": _quantile(lambda quantiles: quantiles.p99, "time_to_first_chunk_ms"),
}
_QUANTILES: Final = frozenset(name for name in _VALUES if name.endswith("_ms"))
_SHORT: Final = {"cost": "cost_usd", "p50": "latency_p50_ms", "p95": "latency_p95_ms", "p99": "latency_p99_ms"}
_CHART: Final = (
    Query("from", "Where the chart begins; a day before its end where it is left out."),
    Query("to", "Where it ends; now where it is left out."),
    Query("grain", "Points by the hour or by the day.", {"type": "string", "enum": ["hour", "day"]}),
    Query("by", "The field whose values are the series; one series where it is left out."),
    Query("value", "What is drawn.", {"type": "string", "enum": [*_VALUES, *_SHORT], "default": "calls"}),
)


@attrs.frozen(kw_only=True)
class StatisticsBody:
    """The body of a question for statistics. `filters` as in a search."""

    filters: JsonValue = None


@operation("GET", f"{PROJECT}/statistics/chart", scope="read", query=(*_CHART, *_FILTER))
def get_chart(ask: Ask[None]) -> JsonObject:
    """Calls over time, as series of points `[seconds since 1970, value]`; grains without calls are left out."""
    ends_at = _moment(ask, "to") or ask.store.now()
    begins_at = _moment(ask, "from") or ends_at - _DEFAULT
    said = ask.query("value") or "calls"
    value = _SHORT.get(said, said)
    if value not in _VALUES:
        raise Refused(f"'value' is one of {', '.join((*_VALUES, *_SHORT))}, not {said[:50]!r}")
    by = ask.query("by") or None
    if by is not None:
        field, _ = find_field(by)
        if field.kind != "choice":
            raise BadFilter(f"'by' takes a field of few values, such as model or outcome, not {by[:100]!r}", by)
        by = field.name
    span = span_of(begins_at, ends_at, _grain_s(ask, ends_at - begins_at))
    filter = _filter(ask, ("from", "to", "grain", "by", "value"))
    wanted = ChartAsk(span=span, by=by, filter=filter, has_quantiles=value in _QUANTILES)
    return _chart_to_wire(ask.store.statistics.chart(ask.project.id, wanted), by, value)


@operation(
    "GET",
    f"{PROJECT}/statistics/facets",
    scope="read",
    query=(
        Query("fields", "Which fields, with commas between them.", {"type": "string", "maxLength": 2_000}),
        Query(
            "limit",
            "How many values of each.",
            {"type": "integer", "minimum": 1, "maximum": VALUES_LIMIT, "default": 30},
        ),
        *_FILTER,
    ),
)
def get_facets(ask: Ask[None]) -> JsonObject:
    """The values that calls have in some fields, and how many calls have each, the most common first.

    `is_partial`: counting took too long; there are at least as many.
    """
    names = _fields(ask)
    limit = query_number(ask.request, "limit", default=30, highest=VALUES_LIMIT)
    facets = ask.store.statistics.facets(ask.project.id, _filter(ask, ("fields", "limit")), names, limit)
    return {
        "calls": facets.calls,
        "facets": facets.fields,
        "open_fields": facets.open_fields,
        "is_partial": facets.is_partial,
    }


@operation("GET", f"{PROJECT}/statistics/summary", scope="read", query=_FILTER)
def get_summary(ask: Ask[None]) -> JsonObject:
    """How many calls a filter finds, and how their latencies, costs and tokens are spread."""
    return _summary_to_wire(ask.store.statistics.summary(ask.project.id, _filter(ask, ())))


@operation("POST", f"{PROJECT}/completions/statistics", scope="read", body=StatisticsBody)
def completion_statistics(ask: Ask[StatisticsBody]) -> JsonObject:
    """The calls of a filter in numbers, in all and by template."""
    filter = filter_json.parse(ask.body.filters)
    summary = ask.store.statistics.summary(ask.project.id, filter)
    facets = ask.store.statistics.facets(ask.project.id, filter, ("template",), VALUES_LIMIT)
    return {**_summary_to_wire(summary), "templates": facets.fields["template"]}


@operation("POST", f"{PROJECT}/completions/statistics/{{template}}", scope="read", body=StatisticsBody)
def template_statistics(ask: Ask[StatisticsBody]) -> JsonObject:
    """The calls of a template (its id or its name) in numbers, in all and by version."""
    said = ask.path("template")
    is_it = [term("template", "eq", said), term("template_id", "eq", said)]
    filter = all_of([filter_json.parse(ask.body.filters), any_of(is_it)])
    summary = ask.store.statistics.summary(ask.project.id, filter)
    facets = ask.store.statistics.facets(ask.project.id, filter, ("version",), VALUES_LIMIT)
    return {**_summary_to_wire(summary), "versions": facets.fields["version"]}


OPERATIONS: Final = (get_chart, get_facets, get_summary, completion_statistics, template_statistics)


def _filter(ask: Ask[None], own: tuple[str, ...]) -> Filter:
    return filter_json.from_query(ask.request.query_params.multi_items(), ignoring=own)


def _moment(ask: Ask[None], name: str) -> datetime | None:
    said = ask.query(name)
    if not said:
        return None
    try:
        moment = datetime.fromisoformat(said)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Refused(f"{name!r} is not a time: {said[:50]!r}; write it as 2026-01-31T09:30:00Z") from exc
    if not 1970 < moment.year < 9999:
        raise Refused(f"{name!r} is {said[:50]!r}; charts are drawn from 1971 to 9998")
    return moment


def _grain_s(ask: Ask[None], length: timedelta) -> int:
    grain = ask.query("grain") or ("hour" if length <= _HOURS_LIMIT else "day")
    if grain not in ("hour", "day"):
        raise Refused(f"'grain' is 'hour' or 'day', not {grain[:50]!r}")
    return HOUR_S if grain == "hour" else DAY_S


def _fields(ask: Ask[None]) -> tuple[str, ...]:
    said = ask.query("fields")
    names = [name.strip() for name in said.split(",") if name.strip()] if said else list(FACETS)
    if len(names) > FACETS_LIMIT:
        raise Refused(f"'fields' names {len(names)} fields; at most {FACETS_LIMIT} are counted at once")
    found: dict[str, None] = {}
    for name in names:
        field, _ = find_field(name)
        if field.kind != "choice":
            raise BadFilter(f"'fields': {name[:100]!r} is not a field of few values", name)
        found[field.name] = None
    return tuple(found)


def _chart_to_wire(chart: Chart, by: str | None, value: str) -> JsonObject:
    return {
        "from": datetime.fromtimestamp(chart.span.begins_at, UTC),
        "to": datetime.fromtimestamp(chart.span.ends_at, UTC),
        "grain_s": chart.span.grain_s,
        "by": by,
        "value": value,
        "series": [_series_to_wire(series, _VALUES[value]) for series in chart.series],
        "is_partial": chart.is_partial,
    }


def _series_to_wire(series: Series, value: Callable[[ChartPoint], float | None]) -> JsonObject:
    return {
        "name": series.value,
        "is_rest": series.is_rest,
        "calls": sum(point.calls for _, point in series.points),
        "points": [[int(at.timestamp()), value(point)] for at, point in series.points],
    }


def _summary_to_wire(summary: Summary) -> JsonObject:
    return {
        "calls": summary.calls,
        "errors": summary.errors,
        "numbers": summary.numbers,
        "is_partial": summary.is_partial,
    }
