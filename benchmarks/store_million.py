"""How does the backend answer with a million calls in it: pages, filters, search, charts, memory, disk?

Fills a store with varied records through its own way of saving, waits for what follows the commits, starts the real
server on it and asks each question over HTTP. The store is an SQLite file, or lies in a PostgreSQL: one that is started
for it (`--postgres`), or a database that is there (`--database-url`). What is kept is gone on with by a further run.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import attrs
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import from_micros
from places import Place, add_options, place_of, project_in, serving
from support.big_store import fill
from support.varied import RARE_WORD


@attrs.frozen
class Question:
    """What is asked."""

    name: str
    path: str


@attrs.frozen
class Answered:
    """How long the answers to a question took, and what the last one was; `calls` are those that a list showed."""

    name: str
    median_ms: float
    p99_ms: float
    status: int
    calls: int | None

    @classmethod
    def of(cls, name: str, took_ms: list[float], status: int, body: bytes) -> Answered:
        """From all times that it took, and the last answer."""
        took_ms.sort()
        said = json.loads(body)
        page = said.get("page") if isinstance(said, dict) else None
        calls = len(page["rows"]) if isinstance(page, dict) and "rows" in page else None
        return cls(name, took_ms[len(took_ms) // 2], took_ms[len(took_ms) * 99 // 100], status, calls)


def questions(place: Place, project_id: str) -> list[Question]:
    """Everything that is asked, about calls of the middle of the store."""
    middle = sa.select(record.c.record_id, record.c.session_id, record.c.started_at).where(
        record.c.seq > sa.select(sa.func.max(record.c.seq) / 2).scalar_subquery(), record.c.session_id.is_not(None)
    )
    oldest = sa.select(record.c.session_id).where(record.c.session_id.is_not(None))
    with place.reading() as connection:
        record_id, session_id, started_at = connection.execute(middle.order_by(record.c.seq).limit(1)).one()
        oldest_session = connection.execute(oldest.order_by(record.c.seq).limit(1)).scalar_one()
    page, api = f"/projects/{project_id}/calls", f"/api/v2/projects/{project_id}"

    hour = [from_micros(started_at + seconds * 1_000_000).isoformat() for seconds in (-1_800, 1_800)]

    def calls(name: str, q: str = "", **more: str) -> Question:
        return Question(name, f"{page}.json?{urlencode({'q': q, **more})}")

    return [
        calls("first page"),
        calls("first page with its figures", figures="1"),
        calls("one model with its figures", "model:gpt-4o-mini-2024-07-18", figures="1"),
        calls("model, common", "model:gpt-4o-mini-2024-07-18"),
        calls("model, rare", "model:gpt-4.1"),
        calls("model, none", "model:no-such-model"),
        calls("outcome, common", "outcome:complete"),
        calls("outcome, rare", "outcome:interrupted"),
        calls("template, common", "template:shop/answer"),
        calls("template, rare", "template:translate"),
        calls("latency, rare", "latency:>6s"),
        calls("cost, rare", "cost_usd:>0.004"),
        calls("session, the oldest", f"session:{oldest_session}"),
        calls("an hour long ago", f"started_at:{hour[0]}..{hour[1]}"),
        calls("model and outcome", "model:gpt-4.1 outcome:error"),
        calls("template and outcome", "template:translate outcome:interrupted"),
        calls("not this outcome", "-outcome:complete"),
        calls("search, common word", "please"),
        calls("search, rare word", RARE_WORD),
        calls("search, part of a word", "tzalcoat"),
        calls("search, two characters", "订单"),
        calls("search, two words", f"please {RARE_WORD}"),
        calls("search, nothing", "nosuchwordanywhere"),
        calls("search and outcome", "please outcome:interrupted"),
        Question("open a call", f"{page}/{record_id}.json"),
        Question("open a session", f"/projects/{project_id}/sessions/{quote(session_id)}.json"),
        Question("facets", f"{api}/statistics/facets"),
        Question("chart of calls by model", f"{api}/statistics/chart?by=model&value=calls"),
        Question("chart of p95", f"{api}/statistics/chart?value=p95"),
        Question("list of sessions", f"{api}/sessions"),
        Question("read a completion", f"{api}/completions/{record_id}"),
    ]


def _ask(connection: http.client.HTTPConnection, question: Question, headers: dict[str, str]) -> tuple[int, bytes]:
    connection.request("GET", question.path, headers=headers)
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
    return Answered.of(question.name, took, status, body)


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
    return Answered.of("next page", took, status, body)


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


def run(place: Place, count: int, rounds: int) -> dict[str, object]:
    """Fill, serve, ask."""
    made = project_in(place)
    project_id = made["project_id"]
    began = time.monotonic()
    fill(place.database, project_id, count)
    filled_s = time.monotonic() - began
    made = project_in(place)
    with serving(place) as (address, process, start_s):
        idle_mib = process.memory_info().rss / 2**20
        cookie = sign_in(address, made["admin_url"])
        headers = {"Authorization": f"Bearer {made['api_key']}", "Cookie": cookie}
        answers = [measure(address, each, headers, rounds) for each in questions(place, project_id)]
        answers.append(next_pages(address, project_id, headers, rounds))
        loaded_mib = process.memory_info().rss / 2**20
    return {
        "records": count,
        "fill_s": filled_s,
        "start_s": start_s,
        "idle_mib": idle_mib,
        "loaded_mib": loaded_mib,
        "bytes_a_record": {name: size / count for name, size in place.disk().items()},
        "answers": [attrs.asdict(each) for each in answers],
    }


def _print(found: dict[str, object], answers: list[dict[str, object]], sizes: dict[str, float]) -> None:
    print(f"{found['records']:,} records; first answer {found['start_s']:.2f} s after the start; ", end="")
    print(f"{found['idle_mib']:.0f} MiB idle, {found['loaded_mib']:.0f} MiB after all questions\n")
    print("| question | calls shown | median | 99th percentile |\n| --- | --- | --- | --- |")
    for each in answers:
        odd = "" if each["status"] == 200 else f" (answered {each['status']})"
        calls = "" if each["calls"] is None else each["calls"]
        print(f"| {each['name']}{odd} | {calls} | {each['median_ms']:.1f} ms | {each['p99_ms']:.1f} ms |")
    print("\n| on the disk | bytes a record |\n| --- | --- |")
    for name, size in sizes.items():
        print(f"| {name} | {size:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    add_options(parser)
    asked = parser.parse_args()
    with place_of(asked) as place:
        found = run(place, asked.records, asked.rounds)
    if asked.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found, found["answers"], found["bytes_a_record"])


if __name__ == "__main__":
    main()
