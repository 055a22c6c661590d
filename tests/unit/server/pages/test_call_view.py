"""What the page of a call shows, as its address says."""

from __future__ import annotations

import attrs
import pytest
from starlette.requests import Request

from freeplay_like.server.pages.call.view import View, view_of


def asked(query: str) -> View:
    return view_of(Request({"type": "http", "query_string": query.encode(), "headers": []}))


@pytest.mark.parametrize(
    "view",
    [View(), View(tab="cost", style="markdown", source="template", choice=3, is_whole=True), View(style="text")],
)
def test_an_address_says_what_it_shows(view: View) -> None:
    assert asked(view.address("p", "r").partition("?")[2]) == view


def test_the_usual_view_has_the_plain_address() -> None:
    assert View().address("p", "r/1") == "/projects/p/calls/r%2F1"


@pytest.mark.parametrize("query", ["tab=<b>", "as=html", "choice=-1", "choice=x", "choice=99999", "prompt=&whole=yes"])
def test_what_is_nothing_is_left_out(query: str) -> None:
    assert asked(query) == View()


def test_a_choice_is_never_below_the_first() -> None:
    assert asked("choice=0") == View()
    assert asked("choice=9999").choice == 1000
    assert attrs.evolve(View(), choice=2).address("p", "r").endswith("?choice=2")
