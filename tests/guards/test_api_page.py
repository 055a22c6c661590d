"""Every operation of the API is documented, and says who may do it and how much it takes."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from starlette.routing import Route

from freeplay_like import server
from freeplay_like.server.api import OPERATIONS, api_routes
from freeplay_like.server.api.operations import Operation
from freeplay_like.server.bare import BARE

DOCS = Path(__file__).parents[2] / "docs"

FOR_ANY_KEY = {"list_projects"}
"""What a key may do whatever its scopes are."""

LARGEST_BODY_BYTES = 16 * 1024 * 1024

named = pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")


def test_the_page_of_the_api_is_what_the_operations_say() -> None:
    page = runpy.run_path(str(DOCS / "make_api.py"))["page"]
    assert (DOCS / "api.md").read_text(encoding="utf-8") == page([*OPERATIONS, *BARE]), "run docs/make_api.py"


@named
def test_an_operation_says_what_it_does_in_a_sentence(one: Operation) -> None:
    assert one.about.partition("\n")[0].endswith((".", ":", ",", ";")) or "\n" in one.about
    assert one.about[0].isupper()


@named
def test_an_operation_says_who_may_do_it(one: Operation) -> None:
    assert one.scope is not None or one.name in FOR_ANY_KEY
    if one.scope == "read":
        assert one.method in {"GET", "POST"}


@named
def test_an_operation_has_limits(one: Operation) -> None:
    assert 0 < one.body_limit_bytes <= LARGEST_BODY_BYTES
    for query in one.query:
        assert query.about.endswith("."), query.name
        kinds = query.schema.get("type")
        if kinds == "string":
            assert query.schema.keys() & {"maxLength", "enum", "format", "pattern"}, query.name
        if kinds == "integer":
            assert "maximum" in query.schema, query.name


def test_every_route_of_the_api_is_described() -> None:
    described = {one.path for one in (*OPERATIONS, *BARE)}
    app_py = (Path(server.__file__).parent / "app.py").read_text(encoding="utf-8")
    routes = [route for route in api_routes() if isinstance(route, Route)]
    own = set(re.findall(r'Route\("([^"]+)"', app_py)) - {"/sign-in", "/sign-out"}
    assert {route.path for route in routes} | own <= described
    assert own
