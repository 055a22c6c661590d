"""Records over real HTTP into a real server process, and what becomes of them when things go wrong."""

from __future__ import annotations

import gzip
import json
import resource
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import psutil
import pytest
import requests

from freeplay_like.core.chunks import Usage
from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.intake import BODY_LIMIT_BYTES, RECORDS_LIMIT
from support.backend import BackendProcess
from support.plain_records import a_record, an_unsettled
from support.waiting import until

TIMEOUT_S = 30
LOG_ONLY_BYTES = 8_192
"""The size no file can grow beyond on a test's full disk: a log can begin, a database's write-ahead log not go on."""


def post(backend: BackendProcess, body: object, **headers: str) -> requests.Response:
    data = body if isinstance(body, bytes) else to_wire(body)
    return requests.post(
        f"{backend.project_base}/records:batch",
        data=data,
        headers={**backend.headers, "Content-Type": "application/json", **headers},
        timeout=TIMEOUT_S,
    )


def read(backend: BackendProcess, record_id: str) -> Record | None:
    url = f"{backend.project_base}/completions/{record_id}"
    answer = requests.get(url, headers=backend.headers, timeout=TIMEOUT_S)
    return from_wire(answer.content, Record) if answer.status_code == 200 else None


def test_a_batch_is_answered_with_what_became_of_it(backend: BackendProcess) -> None:
    records = [a_record(backend.project_id, session_id="s") for _ in range(3)]
    body = {"sender": {"sender_id": "a", "host": "h", "pid": 1, "dropped": 0}, "records": records}
    first = post(backend, body)
    of_amendments = {"amendments_stored": 0, "amendments_duplicates": 0, "amendments_rejected": []}
    assert first.status_code == 200
    assert first.json() == {"stored": 3, "duplicates": 0, "rejected": [], **of_amendments}
    assert post(backend, body).json() == {"stored": 0, "duplicates": 3, "rejected": [], **of_amendments}
    assert [read(backend, record.record_id) for record in records] == records


def test_a_compressed_batch_is_the_same_batch(backend: BackendProcess) -> None:
    record = a_record(backend.project_id)
    answer = post(backend, gzip.compress(to_wire({"records": [record]})), **{"Content-Encoding": "gzip"})
    assert answer.json()["stored"] == 1
    assert read(backend, record.record_id) == record


def test_a_bad_record_is_named_and_does_not_keep_the_others_out(backend: BackendProcess) -> None:
    good = [a_record(backend.project_id) for _ in range(2)]
    bad: list[tuple[Any, str]] = [
        ({"record_id": "r", "project_id": 7}, "$.project_id"),
        ("not a record", "object"),
        (a_record("another"), "project_id is 'another'"),
        (a_record(backend.project_id, record_id="a/b"), "record_id must be"),
        (a_record(backend.project_id, outcome="fine"), "outcome"),
        (a_record(backend.project_id, usage=Usage(output_tokens=2**63)), "cannot be stored"),
        ({**json.loads(to_wire(good[0])), "record_id": "n", "started_at": "2026-11-21T12:00:00"}, "no time zone"),
        ({**json.loads(to_wire(good[0])), "record_id": "n", "ended_at": "0001-01-01T00:00:00+14:00"}, "no time that"),
        (a_record(backend.project_id, test_case_id="x" * 1_001), "test_case_id has 1001 characters"),
    ]
    answer = post(backend, {"records": [good[0], *(record for record, _ in bad), good[1]]})
    assert answer.status_code == 200
    assert answer.json()["stored"] == 2
    rejected = answer.json()["rejected"]
    assert [item["index"] for item in rejected] == list(range(1, len(bad) + 1))
    for item, (_, message) in zip(rejected, bad, strict=True):
        assert message in item["message"]
    assert rejected[0]["record_id"] == "r"
    assert rejected[1]["record_id"] is None
    assert all(read(backend, record.record_id) == record for record in good)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "not a batch of records"),
        (b"{", 400, "not a batch of records"),
        (b"[]", 400, "object"),
        (b'{"records": 1}', 400, "$.records"),
        (b'{"records": [], "amendments": {}}', 400, "$.amendments"),
        (b'{"records": [], "sender": {"sender_id": 1}}', 400, "$.sender.sender_id"),
        (b'{"records": [], "sender": {"sender_id": "a", "dropped": -1}}', 400, "$.sender.dropped"),
        (b"[" * 100_000, 400, "not a batch"),
        (b'{"records": [' + b"[" * 100_000, 400, "not a batch"),
        (b'{"records": [' + b",".join([b"1"] * (RECORDS_LIMIT + 1)) + b"]}", 413, f"{RECORDS_LIMIT} are taken"),
        (b'{"records": [], "amendments": [' + b",".join([b"1"] * 501) + b"]}", 413, "501 amendments"),
        (b" " * (BODY_LIMIT_BYTES + 1), 413, "send less"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_body_is_refused_with_the_reason(backend: BackendProcess, body: bytes, status: int, message: str) -> None:
    answer = post(backend, body)
    assert answer.status_code == status
    assert list(answer.json()) == ["message"]
    assert message in answer.json()["message"]


def test_deep_json_inside_a_record_hurts_nobody(backend: BackendProcess) -> None:
    record = a_record(backend.project_id)
    deep = to_wire(record).replace(b'"variables":{}', b'"variables":{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}")
    answer = post(backend, b'{"records":[' + deep + b"," + to_wire(a_record(backend.project_id)) + b"]}")
    assert answer.status_code in {200, 400}
    assert requests.get(f"{backend.url}/healthz", timeout=TIMEOUT_S).status_code == 200
    if answer.status_code == 200:  # newer Pythons nest deeper
        assert answer.json()["stored"] + len(answer.json()["rejected"]) == 2


def test_half_an_emoji_is_no_reason_to_lose_a_record(backend: BackendProcess) -> None:
    record = a_record(backend.project_id, answer="emoji 🎈, zero \0, cut ")
    raw = json.dumps({"records": [json.loads(to_wire(record))]}).replace("cut ", "cut \\ud83d")
    assert post(backend, raw.encode()).json()["stored"] == 1
    stored = read(backend, record.record_id)
    assert stored is not None
    assert stored.text == "emoji 🎈, zero \0, cut \ufffd"


@pytest.mark.parametrize("fill", [b" ", b"["])
def test_a_body_that_explodes_when_decompressed_is_refused(backend: BackendProcess, fill: bytes) -> None:
    bomb = gzip.compress(fill * (256 * 1024 * 1024))
    before = psutil.Process(backend.pid).memory_info().rss
    answer = post(backend, bomb, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert psutil.Process(backend.pid).memory_info().rss - before < 64 * 1024 * 1024


def test_a_small_body_that_grows_beyond_belief_is_refused(backend: BackendProcess) -> None:
    bomb = gzip.compress(b'{"records":[]}' + b" " * (3 * 1024 * 1024))
    assert post(backend, bomb, **{"Content-Encoding": "gzip"}).status_code == 413


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [(b"no gzip", "gzip", 400), (gzip.compress(b"{}")[:-4], "gzip", 400), (b"{}", "br", 415)],
)
def test_a_body_that_is_not_what_its_header_says_is_refused(
    backend: BackendProcess, body: bytes, encoding: str, status: int
) -> None:
    answer = post(backend, body, **{"Content-Encoding": encoding})
    assert answer.status_code == status
    assert "message" in answer.json()


def test_many_clients_at_once_lose_and_double_nothing(backend: BackendProcess) -> None:
    records = [a_record(backend.project_id, session_id="many") for _ in range(240)]
    shared = records[:20]

    def send(part: int) -> int:
        own = records[20 + part * 20 : 40 + part * 20]
        return sum(int(post(backend, {"records": [record]}).json()["stored"]) for record in [*own, *shared])

    with ThreadPoolExecutor(11) as pool:
        stored = sum(pool.map(send, range(11)))
    assert stored == len(records)


def test_a_late_end_replaces_what_was_taken_for_dead(backend: BackendProcess) -> None:
    settled = a_record(backend.project_id)
    assert post(backend, {"records": [an_unsettled(settled)]}).json()["stored"] == 1
    assert post(backend, {"records": [settled]}).json()["stored"] == 1
    assert read(backend, settled.record_id) == settled


def test_a_server_that_is_told_to_stop_answers_what_it_took(own_backend: BackendProcess) -> None:
    acknowledged: list[Record] = []
    refused = threading.Event()
    taken = threading.Event()

    def send() -> None:
        while True:
            record = a_record(own_backend.project_id)
            try:
                answer = post(own_backend, {"records": [record]})
            except requests.ConnectionError:
                refused.set()
                return
            assert answer.status_code in {200, 503}
            if answer.status_code == 200:
                acknowledged.append(record)
                taken.set()

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(send) for _ in range(2)]
        assert taken.wait(TIMEOUT_S)
        assert own_backend.stop() == 0
        for future in running:
            future.result(TIMEOUT_S)
    assert refused.is_set()
    own_backend.start()
    assert all(read(own_backend, record.record_id) for record in acknowledged)


def test_a_disk_that_takes_nothing_is_told_and_got_over(own_backend: BackendProcess) -> None:
    process = psutil.Process(own_backend.pid)
    limits = process.rlimit(psutil.RLIMIT_FSIZE)
    record = a_record(own_backend.project_id)
    process.rlimit(psutil.RLIMIT_FSIZE, (LOG_ONLY_BYTES, resource.RLIM_INFINITY))
    refused = post(own_backend, {"records": [record]})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "cannot write" in refused.json()["message"]
    health = f"{own_backend.url}/healthz"
    assert until(lambda: requests.get(health, timeout=TIMEOUT_S).status_code == 503, what="a bad health")
    assert requests.get(health, timeout=TIMEOUT_S).json()["status"] == "unavailable"
    process.rlimit(psutil.RLIMIT_FSIZE, limits)
    assert post(own_backend, {"records": [record]}).json()["stored"] == 1
    assert until(lambda: requests.get(health, timeout=TIMEOUT_S).status_code == 200, what="a good health")
    assert read(own_backend, record.record_id) == record
    assert own_backend.log.count("the store cannot write") == 1, "a full disk is logged once, not with each request"


def test_the_text_of_a_record_can_be_looked_for_soon(backend: BackendProcess) -> None:
    messages = a_record(backend.project_id).messages
    deep = attrs.evolve(messages[0], content="x" * 1_000 + " xylophone")
    record = a_record(backend.project_id, messages=(deep,))
    post(backend, {"records": [record]})
    person = requests.Session()
    person.get(backend.sign_in_url(), timeout=TIMEOUT_S)
    address = f"{backend.url}/projects/{backend.project_id}/calls.json?text=xylophone"

    def is_found() -> bool:
        return record.record_id in person.get(address, timeout=TIMEOUT_S).text

    assert until(is_found, what="the record in the search")


def test_a_half_sent_request_does_not_hold_others_up(backend: BackendProcess) -> None:
    port = int(backend.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"POST /api/v2/projects/x/records:batch HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert post(backend, {"records": [a_record(backend.project_id)]}).json()["stored"] == 1


def test_endless_headers_are_refused(backend: BackendProcess) -> None:
    port = int(backend.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as greedy:
        greedy.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        answer = b""
        try:
            for _ in range(1_000):
                greedy.sendall(b"X-Filler: " + b"x" * 1_000 + b"\r\n")
            answer = greedy.recv(4_096)
        except ConnectionError:
            answer = answer or b"HTTP/1.1 431"
    assert answer.startswith(b"HTTP/1.1 431")
