from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from support.cut import Proxy
from support.postgres import Cluster, NoPostgres, find_binaries
from support.postgres_keeper import kill_all_in
from support.waiting import until

TESTS = Path(__file__).parents[1]
NOBODY = 65_534
MAY_READ = "+dac_read_search"  # this Python may lie in root's home
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
AS_NOBODY += [f"--inh-caps={MAY_READ}", f"--ambient-caps={MAY_READ}"]
STARTS_ONE = """
import json, sys
from support.postgres import Cluster
with Cluster() as cluster:
    [[version]] = cluster.execute("SHOW server_version_num")
    print(json.dumps({"version": int(version), "data": str(cluster.data), "url": cluster.url()}), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster(postgres: Cluster) -> Iterator[Cluster]:
    """A server that may be killed; `postgres` skips where there is none."""
    with Cluster(fsync=True) as own:
        yield own


def starts_one(*prefix: str) -> subprocess.Popen[str]:
    """A test run of its own, which starts a server and waits."""
    command = [*prefix, sys.executable, "-c", STARTS_ONE]
    pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(TESTS)}
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment, cwd="/")


def works_in(folder: Path) -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cwd"]) if str(each.info["cwd"]).startswith(str(folder))]


def test_a_database_of_a_test_is_empty_and_its_own(pg_database: str, postgres: Cluster) -> None:
    with psycopg.connect(pg_database) as connection:
        connection.execute("CREATE TABLE kept (a int)")
    postgres.create_database("second", template=pg_database.rpartition("/")[2])
    assert postgres.execute("SELECT count(*) FROM kept", database="second") == [(0,)]
    postgres.drop_database("second")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        postgres.execute("SELECT 1", database="second")


def test_a_server_starts_where_the_tests_run_as_root_and_where_they_do_not(postgres: Cluster) -> None:
    assert postgres.data.stat().st_uid != 0
    is_root = os.geteuid() == 0
    if is_root and subprocess.run([*AS_NOBODY, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("another user may not run this Python")
    with starts_one(*(AS_NOBODY if is_root else ())) as run:
        assert run.stdout is not None
        said = run.stdout.readline()
        assert said, run.stderr and run.stderr.read()
        started = json.loads(said)
        assert started["version"] >= 150_000
        assert Path(started["data"]).stat().st_uid == (NOBODY if is_root else os.geteuid())
        run.communicate()
    assert run.returncode == 0
    assert not Path(started["data"]).parent.exists()


def test_a_standby_follows_and_is_promoted_after_the_primary_was_killed(cluster: Cluster) -> None:
    standby = cluster.standby("standby_b", synchronous=True)
    cluster.execute("CREATE TABLE kept (a int)")
    cluster.execute("INSERT INTO kept VALUES (%s)", [5])
    until(lambda: standby.execute("SELECT a FROM kept") == [(5,)], what="the row on the standby")
    assert standby.is_in_recovery()
    assert not cluster.is_in_recovery()

    cluster.kill()
    assert works_in(cluster.data) == []
    standby.promote()
    standby.execute("INSERT INTO kept VALUES (6)")
    with psycopg.connect(
        f"postgresql://app@{cluster.address},{standby.address}/postgres?target_session_attrs=read-write"
    ) as connection:
        assert connection.execute("SELECT a FROM kept ORDER BY a").fetchall() == [(5,), (6,)]
    standby.close()


def test_a_killed_server_starts_again_at_the_same_address_with_all_that_was_committed(postgres: Cluster) -> None:
    with Cluster(fsync=True) as own:
        url = own.url()
        own.execute("CREATE TABLE kept (a int)")
        own.execute("INSERT INTO kept SELECT generate_series(1, 100)")
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO kept VALUES (101)")  # never committed
            own.kill()
            assert not own.is_running
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        own.start()
        assert own.url() == url
        assert own.execute("SELECT count(*) FROM kept") == [(100,)]


def test_nothing_is_left_of_a_killed_test_run(postgres: Cluster) -> None:
    with starts_one() as run:
        assert run.stdout is not None
        data = Path(json.loads(run.stdout.readline())["data"])
        segment = (data / "postmaster.pid").read_text().splitlines()[6].split()[1]
        assert segment in shared_memory()
        assert works_in(data)
        run.send_signal(signal.SIGKILL)
    until(lambda: not data.parent.exists(), what="the end of the folder")
    assert works_in(data) == []
    assert segment not in shared_memory()


def shared_memory() -> str:
    """The System V segments of this machine."""
    return subprocess.run(["ipcs", "-m"], check=True, capture_output=True, text=True).stdout


def test_nothing_is_left_of_a_server_after_an_exception(postgres: Cluster) -> None:
    with pytest.raises(psycopg.errors.SyntaxError), Cluster() as own:
        own.execute("SELECT FROM WHERE")
    assert not own.data.parent.exists()
    assert works_in(own.data.parent) == []


def test_a_server_that_does_not_start_says_why(postgres: Cluster) -> None:
    with pytest.raises(AssertionError, match="outside the valid range"), Cluster(settings={"max_connections": "0"}):
        pass


def test_processes_elsewhere_are_not_killed(tmp_path: Path) -> None:
    inside, beside = tmp_path / "data", tmp_path / "data2"
    inside.mkdir()
    beside.mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=inside) as one, subprocess.Popen(["sleep", "60"], cwd=beside) as other:
        until(lambda: len(works_in(tmp_path)) == 2)
        kill_all_in(inside)
        assert one.wait() == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_a_folder_without_the_programs_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))
    with pytest.raises(NoPostgres, match=f"{tmp_path}: without initdb, postgres, pg_basebackup"):
        find_binaries()


def test_an_old_postgresql_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("initdb", "postgres", "pg_basebackup"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'")
        (tmp_path / name).chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))
    with pytest.raises(NoPostgres, match=r"14\.9|may not run it"):  # root's temporary folder is root's alone
        find_binaries()


def test_a_cut_network_is_cut_until_it_is_restored(pg_database: str, postgres: Cluster) -> None:
    with Proxy(postgres.port) as network:
        url = pg_database.replace(str(postgres.port), str(network.port))
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchall() == [(1,)]
            network.cut()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        network.restore()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 2").fetchall() == [(2,)]


def test_in_a_hanging_network_nothing_passes_until_it_is_restored(pg_database: str, postgres: Cluster) -> None:
    with Proxy(postgres.port) as network:
        url = pg_database.replace(str(postgres.port), str(network.port))
        connection = psycopg.connect(url, autocommit=True)
        connection.execute("CREATE TABLE kept (a int)")
        network.hang()
        with ThreadPoolExecutor(1) as pool:
            insert = pool.submit(connection.execute, "INSERT INTO kept VALUES (1)")
            try:
                with pytest.raises(psycopg.errors.ConnectionTimeout):
                    psycopg.connect(url, connect_timeout=2)
                assert postgres.execute("SELECT * FROM kept", database=pg_database.rpartition("/")[2]) == []
            finally:
                network.restore()
            assert insert.result().rowcount == 1
        connection.close()


def test_the_answer_to_a_commit_is_lost_and_the_commit_is_not(pg_database: str, postgres: Cluster) -> None:
    with Proxy(postgres.port) as network:
        connection = psycopg.connect(pg_database.replace(str(postgres.port), str(network.port)))
        connection.execute("CREATE TABLE kept AS SELECT 7 AS a")
        is_lost = network.lose_answer_to(b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        connection.close()
        assert is_lost.is_set()
    assert postgres.execute("SELECT a FROM kept", database=pg_database.rpartition("/")[2]) == [(7,)]
