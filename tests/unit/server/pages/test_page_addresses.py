"""Addresses: what a link says, a page reads."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.server.pages import addresses
from freeplay_like.server.store.derived.filter_text import parse

said = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=100)


@given(said, said)
def test_a_filter_survives_its_address(template: str, model: str) -> None:
    which = addresses.where(template=template, model=model)
    query = dict(parse_qsl(urlsplit(addresses.calls_address("p", which, period="24h", before="12")).query))
    assert parse(query["q"]) == which
    assert (query["period"], query["before"]) == ("24h", "12")


def test_an_address_says_only_what_is_set() -> None:
    assert addresses.calls_address("p") == "/projects/p/calls"
    assert addresses.compare_address("p", "call", "a", "b") == "/projects/p/compare?call=a&call=b"


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    assert addresses.call_address("a/b", "../x?y#z") == "/projects/a%2Fb/calls/..%2Fx%3Fy%23z"
    assert addresses.session_address("p", "s s") == "/projects/p/sessions/s%20s"
    assert addresses.version_address("p", "t", "v/") == "/projects/p/templates/t/versions/v%2F"


def test_the_tail_goes_on_from_where_the_page_ends() -> None:
    assert addresses.tail_address("p", addresses.where(model="m&n"), None, 7) == (
        "/projects/p/calls/tail?q=model%3Am%26n&after=7"
    )
    known = addresses.tail_address("p", addresses.where(model="m"), None, 7, shown=[9, 8])
    assert dict(parse_qsl(urlsplit(known).query)) == {"q": "model:m", "after": "7", "shown": "9,8"}
