"""What `/metrics` and the Health page say of a PostgreSQL and of the servers over it."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from freeplay_like.server.metrics import render
from freeplay_like.server.pages.health.server import Reading, of_cluster, read
from freeplay_like.server.readings import families
from freeplay_like.server.state import Settings, State
from freeplay_like.server.store.engines.database import ClusterFigures, StandbyFigures
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.store import Store

CLUSTER = ClusterFigures(
    server="a:1",
    servers=("a:1", "b:2"),
    connections=20,
    max_connections=100,
    oldest_transaction_s=0.2,
    is_synchronous=True,
    standbys=(StandbyFigures(name="near", is_synchronous=True, lag_s=0.1, lag_bytes=4_096),),
    tables={"record_body": 5_000_000, "record": 1_000_000},
    partitions_ahead=2,
    unsettled=3,
)


@pytest.fixture
def state(pg_database: str) -> Iterator[State]:
    store = Store(PostgresDatabase(pg_database))
    made = State(store=store, settings=Settings(url="http://127.0.0.1:8000"))
    yield made
    made.live.stop()
    store.close()


def levels(cluster: ClusterFigures) -> dict[str, str]:
    return {reading.name: reading.level for reading in of_cluster(cluster)}


def test_the_figures_name_this_server_and_what_the_database_takes(state: State) -> None:
    text = render(families(state, 0)).decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    (server,) = (name for name in lines if name.startswith("freeplay_like_server_info"))
    assert ":" in server
    assert int(lines["freeplay_like_servers"]) >= 1
    assert int(lines['freeplay_like_table_bytes{table="record"}']) > 0
    assert lines["freeplay_like_partitions_ahead"] == "2"
    assert lines["freeplay_like_unsettled_records"] == "0"
    assert lines["freeplay_like_standbys_wanted"] == "0"
    assert int(lines["freeplay_like_database_connections"]) < int(lines["freeplay_like_database_connections_limit"])
    assert lines['freeplay_like_questions_limit{place="primary"}'] == "8"


def test_the_page_says_of_every_number_what_it_counts(state: State) -> None:
    project = state.store.projects.create("p")
    groups = {group.title: group.readings for group in read(state, project).groups}
    assert "Write-ahead log" not in {reading.name for reading in groups["Database and disk"]}
    assert all(isinstance(reading, Reading) and reading.value for reading in groups["Servers and standbys"])
    assert {reading.level for readings in groups.values() for reading in readings} <= {"good", "plain"}


def test_what_is_not_well_is_rated_so() -> None:
    assert set(levels(CLUSTER).values()) <= {"good", "plain"}
    assert levels(attrs.evolve(CLUSTER, standbys=()))["A commit waits for"] == "bad"
    assert levels(attrs.evolve(CLUSTER, partitions_ahead=0))["Partitions ahead"] == "watch"
    assert levels(attrs.evolve(CLUSTER, connections=96))["Connections to the database"] == "bad"
    late = attrs.evolve(CLUSTER.standbys[0], lag_s=12.0)
    assert levels(attrs.evolve(CLUSTER, standbys=(late,)))["Standby near"] == "watch"
    unknown = attrs.evolve(CLUSTER.standbys[0], lag_s=None, lag_bytes=None)
    assert levels(attrs.evolve(CLUSTER, standbys=(unknown,)))["Standby near"] == "plain"
