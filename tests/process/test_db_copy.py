"""`freeplay-like db copy`: a real server's SQLite to PostgreSQL and back, while it takes records, and when killed."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from freeplay_like.cli.data_folder import open_store
from freeplay_like.core.wire import JsonValue, to_wire
from freeplay_like.errors import ConfigurationError
from freeplay_like.local.llama import LlamaServer
from freeplay_like.server.store.tables import metadata
from freeplay_like.server.store.views import Batch, Incoming
from support.backend import CLI, BackendProcess
from support.databases import count_rows
from support.plain_records import a_record
from support.postgres import Cluster
from support.shop import Shop
from support.varied import RARE_WORD, VariedRecords
from support.waiting import until
from support.whole_shop import WholeShop, ask, make_whole

RECORDS = 3_000
PAUSE_S = 0.1
EMPTY = {"price_due", "replay_item", "replay_job", "review_place", "started_call", "suite_job"}
"""Tables that are empty here: what a server has under way."""
PAGES = (
    "calls",
    "calls?q=outcome:error",
    f"calls?q={RARE_WORD}",
    "calls?q=input:bread&before=2100",
    "sessions",
    "templates",
    "environments",
    "datasets",
    "test-runs",
    "test-suites",
    "review",
    "review/agreement",
    "settings/people",
    "settings/providers",
    "settings/prices",
)


def begin_copy(source: str, target: str, *arguments: str) -> subprocess.Popen[str]:
    command = [*CLI, "db", "copy", "--from", source, "--to", target, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def copy(source: str, target: str, *arguments: str, status: int = 0) -> dict[str, Any]:
    """What the command reports; `{}` where it refuses."""
    with begin_copy(source, target, "--json", *arguments) as process:
        said, problem = process.communicate(timeout=240)
    assert process.returncode == status, problem
    found: dict[str, Any] = json.loads(said) if said else {}
    return found | {"stderr": problem}


def address(folder: Path) -> str:
    return f"sqlite:{folder}"


def fill(folder: Path, project_name: str, count: int) -> str:
    """Add varied records to a store; the id of their project."""
    store = open_store(folder)
    try:
        project = store.projects.find(project_name) or store.projects.create(project_name)
        records = list(VariedRecords(project.id, seed=5).make(count))
        for start in range(0, count, 500):
            some = enumerate(records[start : start + 500])
            incoming = tuple(Incoming(index=i, record=record, body=to_wire(record)) for i, record in some)
            store.save(Batch(project_key=project.key, records=incoming, received_at=datetime.now(UTC)))
        return project.id
    finally:
        store.close()


def fill_rest(shop: Shop) -> None:
    """Something of everything that `make_whole` leaves out."""
    record = shop.records[0]
    name = f"sessions/{record.session_id}/traces/id/{uuid.uuid4()}"
    ask(shop, "POST", name, {"input": "a task", "output": "done", "agent_name": "scout"})
    ask(shop, "PATCH", f"sessions/id/{record.session_id}/metadata", {"mood": "fine"})
    rates: JsonValue = {"input_usd": 1.5, "output_usd": 2}
    ask(shop, "POST", "models", {"provider": "openai", "model": "ours", "rates": rates})
    dataset = ask(shop, "GET", "prompt-datasets")["data"]
    assert isinstance(dataset, list)
    assert isinstance(dataset[0], dict)
    suite: dict[str, JsonValue] = {"name": "nightly", "description": "d", "test_list_id": dataset[0]["id"]}
    ask(shop, "POST", "test-suites", {**suite, "thresholds": {"is_short": 0.5}, "prompt_template_id": None})
    ask(shop, "POST", "deletions", {"record_ids": [shop.records[-1].record_id]})
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "work",
        "kind": 1,
        "startTimeUnixNano": "1795000000000000000",
        "endTimeUnixNano": "1795000001000000000",
    }
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "ours"}, "spans": [span]}]}]}
    headers = {"Authorization": f"Bearer {shop.api_key}"}
    requests.post(f"{shop.backend.url}/v1/traces", json=body, headers=headers, timeout=30).raise_for_status()


def answers(backend: BackendProcess, whole: WholeShop, sign_in: str) -> dict[str, object]:
    """What the pages show to a browser that is signed in, and what the API has of every call.

    Without the figures beside lists: on a busy machine they are said to be partial.
    """
    browser = {f"freeplay_like_{backend.url.rpartition(':')[2]}": sign_in}
    shop, found = whole.shop, dict[str, object]()
    one = shop.records[1]
    places = [*PAGES, f"calls/{one.record_id}", f"sessions/{one.session_id}", f"test-runs/{whole.runs[0]}"]
    for place in places:
        path, _, query = place.partition("?")
        page = requests.get(f"{backend.url}/projects/{shop.project_id}/{path}.json", query, cookies=browser, timeout=60)
        assert page.status_code == 200, (place, page.text)
        shown = json.loads(page.text.replace(backend.url, ""))
        shown.pop("figures", None)
        found[place] = shown
    headers = {"Authorization": f"Bearer {shop.api_key}"}
    base = f"{backend.api_base}/v2/projects/{shop.project_id}"
    for place in ("export?format=jsonl", "sessions", "test-runs", f"completions/{one.record_id}"):
        answer = requests.get(f"{base}/{place}", headers=headers, timeout=60)
        assert answer.status_code == 200, (place, answer.text)
        found[f"api {place}"] = answer.text
    return found


def rows_in(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  a table of ours
    assert row is not None
    return int(row[0])


class Sender:
    """Posts records all the time, though no more than a copy can follow on a busy machine."""

    def __init__(self, backend: BackendProcess) -> None:
        self.acknowledged: set[str] = set()
        self._backend = backend
        self._records = VariedRecords(backend.project_id, seed=9)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        self._thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = len(self.acknowledged) + count
        until(lambda: len(self.acknowledged) >= wanted, 60, f"{wanted} records")

    def _send(self) -> None:
        url, headers = f"{self._backend.project_base}/records:batch", self._backend.headers
        while not self._is_over.wait(PAUSE_S):
            records = list(self._records.make(10))
            requests.post(url, to_wire({"records": records}), headers=headers, timeout=60).raise_for_status()
            self.acknowledged |= {record.record_id for record in records}


@pytest.mark.timeout(600)
def test_a_whole_store_moves_to_postgres_and_back_and_answers_as_before(
    llama: LlamaServer, pg_database: str, tmp_path: Path
) -> None:
    with BackendProcess(tmp_path / "data") as backend:
        whole = make_whole(Shop(backend=backend, name="whole"), llama)
        fill_rest(whole.shop)
        fill(backend.data_dir, "whole", RECORDS)
        with requests.Session() as session:
            session.get(backend.sign_in_url(), timeout=20).raise_for_status()
            (sign_in,) = session.cookies.values()
        with backend.store() as store:  # which looks up prices too: answers are compared when all are known
            until(lambda: count_rows(store, "price_due") == 0, 180, "the prices of all calls")
        before = answers(backend, whole, sign_in)
        backend.stop()
        there = copy(address(backend.data_dir), pg_database, "--finish")
    assert there["is_whole"]
    assert there["rows"]["record"] > RECORDS
    assert {name for name, count in there["rows"].items() if not count} <= EMPTY
    assert set(there["rows"]) | {"facet", "facet_block", "rollup", "session_summary", "word", "size_sample"} == set(
        metadata.tables
    )
    with BackendProcess(tmp_path / "moved", database_url=pg_database) as moved:
        after = answers(moved, whole, sign_in)
        for place, shown in before.items():
            assert after[place] == shown, place
        new = a_record(moved.project_id)
        headers = moved.headers
        sent = requests.post(
            f"{moved.project_base}/records:batch", to_wire({"records": [new]}), headers=headers, timeout=30
        )
        assert sent.json()["stored"] == 1
        back = tmp_path / "back"
        assert "a server runs over" in copy(pg_database, address(back), "--finish", status=1)["stderr"]
    assert copy(pg_database, address(back), "--finish")["is_whole"]
    with BackendProcess(back) as again:
        assert answers(again, whole, sign_in) == before
        assert requests.get(f"{again.project_base}/completions/{new.record_id}", headers=headers, timeout=9).ok


@pytest.mark.timeout(600)
def test_what_is_sent_said_and_deleted_while_the_copy_goes_on_arrives_as_it_is_in_the_end(
    pg_database: str, tmp_path: Path
) -> None:
    with BackendProcess(tmp_path / "data") as backend:
        early = [a_record(backend.project_id, session_id=f"s{number % 2}") for number in range(40)]
        body = to_wire({"records": early})
        requests.post(f"{backend.project_base}/records:batch", body, headers=backend.headers, timeout=30)
        with Sender(backend) as sender:
            sender.wait_for(300)
            level = copy(address(backend.data_dir), pg_database)
            assert (level["is_whole"], level["new_records"] >= 340) == (False, True)
            running = copy(address(backend.data_dir), pg_database, "--finish", status=1)
            assert "stop it first" in running["stderr"]
            sender.wait_for(100)
            requests.post(
                f"{backend.project_base}/deletions", json={"session_id": "s1"}, headers=backend.headers, timeout=30
            ).raise_for_status()
            copy(address(backend.data_dir), pg_database)
            with pytest.raises(ConfigurationError, match="is not complete"):
                open_store(None, pg_database)
        backend.stop()
        assert copy(address(backend.data_dir), pg_database, "--finish")["is_whole"]
        kept = {record.record_id for record in early if record.session_id == "s0"}
        with psycopg.connect(pg_database) as connection:
            there = Counter(row[0] for row in connection.execute("SELECT record_id FROM record"))
        assert set(there) == sender.acknowledged | kept
        assert set(there.values()) == {1}


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A data folder with records, over which no server runs."""
    fill(tmp_path / "data", "ours", RECORDS)
    return tmp_path / "data"


@pytest.mark.timeout(600)
def test_a_copy_that_is_killed_at_any_point_goes_on_where_it_was(filled: Path, pg_database: str) -> None:
    def has(statement: str) -> bool:
        with psycopg.connect(pg_database) as connection:
            try:
                return bool(connection.execute(statement.encode()).fetchone())
            except psycopg.errors.UndefinedTable:
                return False

    for moment in (
        "SELECT 1 FROM copy_progress",
        "SELECT 1 FROM record WHERE seq >= 500",
        "SELECT 1 FROM record WHERE seq >= 1500",
        "SELECT 1 FROM store_state WHERE name = 'derived_seq' AND value > 0",
        "SELECT 1 FROM record_search",
    ):
        with begin_copy(address(filled), pg_database, "--finish") as process:
            until(lambda moment=moment: has(moment), 60, moment)  # type: ignore[misc]
            process.kill()
        assert has("SELECT 1 FROM copy_progress"), "it was not over"
    done = copy(address(filled), pg_database, "--finish")
    assert (done["is_whole"], done["rows"]["record"]) == (True, RECORDS)
    assert rows_in(pg_database, "record_search") == RECORDS


@pytest.mark.timeout(300)
def test_a_damaged_row_at_the_target_is_named_and_the_exit_status_tells(filled: Path, pg_database: str) -> None:
    assert copy(address(filled), pg_database, "--finish")["is_whole"]
    assert copy(address(filled), pg_database, "--check")["is_whole"]
    with psycopg.connect(pg_database) as connection:
        connection.execute("UPDATE record SET model = 'another' WHERE seq = 1234")
    found = copy(address(filled), pg_database, "--check", status=1)
    assert not found["is_whole"]
    assert found["differences"] == [{"table": "record", "key": "1234", "about": "not the same: model"}]
    assert "NOT the same: record, row 1234: not the same: model" in found["stderr"]


def test_what_cannot_be_a_source_or_a_target_is_refused(
    filled: Path, postgres: Cluster, pg_database: str, tmp_path: Path
) -> None:
    def refusal(source: str, target: str) -> str:
        return str(copy(source, target, status=1)["stderr"])

    assert "there is no database" in refusal(address(tmp_path / "nothing"), pg_database)
    assert "source and target at once" in refusal(address(filled), address(filled))
    assert "has not the tables" in refusal(pg_database, address(tmp_path / "new"))
    assert "is not empty" in refusal(address(filled), address(_other(tmp_path)))
    for wrong in (f"mysql://ann:hush@h/{tmp_path.name}", "postgresql://ann:hu%sh@127.0.0.1/x"):
        with begin_copy(wrong, pg_database) as process:
            said = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "hu" not in "".join(said)
    missing = refusal(address(filled), postgres.url("nosuch"))
    assert 'database "nosuch" does not exist' in missing
    assert "Traceback" not in missing


def _other(tmp_path: Path) -> Path:
    fill(tmp_path / "other", "theirs", 1)
    return tmp_path / "other"
