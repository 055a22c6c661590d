"""What models cost: the prices that the team set, models of calls that have none, and pricing stored calls again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from freeplay_like.core.rates import Bucket, Rate, Rates
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.pages.addresses import settings_address
from freeplay_like.server.pages.forms import Form, Sent, action, then
from freeplay_like.server.pages.page import page, project_of
from freeplay_like.server.pages.settings.common import SettingsContext, answer_once, common_of
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.facets import ANSWERED
from freeplay_like.server.store.derived.filters import Filter, all_of, not_, term
from freeplay_like.server.store.pricing.priced import Repriced, RepriceFilter
from freeplay_like.server.store.pricing.team_prices import ALWAYS, TeamPrice, TeamPriceDraft
from freeplay_like.server.store.views import Project, Refused

MAIN: Final[dict[Bucket, str]] = {
    "input": "Input",
    "output": "Output",
    "cache_read": "Read from cache",
    "cache_write": "Written to cache",
}
MORE: Final[dict[Bucket, str]] = {
    "cache_write_1h": "Written for an hour",
    "reasoning": "Reasoning",
    "input_audio": "Audio in",
    "output_audio": "Audio out",
    "web_search": "Web search (a thousand)",
    "request": "Request (a thousand)",
}
DOLLARS_LIMIT: Final = 1_000_000
UNPRICED_LIMIT: Final = 20
"""The most models without a price that are listed."""
REPRICE_S: Final = 1.0
"""About how long one request prices calls again before it says how far it came."""
_NUMBER_LIMIT: Final = 10**18 - 1
_UNPRICED: Final = all_of((not_(term("cost_usd", "exists")), term("tokens", "exists")))
"""Calls whose tokens were counted, and that have no cost all the same: no price is known for their model."""


@attrs.frozen(kw_only=True)
class PriceRow:
    """A price that the team set: rates in dollars as they are written, or the model of the list that it equals."""

    id: str
    provider: str
    model: str
    valid_from: date | None
    rates: dict[str, str]
    same_provider: str
    same_model: str
    changed_at: datetime

    @property
    def others(self) -> str:
        """The rates that have no column, in one line."""
        names = {bucket: name for bucket, name in MORE.items() if bucket in self.rates}
        return ", ".join(f"{name.lower()} ${self.rates[bucket]}" for bucket, name in names.items())


@attrs.frozen(kw_only=True)
class Unpriced:
    """A model of calls whose cost is not known."""

    provider: str
    model: str
    calls: int
    filter: Filter


@attrs.frozen(kw_only=True)
class PricesContext(SettingsContext):
    """The prices of a project. `model` is what the form for another price begins with."""

    prices: tuple[PriceRow, ...]
    unpriced: tuple[Unpriced, ...]
    provider: str
    model: str

    main: dict[Bucket, str] = MAIN
    more: dict[Bucket, str] = MORE


@attrs.frozen(kw_only=True)
class PriceContext(SettingsContext):
    """One price, to be changed."""

    price: PriceRow
    main: dict[Bucket, str] = MAIN
    more: dict[Bucket, str] = MORE


@attrs.frozen(kw_only=True)
class RepriceContext(SettingsContext):
    """How far pricing again came: `done` of about `total` calls. The rest says which calls, to go on with."""

    done: Repriced
    total: int
    first_day: str
    last_day: str
    provider: str
    model: str


def routes(state: State) -> list[BaseRoute]:
    """The tab, the page of a price, and their forms."""
    place = "/projects/{project_id}/settings/prices"
    return [
        *page(place, "settings/prices.html", _build, state),
        action(place, _add, state, may="admin"),
        action(f"{place}/again", _reprice, state, may="admin"),
        *page(f"{place}/{{price_id}}", "settings/price.html", _build_one, state),
        action(f"{place}/{{price_id}}", _replace, state, may="admin"),
        action(f"{place}/{{price_id}}/remove", _remove, state, may="admin"),
    ]


def _build(state: State, request: Request) -> PricesContext:
    common = common_of(state, request, "prices")
    return PricesContext(
        common=common,
        prices=tuple(_row(one) for one in state.store.prices.all(common.project)),
        unpriced=_unpriced(state, common.project),
        provider=request.query_params.get("provider", ""),
        model=request.query_params.get("model", ""),
    )


def _build_one(state: State, request: Request) -> PriceContext:
    common = common_of(state, request, "prices")
    found = state.store.prices.get(common.project, request.path_params["price_id"])
    return PriceContext(common=common, price=_row(found))


def _add(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    sent.state.store.prices.create(project, draft_in(sent.form))
    return _back(project, "price-set")


def _replace(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    sent.state.store.prices.replace(project, sent.request.path_params["price_id"], draft_in(sent.form))
    return _back(project, "price-set")


def _remove(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    sent.state.store.prices.delete(project, sent.request.path_params["price_id"])
    return _back(project, "price-removed")


def _back(project: Project, said: str) -> Response:
    return then(settings_address(project.id, "prices", said=said))


def _reprice(sent: Sent) -> Response:
    """Price calls again for about a second, and answer how far that came; the page goes on by itself."""
    common = common_of(sent.state, sent.request, "prices")
    form, store = sent.form, sent.state.store
    which = reprice_filter(form)
    until = time.monotonic() + REPRICE_S
    done = _so_far(form)
    done += store.prices.reprice(common.project, which, form.get("after") or None)
    while done.next is not None and time.monotonic() < until:
        done += store.prices.reprice(common.project, which, done.next)
    total = form.number("total", "The number of calls", lowest=0, highest=_NUMBER_LIMIT)
    if total is None:
        total = store.statistics.summary(common.project.id, _calls_of(which)).calls
    context = RepriceContext(
        common=common,
        done=done,
        total=max(total, done.calls),
        **{name: form.get(name) for name in ("first_day", "last_day", "provider", "model")},
    )
    return answer_once(sent, "settings/repriced.html", context)


# --- what is typed ----------------------------------------------------------------------------------------


def draft_in(form: Form) -> TeamPriceDraft:
    """The price that somebody typed.

    Raises:
        Refused: it makes no sense.
    """
    for name in ("provider", "model"):
        if not is_name(form.get(name)):
            raise Refused(f"a {name}'s {said_of_name(form.get(name))}")
    rates, same = rates_in(form), (form.get("same_provider"), form.get("same_model"))
    if bool(rates) == any(same):
        raise Refused("a price is either rates, or the same as that of a model of the list: fill in one of them")
    if any(same) and not all(same):
        raise Refused("the same price as which model? Give its provider and its name")
    if rates and not {"input", "output"} <= rates.keys():
        raise Refused("rates need one for input and one for output; 0 says that it costs nothing")
    return TeamPriceDraft(
        provider=form.get("provider"),
        model=form.get("model"),
        valid_from=_day(form, "valid_from", "The first day") or ALWAYS,
        rates=rates or None,
        same_provider=same[0] or None,
        same_model=same[1] or None,
    )


def rates_in(form: Form) -> Rates:
    """The rates that somebody typed, in dollars, by their buckets; those left empty are not there.

    Raises:
        Refused: something else than dollars.
    """
    typed = {bucket: form.get(bucket) for bucket in (MAIN | MORE)}
    return {bucket: Rate(_dollars(text, (MAIN | MORE)[bucket])) for bucket, text in typed.items() if text}


def reprice_filter(form: Form) -> RepriceFilter:
    """Which calls somebody wants priced again; both days count, in UTC.

    Raises:
        Refused: a day that is none.
    """
    first, last = _day(form, "first_day", "The first day"), _day(form, "last_day", "The last day")
    return RepriceFilter(
        start=None if first is None else _midnight(first),
        end=None if last is None else _midnight(last) + timedelta(days=1),
        provider=form.get("provider") or None,
        model=form.get("model") or None,
    )


def _calls_of(which: RepriceFilter) -> Filter:
    said = (
        ("started_at", "gte", which.start),
        ("started_at", "lt", which.end),
        ("provider", "eq", which.provider),
        ("model", "eq", which.model),
    )
    return all_of(
        term(name, op, value.isoformat() if isinstance(value, datetime) else value)
        for name, op, value in said
        if value is not None
    )


def _so_far(form: Form) -> Repriced:
    """What the requests before came to, as the form carries it along."""

    def count(name: str) -> int:
        return form.number(name, f"The count {name}", lowest=0, highest=_NUMBER_LIMIT) or 0

    return Repriced(
        calls=count("calls"),
        changed=count("changed"),
        unpriced=count("unpriced"),
        before_nano_usd=count("before_nano_usd"),
        after_nano_usd=count("after_nano_usd"),
    )


def _dollars(text: str, what: str) -> Decimal:
    try:
        dollars = Decimal(text)
    except InvalidOperation:
        dollars = Decimal("NaN")
    if len(text) > 30 or not dollars.is_finite() or not 0 <= dollars <= DOLLARS_LIMIT:
        raise Refused(f"{what} is in dollars, as in 2.50, up to {DOLLARS_LIMIT}; not {text[:100]!r}")
    return dollars


def _day(form: Form, name: str, what: str) -> date | None:
    text = form.get(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as exc:
        raise Refused(f"{what} is a day like 2026-11-30, not {text[:100]!r}") from exc
    if not ALWAYS <= day < date.max:
        raise Refused(f"{what} is from {ALWAYS} on, and before {date.max}")
    return day


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# --- what is shown ----------------------------------------------------------------------------------------


def _unpriced(state: State, project: Project) -> tuple[Unpriced, ...]:
    """The models of calls without a cost, that of most calls first."""
    found = []
    statistics = state.store.statistics
    for provider in statistics.facets(project.id, _UNPRICED, ("provider",)).fields["provider"]:
        of_provider = all_of((_UNPRICED, term("provider", "eq", provider.value)))
        for model in statistics.facets(project.id, of_provider, (ANSWERED,)).fields[ANSWERED]:
            which = all_of((of_provider, term("model", "eq", model.value)))
            found.append(Unpriced(provider=provider.value, model=model.value, calls=model.calls, filter=which))
    return tuple(sorted(found, key=lambda one: -one.calls)[:UNPRICED_LIMIT])


def _row(one: TeamPrice) -> PriceRow:
    rates: Mapping[Bucket, Rate] = one.rates or {}
    return PriceRow(
        id=one.id,
        provider=one.provider,
        model=one.model,
        valid_from=None if one.valid_from == ALWAYS else one.valid_from,
        rates={bucket: f"{rate.usd:f}" for bucket, rate in rates.items()},
        same_provider=one.same_provider or "",
        same_model=one.same_model or "",
        changed_at=one.changed_at,
    )
