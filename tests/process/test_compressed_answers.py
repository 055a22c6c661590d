"""Answers are compressed for who can read that, but for what must come at once."""

from __future__ import annotations

import gzip
import http.client
from urllib.parse import urlsplit

from freeplay_like.server.pages.static import asset
from support.backend import BackendProcess

READS_GZIP = {"Accept-Encoding": "gzip"}


def answer_to(backend: BackendProcess, path: str, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
    """An answer as it comes over the wire."""
    connection = http.client.HTTPConnection(urlsplit(backend.url).netloc, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_a_page_or_file_is_sent_in_a_third_of_its_size(backend: BackendProcess) -> None:
    _, plain = answer_to(backend, asset("app.css"), {})
    answer, packed = answer_to(backend, asset("app.css"), READS_GZIP)
    assert (answer.getheader("Content-Encoding"), answer.getheader("Vary")) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed) == plain
    assert len(packed) * 3 < len(plain)


def test_small_answers_are_sent_as_they_are(backend: BackendProcess) -> None:
    answer, _ = answer_to(backend, "/healthz", READS_GZIP)
    assert answer.getheader("Content-Encoding") is None


def test_a_live_tail_is_not_held_back_to_be_compressed(backend: BackendProcess) -> None:
    link = urlsplit(backend.sign_in_url())
    signed_in, _ = answer_to(backend, f"{link.path}?{link.query}", {})
    cookie = {"Cookie": str(signed_in.getheader("Set-Cookie")).partition(";")[0]}
    connection = http.client.HTTPConnection(urlsplit(backend.url).netloc, timeout=20)
    connection.request("GET", f"/projects/{backend.project_id}/calls/tail", headers={**READS_GZIP, **cookie})
    answer = connection.getresponse()
    assert answer.getheader("Content-Encoding") is None
    assert answer.readline() == b": here\n"
    connection.close()
