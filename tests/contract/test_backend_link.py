"""The link to the backend: what is sent, what comes back, and which error each kind of answer becomes."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from freeplay_like.backend_link import BackendLink, project_path, segment
from freeplay_like.errors import AuthorizationError, BackendError, ConfigurationError
from support.scripted_http import Reply, ScriptedServer, scripted_server


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(lambda asked: Reply(body=b'{"here": [1, "\xc3\xa4"]}')) as running:
        yield running


@pytest.fixture
def link(server: ScriptedServer) -> Iterator[BackendLink]:
    made = BackendLink(server.base, "key-1", 20)
    yield made
    made.close()


def test_an_answer_is_decoded_and_its_parameters_are_quoted(link: BackendLink, server: ScriptedServer) -> None:
    assert link.get(f"{project_path('p/1')}/sessions/s", {"limit": "2", "of": "a&b=c/d e"}) == {"here": [1, "ä"]}
    (asked,) = server.asked
    assert asked.path == "/api/v2/projects/p%2F1/sessions/s?limit=2&of=a%26b%3Dc%2Fd%20e"
    assert asked.headers["Authorization"] == "Bearer key-1"
    assert "Content-Type" not in asked.headers


def test_an_empty_answer_is_none(link: BackendLink, server: ScriptedServer) -> None:
    server.answer = lambda asked: Reply(204)
    assert link.get("/x") is None


def test_connections_are_kept_and_closing_opens_new_ones(link: BackendLink, server: ScriptedServer) -> None:
    link.get("/x")
    link.get("/x")
    link.close()
    link.close()
    link.get("/x")
    peers = [asked.peer for asked in server.asked]
    assert peers[0] == peers[1] != peers[2]


def test_a_child_of_a_fork_has_connections_of_its_own(
    link: BackendLink, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    link.get("/x")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    link.get("/x")
    assert len({asked.peer for asked in server.asked}) == 2


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(401, b'{"message": "who?"}'), AuthorizationError, r"\(401: who\?\).*FREEPLAY_LIKE_API_KEY"),
        (Reply(403), AuthorizationError, r"\(403: no reason given\)"),
        (Reply(404, b'{"message": "no session \'x\'"}'), BackendError, "answered 404; it says: no session 'x'$"),
        (Reply(404, b"<h1>"), BackendError, "answered 404; the answer is not from a backend of this kind.*/api"),
        (Reply(302, headers={"Location": "/y"}), BackendError, "answered 302; it points to '/y'; set api_base"),
        (Reply(200, b"<html>"), BackendError, "answered 200 with something that is not JSON.*ends in /api"),
    ],
)
def test_each_answer_that_is_no_good_has_its_error(
    link: BackendLink, server: ScriptedServer, reply: Reply, kind: type[BackendError], words: str
) -> None:
    server.answer = lambda asked: reply
    with pytest.raises(kind, match=words) as caught:
        link.get("/x")
    assert (caught.value.status, caught.value.url) == (reply.status, f"{server.base}/x")
    assert "key-1" not in str(caught.value)
    assert len(server.asked) == 1


def test_a_backend_that_is_not_there_is_named_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        base = f"http://127.0.0.1:{unused.getsockname()[1]}/api"
    with pytest.raises(BackendError, match=r"did not answer at .*/x: ConnectionError; check .*its address$") as caught:
        BackendLink(base, "key-1").get("/x")
    assert caught.value.status is None
    with pytest.raises(BackendError, match=r"its address, or wait$"):
        BackendLink(base, "key-1", way_out="or wait").get("/x")


@pytest.fixture
def posted() -> Iterator[tuple[BackendLink, list[tuple[dict[str, str], bytes]]]]:
    """A link to a server that cuts the connection at the second POST, and what it was sent."""
    heard: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            heard.append((dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"]))))
            if len(heard) == 2:
                self.close_connection = True
                return
            self.send_response(201)
            self.send_header("Content-Length", "11")
            self.end_headers()
            self.wfile.write(b'{"id": "r"}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        link = BackendLink(f"http://127.0.0.1:{running.server_port}/api", "key-1", 20)
        try:
            yield link, heard
        finally:
            link.close()
            running.shutdown()
            thread.join()


def test_a_post_is_json_and_is_never_sent_again_by_itself(
    posted: tuple[BackendLink, list[tuple[dict[str, str], bytes]]],
) -> None:
    link, heard = posted
    assert link.post("/v2/x", {"name": "ä"}) == {"id": "r"}
    assert json.loads(heard[0][1]) == {"name": "ä"}
    assert heard[0][0]["Content-Type"] == "application/json"
    with pytest.raises(BackendError, match="did not answer"):
        link.post("/v2/x", {})
    assert len(heard) == 2


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_part_that_leads_elsewhere_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{value!r} is no session id"):
        segment(value, "session id")
