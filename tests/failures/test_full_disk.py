"""A database whose disk is full: nothing more is acknowledged, nothing acknowledged is lost, and room ends it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psycopg
import pytest
import requests

from support.backend import BackendProcess
from support.postgres import Cluster, MayNotMount
from support.waiting import until
from support.writers import Note, StartServers, Writers, reckon

pytestmark = pytest.mark.timeout(300)
DISK_MIB = 256
ROOM_MIB = 10
"""What is left for the records of the test: less than a segment of the log."""


@pytest.fixture
def small(postgres: Cluster) -> Iterator[Cluster]:
    """A database on a small disk of its own; `postgres` skips where there is none."""
    try:
        own = Cluster(fsync=True, disk_mib=DISK_MIB, settings={"max_wal_size": "48MB", "min_wal_size": "32MB"})
    except MayNotMount as exc:
        pytest.skip(str(exc))
    with own:
        yield own
        print(own.log[-5_000:])  # shown where the test fails


def test_a_full_disk_of_the_database_loses_nothing_and_ends_with_room(
    small: Cluster, servers: StartServers, note: Note
) -> None:
    url = small.create_database("app")
    fleet = servers(url, 2)
    with Writers(fleet) as writers:
        writers.wait_for(200)
        until(lambda: fill(small.data / "ballast"), what="a disk that is nearly full")
        writers.wait_for_refusal(503)
        writers.wait_for_refusal(503)
        (small.data / "ballast").unlink()
        has_ended = until(lambda: came_through(small), 60, "a database that answers")
        writers.wait_for(200)
    until(lambda: all(is_well(server) for server in fleet), 60, "servers that are well")
    seen = "PostgreSQL ended, and was started" if has_ended == "ended" else "PostgreSQL went on"
    note(f"full disk of the database ({DISK_MIB} MiB tmpfs): {seen}", reckon(writers, fleet, url))


def fill(ballast: Path) -> bool:
    """Leave little room; False where somebody else took it meanwhile."""
    with ballast.open("wb") as file:
        disk = os.fstatvfs(file.fileno())
        try:
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - ROOM_MIB * 1024 * 1024)
        except OSError:
            return False
    return True


def came_through(cluster: Cluster) -> Literal["went on", "ended"] | None:
    """How PostgreSQL bore it; None while it recovers. Where its own log finds no room it ends, and is started here."""
    if not cluster.is_running:
        cluster.start()
        return "ended"
    try:
        cluster.execute("SELECT 1")
    except psycopg.OperationalError:
        return None
    return "went on"


def is_well(server: BackendProcess) -> bool:
    return requests.get(f"{server.url}/healthz", timeout=30).status_code == 200
