"""Running a server: its figures, a full disk, an orderly end, deletion and export from outside."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import pytest
import requests

from freeplay_like.core.wire import to_wire
from freeplay_like.recording.recorder import JournalRecorder
from support.backend import CLI, BackendProcess
from support.records import RecordMaker, post_records
from support.waiting import until

NAME = re.compile(r"`((?:freeplay_like|process)_\w+)`")
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def figures(backend: BackendProcess) -> dict[str, float]:
    answer = requests.get(f"{backend.url}/metrics", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*CLI, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env={**os.environ, **(env or {})})


def place(backend: BackendProcess) -> dict[str, str]:
    """The environment of commands that go over the API."""
    return {"FREEPLAY_LIKE_API_BASE": backend.api_base, "FREEPLAY_LIKE_API_KEY": backend.api_key}


# --- figures ----------------------------------------------------------------------------------------------


def test_the_figures_count_what_came_and_every_name_is_documented(own_backend: BackendProcess) -> None:
    records = RecordMaker(project_id=own_backend.project_id).make(12)
    post_records(own_backend.api_base, own_backend.api_key, records)
    post_records(own_backend.api_base, own_backend.api_key, records[:2])
    requests.get(f"{own_backend.url}/projects", timeout=30)
    found = figures(own_backend)
    assert found['freeplay_like_intake_records_total{result="stored"}'] == 12
    assert found['freeplay_like_intake_records_total{result="duplicate"}'] == 2
    assert found['freeplay_like_requests_total{route="intake",status="200"}'] == 2
    assert found['freeplay_like_requests_total{route="page",status="401"}'] == 1
    assert found["freeplay_like_commit_seconds_count"] >= 2
    assert found["freeplay_like_database_bytes"] > 0
    assert found["process_resident_memory_bytes"] > 10_000_000
    assert found["freeplay_like_read_only"] == 0
    until(lambda: figures(own_backend)['freeplay_like_lag_records{part="text"}'] == 0, what="the text index")
    text = requests.get(f"{own_backend.url}/metrics", timeout=30).text
    families = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert families == set(NAME.findall(PAGE.read_text(encoding="utf-8")))


def test_the_figures_are_for_this_machine_or_for_a_key_that_may_read(own_backend: BackendProcess) -> None:
    url, passed_on = f"{own_backend.url}/metrics", {"X-Forwarded-For": "203.0.113.7"}
    assert requests.get(url, timeout=30).status_code == 200
    assert requests.get(url, headers=passed_on, timeout=30).status_code == 401
    assert requests.get(url, headers={**passed_on, **own_backend.headers}, timeout=30).status_code == 200


# --- a full disk ------------------------------------------------------------------------------------------


@contextmanager
def small_disk(path: Path, size_mib: int) -> Iterator[Path]:
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "none", str(path)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount a tmpfs")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_nearly_full_disk_stops_the_taking_and_nothing_else_and_it_ends_by_itself(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 64) as disk,
        BackendProcess(disk / "data", arguments=("--min-free", "16")) as own,
    ):
        maker = RecordMaker(project_id=own.project_id)
        stored, refused = maker.make(3), maker.make(2)
        post_records(own.api_base, own.api_key, stored)
        browser = requests.Session()
        browser.get(own.sign_in_url(), timeout=30)
        ballast = disk / "ballast"
        room = os.statvfs(disk)
        ballast.write_bytes(b"x" * (room.f_bavail * room.f_frsize - 8 * 1024 * 1024))

        until(lambda: requests.get(f"{own.url}/healthz", timeout=30).status_code == 503, what="the full disk seen")
        health = requests.get(f"{own.url}/healthz", timeout=30).json()
        assert health["status"] == "read-only"
        assert "nearly full" in health["message"]
        assert requests.get(f"{own.url}/readyz", timeout=30).json()["status"] == "read-only"
        answer = requests.post(
            f"{own.project_base}/records:batch", data=to_wire({"records": refused}), headers=own.headers, timeout=30
        )
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        change = requests.post(
            f"{own.project_base}/api-keys", json={"name": "x", "scopes": ["read"]}, headers=own.headers, timeout=30
        )
        assert change.status_code == 503
        recorder = JournalRecorder(own.api_base, own.api_key, spool_dir=tmp_path / "spool")
        recorder.submit(attrs.evolve(refused[0], project_id=own.project_id))
        assert recorder.flush(1).pending == 1

        page = browser.get(f"{own.url}/projects/{own.project_id}/calls", headers={"Accept": "text/html"}, timeout=30)
        assert page.status_code == 200
        assert 'role="alert"' in page.text
        assert "nearly full" in page.text
        exported = requests.get(f"{own.project_base}/export", headers=own.headers, timeout=30)
        assert len(exported.text.splitlines()) == 3
        gone = requests.post(
            f"{own.project_base}/deletions",
            json={"record_ids": [stored[0].record_id]},
            headers=own.headers,
            timeout=30,
        )
        assert (gone.status_code, gone.json()["records"]) == (200, 1)

        ballast.unlink()
        until(lambda: requests.get(f"{own.url}/healthz", timeout=30).status_code == 200, what="the room seen")
        assert recorder.flush(60).is_complete, "what the sender kept is delivered"
        recorder.close()
        exported = requests.get(f"{own.project_base}/export", headers=own.headers, timeout=30)
        ids = {json.loads(line)["record_id"] for line in exported.text.splitlines()}
        assert ids == {stored[1].record_id, stored[2].record_id, refused[0].record_id}


# --- an orderly end ---------------------------------------------------------------------------------------


@attrs.define
class Sent:
    """What one thread sent until nobody answered any more."""

    acknowledged: list[str] = attrs.field(factory=list)
    cut: list[bytes] = attrs.field(factory=list)
    """What came of answers that broke off."""


def send_until_refused(backend: BackendProcess, sent: Sent, seed: int) -> None:
    """One record a connection, so that whatever happens to a connection happened to one request."""
    maker = RecordMaker(project_id=backend.project_id, seed=seed)
    host, port = "127.0.0.1", int(backend.url.rpartition(":")[2])
    while True:
        (record,) = maker.make(1)
        body = to_wire({"records": [record]})
        head = (
            f"POST /api/v2/projects/{backend.project_id}/records:batch HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {backend.api_key}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        data = b""
        # a server that has stopped refuses the connection; whether it cut an answer is seen in the data
        with suppress(OSError), socket.create_connection((host, port), timeout=30) as connection:
            connection.sendall(head.encode() + body)
            while part := connection.recv(65536):
                data += part
        if not data:
            return
        answer, _, content = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
        if length is None or len(content) != int(length[1]):
            sent.cut.append(data)
        elif answer.startswith(b"HTTP/1.1 200"):
            sent.acknowledged.append(record.record_id)


def test_a_server_that_is_told_to_stop_has_stored_all_it_acknowledged_and_cuts_no_answer(
    own_backend: BackendProcess,
) -> None:
    sent = [Sent() for _ in range(8)]
    threads = [
        threading.Thread(target=send_until_refused, args=(own_backend, each, seed)) for seed, each in enumerate(sent)
    ]
    for thread in threads:
        thread.start()
    until(lambda: sum(len(each.acknowledged) for each in sent) > 200, timeout_s=60, what="some load")
    assert own_backend.stop() in (0, -signal.SIGTERM)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a request was left without an answer and without an end"
    assert [cut for each in sent for cut in each.cut] == []
    own_backend.start()
    exported = requests.get(f"{own_backend.project_base}/export", headers=own_backend.headers, timeout=60)
    stored = {json.loads(line)["record_id"] for line in exported.text.splitlines()}
    assert {record_id for each in sent for record_id in each.acknowledged} <= stored


# --- deletion and export from outside -----------------------------------------------------------------------


def test_a_persons_data_are_deleted_from_the_command_line_and_a_late_resend_is_not_stored(
    own_backend: BackendProcess,
) -> None:
    maker = RecordMaker(project_id=own_backend.project_id)
    hers = [attrs.evolve(each, metadata={"user_id": "u-1"}) for each in maker.make(3)]
    others = maker.make(2)
    post_records(own_backend.api_base, own_backend.api_key, [*hers, *others])
    refused = run("delete", "--yes", env=place(own_backend))
    assert refused.returncode == 2
    done = run("delete", "--metadata", "user_id=u-1", "--yes", "--json", env=place(own_backend))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["records"] == 3
    assert post_records(own_backend.api_base, own_backend.api_key, hers)["stored"] == 0
    for each in hers:
        url = f"{own_backend.project_base}/completions/{each.record_id}"
        assert requests.get(url, headers=own_backend.headers, timeout=30).status_code == 404
    done = run("export", "--format", "jsonl", env=place(own_backend))
    assert {json.loads(line)["record_id"] for line in done.stdout.splitlines()} == {each.record_id for each in others}


@pytest.mark.parametrize(
    "body",
    [{}, {"session_id": "s", "record_ids": ["r"]}, {"metadata": {}}, {"record_ids": []}, {"metadata": {"a": [1]}}],
)
def test_a_deletion_that_says_not_clearly_what_to_delete_is_refused(
    backend: BackendProcess, body: dict[str, object]
) -> None:
    answer = requests.post(f"{backend.project_base}/deletions", json=body, headers=backend.headers, timeout=30)
    assert answer.status_code == 400, answer.text


def test_a_project_is_given_a_retention_which_deletes_what_is_older(own_backend: BackendProcess) -> None:
    from datetime import timedelta

    maker = RecordMaker(project_id=own_backend.project_id)
    new = maker.one(1)
    old = maker.one(2, age_s=timedelta(days=3).total_seconds())
    post_records(own_backend.api_base, own_backend.api_key, [new, old])
    changed = requests.put(
        own_backend.project_base, json={"retention_days": 2}, headers=own_backend.headers, timeout=30
    )
    assert (changed.status_code, changed.json()["retention_days"]) == (200, 2)
    own_backend.restart()  # the house is kept when it opens, and then every minute

    def left() -> list[str]:
        exported = requests.get(f"{own_backend.project_base}/export", headers=own_backend.headers, timeout=30)
        return [json.loads(line)["record_id"] for line in exported.text.splitlines()]

    until(lambda: left() == [new.record_id], what="the end of the old record")


def test_a_deleted_project_is_gone_with_its_keys(own_backend: BackendProcess) -> None:
    body = {"name": "short-lived", "retention_days": 1}
    made = requests.post(
        f"{own_backend.api_base}/v2/projects", json=body, headers=own_backend.headers, timeout=30
    ).json()
    base, headers = f"{own_backend.api_base}/v2/projects/{made['id']}", {"Authorization": f"Bearer {made['api_key']}"}
    shown = requests.get(base, headers=headers, timeout=30).json()
    assert (shown["name"], shown["retention_days"]) == ("short-lived", 1)
    maker = RecordMaker(project_id=made["id"])
    post_records(own_backend.api_base, made["api_key"], maker.make(5))
    gone = requests.delete(base, headers=headers, timeout=60)
    assert (gone.status_code, gone.json()["records"]) == (200, 5)
    until(lambda: requests.get(base, headers=headers, timeout=30).status_code == 401, what="the end of its key")


def test_twenty_thousand_records_are_exported_without_being_held(own_backend: BackendProcess) -> None:
    maker = RecordMaker(project_id=own_backend.project_id)
    for _ in range(10):
        post_records(own_backend.api_base, own_backend.api_key, maker.make(2000))
    until(lambda: figures(own_backend)['freeplay_like_lag_records{part="text"}'] == 0, timeout_s=120, what="the index")
    before = figures(own_backend)["process_resident_memory_bytes"]
    most, count, size = before, 0, 0
    url = f"{own_backend.project_base}/export"
    with requests.get(url, headers=own_backend.headers, timeout=60, stream=True) as answer:
        for number, line in enumerate(answer.iter_lines(chunk_size=65536)):
            count += 1
            size += len(line)
            if number % 2000 == 0:
                most = max(most, figures(own_backend)["process_resident_memory_bytes"])
    assert count == 20_000
    assert size > 40_000_000
    assert most - before < size / 2, "the file must not be in memory"


def test_an_export_that_nobody_reads_any_more_ends(own_backend: BackendProcess) -> None:
    maker = RecordMaker(project_id=own_backend.project_id)
    post_records(own_backend.api_base, own_backend.api_key, maker.make(2000))
    url = f"{own_backend.project_base}/export"
    for _ in range(20):
        with requests.get(url, headers=own_backend.headers, timeout=60, stream=True) as answer:
            next(answer.iter_content(1000))
    until(lambda: figures(own_backend)["process_open_fds"] < 40, what="the end of the connections")
    assert own_backend.stop() in (0, -signal.SIGTERM)


def test_a_table_opens_in_a_spreadsheet_without_running_anything(own_backend: BackendProcess, tmp_path: Path) -> None:
    maker = RecordMaker(project_id=own_backend.project_id)
    evil = attrs.evolve(maker.one(1), metadata={}, session_id="=cmd|' /C calc'!A0")
    post_records(own_backend.api_base, own_backend.api_key, [evil, maker.one(2)])
    target = tmp_path / "calls.csv"
    done = run("export", "--format", "csv", "--output", target, env=place(own_backend))
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8-sig"))))
    assert rows[0]["session_id"] == "'=cmd|' /C calc'!A0"
    assert [row["record_id"] for row in rows] == [evil.record_id, rows[1]["record_id"]]
    assert [path.name for path in tmp_path.iterdir() if "calls" in path.name] == ["calls.csv"]


def test_an_export_of_an_unknown_format_is_refused(backend: BackendProcess) -> None:
    answer = requests.get(f"{backend.project_base}/export?format=xml", headers=backend.headers, timeout=30)
    assert (answer.status_code, "jsonl, csv, parquet" in answer.json()["message"]) == (400, True)
