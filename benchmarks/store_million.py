"""How does the backend answer with a million calls in it: pages, filters, search, charts, memory, disk?

Fills a store with varied records through its own way of saving, waits for what follows the commits, starts the real
server on it and asks each question over HTTP. `--keep FOLDER` keeps the store, and a further run goes on with it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import attrs
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME
from support.big_store import fill
from support.varied import RARE_WORD

CLI: Final = (sys.executable, "-m", "freeplay_like.cli")


@attrs.frozen
class Question:
    """What is asked: a GET, or a POST of JSON."""

    name: str
    path: str
    body: object = None


@attrs.frozen
class Answered:
    """How long the answers to a question took, in ms, and how the last one began."""

    name: str
    median_ms: float
    p99_ms: float
    status: int
    size_bytes: int


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, psutil.Process, float]]:
    """The server over the store: its address, its process, and the seconds to its first answer."""
    began = time.perf_counter()
    command = [*CLI, "serve", "--data", str(folder), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = urlsplit(json.loads(process.stdout.readline())["url"]).netloc
            _ask(http.client.HTTPConnection(address, timeout=60), Question("", "/healthz"), {})
            yield address, psutil.Process(process.pid), time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def questions(folder: Path, project_id: str) -> list[Question]:
    """Everything that is asked, about calls of the middle of the store."""
    with closing(sqlite3.connect(f"file:{folder / DATABASE_NAME}?mode=ro", uri=True)) as database:
        record_id, session_id = database.execute(
            "SELECT record_id, session_id FROM record WHERE seq > (SELECT max(seq) / 2 FROM record) LIMIT 1"
        ).fetchone()
        (rare_session,) = database.execute(
            "SELECT session_id FROM record WHERE session_id IS NOT NULL ORDER BY seq LIMIT 1"
        ).fetchone()
    page, api = f"/projects/{project_id}/calls", f"/api/v2/projects/{project_id}"

    def calls(name: str, **query: str) -> Question:
        return Question(name, f"{page}.json?{urlencode(query)}")

    return [
        calls("first page"),
        calls("model, common", model="gpt-4o-mini"),
        calls("model, rare", model="o4-mini"),
        calls("model, none", model="no-such-model"),
        calls("outcome, common", outcome="complete"),
        calls("outcome, rare", outcome="interrupted"),
        calls("template, common", template="shop/answer"),
        calls("template, rare", template="moderate"),
        calls("session, the oldest", session=rare_session),
        calls("model and outcome", model="o4-mini", outcome="error"),
        calls("template and outcome", template="moderate", outcome="interrupted"),
        calls("search, common word", text="please"),
        calls("search, rare word", text=RARE_WORD),
        calls("search, part of a word", text="tzalcoat"),
        calls("search, two characters", text="订单"),
        calls("search, two words", text=f"please {RARE_WORD}"),
        calls("search, nothing", text="nosuchwordanywhere"),
        calls("search and outcome", text="please", outcome="interrupted"),
        Question("open a call", f"{page}/{record_id}.json"),
        Question("open a session", f"/projects/{project_id}/sessions/{quote(session_id)}.json"),
        Question("facets", f"{api}/statistics/facets"),
        Question("chart of calls by model", f"{api}/statistics/chart?by=model&value=calls"),
        Question("chart of p95", f"{api}/statistics/chart?value=p95"),
        Question("list of sessions", f"{api}/sessions"),
        Question("read a completion", f"{api}/completions/{record_id}"),
    ]


def _ask(connection: http.client.HTTPConnection, question: Question, headers: dict[str, str]) -> tuple[int, bytes]:
    method, body = ("GET", None) if question.body is None else ("POST", to_wire(question.body))
    connection.request(method, question.path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def measure(address: str, question: Question, headers: dict[str, str], rounds: int) -> Answered:
    """Ask one question again and again over one connection; the first time counts too."""
    took, status, body = [], 0, b""
    with closing(http.client.HTTPConnection(address, timeout=120)) as connection:
        for _ in range(rounds):
            began = time.perf_counter()
            status, body = _ask(connection, question, headers)
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return Answered(question.name, took[len(took) // 2], took[len(took) * 99 // 100], status, len(body))


def next_pages(address: str, project_id: str, headers: dict[str, str], pages: int) -> Answered:
    """Go on from page to page."""
    took, before, status, body = [], None, 0, b""
    with closing(http.client.HTTPConnection(address, timeout=120)) as connection:
        for _ in range(pages):
            query = urlencode({"before": before}) if before else ""
            began = time.perf_counter()
            question = Question("next page", f"/projects/{project_id}/calls.json?{query}")
            status, body = _ask(connection, question, headers)
            took.append((time.perf_counter() - began) * 1000)
            before = json.loads(body)["page"]["older"]
            if before is None:
                break
    took.sort()
    return Answered("next page", took[len(took) // 2], took[len(took) * 99 // 100], status, len(body))


def sign_in(address: str, link: str) -> str:
    """The cookie of a browser that opened the link."""
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        parts = urlsplit(link)
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        answer.read()
        cookie = answer.getheader("Set-Cookie")
    if cookie is None:
        raise SystemExit(f"the link did not sign in: {answer.status}")
    return cookie.partition(";")[0]


def disk(folder: Path, count: int) -> dict[str, float]:
    """Bytes a record, in all and of the largest tables and indexes."""
    total = sum(path.stat().st_size for path in folder.iterdir() if path.name.startswith(DATABASE_NAME))
    sizes = {"in all": total / count}
    with closing(sqlite3.connect(f"file:{folder / DATABASE_NAME}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT name, pgsize FROM dbstat WHERE aggregate = 1 ORDER BY pgsize DESC LIMIT 12")
        sizes |= {name: size / count for name, size in rows}
    return sizes


def project_in(folder: Path) -> dict[str, str]:
    command = [*CLI, "init", "--data", str(folder), "--project", "bench", "--json"]
    made: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return made


def run(folder: Path, count: int, rounds: int) -> dict[str, object]:
    """Fill, serve, ask."""
    project_id = project_in(folder)["project_id"]
    began = time.monotonic()
    fill(folder, project_id, count)
    filled_s = time.monotonic() - began
    made = project_in(folder)
    with serving(folder) as (address, process, start_s):
        idle_mib = process.memory_info().rss / 2**20
        cookie = sign_in(address, made["admin_url"])
        headers = {"Authorization": f"Bearer {made['api_key']}", "Cookie": cookie}
        answers = [measure(address, each, headers, rounds) for each in questions(folder, project_id)]
        answers.append(next_pages(address, project_id, headers, rounds))
        loaded_mib = process.memory_info().rss / 2**20
    return {
        "records": count,
        "fill_s": filled_s,
        "start_s": start_s,
        "idle_mib": idle_mib,
        "loaded_mib": loaded_mib,
        "bytes_a_record": disk(folder, count),
        "answers": [attrs.asdict(each) for each in answers],
    }


def _print(found: dict[str, object], answers: list[dict[str, object]], sizes: dict[str, float]) -> None:
    print(f"{found['records']:,} records; first answer {found['start_s']:.2f} s after the start; ", end="")
    print(f"{found['idle_mib']:.0f} MiB idle, {found['loaded_mib']:.0f} MiB after all questions\n")
    print("| question | median | 99th percentile |\n| --- | --- | --- |")
    for each in answers:
        odd = "" if each["status"] == 200 else f" (answered {each['status']})"
        print(f"| {each['name']}{odd} | {each['median_ms']:.1f} ms | {each['p99_ms']:.1f} ms |")
    print("\n| on the disk | bytes a record |\n| --- | --- |")
    for name, size in sizes.items():
        print(f"| {name} | {size:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="a folder for the store, kept and used again")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = run(folder, asked.records, asked.rounds)
    if asked.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found, found["answers"], found["bytes_a_record"])


if __name__ == "__main__":
    main()
