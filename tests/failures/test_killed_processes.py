"""Kill -9: of servers, and of databases, while clients send. What was acknowledged is there, once."""

from __future__ import annotations

import pytest
import requests

from support.backend import BackendProcess
from support.postgres import Cluster
from support.waiting import until
from support.writers import Note, StartServers, Writers, check_answers, exported, reckon

pytestmark = pytest.mark.timeout(300)


def test_a_killed_server_among_three_loses_nothing(database_url: str, servers: StartServers, note: Note) -> None:
    fleet = servers(database_url, 3)
    with Writers(fleet) as writers:
        for victim in fleet:
            writers.wait_for(200)
            victim.kill()
            writers.wait_for(100)
            victim.start()
        writers.wait_for(100)
    note("kill -9 of each of three servers", reckon(writers, fleet, database_url))
    follow_to_the_end(writers, fleet)


def test_a_killed_primary_loses_nothing_that_its_synchronous_standby_has(
    cluster: Cluster, servers: StartServers, note: Note
) -> None:
    standby = cluster.standby("standby_b", synchronous=True)
    cluster.create_database("app")
    fleet = servers(f"postgresql://app@{cluster.address},{standby.address}/app", 3)
    with Writers(fleet) as writers:
        writers.wait_for(300)
        cluster.kill()
        writers.wait_for_refusal(503)
        standby.promote()
        writers.wait_for(300)
    note("kill -9 of the primary, standby promoted", reckon(writers, fleet, standby.url("app")))
    follow_to_the_end(writers, fleet)


def test_a_killed_database_that_is_started_again_has_all_that_was_acknowledged(
    cluster: Cluster, database_url: str, servers: StartServers, note: Note
) -> None:
    fleet = servers(database_url, 2)
    with Writers(fleet) as writers:
        for _ in range(3):
            writers.wait_for(200)
            cluster.kill()
            writers.wait_for_refusal(503)
            cluster.start()
        writers.wait_for(100)
    note("kill -9 of the only database, three times", reckon(writers, fleet, database_url))
    follow_to_the_end(writers, fleet)


def follow_to_the_end(writers: Writers, fleet: list[BackendProcess]) -> None:
    """Wait until the text index has all, and ask again: now it is the index that answers."""
    until(lambda: max(map(text_lag, fleet)) == 0, 60, "the end of the text index")
    check_answers(writers, fleet, set(exported(fleet[0])))


def text_lag(server: BackendProcess) -> float:
    """How many records the text index has not seen yet."""
    text = requests.get(f"{server.url}/metrics", timeout=30).text
    (line,) = (line for line in text.splitlines() if line.startswith('freeplay_like_lag_records{part="text"}'))
    return float(line.split()[1])
