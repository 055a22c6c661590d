"""What tokens cost at given rates: pure, exact, and line by line, so that a sum can be shown as it came about."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, Literal, TypeAlias

import attrs

from freeplay_like.core.chunks import Usage
from freeplay_like.core.wire import JsonObject

Bucket = Literal[
    "input",
    "input_audio",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "output_audio",
    "reasoning",
    "web_search",
    "request",
]
"""What is counted apart because it may be charged apart. No token is in two of them: `input` is what was neither
read from a cache nor written to one, `output` what was not reasoning."""

OUTPUT: Final[frozenset[Bucket]] = frozenset({"output", "output_audio", "reasoning"})
"""The buckets of what the model wrote."""

_INPUT: Final[frozenset[Bucket]] = frozenset({"input", "input_audio", "cache_read", "cache_write", "cache_write_1h"})
_COUNTED: Final[tuple[Bucket, ...]] = (
    "input",
    "input_audio",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "output_audio",
    "reasoning",
    "web_search",
)

_UNITS: Final = 24
_UNITS_A_NANO: Final = 10 ** (_UNITS - 9)
"""A `Tariff` reckons in units of 10**-24 dollars: no listed rate for a token is finer (genai-prices 0.2.3)."""

MILLION: Final = 1_000_000
THOUSAND: Final = 1_000

_CHARGED_AS: Final[dict[Bucket, Bucket]] = {
    "input_audio": "input",
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "output_audio": "output",
    "reasoning": "output",
}
"""Under which rate a bucket falls that has none of its own."""

_BY_THE_THOUSAND: Final[frozenset[Bucket]] = frozenset({"web_search", "request"})

Counts: TypeAlias = Mapping[Bucket, int]
"""How much there is in each bucket that is not empty."""


@attrs.frozen
class Rate:
    """US dollars for a million tokens, or for a thousand searches or requests.

    `steps` are `(more than this many input tokens, then this many dollars)`, rising: past a step all of a call's
    tokens cost what the step says, as providers charge long contexts.
    """

    usd: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """The dollars for a call with that much input."""
        for more_than, usd in reversed(self.steps):
            if input_tokens > more_than:
                return usd
        return self.usd


Rates: TypeAlias = Mapping[Bucket, Rate]


@attrs.frozen
class Line:
    """One line of a bill: `count` of a bucket at `rate_usd` for `per` of them."""

    bucket: Bucket
    count: int
    rate_usd: Decimal
    per: int
    usd: Decimal


def counts_of(usage: Usage) -> Counts | None:
    """The tokens of a call, each in one bucket; None where they were not counted, or contradict one another.

    Two things are only in the provider's own usage object: what was kept in Anthropic's cache for an hour, and its
    web searches (platform.claude.com/docs, read 2026-11); and audio, in OpenAI's (`prompt_tokens_details`).
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    read, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    reasoning = usage.reasoning_tokens or 0
    kept_1h = audio_in = audio_out = searches = 0
    if raw := usage.raw:
        kept_1h = _number_in(raw, "cache_creation", "ephemeral_1h_input_tokens")
        audio_in = _number_in(raw, "prompt_tokens_details", "audio_tokens")
        audio_out = _number_in(raw, "completion_tokens_details", "audio_tokens")
        searches = _number_in(raw, "server_tool_use", "web_search_requests")
    counts = (
        usage.input_tokens - read - written - audio_in,
        audio_in,
        read,
        written - kept_1h,
        kept_1h,
        usage.output_tokens - reasoning - audio_out,
        audio_out,
        reasoning,
        searches,
    )
    return None if min(counts) < 0 else {bucket: count for bucket, count in zip(_COUNTED, counts, strict=True) if count}


def bill(rates: Rates, counts: Counts) -> tuple[Line, ...] | None:
    """What these counts cost, line by line; None where a rate is missing for what was used: nothing is free."""
    if "input_audio" in counts and "cache_read" in counts and "input_audio" in rates:
        return None  # how much of the audio came from the cache is not said
    input_tokens = sum(count for bucket, count in counts.items() if bucket in _INPUT)
    lines = []
    for bucket, count in counts.items():
        rate = _rate(rates, bucket)
        if rate is None:
            return None
        lines.append(_line(bucket, count, rate.at(input_tokens)))
    if "request" in rates:
        lines.append(_line("request", 1, rates["request"].at(input_tokens)))
    return tuple(lines)


class Tariff:
    """Rates, made ready for the calls of a busy server: the same sums as those of `bill`, in a tenth of the time."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._is_exact = "input_audio" not in rates
        steps = sorted({start for rate in rates.values() for start, _ in rate.steps})
        self._units = self._units_at(0)
        self._steps = [(start, self._units_at(start + 1)) for start in steps]

    def _units_at(self, input_tokens: int) -> dict[Bucket, int]:
        """What one of each costs in a call with that much input."""
        found: dict[Bucket, int] = {}
        for bucket in (*_COUNTED, *_BY_THE_THOUSAND):
            rate = _rate(self._rates, bucket)
            if rate is not None:
                units = _line(bucket, 1, rate.at(input_tokens)).usd.scaleb(_UNITS)
                self._is_exact &= units == units.to_integral_value()
                found[bucket] = int(units)
        return found

    def nano_usd(self, counts: Counts) -> int | None:
        """What these counts cost, in whole billionths of a dollar; None as in `bill`."""
        if not self._is_exact:
            lines = bill(self._rates, counts)
            return None if lines is None else nano_usd(total_usd(lines))
        units = self._units
        if self._steps:
            input_tokens = sum(count for bucket, count in counts.items() if bucket in _INPUT)
            for more_than, then in self._steps:
                if input_tokens > more_than:
                    units = then
        total = units.get("request", 0)
        for bucket, count in counts.items():
            if bucket not in units:
                return None
            total += count * units[bucket]
        nano, rest = divmod(total, _UNITS_A_NANO)
        return nano + (rest * 2 > _UNITS_A_NANO or (rest * 2 == _UNITS_A_NANO and nano % 2))


def total_usd(lines: tuple[Line, ...]) -> Decimal:
    """What all lines come to."""
    return sum((line.usd for line in lines), Decimal(0))


def nano_usd(usd: Decimal) -> int:
    """Dollars as whole billionths of one."""
    return int(usd.scaleb(9).to_integral_value(ROUND_HALF_EVEN))


def rates_to_json(rates: Rates) -> JsonObject:
    """Rates as JSON: dollars as text, so that no digit is lost; `[dollars, [more than, dollars], ...]` with steps."""
    return {
        bucket: str(rate.usd) if not rate.steps else [str(rate.usd), *([start, str(usd)] for start, usd in rate.steps)]
        for bucket, rate in sorted(rates.items())
    }


def rates_from_json(value: JsonObject) -> Rates:
    """The rates that `rates_to_json` wrote."""
    return {bucket: _rate_from(said) for bucket, said in value.items()}  # type: ignore[misc]  # as it was written


def _rate_from(said: object) -> Rate:
    if isinstance(said, list):
        usd, *steps = said
        return Rate(Decimal(usd), tuple((start, Decimal(then)) for start, then in steps))
    return Rate(Decimal(str(said)))


def _rate(rates: Rates, bucket: Bucket) -> Rate | None:
    charged: Bucket | None = bucket
    while charged is not None and charged not in rates:
        charged = _CHARGED_AS.get(charged)
    return None if charged is None else rates[charged]


def _line(bucket: Bucket, count: int, usd: Decimal) -> Line:
    per = THOUSAND if bucket in _BY_THE_THOUSAND else MILLION
    return Line(bucket, count, usd, per, (usd * count).scaleb(-3 if per == THOUSAND else -6))


def _number_in(raw: JsonObject, group: str, name: str) -> int:
    part = raw.get(group)
    value = part.get(name) if isinstance(part, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
