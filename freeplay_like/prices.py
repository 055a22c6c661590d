"""What a call costs by the price list of the package `genai-prices`, which comes with the extras `prices` and `server`.

The list is part of that package: no network is asked. Its first use costs a few tenths of a second of import, so
nothing here is imported before a price is asked for.

A price that is not known is None, never 0. The list looks models up generously and gives, for instance, the prices of
`gpt-5.1-codex-mini` for `gpt-5.1-mini` (genai-prices 0.2.3, tried 2026-11). A sum of money should not rest on a guess:
such a price is given only to who asks for the nearest one, and says that it is not exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import attrs

from freeplay_like.core.chunks import Usage
from freeplay_like.core.rates import OUTPUT, Bucket, Rate, Rates, bill, counts_of, total_usd

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

_DATE: Final = re.compile(r"[-@](?:\d{4}-?[01]\d-?[0-3]\d|[01]\d[0-3]\d)$")
_NEWEST: Final = re.compile(r"-(?:latest|0)$")
"""`claude-sonnet-4-0` is Anthropic's name for the newest of the dated `claude-sonnet-4-...`."""

_BUCKETS: Final[dict[str, Bucket]] = {
    "input_mtok": "input",
    "input_audio_mtok": "input_audio",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_audio_mtok": "output_audio",
    "output_reasoning_mtok": "reasoning",
    "web_searches_kcount": "web_search",
    "requests_kcount": "request",
}
"""What the list calls the buckets of `core.rates`."""

_BATCH: Final = ("processing", "batch")

_KEPT_LOOKUPS: Final = 1024


@attrs.frozen(kw_only=True)
class Price:
    """What a call costs by the list, in US dollars.

    `matched_model` is the list's entry whose prices these are; `is_exact` whether that entry is the model asked about
    (by its own name, or by that name with a date) and not merely the nearest; `source` the list and its version.
    """

    total_usd: Decimal
    input_usd: Decimal
    output_usd: Decimal
    matched_model: str
    is_exact: bool
    source: str


@attrs.frozen(kw_only=True)
class ListedRates:
    """What the list says of a model on one day; the names as in `Price`.

    `by_time` holds the rates from a time of the day on (UTC), the first from midnight: a few providers are cheaper
    at night.
    """

    by_time: tuple[tuple[time, Rates], ...]
    matched_model: str
    is_exact: bool
    source: str

    def at(self, moment: datetime) -> Rates:
        """The rates at a moment of that day (aware)."""
        clock = moment.astimezone(UTC).time()
        return next(rates for start, rates in reversed(self.by_time) if start <= clock)


@attrs.frozen
class _Entry:
    """A model in the list."""

    provider: Provider
    model: ModelInfo
    is_exact: bool


def price_of(
    usage: Usage,
    *,
    provider: str,
    model: str,
    at: datetime,
    service_tier: str | None = None,
    or_nearest: bool = False,
) -> Price | None:
    """What these tokens cost at that provider, by the prices of the day `at` (aware).

    None where the list, the provider or the model is not known (a provider called `...-compatible` never is), where
    the list has no price for something that was used, where input or output were not counted, and where the counts
    contradict one another.

    Args:
        usage: the counts of one call.
        provider: as the record has it.
        model: the name that answered rather than the one asked for.
        at: when the call was made.
        service_tier: what the call was served with (`flex`, `priority`, `batch`); else what the provider's usage
            object says, else the standard service.
        or_nearest: where the list has no such model but one that it takes for it, give that one's price, marked by
            `is_exact=False`.
    """
    counts = counts_of(usage)
    if counts is None:
        return None
    conditions = conditions_of(usage, service_tier)
    listed = listed_rates(provider, model, on=at.astimezone(UTC).date(), conditions=conditions)
    if listed is None or not (listed.is_exact or or_nearest):
        return None
    lines = bill(listed.at(at), counts)
    if lines is None:
        return None
    output = total_usd(tuple(line for line in lines if line.bucket in OUTPUT))
    total = total_usd(lines)
    return Price(
        total_usd=total,
        input_usd=total - output,
        output_usd=output,
        matched_model=listed.matched_model,
        is_exact=listed.is_exact,
        source=listed.source,
    )


def conditions_of(usage: Usage, service_tier: str | None = None) -> tuple[tuple[str, str], ...]:
    """On what a price depends beside the model, by the list's names: pairs in the order of the names.

    `service_tier` goes before what the provider's usage object says.
    """
    raw = usage.raw or {}
    tier, speed = service_tier or raw.get("service_tier"), raw.get("speed")
    conditions = [_BATCH] if tier == "batch" else []
    conditions += [(name, said) for name, said in (("service_tier", tier), ("speed", speed)) if isinstance(said, str)]
    return tuple(conditions)


def listed_rates(
    provider: str, model: str, *, on: date, conditions: tuple[tuple[str, str], ...] = ()
) -> ListedRates | None:
    """What the list says that a model costs on a day (UTC); None where it does not have it, or there is no list.

    The first use loads the list, some tenths of a second.
    """
    if not _is_installed():
        return None
    from genai_prices import __version__
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    entry = _entry(provider, model, snapshot.timestamp)
    if entry is None:
        return None
    is_own = any(entry.model is one for one in entry.provider.models)  # conditions are those of its own provider
    context = dict(conditions) if is_own else {}
    if not _knows(entry.model if is_own else None, conditions, on):
        return None
    by_time = tuple((start, _rates(entry.model, datetime.combine(on, start), context)) for start in _times(entry.model))
    if not all(by_time_rates.keys() & {"input", "request"} for _, by_time_rates in by_time):
        return None  # priced by the hour, the page or the image, which are not counted here
    fetched = f", fetched {snapshot.timestamp:%Y-%m-%d}" if snapshot.from_auto_update else ""
    return ListedRates(
        by_time=by_time,
        matched_model=entry.model.id,
        is_exact=entry.is_exact,
        source=f"genai-prices {__version__}{fetched}",
    )


@lru_cache(maxsize=1)
def _is_installed() -> bool:
    try:
        import genai_prices  # noqa: F401
    except ImportError:
        return False
    return True


@lru_cache(maxsize=_KEPT_LOOKUPS)
def _entry(provider: str, model: str, listed_at: datetime) -> _Entry | None:
    """The model in the list; `listed_at` tells lists apart, for a program that has genai-prices fetch newer ones.

    The package's own look-up is passed by: it takes any provider with "openai" in its name for OpenAI, and keeps what
    it was asked for ever.
    """
    from genai_prices.data_snapshot import get_snapshot

    providers = get_snapshot().providers
    listed = next((one for one in providers if one.id == provider.lower()), None)
    found = None if listed is None else listed.find_model(model, all_providers=providers)
    if listed is None or found is None:
        return None
    return _Entry(provider=listed, model=found, is_exact=_is_same_model(model, found.id))


def _is_same_model(name: str, listed: str) -> bool:
    """Whether a name is that of the listed model, or of it with a date: `gpt-4o-2024-08-06` is `gpt-4o`."""
    name, listed = name.lower(), listed.lower()
    if name == listed:
        return True
    undated = _DATE.sub("", name)
    return _NEWEST.sub("", undated) == _NEWEST.sub("", listed)


def _knows(model: ModelInfo | None, conditions: tuple[tuple[str, str], ...], on: date) -> bool:
    """Whether the list knows what these conditions cost on a day.

    A condition that it does not name at all changes no price, but for batches, which are cheaper everywhere.
    """
    variants = [] if model is None else model.price_variants or []
    at = datetime.combine(on, time(), UTC)
    for name, said in conditions:
        own = [variant for variant in variants if variant.when.get(name) == said]
        if not own and (name, said) != _BATCH:
            continue
        if not any(variant.constraint is None or variant.constraint.active(at) for variant in own):
            return False
    return True


def _times(model: ModelInfo) -> tuple[time, ...]:
    """The times of the day (UTC) at which a model's prices change, midnight first."""
    from genai_prices.types import TimeOfDateConstraint

    conditional = model.prices if isinstance(model.prices, list) else []
    constraints = [one.constraint for one in (*conditional, *(model.price_variants or ()))]
    changes = {
        datetime.combine(date(2000, 1, 1), moment, moment.tzinfo or UTC).astimezone(UTC).time()
        for one in constraints
        if isinstance(one, TimeOfDateConstraint)
        for moment in (one.start_time, one.end_time)
    }
    return tuple(sorted({time(), *changes}))


def _rates(model: ModelInfo, at: datetime, context: Mapping[str, str]) -> Rates:
    prices = model.get_prices(at.replace(tzinfo=UTC), context)
    return {bucket: rate for name, bucket in _BUCKETS.items() if (rate := _rate(prices, name)) is not None}


def _rate(prices: ModelPrice, name: str) -> Rate | None:
    from genai_prices.types import TieredPrices

    price = prices.__dict__.get(name)
    if isinstance(price, TieredPrices):
        return Rate(price.base, tuple((step.start, step.price) for step in price.tiers))
    return None if price is None else Rate(price)
