"""The example web applications as real servers, with a browser's end that reads, and one that goes away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire
from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess
from support.waiting import until

ROOT = Path(__file__).parents[2]
Start = Callable[[int], list[str]]


def starlette(port: int) -> list[str]:
    return ["-m", "uvicorn", "examples.starlette_app:app", "--port", str(port), "--log-level", "warning"]


def flask(port: int) -> list[str]:
    bind = f"127.0.0.1:{port}"
    return ["-m", "gunicorn", "--preload", "--workers", "2", "--threads", "2", "-b", bind, "examples.flask_app:app"]


SERVERS = [pytest.param(starlette, id="starlette, uvicorn"), pytest.param(flask, id="flask, gunicorn prefork")]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(start: Start, simulator: Simulator, backend: BackendProcess, spool: Path) -> Iterator[str]:
    port = free_port()
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": simulator.openai_base,
        "FREEPLAY_LIKE_API_KEY": backend.api_key,
        "FREEPLAY_LIKE_API_BASE": backend.api_base,
        "FREEPLAY_LIKE_PROJECT": backend.project_id,
        "FREEPLAY_LIKE_SPOOL_DIR": str(spool),
    }
    with subprocess.Popen([sys.executable, *start(port)], cwd=ROOT, env=environment) as process:
        try:
            until(lambda: _is_open(port) or process.poll() is not None, what="the web server")
            assert process.poll() is None, "the web server ended"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def record_of(backend: BackendProcess, record_id: str) -> Record | None:
    """A record as the backend holds it, None where it has not come."""
    answer = requests.get(f"{backend.project_base}/completions/{record_id}", headers=backend.headers, timeout=10)
    assert answer.status_code in (200, 404), answer.text
    return from_wire(answer.content, Record) if answer.ok else None


def newest_failed(backend: BackendProcess) -> str | None:
    """The id of the newest call with an error, from the page's own data."""
    with requests.Session() as person:
        person.get(backend.sign_in_url(), timeout=10).raise_for_status()
        page = person.get(f"{backend.url}/projects/{backend.project_id}/calls.json?outcome=error", timeout=10).json()
    rows = page["page"]["rows"]
    return rows[0]["record_id"] if rows else None


@pytest.fixture
def with_template(backend: BackendProcess) -> BackendProcess:
    """A backend that has the template the examples ask for."""
    version = {
        "template_messages": [
            {"role": "system", "content": "You help {{name}}."},
            {"role": "user", "content": "{{question}}"},
        ],
        "model": "gpt-sim",
        "provider": "openai",
    }
    url = f"{backend.project_base}/prompt-templates/name/assistant/versions"
    made = requests.post(url, json=version, headers=backend.headers, timeout=10)
    assert made.status_code == 201, made.text
    return backend


@pytest.mark.parametrize("start", SERVERS)
def test_a_chat_is_streamed_to_the_browser_and_recorded(
    start: Start, simulator: Simulator, with_template: BackendProcess, tmp_path: Path
) -> None:
    simulator.default = simulator.default.parse("chunks=5")
    with serving(start, simulator, with_template, tmp_path) as url:
        answer = requests.get(f"{url}/chat", params={"question": "Why?"}, timeout=20)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.startswith("data:  tok0\n\ndata:  tok1\n\n")
        assert "event: done" in answer.text
        record = until(lambda: record_of(with_template, answer.headers["x-record-id"]), what="the record")
    assert record.outcome == "complete"
    assert record.text == " tok0 tok1 tok2 tok3 tok4"
    assert record.variables == {"name": "Ann", "question": "Why?"}


@pytest.mark.parametrize("start", SERVERS)
def test_a_browser_that_goes_away_leaves_a_cancelled_record(
    start: Start, simulator: Simulator, with_template: BackendProcess, tmp_path: Path
) -> None:
    simulator.default = simulator.default.parse("chunks=10000,delay_ms=20")
    with serving(start, simulator, with_template, tmp_path) as url:
        with requests.get(f"{url}/chat", params={"question": "Why?"}, stream=True, timeout=20) as answer:
            record_id = answer.headers["x-record-id"]
            lines = answer.iter_lines()
            read = [next(lines) for _ in range(5)]
        (request,) = simulator.wait_for_requests(1)
        assert request.client_left.wait(20), "the provider's connection is still open"
        record = until(lambda: record_of(with_template, record_id), what="the record")
    assert read[0] == b"data:  tok0"
    assert record.outcome == "cancelled"
    assert record.text.startswith(" tok0 tok1")
    assert record.text.count("tok") <= request.sent_chunks < 10000


@pytest.mark.parametrize("start", SERVERS)
def test_a_refused_call_gets_a_status_and_an_error_record(
    start: Start, simulator: Simulator, with_template: BackendProcess, tmp_path: Path
) -> None:
    simulator.default = simulator.default.parse("status=401")
    with serving(start, simulator, with_template, tmp_path) as url:
        answer = requests.get(f"{url}/chat", params={"question": "Why?"}, timeout=20)
        record = record_of(with_template, until(lambda: newest_failed(with_template), what="the record"))
    assert answer.status_code == 502
    assert "401" in answer.json()["message"]
    assert record is not None
    assert record.outcome == "error"
    assert record.error is not None
    assert record.error.status == 401
