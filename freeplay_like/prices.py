"""What a call costs by the price list of the package `genai-prices`, which comes with the extras `prices` and `server`.

The list is part of that package: no network is asked. Its first use costs a few tenths of a second of import, so
nothing here is imported before a price is asked for.

A price that is not known is None, never 0. The list looks models up generously and gives, for instance, the prices of
`gpt-5.1-codex-mini` for `gpt-5.1-mini` (genai-prices 0.2.3, tried 2026-11). A sum of money should not rest on a guess:
such a price is given only to who asks for the nearest one, and says that it is not exact.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import attrs

from freeplay_like.core.chunks import Usage
from freeplay_like.core.wire import JsonObject

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

_DATE: Final = re.compile(r"[-@](?:\d{4}-?[01]\d-?[0-3]\d|[01]\d[0-3]\d)$")
_NEWEST: Final = re.compile(r"-(?:latest|0)$")
"""`claude-sonnet-4-0` is Anthropic's name for the newest of the dated `claude-sonnet-4-...`."""

_CONDITIONS: Final = ("service_tier", "speed")
"""Fields of a provider's usage object on which prices depend, by the list's names."""

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
    input or output were not counted, and where the counts contradict one another.

    Args:
        usage: the counts of one call.
        provider: as the record has it.
        model: the name that answered rather than the one asked for.
        at: when the call was made.
        service_tier: what the call was served with (`flex`, `priority`); else what the provider's usage object says,
            else the standard service.
        or_nearest: where the list has no such model but one that it takes for it, give that one's price, marked by
            `is_exact=False`.
    """
    if usage.input_tokens is None or usage.output_tokens is None or not _is_installed():
        return None
    from genai_prices import Usage as ListedUsage
    from genai_prices import __version__
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    entry = _entry(provider, model, snapshot.timestamp)
    if entry is None or not (entry.is_exact or or_nearest):
        return None
    raw = usage.raw or {}
    said = {**raw, "service_tier": service_tier or raw.get("service_tier")}
    conditions = {name: value for name in _CONDITIONS if isinstance(value := said.get(name), str)}
    try:
        price = entry.model.calc_price(
            ListedUsage(**_counts(usage, raw)), entry.provider, genai_request_timestamp=at, price_context=conditions
        )
    except ValueError:  # more tokens out of the cache than there were, or a count below 0
        return None
    fetched = f", fetched {snapshot.timestamp:%Y-%m-%d}" if snapshot.from_auto_update else ""
    return Price(
        total_usd=price.total_price,
        input_usd=price.input_price,
        output_usd=price.output_price,
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


def _counts(usage: Usage, raw: JsonObject) -> dict[str, int | None]:
    """The counts by the list's names. Totals include their parts there as they do here."""
    written = raw.get("cache_creation")
    kept_for_1h = written.get("ephemeral_1h_input_tokens") if isinstance(written, dict) else None
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": kept_for_1h if isinstance(kept_for_1h, int) else None,
        "output_tokens": usage.output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
