"""`freeplay-like db`, over real files, beside a real server."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command as alembic_command

from freeplay_like.cli.data_folder import open_store, served
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store import schema
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.views import Batch, Incoming
from support.backend import CLI, BackendProcess
from support.records import RecordMaker, post_records


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLI, "db", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def info(data: Path) -> dict[str, object]:
    done = run("info", "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def records_in(path: Path) -> set[str]:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0] for row in connection.execute("SELECT record_id FROM record")}
    finally:
        connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with seven records, over which no server runs."""
    data = tmp_path / "data"
    store = open_store(data)
    project = store.projects.create("tests")
    records = RecordMaker(project_id=project.id).make(7)
    incoming = tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=datetime.now(UTC)))
    store.close()
    return data


def test_a_backup_made_while_records_come_has_all_that_was_stored_before_and_can_be_restored(
    own_backend: BackendProcess, tmp_path: Path
) -> None:
    maker = RecordMaker(project_id=own_backend.project_id)
    before = maker.make(300)
    post_records(own_backend.api_base, own_backend.api_key, before)
    is_done = threading.Event()

    def go_on() -> None:
        while not is_done.is_set():
            post_records(own_backend.api_base, own_backend.api_key, maker.make(20))

    sender = threading.Thread(target=go_on)
    sender.start()
    try:
        done = run("backup", "--data", own_backend.data_dir, tmp_path / "copy.db")
    finally:
        is_done.set()
        sender.join()
    assert done.returncode == 0, done.stderr
    assert {each.record_id for each in before} <= records_in(tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"], "nothing half made is left"

    restored = tmp_path / "restored"
    assert run("restore", "--data", restored, tmp_path / "copy.db").returncode == 0
    assert records_in(restored / DATABASE_NAME) == records_in(tmp_path / "copy.db")
    with BackendProcess(restored) as again:
        answer = again.init()
        assert answer["project_id"] == own_backend.project_id
        post_records(again.api_base, answer["api_key"], maker.make(5))


def test_a_backup_replaces_nothing_unless_told_to(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "there.db"
    target.write_text("mine")
    done = run("backup", "--data", folder, target)
    assert done.returncode == 1
    assert "--force" in done.stderr
    assert target.read_text() == "mine"
    assert run("backup", "--data", folder, target, "--force").returncode == 0
    assert len(records_in(target)) == 7


def test_restoring_is_refused_over_a_running_server_and_over_a_database(
    own_backend: BackendProcess, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    assert run("backup", "--data", own_backend.data_dir, copy).returncode == 0
    done = run("restore", "--data", own_backend.data_dir, copy, "--force")
    assert (done.returncode, "stop it first" in done.stderr) == (1, True)
    own_backend.stop()
    done = run("restore", "--data", own_backend.data_dir, copy)
    assert (done.returncode, "--force" in done.stderr) == (1, True)
    assert run("restore", "--data", own_backend.data_dir, copy, "--force").returncode == 0
    own_backend.start()


@pytest.mark.parametrize("content", [b"", b"no database at all", None], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_sound_copy_is_not_restored(folder: Path, tmp_path: Path, content: bytes | None) -> None:
    copy = tmp_path / "copy.db"
    assert run("backup", "--data", folder, copy).returncode == 0
    data = copy.read_bytes()
    copy.write_bytes(data[: len(data) // 2] if content is None else content)
    done = run("restore", "--data", tmp_path / "new", copy)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new" / DATABASE_NAME).exists()


def test_vacuum_makes_the_file_smaller_and_needs_the_folder_for_itself(folder: Path) -> None:
    path = folder / DATABASE_NAME
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE ballast AS SELECT zeroblob(500000) AS zeros")
    connection.execute("DROP TABLE ballast")
    connection.close()
    before = path.stat().st_size
    with served(folder):
        done = run("vacuum", "--data", folder)
    assert (done.returncode, "stop it first" in done.stderr) == (1, True)
    assert run("vacuum", "--data", folder).returncode == 0
    assert path.stat().st_size < before - 400_000
    assert len(records_in(path)) == 7


def test_info_tells_what_is_there_and_changes_nothing(folder: Path) -> None:
    before = (folder / DATABASE_NAME).read_bytes()
    found = info(folder)
    rows = found["rows"]
    assert isinstance(rows, dict)
    assert (rows["record"], rows["project"], found["migration"], found["missing"]) == (7, 1, schema.HEAD, 0)
    assert "7  record" in run("info", "--data", folder).stdout
    assert (folder / DATABASE_NAME).read_bytes() == before


def test_migrate_shows_the_steps_and_runs_them_once(tmp_path: Path) -> None:
    data = tmp_path / "old"
    data.mkdir()
    engine = SqliteDatabase(data / DATABASE_NAME).open(is_writer=True)
    with engine.begin() as connection:
        alembic_command.upgrade(schema._config(connection), "0002")
    engine.dispose()
    checked = run("migrate", "--data", data, "--check")
    assert checked.returncode == 1
    assert checked.stdout.startswith("0003  ")
    assert info(data)["migration"] == "0002", "looking changes nothing"
    done = run("migrate", "--data", data)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == [
        f"{n:04}" for n in range(3, int(schema.HEAD) + 1)
    ]
    again = run("migrate", "--data", data, "--check")
    assert (again.returncode, "nothing is missing" in again.stdout) == (0, True)


@pytest.mark.parametrize("command", ["migrate", "restore", "info"])
def test_a_newer_releases_database_is_refused(folder: Path, tmp_path: Path, command: str) -> None:
    path = folder / DATABASE_NAME
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.execute("UPDATE store_state SET value = 9999 WHERE name = 'serves_from'")
    connection.commit()
    connection.close()
    place = tmp_path / "new" if command == "restore" else folder
    done = run(command, "--data", place, *([path] if command == "restore" else []))
    assert done.returncode == 1
    assert "newer release" in done.stderr
    assert not (tmp_path / "new" / DATABASE_NAME).exists()


def test_a_folder_without_a_database_is_named(tmp_path: Path) -> None:
    for command in (["info"], ["vacuum"], ["migrate"], ["backup", tmp_path / "x.db"]):
        done = run(command[0], "--data", tmp_path, *command[1:])
        assert done.returncode == 1
        assert "there is no database" in done.stderr
    assert list(tmp_path.iterdir()) == []
