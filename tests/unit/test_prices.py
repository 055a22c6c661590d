from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices.data_snapshot import get_snapshot

from freeplay_like import prices
from freeplay_like.core.chunks import Usage
from freeplay_like.flavors.vendors import vendor_of
from freeplay_like.prices import Price, listed_rates, price_of

AT = datetime(2026, 6, 1, tzinfo=UTC)
USAGE = Usage(input_tokens=1000, output_tokens=100)


def price(model: str, usage: Usage = USAGE, provider: str = "openai", **options: Any) -> Price | None:
    return price_of(usage, provider=provider, model=model, at=AT, **options)


def known(found: Price | None) -> Price:
    assert found is not None
    return found


def test_a_price_says_what_it_is_made_of() -> None:
    found = known(price("gpt-4o"))
    assert (found.input_usd, found.output_usd, found.total_usd) == (
        Decimal("0.0025"),
        Decimal("0.001"),
        Decimal("0.0035"),
    )
    assert (found.matched_model, found.is_exact) == ("gpt-4o", True)
    assert found.source.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("provider", "model", "listed"),
    [
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("openai", "gpt-4-0613", "gpt-4"),
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("azure", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
    ],
)
def test_a_model_with_a_date_is_that_model(provider: str, model: str, listed: str) -> None:
    found = known(price(model, provider=provider))
    assert (found.matched_model, found.is_exact) == (listed, True)


def test_a_model_that_the_list_only_takes_for_another_has_no_price() -> None:
    assert price("gpt-5.1-mini") is None


def test_the_nearest_price_is_given_to_who_asks_and_says_so() -> None:
    found = known(price("gpt-5.1-mini", or_nearest=True))
    assert (found.matched_model, found.is_exact) == ("gpt-5.1-codex-mini", False)
    assert found.total_usd > 0


@pytest.mark.parametrize("provider", ["openai-compatible", "azure_openai", "fake", "", "an-openai-of-our-own"])
def test_a_provider_that_is_not_in_the_list_has_no_prices(provider: str) -> None:
    assert price("gpt-4o", provider=provider, or_nearest=True) is None


@pytest.mark.parametrize("model", ["gpt-sim", "", "-2024-08-06"])
def test_a_model_that_is_not_in_the_list_has_no_price(model: str) -> None:
    assert price(model, or_nearest=True) is None


@pytest.mark.parametrize(
    "usage", [Usage(), Usage(input_tokens=10), Usage(output_tokens=10)], ids=["nothing", "input", "output"]
)
def test_what_was_not_counted_has_no_price(usage: Usage) -> None:
    assert price("gpt-4o", usage) is None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=10, output_tokens=1, cached_input_tokens=11),
        Usage(input_tokens=-1, output_tokens=1),
    ],
)
def test_counts_that_contradict_one_another_have_no_price(usage: Usage) -> None:
    assert price("gpt-4o", usage) is None


def test_no_tokens_cost_nothing() -> None:
    assert known(price("gpt-4o", Usage(input_tokens=0, output_tokens=0))).total_usd == 0


def test_tokens_from_the_cache_are_cheaper_and_not_counted_twice() -> None:
    found = known(price("gpt-4o", Usage(input_tokens=1000, output_tokens=0, cached_input_tokens=1000)))
    assert found.total_usd == known(price("gpt-4o", Usage(input_tokens=1000, output_tokens=0))).total_usd / 2


def test_reasoning_is_part_of_the_output() -> None:
    with_reasoning = Usage(input_tokens=1000, output_tokens=100, reasoning_tokens=80)
    assert price("gpt-5", with_reasoning) == price("gpt-5", USAGE)


def test_writing_the_cache_for_an_hour_costs_more_than_for_five_minutes() -> None:
    def written(**raw: object) -> Decimal:
        usage = Usage(input_tokens=1000, output_tokens=0, cache_write_tokens=1000, raw={"cache_creation": raw})
        return known(price("claude-sonnet-4-5", usage, "anthropic")).total_usd

    assert written(ephemeral_5m_input_tokens=1000) == Decimal("0.00375")
    assert written(ephemeral_1h_input_tokens=1000) == Decimal("0.006")


def test_the_speed_and_service_that_the_provider_names_are_priced() -> None:
    fast = Usage(input_tokens=1000, output_tokens=100, raw={"speed": "fast"})
    standard = known(price("claude-opus-4-8", provider="anthropic"))
    assert known(price("claude-opus-4-8", fast, "anthropic")).total_usd > standard.total_usd
    after_2026_10_12 = datetime(2026, 11, 1, tzinfo=UTC)
    flex, default = (
        known(price_of(USAGE, provider="openai", model="gpt-5", at=after_2026_10_12, service_tier=tier))
        for tier in ("flex", None)
    )
    assert flex.total_usd == default.total_usd / 2


def test_lookups_are_kept_within_a_bound() -> None:
    kept = prices._entry.cache_info().maxsize
    assert kept is not None
    for number in range(kept + 10):
        price(f"model-{number}")
    assert prices._entry.cache_info().currsize == kept


def test_without_the_package_nothing_has_a_price_and_nothing_is_loaded_before_it_is_asked() -> None:
    program = """
import sys
from datetime import UTC, date, datetime, time
from freeplay_like.core.chunks import Usage
from freeplay_like.prices import price_of
assert "genai_prices" not in sys.modules
sys.modules["genai_prices"] = None
usage = Usage(input_tokens=1, output_tokens=1)
assert price_of(usage, provider="openai", model="gpt-4o", at=datetime.now(UTC)) is None
print("none")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("none", "")


@pytest.mark.parametrize(
    "host",
    [
        "api.openai.com", "shop.openai.azure.com", "api.anthropic.com", "openrouter.ai",
        "api.groq.com", "api.deepseek.com", "api.minimax.io", "api.z.ai",
        "open.bigmodel.cn", "api.moonshot.ai", "api.mistral.ai", "api.together.xyz",
        "api.fireworks.ai", "api.x.ai", "api.cerebras.ai", "api.perplexity.ai",
        "generativelanguage.googleapis.com",
    ],
)  # fmt: skip
def test_the_list_calls_providers_what_flavors_call_them(host: str) -> None:
    vendor = vendor_of(host)
    assert vendor is not None
    assert vendor.name in {provider.id for provider in get_snapshot().providers}


def test_every_listed_model_costs_what_the_lists_own_arithmetic_says() -> None:
    written = {"cache_creation": {"ephemeral_1h_input_tokens": 100}}
    usage = Usage(
        input_tokens=300_000, output_tokens=5000, cached_input_tokens=1000, cache_write_tokens=700, raw=written
    )
    listed_usage = ListedUsage(
        input_tokens=300_000,
        output_tokens=5000,
        cache_read_tokens=1000,
        cache_write_tokens=700,
        cache_write_1h_tokens=100,
    )
    compared = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            found = price_of(usage, provider=provider.id, model=model.id, at=AT)
            if found is None or found.matched_model != model.id:
                continue
            listed = model.calc_price(listed_usage, provider, genai_request_timestamp=AT)
            assert found.total_usd == listed.total_price, (provider.id, model.id)
            compared += 1
    assert compared > 1000


def test_a_provider_that_is_cheaper_at_night_has_its_prices_by_the_time_of_the_day() -> None:
    listed = listed_rates("deepseek", "deepseek-chat", on=date(2025, 3, 1))
    assert listed is not None
    times = [start for start, _ in listed.by_time]
    assert times == sorted(times)
    assert times[0] == time()
    for moment in (datetime(2025, 3, 1, hour, 45, tzinfo=UTC) for hour in range(24)):
        found = price_of(USAGE, provider="deepseek", model="deepseek-chat", at=moment)
        entry = next(p for p in get_snapshot().providers if p.id == "deepseek")
        model = next(m for m in entry.models if m.id == "deepseek-chat")
        own = model.calc_price(
            ListedUsage(input_tokens=1000, output_tokens=100), entry, genai_request_timestamp=moment
        ).total_price
        assert known(found).total_usd == own


@pytest.mark.parametrize(("at", "share"), [(datetime(2026, 11, 1, tzinfo=UTC), 2), (AT, None)], ids=["now", "before"])
def test_a_batch_costs_what_the_list_says_of_batches_or_is_not_known(at: datetime, share: int | None) -> None:
    batch, one = (
        price_of(USAGE, provider="anthropic", model="claude-sonnet-4-5", at=at, service_tier=tier)
        for tier in ("batch", None)
    )
    assert (None if batch is None else batch.total_usd) == (None if share is None else known(one).total_usd / share)


def test_a_batch_of_a_model_without_prices_for_batches_is_not_known() -> None:
    assert price("gpt-3.5-turbo-0301", service_tier="batch") is None


def test_a_model_that_is_priced_by_the_hour_has_no_price_by_its_tokens() -> None:
    assert price("whisper-1", or_nearest=True) is None
