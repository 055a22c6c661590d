"""`freeplay-like prices`: what models cost here, and pricing stored calls again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

import attrs
import click

from freeplay_like.backend_link import segment
from freeplay_like.cli.place import Place, Remote, Where, place, place_options
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.api.models import (
    ModelPrice,
    ModelPriceBody,
    ModelPrices,
    RatesBody,
    RepriceAnswer,
    RepriceBody,
    SameAs,
    draft_of,
    price_to_wire,
    repriced_to_wire,
)
from freeplay_like.server.store.pricing.priced import RepriceFilter

_JSON = click.option("--json", "is_json", is_flag=True, help="Print JSON, an object a line.")
_DAY = click.DateTime(["%Y-%m-%d"])
_DOLLARS = click.FloatRange(min=0, max=1_000_000)


@click.group()
def prices() -> None:
    """What models cost: the prices that a team sets, before those of the price list."""


@prices.command("list")
@place_options
@_JSON
def list_prices(where: Where, *, is_json: bool) -> None:
    """Show the prices that the team set. What is not here has the prices of the list."""
    with place(where) as here:
        for one in _all(here):
            click.echo(to_wire(one).decode() if is_json else _line(one))


@prices.command("set")
@place_options
@click.argument("provider")
@click.argument("model")
@click.option("--input", "input_usd", type=_DOLLARS, help="US dollars for a million input tokens.")
@click.option("--output", "output_usd", type=_DOLLARS, help="The same for output; what a model costs needs both.")
@click.option("--cache-read", "cache_read_usd", type=_DOLLARS, help="The same for input out of a cache.")
@click.option("--cache-write", "cache_write_usd", type=_DOLLARS, help="The same for input written to a cache.")
@click.option("--reasoning", "reasoning_usd", type=_DOLLARS, help="The same for reasoning.")
@click.option("--same-as", "same_as", metavar="PROVIDER/MODEL", help="The price of this model in the list instead.")
@click.option("--valid-from", type=_DAY, help="The first day (UTC); from the beginning if left out.")
@_JSON
def set_price(
    where: Where,
    provider: str,
    model: str,
    same_as: str | None,
    valid_from: datetime | None,
    *,
    is_json: bool,
    **rates: float | None,
) -> None:
    """Set what MODEL of PROVIDER costs, as calls have these names; MODEL can be the name of a deployment.

    It holds for the calls that come from now on; `freeplay-like prices reprice` gives it to those that are stored.
    """
    body = ModelPriceBody(
        provider=provider,
        model=model,
        valid_from=None if valid_from is None else valid_from.date(),
        rates=_rates(rates),
        same_as=None if same_as is None else _same_as(same_as),
    )
    with place(where) as here:
        if isinstance(here, Remote):
            made = from_wire(to_wire(here.link.post(f"{here.path}/models", body)), ModelPrice)
        else:
            made = price_to_wire(here.store.prices.create(here.project, draft_of(body)))
    click.echo(to_wire(made).decode() if is_json else _line(made))


@prices.command()
@place_options
@click.argument("price_id")
def remove(where: Where, price_id: str) -> None:
    """Take a price back, by the id that `list` shows."""
    with place(where) as here:
        if isinstance(here, Remote):
            here.link.ask("DELETE", f"{here.path}/models/id/{segment(price_id, 'id of a price')}").json()
        else:
            here.store.prices.delete(here.project, price_id)


@prices.command()
@place_options
@click.option("--from", "from_day", type=_DAY, help="The first day (UTC) of the calls; from the oldest if left out.")
@click.option("--to", "to_day", type=_DAY, help="The day (UTC) before which they began; up to now if left out.")
@click.option("--provider", help="Only calls to this provider.")
@click.option("--model", help="Only calls of this model.")
@click.option("--after", help="Go on where a run was stopped that printed this.")
@_JSON
def reprice(
    where: Where,
    from_day: datetime | None,
    to_day: datetime | None,
    provider: str | None,
    model: str | None,
    after: str | None,
    *,
    is_json: bool,
) -> None:
    """Price stored calls again, with the prices that hold now for their days. May be stopped and run again."""
    body = RepriceBody(
        from_date=None if from_day is None else from_day.replace(tzinfo=UTC),
        to_date=None if to_day is None else to_day.replace(tzinfo=UTC),
        provider=provider,
        model=model,
        after=after,
    )
    total: RepriceAnswer | None = None
    with place(where) as here:
        for part in _repriced(here, body):
            total = part if total is None else _sum(total, part)
            if part.next is not None:
                click.echo(f"{total.calls} calls so far; to go on from here: --after {part.next}", err=True)
    if total is None:
        return
    if is_json:
        click.echo(json.dumps(attrs.asdict(total)))
        return
    click.echo(f"{total.calls} calls, {total.changed} priced anew, {total.unpriced} without a known price")
    click.echo(f"before ${total.before_usd:,.6f}, now ${total.after_usd:,.6f}")


def _all(here: Place) -> list[ModelPrice]:
    if isinstance(here, Remote):
        return from_wire(to_wire(here.link.get(f"{here.path}/models")), ModelPrices).models
    return [price_to_wire(one) for one in here.store.prices.all(here.project)]


def _repriced(here: Place, body: RepriceBody) -> Iterator[RepriceAnswer]:
    while True:
        if isinstance(here, Remote):
            part = from_wire(to_wire(here.link.post(f"{here.path}/models/reprice", body)), RepriceAnswer)
        else:
            which = RepriceFilter(start=body.from_date, end=body.to_date, provider=body.provider, model=body.model)
            part = repriced_to_wire(here.store.prices.reprice(here.project, which, body.after))
        yield part
        if part.next is None:
            return
        body = attrs.evolve(body, after=part.next)


def _sum(total: RepriceAnswer, part: RepriceAnswer) -> RepriceAnswer:
    return RepriceAnswer(
        calls=total.calls + part.calls,
        changed=total.changed + part.changed,
        unpriced=total.unpriced + part.unpriced,
        before_usd=total.before_usd + part.before_usd,
        after_usd=total.after_usd + part.after_usd,
        next=part.next,
    )


def _rates(said: dict[str, float | None]) -> RatesBody | None:
    if not any(value is not None for value in said.values()):
        return None
    if said["input_usd"] is None or said["output_usd"] is None:
        raise click.UsageError("a price needs both --input and --output; 0 where it costs nothing")
    return RatesBody(**said)  # type: ignore[arg-type]  # the two that it needs are there


def _same_as(text: str) -> SameAs:
    provider, slash, model = text.partition("/")
    if not slash or not provider or not model:
        raise click.UsageError(f"--same-as is PROVIDER/MODEL, as in openai/gpt-4o, not {text!r}")
    return SameAs(provider=provider, model=model)


def _line(one: ModelPrice) -> str:
    since = "" if one.valid_from == date(1970, 1, 1) else f" from {one.valid_from}"
    if one.same_as is not None:
        return f"{one.id}  {one.provider} {one.model}{since}: as {one.same_as.provider} {one.same_as.model}"
    said = {} if one.rates is None else attrs.asdict(one.rates)
    rates = ", ".join(f"{name.removesuffix('_usd')} ${usd:g}" for name, usd in said.items() if usd is not None)
    return f"{one.id}  {one.provider} {one.model}{since}: {rates}"
