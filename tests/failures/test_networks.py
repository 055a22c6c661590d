"""Networks that are cut, hang, or lose an answer: on the way to the database, and on the way to the clients."""

from __future__ import annotations

import pytest
import requests

from support.cut import Proxy
from support.postgres import Cluster
from support.waiting import until
from support.writers import BATCH, Note, StartServers, Writers, port_of, reckon

pytestmark = pytest.mark.timeout(300)
LOST_ANSWERS = 10
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO record_key%'"


def by_way_of(network: Proxy) -> str:
    return f"postgresql://app@127.0.0.1:{network.port}/app"


def test_a_server_that_is_cut_off_from_its_database_says_so_and_goes_on_when_it_is_back(
    cluster: Cluster, database_url: str, servers: StartServers, note: Note
) -> None:
    with Proxy(cluster.port) as network:
        (server,) = servers(by_way_of(network), 1)
        pid = server.pid
        with Writers([server]) as writers:
            writers.wait_for(200)
            network.cut()
            writers.wait_for_refusal(503)
            for path in ("/healthz", "/readyz", f"/api/v2/projects/{server.project_id}/statistics/summary"):
                answer = requests.get(server.url + path, headers=server.headers, timeout=30)
                assert (answer.status_code, "Retry-After" in answer.headers) == (503, True), path
            network.restore()
            writers.wait_for(200)
        assert server.pid == pid
        until(lambda: requests.get(f"{server.url}/healthz", timeout=30).status_code == 200, 60, "a server that is well")
        note("network between server and database cut", reckon(writers, [server], database_url))


def test_a_server_whose_database_hangs_holds_up_no_other(
    cluster: Cluster, database_url: str, servers: StartServers, note: Note
) -> None:
    with Proxy(cluster.port) as network:
        (hanging,), (well,) = servers(by_way_of(network), 1), servers(database_url, 1)
        fleet = [hanging, well]
        with Writers(fleet, timeout_s=2) as writers:
            writers.wait_for(200)
            hangs = network.hang_at(b"COPY record ")  # in a transaction that has its numbers, and keys of records
            assert hangs.wait(60)
            until(lambda: cluster.execute(WAITING), 60, "the same records on their way through the other server")
            writers.wait_for(200)
            network.restore()
            writers.wait_for(200)
        note("network of one of two servers hangs in a transaction", reckon(writers, fleet, database_url))


def test_a_commit_whose_answer_is_lost_stores_nothing_twice(
    cluster: Cluster, database_url: str, servers: StartServers, note: Note
) -> None:
    with Proxy(cluster.port) as network:
        (server,) = servers(by_way_of(network), 1)
        with Writers([server]) as writers:
            for _ in range(LOST_ANSWERS):
                is_lost = network.lose_answer_to(b"COMMIT", after=b"COPY record_body")
                assert is_lost.wait(60)
                writers.wait_for(50)
        assert writers.told_again > 0
        note("answer to a COMMIT lost, ten times", reckon(writers, [server], database_url))


def test_an_acknowledgement_that_is_lost_stores_nothing_twice(
    database_url: str, servers: StartServers, note: Note
) -> None:
    fleet = servers(database_url, 2)
    with (
        Proxy(port_of(fleet[0])) as one,
        Proxy(port_of(fleet[1])) as other,
        Writers(fleet, ports=[one.port, other.port]) as writers,
    ):
        for _ in range(LOST_ANSWERS // 2):
            for network in (one, other):  # who lost an answer goes to the other server
                is_lost = network.lose_answer_to(b"/records:batch")
                assert is_lost.wait(60)
                writers.wait_for(50)
    assert writers.told_again == LOST_ANSWERS * BATCH
    note("acknowledgement to a client lost, ten times", reckon(writers, fleet, database_url))
