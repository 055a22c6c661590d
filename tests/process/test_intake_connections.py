"""The short way of records from a connection to the store, and what must not take it: raw bytes, raw answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from freeplay_like.core.wire import to_wire
from freeplay_like.server.protocol import DIRECT_LIMIT_BYTES
from support.backend import BackendProcess
from support.plain_records import a_record

TIMEOUT_S = 30


class Connection:
    """One connection, on which answers are read by their length."""

    def __init__(self, backend: BackendProcess) -> None:
        self._backend = backend
        self._socket = socket.create_connection(("127.0.0.1", int(backend.url.rpartition(":")[2])), timeout=TIMEOUT_S)
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def post(self, body: bytes, *extra: str, version: str = "1.1", key: str | None = None, host: str = "x") -> bytes:
        """A request for the intake, as bytes."""
        lines = [
            f"POST /api/v2/projects/{self._backend.project_id}/records:batch HTTP/{version}",
            f"Host: {'127.0.0.1' if host == 'x' else host}",
            f"Authorization: Bearer {key or self._backend.api_key}",
            *(extra or (f"Content-Length: {len(body)}",)),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def answer(self) -> tuple[int, dict[str, str], dict[str, object]]:
        """The next answer: status, headers and body."""
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", "0")))
        return status, headers, json.loads(body or b"{}")

    def is_at_its_end(self) -> bool:
        """Whether the server closed it; waits for it."""
        return self._file.read(1) == b""


@contextmanager
def connected(backend: BackendProcess) -> Iterator[Connection]:
    connection = Connection(backend)
    try:
        yield connection
    finally:
        connection.close()


def a_batch(backend: BackendProcess, count: int = 1) -> bytes:
    return to_wire({"records": [a_record(backend.project_id) for _ in range(count)]})


def test_one_connection_serves_one_batch_after_another(backend: BackendProcess) -> None:
    with connected(backend) as connection:
        for _ in range(3):
            connection.send(connection.post(a_batch(backend)))
            status, headers, said = connection.answer()
            assert (status, said["stored"]) == (200, 1)
            assert headers["content-type"] == "application/json"
            assert headers["x-content-type-options"] == "nosniff"


def test_requests_sent_without_waiting_are_answered_in_their_order(backend: BackendProcess) -> None:
    counts = [1, 2, 3, 4]
    health = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with connected(backend) as connection:
        connection.send(connection.post(a_batch(backend)))
        assert connection.answer()[0] == 200  # from here on the key is known, and nothing else is waited for
        batches = [connection.post(a_batch(backend, count)) for count in counts]
        connection.send(b"".join([*batches[:2], health, *batches[2:]]))
        said = [connection.answer()[2] for _ in range(5)]
    assert [each.get("stored", each.get("status")) for each in said] == [1, 2, "ok", 3, 4]


def test_a_request_that_comes_byte_by_byte_is_the_same_request(backend: BackendProcess) -> None:
    with connected(backend) as connection:
        data = connection.post(a_batch(backend))
        for place in range(len(data)):
            connection.send(data[place : place + 1])
        assert connection.answer()[2]["stored"] == 1


def test_a_connection_that_shall_end_ends_after_its_answer(backend: BackendProcess) -> None:
    body = a_batch(backend)
    with connected(backend) as connection:
        connection.send(connection.post(body, f"Content-Length: {len(body)}", "Connection: close"))
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert connection.is_at_its_end()


def test_an_http_1_0_client_is_answered_and_let_go(backend: BackendProcess) -> None:
    with connected(backend) as connection:
        connection.send(connection.post(a_batch(backend), version="1.0"))
        assert connection.answer()[2]["stored"] == 1
        assert connection.is_at_its_end()


def test_a_body_in_chunks_is_taken(backend: BackendProcess) -> None:
    body = a_batch(backend)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:100], body[100:])) + b"0\r\n\r\n"
    with connected(backend) as connection:
        connection.send(connection.post(chunks, "Transfer-Encoding: chunked"))
        assert connection.answer()[2]["stored"] == 1


def test_a_client_that_asks_first_is_told_to_go_on(backend: BackendProcess) -> None:
    body = a_batch(backend)
    with connected(backend) as connection:
        head = connection.post(body, f"Content-Length: {len(body)}", "Expect: 100-continue")[: -len(body)]
        connection.send(head)
        assert connection.answer()[0] == 100
        connection.send(body)
        assert connection.answer()[2]["stored"] == 1


@pytest.mark.parametrize("size_bytes", [DIRECT_LIMIT_BYTES - 1, DIRECT_LIMIT_BYTES + 1])
def test_a_large_body_is_answered_like_a_small_one(backend: BackendProcess, size_bytes: int) -> None:
    record = a_record(backend.project_id)
    body = to_wire({"records": [record]})
    body += b" " * (size_bytes - len(body))
    with connected(backend) as connection:
        connection.send(connection.post(body))
        assert connection.answer()[2]["stored"] == 1


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"key": "wrong"}, 401, "not valid"),
        ({"host": "evil.example"}, 400, "does not answer to the host name 'evil.example'"),
    ],
)
def test_a_refusal_leaves_the_connection_as_it_was(
    backend: BackendProcess, change: dict[str, str], status: int, message: str
) -> None:
    with connected(backend) as connection:
        connection.send(connection.post(a_batch(backend), **change))
        refused, _, said = connection.answer()
        assert refused == status
        assert message in str(said["message"])
        connection.send(connection.post(a_batch(backend)))
        assert connection.answer()[2]["stored"] == 1


def test_a_client_that_leaves_before_its_answer_harms_nobody(backend: BackendProcess) -> None:
    record = a_record(backend.project_id)
    with connected(backend) as connection:
        connection.send(connection.post(to_wire({"records": [record]})))
    again = requests.post(
        f"{backend.project_base}/records:batch",
        data=to_wire({"records": [record]}),
        headers=backend.headers,
        timeout=TIMEOUT_S,
    )
    assert again.json()["stored"] + again.json()["duplicates"] == 1
