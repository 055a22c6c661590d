"""The store's part for prices: what a team sets, how the cost of a call came about, and pricing calls again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.rates import Line, bill, counts_of, rates_from_json
from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire
from freeplay_like.prices import ListedRates, listed_rates
from freeplay_like.server.store.access import Access, Part
from freeplay_like.server.store.bodies import unpack
from freeplay_like.server.store.pricing import team_prices
from freeplay_like.server.store.pricing.prices import SLICE, Pricer, readable, set_prices
from freeplay_like.server.store.pricing.tables import price
from freeplay_like.server.store.pricing.team_prices import TeamPrice, TeamPriceDraft
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import Project, Refused

_PLACE: Final = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,18})")


@attrs.frozen(kw_only=True)
class Derivation:
    """How the cost of a call came about.

    `matched_model` is the entry of the list, or the name that a team set a price for; `source` the list and its
    version, or `team`; `conditions` the service that was priced (`service_tier`, `processing`, `speed`).
    """

    cost_nano_usd: int
    provider: str
    model: str
    matched_model: str
    source: str
    valid_from: date | None
    conditions: dict[str, str]
    lines: tuple[Line, ...]


@attrs.frozen(kw_only=True)
class RepriceFilter:
    """Which calls are to be priced again: those that began from `start` up to, not including, `end`."""

    start: datetime | None = None
    end: datetime | None = None
    provider: str | None = None
    model: str | None = None


@attrs.frozen(kw_only=True)
class Repriced:
    """What a slice of pricing again came to.

    `unpriced` counts the calls that have no price now. `next` is what to go on after, None at the end.
    """

    calls: int = 0
    changed: int = 0
    unpriced: int = 0
    before_nano_usd: int = 0
    after_nano_usd: int = 0
    next: str | None = None

    def __add__(self, later: Repriced) -> Repriced:
        """Both slices together."""
        return Repriced(
            calls=self.calls + later.calls,
            changed=self.changed + later.changed,
            unpriced=self.unpriced + later.unpriced,
            before_nano_usd=self.before_nano_usd + later.before_nano_usd,
            after_nano_usd=self.after_nano_usd + later.after_nano_usd,
            next=later.next,
        )


@attrs.frozen
class _Stored:
    """A call as it was read, to be priced again."""

    seq: int
    started_at: int
    received_at: int
    cost_nano_usd: int | None
    value: Record | None


class Prices(Part):
    """What models cost, and what calls did."""

    def __init__(self, access: Access, pricer: Pricer) -> None:
        super().__init__(access)
        self._pricer = pricer
        self.tell_others: Callable[[], None] = lambda: None
        """Called where a team has changed its prices here."""

    def hear(self) -> None:
        """A team has changed its prices, here or at another server: calls that come from now on have the new ones."""
        self._pricer.forget()

    def _changed(self) -> None:
        self.hear()
        self.tell_others()

    def all(self, of: Project) -> tuple[TeamPrice, ...]:
        """The prices that a team set, by provider and model, the newest of each first."""
        return self._access.ask(team_prices.team_prices, of)

    def get(self, of: Project, price_id: str) -> TeamPrice:
        """One of them.

        Raises:
            NotFound: there is none of that id.
        """
        return self._access.ask(team_prices.team_price, of, price_id)

    def create(self, of: Project, draft: TeamPriceDraft) -> TeamPrice:
        """Set a price; calls that come from now on have it, earlier ones once they are priced again.

        Raises:
            Conflict: that model has a price from that day on already.
            Refused: the price list does not have the model whose price it is to be.
            TooMuch: the project has as many as it may.
        """
        _require_listed(draft, self._access.clock.now().date())
        now = self._access.clock.now()
        made = self._access.change(lambda connection: team_prices.add_team_price(connection, of, draft, now))
        self._changed()
        return made

    def replace(self, of: Project, price_id: str, draft: TeamPriceDraft) -> TeamPrice:
        """Set a price anew.

        Raises:
            NotFound: there is none of that id.
            Conflict, Refused: as when one is made.
        """
        _require_listed(draft, self._access.clock.now().date())
        now = self._access.clock.now()
        set_anew = self._access.change(
            lambda connection: team_prices.replace_team_price(connection, of, price_id, draft, now)
        )
        self._changed()
        return set_anew

    def delete(self, of: Project, price_id: str) -> None:
        """Take a price back.

        Raises:
            NotFound: there is none of that id.
        """
        self._access.change(lambda connection: team_prices.delete_team_price(connection, of, price_id))
        self._changed()

    def derivation(self, project_id: str, record_id: str) -> Derivation | None:
        """How the cost of a call came about; None where it has none, or there is no such call."""
        return self._access.ask_of(project_id, _derivation, None, record_id)

    @property
    def failures(self) -> int:
        """How often prices could not be looked up, and calls had to wait for theirs."""
        return self._pricer.failures

    def wait(self, timeout_s: float) -> bool:
        """Wait until every stored call has its price; False where some still wait after that time."""
        return self._pricer.wait(timeout_s)

    def listed(self, provider: str, model: str, on: date) -> ListedRates | None:
        """What the price list says of a model, or else of the nearest one that it has."""
        return listed_rates(provider, model, on=on)

    def reprice(self, of: Project, which: RepriceFilter, after: str | None = None) -> Repriced:
        """Price the next slice of calls again; with `after` the `next` of the slice before it.

        It may be done again, and stopped anywhere: calls that have their price already stay as they are.

        Raises:
            Refused: `after` is none.
            StoreUnavailable: nothing can be written now; what earlier slices did stays.
        """
        stored = self._access.ask(_slice, of, which, None if after is None else _place(after))
        calls = [call for call in stored if call.value is not None]
        priced = self._pricer.price_now([call.value for call in calls if call.value is not None])

        def write(connection: sa.Connection) -> int:
            same = _unreplaced(connection, calls)
            return set_prices(
                connection, [(call.seq, one) for call, one in zip(calls, priced, strict=True) if call.seq in same]
            )

        last = stored[-1] if len(stored) == SLICE else None
        return Repriced(
            calls=len(calls),
            changed=self._access.change(write) if calls else 0,
            unpriced=sum(one.cost_nano_usd is None for one in priced),
            before_nano_usd=sum(call.cost_nano_usd or 0 for call in calls),
            after_nano_usd=sum(one.cost_nano_usd or 0 for one in priced),
            next=None if last is None else f"{last.started_at}.{last.seq}",
        )


def _require_listed(draft: TeamPriceDraft, on: date) -> None:
    if draft.same_provider is None or draft.same_model is None:
        return
    listed = listed_rates(draft.same_provider, draft.same_model, on=on)
    if listed is None or not listed.is_exact:
        near = "" if listed is None else f"; the nearest one there is {listed.matched_model!r}"
        raise Refused(f"the price list has no model {draft.same_model!r} of {draft.same_provider!r}{near}")


def _derivation(connection: sa.Connection, of: Project, record_id: str) -> Derivation | None:
    statement = (
        sa.select(record.c.cost_nano_usd, record_body.c.zstd, price)
        .join(record_body, record_body.c.seq == record.c.seq)
        .join(price, price.c.key == record.c.price_key)
        .where(record.c.project_key == of.key, record.c.record_id == record_id)
    )
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        return None
    usage = unpack(row["zstd"], Record).usage
    counts = None if usage is None else counts_of(usage)
    lines = None if counts is None else bill(rates_from_json(from_wire(row["rates"], dict)), counts)
    return Derivation(
        cost_nano_usd=row["cost_nano_usd"],
        provider=row["provider"],
        model=row["model"],
        matched_model=row["matched_model"],
        source=row["source"],
        valid_from=None if row["valid_from"] is None else from_micros(row["valid_from"]).date(),
        conditions=from_wire(row["conditions"], dict),
        lines=lines or (),
    )


def _place(after: str) -> tuple[int, int]:
    found = _PLACE.fullmatch(after)
    if found is None:
        raise Refused(f"'after' is the 'next' of an earlier answer, not {after[:100]!r}")
    return int(found[1]), int(found[2])


def _slice(
    connection: sa.Connection, of: Project, which: RepriceFilter, after: tuple[int, int] | None
) -> list[_Stored]:
    table = record.c
    statement = (
        sa.select(table.seq, table.started_at, table.received_at, table.cost_nano_usd, record_body.c.zstd)
        .join(record_body, record_body.c.seq == table.seq)
        .where(table.project_key == of.key)
        .order_by(table.started_at, table.seq)
        .limit(SLICE)
    )
    if after is not None:
        statement = statement.where(sa.tuple_(table.started_at, table.seq) > after)
    if which.start is not None:
        statement = statement.where(table.started_at >= to_micros(which.start))
    if which.end is not None:
        statement = statement.where(table.started_at < to_micros(which.end))
    if which.provider is not None:
        statement = statement.where(table.provider == which.provider)
    if which.model is not None:
        statement = statement.where(sa.or_(table.model == which.model, table.requested_model == which.model))
    return [
        _Stored(seq, started_at, received_at, cost, readable(packed))
        for seq, started_at, received_at, cost, packed in connection.execute(statement)
    ]


def _unreplaced(connection: sa.Connection, calls: Sequence[_Stored]) -> set[int]:
    """The calls that nothing happened to since they were read."""
    read = {call.seq: call.received_at for call in calls}
    rows = connection.execute(sa.select(record.c.seq, record.c.received_at).where(record.c.seq.in_(read)))
    return {seq for seq, received_at in rows if read[seq] == received_at}
