from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from freeplay_like.core.chunks import Usage
from freeplay_like.core.rates import (
    Bucket,
    Line,
    Rate,
    Rates,
    Tariff,
    bill,
    counts_of,
    nano_usd,
    rates_from_json,
    rates_to_json,
    total_usd,
)

RATES: dict[Bucket, Rate] = {
    "input": Rate(Decimal("2")),
    "cache_read": Rate(Decimal("0.5")),
    "cache_write": Rate(Decimal("2.5")),
    "output": Rate(Decimal("8")),
}


def lines(usage: Usage, rates: Rates = RATES) -> tuple[Line, ...]:
    counts = counts_of(usage)
    assert counts is not None
    found = bill(rates, counts)
    assert found is not None
    return found


def test_every_token_is_on_one_line_at_its_own_rate() -> None:
    usage = Usage(
        input_tokens=1000, output_tokens=100, cached_input_tokens=300, cache_write_tokens=200, reasoning_tokens=60
    )
    assert [(line.bucket, line.count, line.rate_usd) for line in lines(usage)] == [
        ("input", 500, Decimal("2")),
        ("cache_read", 300, Decimal("0.5")),
        ("cache_write", 200, Decimal("2.5")),
        ("output", 40, Decimal("8")),
        ("reasoning", 60, Decimal("8")),
    ]
    assert total_usd(lines(usage)) == Decimal("0.00245")


def test_past_a_step_all_tokens_cost_more_and_what_is_cached_counts_towards_it() -> None:
    rates: Rates = {"input": Rate(Decimal("1"), ((100, Decimal("3")),)), "output": Rate(Decimal("0"))}
    at_the_step = Usage(input_tokens=100, output_tokens=0, cached_input_tokens=60)
    past_it = Usage(input_tokens=101, output_tokens=0, cached_input_tokens=60)
    assert {line.rate_usd for line in lines(at_the_step, rates)} == {Decimal("1")}
    assert {line.rate_usd for line in lines(past_it, rates)} == {Decimal("3")}


def test_searches_and_the_request_itself_are_charged_by_the_thousand() -> None:
    rates: Rates = {**RATES, "web_search": Rate(Decimal("10")), "request": Rate(Decimal("5"))}
    usage = Usage(input_tokens=0, output_tokens=0, raw={"server_tool_use": {"web_search_requests": 3}})
    assert [(line.bucket, line.usd) for line in lines(usage, rates)] == [
        ("web_search", Decimal("0.03")),
        ("request", Decimal("0.005")),
    ]


@pytest.mark.parametrize(
    "used",
    [
        {"input_tokens": 10, "output_tokens": 1, "rates": {"input": Rate(Decimal(1))}},
        {"input_tokens": 10, "output_tokens": 0, "rates": {"output": Rate(Decimal(1))}},
        {"input_tokens": 10, "output_tokens": 0, "raw": {"server_tool_use": {"web_search_requests": 1}}},
        {
            "input_tokens": 10,
            "output_tokens": 0,
            "cached_input_tokens": 5,
            "raw": {"prompt_tokens_details": {"audio_tokens": 2}},
            "rates": {**RATES, "input_audio": Rate(Decimal(40))},
        },
    ],
    ids=["no rate for output", "no rate for input", "no rate for searches", "audio that may be cached"],
)
def test_what_has_no_rate_is_not_taken_as_free(used: dict[str, Any]) -> None:
    rates = used.pop("rates", RATES)
    counts = counts_of(Usage(**used))
    assert counts is not None
    assert bill(rates, counts) is None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=1, output_tokens=1, cached_input_tokens=1, cache_write_tokens=1),
        Usage(input_tokens=1, output_tokens=1, reasoning_tokens=2),
        Usage(input_tokens=5, output_tokens=1, raw={"cache_creation": {"ephemeral_1h_input_tokens": 1}}),
        Usage(input_tokens=5, output_tokens=-1),
    ],
)
def test_counts_that_contradict_one_another_are_no_counts(usage: Usage) -> None:
    assert counts_of(usage) is None


def test_half_a_billionth_goes_to_the_even_side() -> None:
    assert [nano_usd(Decimal(text)) for text in ("0.0000000005", "0.0000000015", "1.000000001")] == [
        0,
        2,
        1_000_000_001,
    ]


RATE = st.builds(
    Rate,
    st.decimals(0, 1000, places=9),
    st.lists(st.tuples(st.integers(1, 10**6), st.decimals(0, 99, places=3)), max_size=2).map(tuple),
)
SOME_RATES = st.dictionaries(
    st.sampled_from(["input", "input_audio", "output", "cache_read", "cache_write_1h", "reasoning", "request"]), RATE
)
FEW = st.integers(0, 10**6)


@given(
    SOME_RATES,
    st.builds(
        Usage,
        input_tokens=st.integers(0, 10**7),
        output_tokens=st.integers(0, 10**7),
        cached_input_tokens=st.none() | FEW,
        cache_write_tokens=st.none() | FEW,
        reasoning_tokens=st.none() | FEW,
        raw=st.none()
        | st.fixed_dictionaries({"cache_creation": st.fixed_dictionaries({"ephemeral_1h_input_tokens": FEW})}),
    ),
)
def test_a_tariff_comes_to_what_the_lines_do(rates: dict[Bucket, Rate], usage: Usage) -> None:
    counts = counts_of(usage)
    assume(counts is not None)
    assert counts is not None
    found = bill(rates, counts)
    assert Tariff(rates).nano_usd(counts) == (None if found is None else nano_usd(total_usd(found)))


@given(SOME_RATES)
def test_rates_come_back_from_json_as_they_were(rates: dict[Bucket, Rate]) -> None:
    assert rates_from_json(rates_to_json(rates)) == rates
