"""What no client of ours sends: whatever it is, the answer says what is wrong, and the server goes on."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from freeplay_like.server.api import OPERATIONS
from freeplay_like.server.api.operations import Operation
from support.backend import BackendProcess, Deployment

pytestmark = pytest.mark.over("sqlite", "postgres")

TIMEOUT_S = 30
DEEP = 100_000

BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep unclosed": b"[" * DEEP,
    "long number": b'{"name": ' + b"9" * 100_000 + b"}",
    "long fraction": b'{"name": 0.' + b"3" * 100_000 + b"}",
    "huge exponent": b'{"name": 1e999999999}',
    "not a number": b'{"name": NaN}',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name": "a"}',
    "half a character": rb'{"name": "\ud800", "provider": "\udfff", "model": "m"}',
    "a NUL": rb'{"name": "a\u0000b", "provider": "p\u0000", "model": "m\u0000", "rates": {}}',
    "the same key twice": b'{"name": "one", "name": "two", "provider": 1, "provider": "p"}',
    "huge integers": b'{"name": "n", "dropped": 9223372036854775808, "page": -9223372036854775809}',
    "a long text": b'{"name": "' + b"x" * 1_000_000 + b'", "description": "' + b"y" * 1_000_000 + b'"}',
    "many keys": json.dumps({f"k{number}": number for number in range(50_000)}).encode(),
    "a list": b'[{"name": "a"}]',
    "a form": b"name=a&model=b",
}

ADDRESSES = {
    "a NUL": "%00",
    "not UTF-8": "%ff%fe",
    "half a character": "%ed%a0%80",
    "an encoded slash": "a%2Fb",
    "a slash encoded twice": "a%252Fb",
    "up": "..%2F..%2F..%2Fetc%2Fpasswd",
    "dots": "..",
    "a broken escape": "%zz",
    "blanks": "%20%09%0a%0d",
    "a quote": "'%3B%20DROP%20TABLE%20record%3B--",
    "long": "x" * 20_000,
    "huge": "9" * 5_000,
}

QUERIES = {
    "a NUL": "page=%00&page_size=%00&on=%00&provider=%00&model=%00&limit=%00",
    "huge numbers": f"page={'9' * 5_000}&page_size={2**63}&limit={-(2**63)}",
    "other digits": "page=%D9%A3&page_size=%C2%B2&limit=1_0",
    "not UTF-8": "page=%ff&on=%ff&model=%ff&filter=%ff",
    "far days": "on=0000-00-00&from=99999-01-01&to=-1&from_date=9999-12-31T23:59:59-23:59",
    "many": "&".join(f"page={number}" for number in range(2_000)),
    "long": "model=" + "x" * 20_000,
    "no value": "page&page_size=&=&&on",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[BackendProcess]:
    with deployment.running(tmp_path_factory.mktemp("hostile") / "data", project="hostile") as process:
        yield process


def path_of(one: Operation, server: BackendProcess, part: str) -> str:
    """The address of an operation in the project, with a part for everything else that it names."""
    path = one.path.replace("{project_id}", server.project_id)
    return re.sub(r"\{\w+(?::\w+)?\}", lambda _: part, path)


def sent(server: BackendProcess, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """The answer to a request whose target goes out as it is: `requests` would mend it."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in {**server.headers, "Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def check(status: int, answer: bytes, what: str) -> None:
    assert status < 500, (what, status, answer[:300])
    if status >= 400:
        assert json.loads(answer)["message"], what


def once_each(operations: tuple[Operation, ...], *, with_body: bool) -> list[Operation]:
    return [one for one in operations if (one.body is not None) == with_body and one.name != "delete_project"]


@pytest.mark.parametrize("kind", BODIES)
def test_a_strange_body_is_refused_or_taken(server: BackendProcess, kind: str) -> None:
    asked = 0
    for one in once_each(OPERATIONS, with_body=True):
        path = path_of(one, server, "none")
        for content_type in ("application/json", "text/plain; charset=utf-16"):
            headers = {"Content-Type": content_type}
            check(*sent(server, one.method, path, BODIES[kind], **headers), f"{one.method} {path}: {kind}")
            asked += 1
    batch = f"/api/v2/projects/{server.project_id}/records:batch"
    check(*sent(server, "POST", batch, BODIES[kind]), f"{batch}: {kind}")
    assert asked > 10


@pytest.mark.parametrize("kind", ADDRESSES)
def test_a_strange_address_is_refused_or_answered(server: BackendProcess, kind: str) -> None:
    asked = 0
    for one in once_each(OPERATIONS, with_body=False):
        path = path_of(one, server, ADDRESSES[kind])
        check(*sent(server, one.method, path), f"{one.method} {one.path}: {kind}")
        asked += 1
    for path in (f"/api/v2/projects/{ADDRESSES[kind]}/models", f"/{ADDRESSES[kind]}", f"/static/{ADDRESSES[kind]}"):
        status, _ = sent(server, "GET", path)
        assert 400 <= status < 500, (path[:100], status)
    assert asked > 5


@pytest.mark.parametrize("kind", QUERIES)
def test_a_strange_query_is_refused_or_answered(server: BackendProcess, kind: str) -> None:
    asked = 0
    for one in OPERATIONS:
        if one.method == "GET":
            path = f"{path_of(one, server, 'none')}?{QUERIES[kind]}"
            check(*sent(server, "GET", path), f"GET {one.path}: {kind}")
            asked += 1
    assert asked > 5


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity", "gzip, gzip", "\xff"])
def test_a_body_that_is_not_what_its_encoding_says_is_refused(server: BackendProcess, encoding: str) -> None:
    target = f"/api/v2/projects/{server.project_id}/records:batch"
    status, answer = sent(server, "POST", target, b"\x1f\x8b\x08garbage", **{"Content-Encoding": encoding})
    assert status in {400, 415}, (status, answer)


def test_other_methods_are_refused_with_those_that_there_are(server: BackendProcess) -> None:
    by_path: dict[str, set[str]] = {}
    for one in OPERATIONS:
        by_path.setdefault(path_of(one, server, "none"), set()).add(one.method)
    for path, methods in by_path.items():
        for method in ("OPTIONS", "TRACE", "PROPFIND"):
            answer = requests.request(method, server.url + path, headers=server.headers, timeout=TIMEOUT_S)
            assert answer.status_code == 405, (method, path)
            assert methods <= set(answer.headers["Allow"].split(", ")), (method, path)
            assert answer.json()["message"]


def test_head_is_answered_like_get_without_a_body(server: BackendProcess) -> None:
    for path in ("/healthz", f"/api/v2/projects/{server.project_id}/models", "/api/openapi.json"):
        status, body = sent(server, "HEAD", path)
        assert (status, body) == (200, b"")


def test_the_server_went_on_through_all_of_it(server: BackendProcess) -> None:
    assert requests.get(f"{server.url}/healthz", timeout=TIMEOUT_S).status_code == 200
    assert "Traceback" not in server.log
