"""Addresses: what a link says, a page reads."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.server.pages import addresses
from freeplay_like.server.store.views import CallFilter

said = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.strip() == text
)
filters = st.builds(CallFilter, model=said, outcome=said, text=said, template=said, session_id=said)


@given(filters)
def test_a_filter_survives_its_address(filter: CallFilter) -> None:
    address = addresses.calls_address("p", filter, before="12")
    query = dict(parse_qsl(urlsplit(address).query))
    assert addresses.filter_from(query) == filter
    assert query["before"] == "12"


def test_blank_fields_of_the_form_say_nothing() -> None:
    assert addresses.filter_from({"model": "", "text": "  ", "outcome": "error"}) == CallFilter(outcome="error")


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    assert addresses.call_address("a/b", "../x?y#z") == "/projects/a%2Fb/calls/..%2Fx%3Fy%23z"
    assert addresses.session_address("p", "s s") == "/projects/p/sessions/s%20s"
    assert addresses.version_address("p", "t", "v/") == "/projects/p/templates/t/versions/v%2F"


def test_the_tail_goes_on_from_where_the_page_ends() -> None:
    assert addresses.tail_address("p", CallFilter(model="m&n"), 7) == "/projects/p/calls/tail?model=m%26n&after=7"
