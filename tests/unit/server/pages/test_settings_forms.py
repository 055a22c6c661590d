"""What the forms of the settings read from what is typed, and refuse."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from freeplay_like.core.rates import Rate
from freeplay_like.server.connections import CONNECTABLE, checked
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.pages.settings.common import typed
from freeplay_like.server.pages.settings.data import phrase_of
from freeplay_like.server.pages.settings.keys import SCOPES
from freeplay_like.server.pages.settings.prices import draft_in, reprice_filter
from freeplay_like.server.pages.settings.providers import LABELS
from freeplay_like.server.store.accounts.keys import ALL_SCOPES
from freeplay_like.server.store.accounts.providers import ConnectionDraft
from freeplay_like.server.store.views import Refused


def form(**fields: str) -> Form:
    """A form with these fields."""
    return Form(tuple(fields.items()))


def test_every_scope_and_every_flavor_has_its_words() -> None:
    assert set(SCOPES) == ALL_SCOPES
    assert set(LABELS) == set(CONNECTABLE)


def test_a_price_keeps_every_digit_that_was_typed() -> None:
    draft = draft_in(form(provider="openai", model="m", valid_from="2026-02-28", input="0.1500", output="1e-3"))
    assert draft.rates == {"input": Rate(Decimal("0.1500")), "output": Rate(Decimal("0.001"))}
    assert (draft.valid_from, draft.same_provider, draft.same_model) == (date(2026, 2, 28), None, None)


def test_a_price_can_be_that_of_a_model_of_the_list_from_the_beginning() -> None:
    draft = draft_in(form(provider="azure", model="our-chat", same_provider="openai", same_model="gpt-4o"))
    assert (draft.rates, draft.same_provider, draft.same_model) == (None, "openai", "gpt-4o")
    assert draft.valid_from == date(1970, 1, 1)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "fill in one of them"),
        ({"input": "1", "output": "1", "same_provider": "openai", "same_model": "gpt-4o"}, "fill in one of them"),
        ({"same_provider": "openai"}, "which model"),
        ({"input": "1"}, "one for input and one for output"),
        ({"input": "1", "output": "free"}, "Output is in dollars"),
        ({"input": "-1", "output": "1"}, "Input is in dollars"),
        ({"input": "NaN", "output": "1"}, "Input is in dollars"),
        ({"input": "1e9", "output": "1"}, "up to 1000000"),
        ({"input": "1", "output": "1", "valid_from": "yesterday"}, "a day like"),
        ({"input": "1", "output": "1", "valid_from": "1912-06-23"}, "from 1970-01-01 on"),
        ({"model": " ", "input": "1", "output": "1"}, "a model's name"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused_with_the_reason(fields: dict[str, str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        draft_in(form(**{"provider": "p", "model": "m", **fields}))


def test_both_days_count_when_calls_are_priced_again() -> None:
    which = reprice_filter(form(first_day="2026-11-01", last_day="2026-11-30", provider="", model="m"))
    assert which.start == datetime(2026, 11, 1, tzinfo=UTC)
    assert which.end == datetime(2026, 12, 1, tzinfo=UTC)
    assert (which.provider, which.model) == (None, "m")


def test_a_confirmation_is_typed_exactly() -> None:
    typed(form(typed=" delete 12 calls "), phrase_of(12))
    with pytest.raises(Refused, match="type 'delete 1 call' to confirm"):
        typed(form(typed="delete 1 calls"), phrase_of(1))


def test_a_connection_is_checked_without_saying_its_key() -> None:
    draft = ConnectionDraft(flavor="openai_chat", base_url="http://127.0.0.1:8080/v1/", secret="tiny")
    with pytest.raises(Refused, match="8 to 4000") as refused:
        checked(draft)
    assert "tiny" not in str(refused.value)


def test_a_connection_keeps_its_address_without_a_slash_at_its_end() -> None:
    draft = ConnectionDraft(flavor="openai_chat", base_url="http://127.0.0.1:8080/v1/", secret="12345678")
    assert checked(draft).base_url == "http://127.0.0.1:8080/v1"


def test_the_metadata_service_of_a_cloud_is_no_provider() -> None:
    with pytest.raises(Refused, match="it is not called"):
        checked(ConnectionDraft(flavor="openai_chat", base_url="http://169.254.169.254/latest"))
