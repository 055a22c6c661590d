"""What a team says that its models cost: prices of its own, and names that stand for models of the price list.

These go before the list. A price holds from a day on, until the next one of the same model; a name can be that of a
model or of a deployment, and the one that a call asked for goes before the one that answered.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.rates import Rates, rates_from_json, rates_to_json
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.store.pricing.tables import model_price
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import Conflict, NotFound, Project, TooMuch

TEAM_PRICES_LIMIT: Final = 1_000
"""The most prices that a team can set in a project: all of them are looked through."""
ALWAYS: Final = date(1970, 1, 1)
"""The day from which a price holds that names none."""


@attrs.frozen(kw_only=True)
class TeamPriceDraft:
    """A price that is to be set: either `rates`, or the provider and model of the list whose price it has."""

    provider: str
    model: str
    valid_from: date = ALWAYS
    rates: Rates | None = None
    same_provider: str | None = None
    same_model: str | None = None


@attrs.frozen(kw_only=True)
class TeamPrice(TeamPriceDraft):
    """A price that a team set, last at `changed_at`."""

    id: str
    changed_at: datetime


def midnight(day: date) -> int:
    """When a day begins (UTC), as it is stored."""
    return to_micros(datetime.combine(day, time(), UTC))


def team_prices(connection: sa.Connection, of: Project) -> tuple[TeamPrice, ...]:
    """A project's prices, by provider and model, the newest of each first."""
    table = model_price.c
    statement = (
        sa.select(model_price)
        .where(table.project_key == of.key)
        .order_by(table.provider, table.model, table.valid_from.desc())
    )
    return tuple(_from_row(row) for row in connection.execute(statement).mappings())


def team_price(connection: sa.Connection, of: Project, price_id: str) -> TeamPrice:
    """One of a project's prices.

    Raises:
        NotFound: it has none of that id.
    """
    statement = sa.select(model_price).where(model_price.c.project_key == of.key, model_price.c.id == price_id)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no price {price_id!r} in project {of.name!r}; GET .../models lists its prices")
    return _from_row(row)


def team_price_for(
    connection: sa.Connection, of: Project, provider: str, names: Sequence[str], on: date
) -> TeamPrice | None:
    """The price that holds on a day for the first of these names that has one; upper and lower case alike."""
    own = [one for one in team_prices(connection, of) if one.provider.lower() == provider.lower()]
    for name in names:
        for one in own:
            if one.model.lower() == name.lower() and one.valid_from <= on:
                return one
    return None


def add_team_price(connection: sa.Connection, of: Project, draft: TeamPriceDraft, now: datetime) -> TeamPrice:
    """Set a price.

    Raises:
        Conflict: that model has a price from that day on already.
        TooMuch: the project has as many as it may.
    """
    count = connection.scalar(sa.select(sa.func.count()).where(model_price.c.project_key == of.key)) or 0
    if count >= TEAM_PRICES_LIMIT:
        raise TooMuch(f"project {of.name!r} has {count} prices, and {TEAM_PRICES_LIMIT} are the most; delete old ones")
    _refuse_second(connection, of, draft, except_id=None)
    price_id = str(uuid.uuid4())
    values = {"id": price_id, "project_key": of.key, **_values(draft, now)}
    connection.execute(sa.insert(model_price).values(**values))
    return team_price(connection, of, price_id)


def replace_team_price(
    connection: sa.Connection, of: Project, price_id: str, draft: TeamPriceDraft, now: datetime
) -> TeamPrice:
    """Set a price anew.

    Raises:
        NotFound: there is none of that id.
        Conflict: that model has another price from that day on already.
    """
    team_price(connection, of, price_id)
    _refuse_second(connection, of, draft, except_id=price_id)
    where = sa.and_(model_price.c.project_key == of.key, model_price.c.id == price_id)
    connection.execute(sa.update(model_price).where(where).values(**_values(draft, now)))
    return team_price(connection, of, price_id)


def delete_team_price(connection: sa.Connection, of: Project, price_id: str) -> None:
    """Take a price back; what was priced with it stays as it is until it is priced again.

    Raises:
        NotFound: there is none of that id.
    """
    team_price(connection, of, price_id)
    where = sa.and_(model_price.c.project_key == of.key, model_price.c.id == price_id)
    connection.execute(sa.delete(model_price).where(where))


def team_prices_stamp(connection: sa.Connection) -> tuple[object, ...]:
    """Something that is another one once any team's prices have changed."""
    table = model_price.c
    return tuple(
        connection.execute(sa.select(sa.func.count(), sa.func.max(table.key), sa.func.max(table.changed_at))).one()
    )


def _refuse_second(connection: sa.Connection, of: Project, draft: TeamPriceDraft, *, except_id: str | None) -> None:
    for one in team_prices(connection, of):
        names = one.provider.lower(), one.model.lower(), one.valid_from
        if names == (draft.provider.lower(), draft.model.lower(), draft.valid_from) and one.id != except_id:
            raise Conflict(
                f"model {draft.model!r} of {draft.provider!r} has a price from {draft.valid_from} on already "
                f"({one.id}): replace that one, or name another day in 'valid_from'"
            )


def _values(draft: TeamPriceDraft, now: datetime) -> dict[str, object]:
    return {
        "changed_at": to_micros(now),
        "provider": draft.provider,
        "model": draft.model,
        "valid_from": midnight(draft.valid_from),
        "rates": None if draft.rates is None else to_wire(rates_to_json(draft.rates)).decode(),
        "same_provider": draft.same_provider,
        "same_model": draft.same_model,
    }


def _from_row(row: sa.RowMapping) -> TeamPrice:
    return TeamPrice(
        id=row["id"],
        provider=row["provider"],
        model=row["model"],
        valid_from=from_micros(row["valid_from"]).date(),
        rates=None if row["rates"] is None else rates_from_json(from_wire(row["rates"], dict)),
        same_provider=row["same_provider"],
        same_model=row["same_model"],
        changed_at=from_micros(row["changed_at"]),
    )
