"""What models cost: the prices that a team sets, what the price list says, and how the cost of a call came about."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

import attrs
import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from freeplay_like.core.rates import Bucket, Rate, Rates
from freeplay_like.server.api.operations import PROJECT, Ask, Query, operation
from freeplay_like.server.checks import NAME_LIMIT, is_name, said_of_name
from freeplay_like.server.store.pricing.priced import Derivation, Repriced, RepriceFilter
from freeplay_like.server.store.pricing.team_prices import ALWAYS, TeamPrice, TeamPriceDraft
from freeplay_like.server.store.views import NotFound, Refused

REPRICE_S: Final = 1.0
"""About how long one request prices calls again before it answers how far it came."""

_MODELS: Final = f"{PROJECT}/models"
_MODEL: Final = f"{_MODELS}/id/{{price_id}}"

Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LIMIT)]
Dollars: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


@attrs.frozen(kw_only=True)
class RatesBody:
    """US dollars for a million tokens; for a thousand of them where it is searches or requests.

    A kind of tokens that is left out costs what it is a part of: what is read from or written to a cache, and audio,
    as other input; reasoning as other output.
    """

    input_usd: Dollars
    output_usd: Dollars
    cache_read_usd: Dollars | None = None
    cache_write_usd: Dollars | None = None
    cache_write_1h_usd: Dollars | None = None
    input_audio_usd: Dollars | None = None
    output_audio_usd: Dollars | None = None
    reasoning_usd: Dollars | None = None
    web_search_usd: Dollars | None = None
    request_usd: Dollars | None = None


@attrs.frozen(kw_only=True)
class SameAs:
    """A model of the price list."""

    provider: Name
    model: Name


@attrs.frozen(kw_only=True)
class ModelPriceBody:
    """The body that sets a price: either `rates`, or the model of the list whose price it has (`same_as`).

    `model` is the name that answered, or the one that was asked for, as the name of a deployment is. Without
    `valid_from` it holds from the beginning.
    """

    provider: Name
    model: Name
    valid_from: date | None = None
    rates: RatesBody | None = None
    same_as: SameAs | None = None


@attrs.frozen(kw_only=True)
class ModelPrice:
    """A price that a team set."""

    id: str
    provider: str
    model: str
    valid_from: date
    rates: RatesBody | None
    same_as: SameAs | None
    changed_at: datetime


@attrs.frozen(kw_only=True)
class ModelPrices:
    """The prices that a team set."""

    models: list[ModelPrice]


@attrs.frozen(kw_only=True)
class ListedPrice:
    """What the price list says of a model.

    `is_exact` False: the list does not have this model, and this is the nearest one; calls are not priced with it.
    """

    provider: str
    model: str
    matched_model: str
    is_exact: bool
    source: str
    rates: dict[Bucket, float]


@attrs.frozen(kw_only=True)
class CostLine:
    """`count` of a bucket at `rate_usd` for `per` of them."""

    bucket: Bucket
    count: int
    rate_usd: float
    per: int
    usd: float


@attrs.frozen(kw_only=True)
class Cost:
    """What a call cost, and how that came about."""

    cost_usd: float
    cost_nano_usd: int
    provider: str
    model: str
    matched_model: str
    source: str
    valid_from: date | None
    conditions: dict[str, str]
    lines: list[CostLine]


@attrs.frozen(kw_only=True)
class RepriceBody:
    """Which calls to price again: those that began from `from_date` up to, not including, `to_date`.

    `after` is the `next` of the answer before, to go on there.
    """

    from_date: Moment | None = None
    to_date: Moment | None = None
    provider: Name | None = None
    model: Name | None = None
    after: Annotated[str, msgspec.Meta(max_length=40)] | None = None


@attrs.frozen(kw_only=True)
class RepriceAnswer:
    """How far pricing again came. `next` None: to the end."""

    calls: int
    changed: int
    unpriced: int
    before_usd: float
    after_usd: float
    next: str | None


@operation("POST", _MODELS, scope="admin", body=ModelPriceBody, status=201, returns=ModelPrice)
def create_model_price(ask: Ask[ModelPriceBody]) -> ModelPrice:
    """Set what a model, or a deployment, costs; it goes before the price list for the calls that come from now on."""
    return price_to_wire(ask.store.prices.create(ask.project, draft_of(ask.body)))


@operation("GET", _MODELS, scope="read", returns=ModelPrices)
def list_model_prices(ask: Ask[None]) -> ModelPrices:
    """The prices that the team of a project set, by provider and model, the newest of each first."""
    return ModelPrices(models=[price_to_wire(one) for one in ask.store.prices.all(ask.project)])


@operation("GET", _MODEL, scope="read", returns=ModelPrice)
def get_model_price(ask: Ask[None]) -> ModelPrice:
    """One of the prices that a team set."""
    return price_to_wire(ask.store.prices.get(ask.project, ask.path("price_id")))


@operation("PUT", _MODEL, scope="admin", body=ModelPriceBody, returns=ModelPrice)
def replace_model_price(ask: Ask[ModelPriceBody]) -> ModelPrice:
    """Set a price anew; calls that have it keep what they were priced with until they are priced again."""
    return price_to_wire(ask.store.prices.replace(ask.project, ask.path("price_id"), draft_of(ask.body)))


@operation("DELETE", _MODEL, scope="admin", status=204)
def delete_model_price(ask: Ask[None]) -> Response:
    """Take a price back; calls that have it keep what they were priced with until they are priced again."""
    ask.store.prices.delete(ask.project, ask.path("price_id"))
    return Response(status_code=204)


@operation(
    "GET",
    f"{_MODELS}/listed",
    scope="read",
    returns=ListedPrice,
    query=(
        Query("provider", "The provider, as calls have it: `openai`.", {"type": "string", "maxLength": NAME_LIMIT}),
        Query("model", "The model, as calls have it: `gpt-4o`.", {"type": "string", "maxLength": NAME_LIMIT}),
        Query("on", "The day, today if left out.", {"type": "string", "format": "date"}),
    ),
)
def get_listed_price(ask: Ask[None]) -> ListedPrice:
    """What the price list says of a model on a day, or else of the nearest model that it has."""
    provider, model = ask.query("provider") or "", ask.query("model") or ""
    listed = ask.store.prices.listed(provider[:NAME_LIMIT], model[:NAME_LIMIT], _day(ask.query("on")))
    if listed is None:
        raise NotFound(f"the price list has no model {model[:100]!r} of {provider[:100]!r}, and none that is near it")
    return ListedPrice(
        provider=provider,
        model=model,
        matched_model=listed.matched_model,
        is_exact=listed.is_exact,
        source=listed.source,
        rates={bucket: float(rate.usd) for bucket, rate in listed.by_time[0][1].items()},
    )


@operation("POST", f"{_MODELS}/reprice", scope="admin", body=RepriceBody, returns=RepriceAnswer)
def reprice(ask: Ask[RepriceBody]) -> RepriceAnswer:
    """Price stored calls again, for about a second; ask again with `after` for the rest.

    It may be done twice and be stopped anywhere: a call that has its price keeps it.
    """
    body, until = ask.body, time.monotonic() + REPRICE_S
    which = RepriceFilter(start=body.from_date, end=body.to_date, provider=body.provider, model=body.model)
    done = ask.store.prices.reprice(ask.project, which, body.after)
    while done.next is not None and time.monotonic() < until:
        done += ask.store.prices.reprice(ask.project, which, done.next)
    return repriced_to_wire(done)


@operation("GET", f"{PROJECT}/completions/{{record_id}}/cost", scope="read", returns=Cost)
def get_cost(ask: Ask[None]) -> Cost:
    """How the cost of a call came about, line by line."""
    derivation = ask.store.prices.derivation(ask.project.id, ask.path("record_id"))
    if derivation is None:
        raise NotFound(f"no price is known for completion {ask.path('record_id')!r}, or there is no such completion")
    return cost_to_wire(derivation)


_PROJECT_OPERATIONS: Final = (
    create_model_price,
    list_model_prices,
    get_listed_price,
    reprice,
    get_model_price,
    replace_model_price,
    delete_model_price,
    get_cost,
)
_OF_THE_KEY: Final = (create_model_price, list_model_prices, get_model_price, replace_model_price, delete_model_price)

OPERATIONS: Final = (
    *_PROJECT_OPERATIONS,
    *(attrs.evolve(one, path=one.path.replace(PROJECT, "/api/v2")) for one in _OF_THE_KEY),
)
"""Freeplay's own addresses, `/api/v2/models`, name no project: there it is the key's."""


def cost_to_wire(derivation: Derivation) -> Cost:
    """The cost of a call as it is answered."""
    return Cost(
        cost_usd=usd(derivation.cost_nano_usd),
        cost_nano_usd=derivation.cost_nano_usd,
        provider=derivation.provider,
        model=derivation.model,
        matched_model=derivation.matched_model,
        source=derivation.source,
        valid_from=derivation.valid_from,
        conditions=derivation.conditions,
        lines=[
            CostLine(
                bucket=line.bucket, count=line.count, rate_usd=float(line.rate_usd), per=line.per, usd=float(line.usd)
            )
            for line in derivation.lines
        ],
    )


def usd(nano_usd: int) -> float:
    """Dollars, as they are answered."""
    return nano_usd / 1_000_000_000


def draft_of(body: ModelPriceBody) -> TeamPriceDraft:
    """The price that a body sets.

    Raises:
        Refused: it makes no sense.
    """
    for field, name in (("provider", body.provider), ("model", body.model)):
        if not is_name(name):
            raise Refused(f"{field}: a {field}'s {said_of_name(name)}")
    if (body.rates is None) == (body.same_as is None):
        raise Refused("a price has either 'rates' or 'same_as', the model of the list whose price it has")
    return TeamPriceDraft(
        provider=body.provider,
        model=body.model,
        valid_from=body.valid_from or ALWAYS,
        rates=None if body.rates is None else _rates(body.rates),
        same_provider=None if body.same_as is None else body.same_as.provider,
        same_model=None if body.same_as is None else body.same_as.model,
    )


def _rates(body: RatesBody) -> Rates:
    said: dict[str, float | None] = attrs.asdict(body)
    return {
        name.removesuffix("_usd"): Rate(Decimal(repr(value)))  # type: ignore[misc]  # the fields are the buckets
        for name, value in said.items()
        if value is not None
    }


def price_to_wire(one: TeamPrice) -> ModelPrice:
    """A team's price as it is answered."""
    rates = {f"{bucket}_usd": float(rate.usd) for bucket, rate in (one.rates or {}).items()}
    same_as = one.same_provider is not None and one.same_model is not None
    return ModelPrice(
        id=one.id,
        provider=one.provider,
        model=one.model,
        valid_from=one.valid_from,
        rates=RatesBody(**rates) if rates else None,
        same_as=SameAs(provider=one.same_provider or "", model=one.same_model or "") if same_as else None,
        changed_at=one.changed_at,
    )


def repriced_to_wire(done: Repriced) -> RepriceAnswer:
    """How far pricing again came, as it is answered."""
    return RepriceAnswer(
        calls=done.calls,
        changed=done.changed,
        unpriced=done.unpriced,
        before_usd=usd(done.before_nano_usd),
        after_usd=usd(done.after_nano_usd),
        next=done.next,
    )


def _day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise HTTPException(400, f"'on' is a day like 2026-11-30, not {text[:100]!r}") from exc
