"""The drawings of how the calls go: which numbers, in which shapes, and what is behind each point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from freeplay_like.server.pages.addresses import where
from freeplay_like.server.pages.formats import count, dollars, duration
from freeplay_like.server.pages.health.calls import CallsView, Grain
from freeplay_like.server.pages.health.drawing import Numbers, Shape, bars, highest, line, slot
from freeplay_like.server.pages.health.words import share
from freeplay_like.server.store.derived.charts import ChartPoint, Quantiles
from freeplay_like.server.store.derived.filters import Filter

Pick = Callable[[ChartPoint], float | None]
Write = Callable[[float], str]


@attrs.frozen(kw_only=True)
class Spot:
    """A place of a drawing that leads to the calls behind it; `about` is what there is to say of it."""

    x: float
    width: float
    address: str
    about: str


@attrs.frozen(kw_only=True)
class Figure:
    """A chart: its shapes, a spot for each part of the time that has calls, and the number at its top."""

    title: str
    top: str
    shapes: tuple[Shape, ...]
    spots: tuple[Spot, ...]


@attrs.frozen
class _Row:
    label: str
    kind: str
    pick: Pick


@attrs.frozen(kw_only=True)
class _Plan:
    title: str
    rows: tuple[_Row, ...]
    write: Write
    is_bars: bool = False
    leads_to: tuple[Filter, ...] = ()


def _quantile(name: str, pick: Callable[[Quantiles], float]) -> Pick:
    def value(point: ChartPoint) -> float | None:
        quantiles: Quantiles | None = getattr(point, name)
        return None if quantiles is None else pick(quantiles)

    return value


def _spread(name: str) -> tuple[_Row, ...]:
    return (
        _Row("p50", "first", _quantile(name, lambda quantiles: quantiles.p50)),
        _Row("p95", "second", _quantile(name, lambda quantiles: quantiles.p95)),
        _Row("p99", "third", _quantile(name, lambda quantiles: quantiles.p99)),
    )


def _usd(value: float) -> str:
    return dollars(round(value * 1e9))


_FAILED: Final = where(outcome="error")
_PLANS: Final = (
    _Plan(
        title="Calls",
        rows=(
            _Row("errors", "bad", lambda point: point.errors),
            _Row("other ends", "first", lambda point: point.calls - point.errors),
        ),
        write=count,
        is_bars=True,
    ),
    _Plan(
        title="Share of errors",
        rows=(_Row("errors", "bad", lambda point: point.errors / point.calls * 100),),
        write=lambda value: f"{value:g} %",
        is_bars=True,
        leads_to=(_FAILED,),
    ),
    _Plan(title="Latency", rows=_spread("latency_ms"), write=duration),
    _Plan(title="First chunk", rows=_spread("time_to_first_chunk_ms"), write=duration),
    _Plan(
        title="Tokens",
        rows=(
            _Row("in", "first", lambda point: point.input_tokens),
            _Row("out", "second", lambda point: point.output_tokens),
        ),
        write=count,
        is_bars=True,
    ),
    _Plan(
        title="Cost",
        rows=(_Row("cost", "good", lambda point: point.cost_usd if point.priced_calls else None),),
        write=_usd,
        is_bars=True,
    ),
)


def figures(view: CallsView) -> tuple[Figure, ...]:
    """All drawings of a time range."""
    return tuple(_figure(view, plan) for plan in _PLANS)


def _figure(view: CallsView, plan: _Plan) -> Figure:
    numbers: list[Numbers] = [
        [None if grain.point is None else row.pick(grain.point) for grain in view.grains] for row in plan.rows
    ]
    top = highest(numbers, is_stacked=plan.is_bars)
    drawn = bars(numbers, top) if plan.is_bars else tuple(() for _ in plan.rows)
    shapes = tuple(
        Shape(label=row.label, kind=row.kind, bars=rects, line="" if plan.is_bars else line(values, top))
        for row, values, rects in zip(plan.rows, numbers, drawn, strict=True)
    )
    return Figure(
        title=plan.title,
        top=plan.write(top) if top else "",
        shapes=shapes,
        spots=tuple(_spots(view, plan, numbers)),
    )


def _spots(view: CallsView, plan: _Plan, numbers: Sequence[Numbers]) -> list[Spot]:
    found = []
    for place, grain in enumerate(view.grains):
        if grain.point is None:
            continue
        x, width = slot(place, len(view.grains))
        values = [(row.label, row_numbers[place]) for row, row_numbers in zip(plan.rows, numbers, strict=True)]
        found.append(
            Spot(
                x=round(x, 2),
                width=round(width, 2),
                address=view.address_of(grain, *plan.leads_to),
                about=_about(plan, grain, grain.point, values),
            )
        )
    return found


def _about(plan: _Plan, grain: Grain, point: ChartPoint, values: Sequence[tuple[str, float | None]]) -> str:
    """What is said of a point, such as `13:00: 12 calls, 2 errors`."""
    at = f"{grain.begins_at:%d %b %H:%M}"
    if plan.title == "Calls":
        return f"{at}: {count(point.calls)} calls, {count(point.errors)} errors"
    if plan.title == "Share of errors":
        return f"{at}: {share(point.errors, point.calls)} of {count(point.calls)} calls"
    said = [f"{label} {plan.write(value)}" for label, value in values if value is not None]
    return f"{at}: {', '.join(said) or 'not known'}"
