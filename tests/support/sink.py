"""A small real backend for recording tests: takes batches over real sockets and misbehaves on request."""

from __future__ import annotations

import json
import socket
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import attrs

from freeplay_like.clock import SystemClock
from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment, Record

Trick = Literal["reset", "half", "drip", "hang", "not json", "redirect"]
"""What an answer can do wrong beside its status."""

KEY = "test-key-of-the-sink"
PROJECT = "project-1"


@attrs.frozen
class Reply:
    """An answer other than the usual one: a status with headers, or a trick."""

    status: int = 200
    headers: dict[str, str] = attrs.field(factory=dict)
    trick: Trick | None = None
    is_stored: bool = False


@attrs.frozen
class Request:
    """A request as it arrived."""

    path: str
    key: str
    batch: dict[str, Any]
    size_bytes: int

    @property
    def ids(self) -> list[str]:
        return [record["record_id"] for record in self.batch["records"]]

    @property
    def amendments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.batch.get("amendments", [])
        return found

    @property
    def amendment_ids(self) -> list[str]:
        return [amendment["amendment_id"] for amendment in self.amendments]


Judge = Callable[[Request], Reply | None]
"""Decides about a request by what is in it; None leaves it to the script."""


class Sink:
    """The backend. Replies with those of `script`, one a request, and then as a good backend does.

    `rejects` are ids of records and amendments that it never takes. Both are stored by id; a record that has ended
    replaces one that was interrupted. Where it `is_old` it has never heard of amendments. `told` are the bodies that
    told of running calls, each answered with `live_status`.
    """

    def __init__(self, *script: Reply, judge: Judge | None = None, port: int = 0) -> None:
        self.script = deque(script)
        self.judge = judge
        self.rejects: set[str] = set()
        self.records: dict[str, dict[str, Any]] = {}
        self.amendments: dict[str, dict[str, Any]] = {}
        self.is_old = False
        self.told: list[list[dict[str, Any]]] = []
        self.live_status = 200
        self.requests: list[Request] = []
        self.changed = threading.Condition()
        self._ended = threading.Event()
        self._port = port

    def __enter__(self) -> Sink:
        sink = self

        class Handler(_Handler):
            owner = sink

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that goes away is part of the tests."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return self._port

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._port}/api"

    @property
    def arrivals(self) -> list[str]:
        """Every record id that arrived and was stored or replaced, in order, with repetitions."""
        return [record_id for request in list(self.requests) for record_id in request.ids]

    @property
    def amendment_arrivals(self) -> list[str]:
        """Every amendment id that arrived, in order, with repetitions."""
        return [amendment_id for request in list(self.requests) for amendment_id in request.amendment_ids]

    def wait_for(self, is_so: Callable[[Sink], bool], timeout_s: float = 30.0) -> bool:
        """Wait until `is_so`, asked after every request. False where the time was up."""
        with self.changed:
            return self.changed.wait_for(lambda: is_so(self), timeout_s)

    def wait_for_records(self, count: int, timeout_s: float = 30.0) -> bool:
        return self.wait_for(lambda sink: len(sink.records) >= count, timeout_s)

    def take(self, request: Request) -> Reply | None:
        """Decide about a request, and store its records where it is to be answered well."""
        with self.changed:
            self.requests.append(request)
            reply = self.judge(request) if self.judge else None
            if reply is None and self.script:
                reply = self.script.popleft()
            if reply is None or reply.is_stored:
                for record in request.batch["records"]:
                    self._store(record)
                for amendment in () if self.is_old else request.amendments:
                    self._store_amendment(amendment)
            self.changed.notify_all()
        return reply

    def _store(self, record: dict[str, Any]) -> None:
        before = self.records.get(record["record_id"])
        if record["record_id"] not in self.rejects and (before is None or before["ended_at"] is None):
            self.records[record["record_id"]] = record

    def _store_amendment(self, amendment: dict[str, Any]) -> None:
        if amendment["amendment_id"] not in self.rejects:
            self.amendments.setdefault(amendment["amendment_id"], amendment)

    def answer_to(self, request: Request) -> dict[str, object]:
        """The body of a 200."""
        rejected = self._rejected(request.ids, "record_id")
        answer: dict[str, object] = {"stored": len(request.ids) - len(rejected), "duplicates": 0, "rejected": rejected}
        if not self.is_old:
            refused = self._rejected(request.amendment_ids, "amendment_id")
            answer |= {
                "amendments_stored": len(request.amendments) - len(refused),
                "amendments_rejected": refused,
            }
        return answer

    def _rejected(self, ids: list[str], name: str) -> list[dict[str, object]]:
        return [
            {"index": index, name: item_id, "message": "not taken"}
            for index, item_id in enumerate(ids)
            if item_id in self.rejects
        ]


class _Handler(BaseHTTPRequestHandler):
    owner: Sink
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, zlib.MAX_WBITS | 16)
        if self.path.endswith("/records:live"):
            self._hear(json.loads(body))
            return
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        request = Request(self.path, key, json.loads(body), len(body))
        reply = self.owner.take(request)
        if reply is not None and reply.trick is not None:
            self._trick(reply.trick)
            return
        if reply is not None and not 200 <= reply.status < 300:
            self._answer(reply.status, {"message": "as the script says"}, reply.headers)
            return
        self._answer(200, self.owner.answer_to(request), {})

    def _hear(self, body: dict[str, Any]) -> None:
        """Running calls, which scripted answers are not for."""
        self.owner.told.append(body["calls"])
        status = self.owner.live_status
        self._answer(status, {"unknown": []} if status == 200 else {"message": "Not Found"}, {})

    def _answer(self, status: int, content: dict[str, object], headers: dict[str, str]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _trick(self, trick: Trick) -> None:
        self.close_connection = True
        if trick == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif trick == "half":
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"stored": 1')
        elif trick == "not json":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>ok</html>")
        elif trick == "redirect":
            self.wfile.write(b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        elif trick == "drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not self.owner._ended.wait(0.002):
                self.wfile.write(b" " * 64)
        elif trick == "hang":
            self.owner._ended.wait(60)


def make_record(**changes: Any) -> Record:
    """A record of a call that went well."""
    clock = SystemClock()
    values: dict[str, Any] = {
        "record_id": clock.new_id(),
        "project_id": PROJECT,
        "messages": (Message(role="user", content="Where is the sea?"),),
        "provider": "openai",
        "flavor": "openai_chat",
        "requested_model": "gpt-test",
        "outcome": "complete",
        "choices": (Choice(text="Over there.", finish_reason="stop"),),
        "started_at": datetime.now(UTC),
        "ended_at": datetime.now(UTC),
        "latency_ms": 12.0,
    }
    return Record(**{**values, **changes})


def make_amendment(record_id: str | None = None, **changes: Any) -> Amendment:
    """A thumb, a comment and a score for a record."""
    clock = SystemClock()
    values: dict[str, Any] = {
        "amendment_id": clock.new_id(),
        "record_id": record_id or clock.new_id(),
        "project_id": PROJECT,
        "made_at": datetime.now(UTC),
        "feedback": "positive",
        "comments": {"note": "well said"},
        "scores": {"is_right": True, "closeness": 0.5},
    }
    return Amendment(**{**values, **changes})


def make_start(record: Record) -> Record:
    """The same call as it is kept before its request leaves."""
    return attrs.evolve(record, outcome="interrupted", choices=(), ended_at=None, latency_ms=None)


def running(*scripts: Reply) -> Iterator[Sink]:
    """For fixtures: a sink that runs while a test does."""
    with Sink(*scripts) as sink:
        yield sink
