"""The tests' own load balancer: what the suites over two servers rest on."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from support.front import Front
from support.scripted_http import Reply, ScriptedServer, scripted_server


@pytest.fixture
def two() -> Iterator[tuple[Front, ScriptedServer, ScriptedServer]]:
    """Two servers, each of which answers with its name, and the front before them."""
    with ExitStack() as running:
        servers = [
            running.enter_context(
                scripted_server(lambda _, name=name: Reply(body=name, headers={"Connection": "close"}))
            )
            for name in (b"one", b"two")
        ]
        front = running.enter_context(Front())
        front.ports = [urlsplit(server.base).port or 0 for server in servers]
        yield front, servers[0], servers[1]


def get(front: Front, path: str = "/page", **more: bytes) -> str:
    return requests.request("POST" if more else "GET", f"{front.url}{path}", timeout=10, **more).text


def test_requests_go_to_the_servers_in_turn(two: tuple[Front, ScriptedServer, ScriptedServer]) -> None:
    front, _, _ = two
    with requests.Session() as session:
        said = [session.get(f"{front.url}/page", timeout=10).text for _ in range(6)]
    assert said in (["one", "two"] * 3, ["two", "one"] * 3)


def test_files_of_a_page_take_no_turn(two: tuple[Front, ScriptedServer, ScriptedServer]) -> None:
    front, _, _ = two
    page, *files, next_page = [get(front, path) for path in ("/page", "/static/a.css", "/static/b.js", "/next")]
    assert {page, next_page} == {"one", "two"}
    assert set(files) == {page}


def test_a_request_comes_whole_and_only_its_connection_header_is_another(
    two: tuple[Front, ScriptedServer, ScriptedServer],
) -> None:
    front, one, two_ = two
    body = bytes(range(256)) * 4_096
    get(front, "/post?a=b", data=body)
    [asked] = one.asked + two_.asked
    assert (asked.path, asked.body, asked.headers["Connection"]) == ("/post?a=b", body, "close")
    assert asked.headers["Host"] == f"127.0.0.1:{front.port}"


def test_a_server_that_is_away_is_passed_over(two: tuple[Front, ScriptedServer, ScriptedServer]) -> None:
    front, one, _ = two
    front.ports = [_unused_port(), urlsplit(one.base).port or 0]
    assert [get(front) for _ in range(4)] == ["one"] * 4


def test_where_no_server_is_there_the_connection_ends(two: tuple[Front, ScriptedServer, ScriptedServer]) -> None:
    front, _, _ = two
    front.ports = [_unused_port()]
    with pytest.raises(requests.ConnectionError):
        get(front)


def test_what_ends_one_side_ends_the_other() -> None:
    with scripted_server(lambda _: Reply(cuts=True)) as cuts, Front() as front:
        front.ports = [urlsplit(cuts.base).port or 0]
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
        connection.request("GET", "/")
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
        connection.close()


def _unused_port() -> int:
    with Front() as gone:
        return gone.port
