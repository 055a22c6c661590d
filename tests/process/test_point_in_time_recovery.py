"""Backups of a PostgreSQL and the ways back, by the scripts and settings of docs/deploy, as docs/deploy.md has them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import requests

from support.backend import BackendProcess
from support.postgres import PATIENCE_S, Cluster, NoPostgres, find_binaries
from support.records import RecordMaker, post_records
from support.waiting import until

DEPLOY: Final = Path(__file__).parents[2] / "docs" / "deploy"
ARCHIVE: Final = "/var/backups/postgresql/wal"
"""Where the documented settings put the archive."""
SETTING: Final = re.compile(r"^(\w+) = (?:'(.*)'|(\S+))$", re.MULTILINE)


def documented_settings() -> dict[str, str]:
    lines = SETTING.findall((DEPLOY / "postgresql.conf").read_text(encoding="utf-8"))
    return {name: quoted or plain for name, quoted, plain in lines}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL with the documented settings; where its archive is, it is told in `archive_to`."""
    settings = documented_settings()
    for name in ("archive_command", "fsync", "synchronous_commit"):  # nothing here needs a disk that was waited for
        del settings[name]
    try:
        made = Cluster(settings=settings)
    except NoPostgres as exc:
        pytest.skip(str(exc))
    with made:
        yield made


def archive_to(cluster: Cluster, folder: Path) -> None:
    command = documented_settings()["archive_command"].replace(ARCHIVE, str(folder))
    cluster.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
    cluster.execute("SELECT pg_reload_conf()")


def archive_everything(cluster: Cluster) -> None:
    """Have all that was committed in the archive, as it is by itself after `archive_timeout`."""
    (last,) = cluster.execute("SELECT pg_walfile_name(pg_switch_wal())")[0]
    wanted = "SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal >= %s"
    until(lambda: cluster.execute(wanted, [last]), PATIENCE_S, f"{last} in the archive")


def calls_of(backend: BackendProcess) -> Mapping[str, object]:
    """Every call as the API has it, but without its cost, which a server adds some time after it came."""
    answer = requests.get(f"{backend.project_base}/export?format=jsonl", headers=backend.headers, timeout=60)
    answer.raise_for_status()
    lines = [json.loads(line) for line in answer.text.splitlines()]
    return {line["record_id"]: {**line, "cost_usd": None} for line in lines}


def test_a_backup_and_its_archive_lead_to_the_moment_before_a_mistake(cluster: Cluster, tmp_path: Path) -> None:
    archive, backups = cluster.make_folder("wal"), cluster.make_folder("base")
    archive_to(cluster, archive)
    url = cluster.create_database("freeplay_like")
    with BackendProcess(tmp_path / "first", project="shop", database_url=url) as backend:
        make = RecordMaker(project_id=backend.project_id).make
        post_records(backend.api_base, backend.api_key, make(30))
        backup = cluster.run_script(DEPLOY / "backup.sh", str(backups), str(archive)).strip()
        post_records(backend.api_base, backend.api_key, make(20))
        wanted = calls_of(backend)
        (moment,) = cluster.execute("SELECT now()::text")[0]
        deleted = requests.delete(backend.project_base, headers=backend.headers, timeout=60)
        assert deleted.ok, deleted.text
    archive_everything(cluster)
    cluster.kill()

    settings = {name: value for name, value in documented_settings().items() if name.startswith("max_")}
    restored = cluster.empty("restored", settings)
    cluster.run_script(DEPLOY / "recover.sh", backup, str(archive), str(restored.data), moment)
    restored.start()
    until(lambda: not restored.is_in_recovery(), PATIENCE_S, "the end of the recovery")
    with BackendProcess(tmp_path / "second", project="shop", database_url=restored.url("freeplay_like")) as backend:
        assert len(wanted) == 50
        assert calls_of(backend) == wanted
        post_records(backend.api_base, backend.api_key, make(5))
        assert len(calls_of(backend)) == 55


def test_backups_beyond_those_that_are_kept_go_with_their_part_of_the_archive(cluster: Cluster) -> None:
    archive, backups = cluster.make_folder("wal"), cluster.make_folder("base")
    archive_to(cluster, archive)
    made = []
    for _ in range(3):
        archive_everything(cluster)
        until(lambda: not made or made[-1] < now_of(cluster), PATIENCE_S)  # their names are told apart by the second
        made.append(Path(cluster.run_script(DEPLOY / "backup.sh", str(backups), str(archive), "2").strip()).name)
    assert sorted(folder.name for folder in backups.iterdir()) == made[1:]
    label = (backups / made[1] / "backup_label").read_text()
    (first,) = re.findall(r"\(file (\w+)\)", label)
    segments = [name for name in sorted(path.name for path in archive.iterdir()) if re.fullmatch(r"[0-9A-F]{24}", name)]
    assert segments[0] == first


def now_of(cluster: Cluster) -> str:
    return str(cluster.execute("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS\"Z\"')")[0][0])


def test_a_folder_with_something_in_it_is_not_recovered_into(postgres: Cluster) -> None:
    backup = postgres.make_folder("no_backup")
    with pytest.raises(AssertionError, match="is not empty"):
        postgres.run_script(DEPLOY / "recover.sh", str(backup), str(backup), str(postgres.data))


def test_a_plain_role_is_enough_and_a_dump_of_its_database_has_every_call(postgres: Cluster, tmp_path: Path) -> None:
    postgres.execute("CREATE ROLE plain LOGIN")
    urls = []
    for name in ("plain", "again"):
        postgres.execute(f"CREATE DATABASE {name} OWNER plain TEMPLATE template0 ENCODING 'UTF8'")
        urls.append(f"postgresql://plain@{postgres.address}/{name}")
    with BackendProcess(tmp_path / "first", project="shop", database_url=urls[0]) as backend:
        records = RecordMaker(project_id=backend.project_id).make(40)
        post_records(backend.api_base, backend.api_key, records)
        wanted = calls_of(backend)
    programs, file = find_binaries(), tmp_path / "dump"
    for command in (
        [programs / "pg_dump", "--format=custom", f"--file={file}", urls[0]],
        [programs / "pg_restore", "--exit-on-error", f"--dbname={urls[1]}", file],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    with BackendProcess(tmp_path / "second", project="shop", database_url=urls[1]) as backend:
        assert calls_of(backend) == wanted
        assert post_records(backend.api_base, backend.api_key, records[:3])["duplicates"] == 3
        post_records(backend.api_base, backend.api_key, RecordMaker(project_id=backend.project_id, seed=8).make(2))
        assert len(calls_of(backend)) == 42
    for name in ("plain", "again"):
        postgres.drop_database(name)
    postgres.execute("DROP ROLE plain")
