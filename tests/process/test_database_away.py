"""A server over a PostgreSQL that is away, read-only or full of others: it says so, and needs no restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from freeplay_like.core.wire import to_wire
from support.backend import BackendProcess
from support.plain_records import a_record
from support.postgres import Cluster, NoPostgres
from support.waiting import until

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        made = Cluster(fsync=True)
    except NoPostgres as exc:
        pytest.skip(str(exc))
    with made:
        yield made


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    folder: Path = tmp_path_factory.mktemp("away") / "data"
    with BackendProcess(folder, database_url=cluster.create_database("away")) as process:
        yield process


@pytest.fixture
def browser(server: BackendProcess) -> Iterator[requests.Session]:
    """A browser that is signed in."""
    with requests.Session() as session:
        session.headers["Accept"] = "text/html"
        session.get(server.sign_in_url(), timeout=PATIENCE_S)
        yield session


def look(browser: requests.Session, server: BackendProcess, suffix: str = "") -> requests.Response:
    return browser.get(f"{server.url}/projects/{server.project_id}/calls{suffix}", timeout=PATIENCE_S)


def health(server: BackendProcess, path: str = "/healthz") -> requests.Response:
    return requests.get(f"{server.url}{path}", timeout=PATIENCE_S)


def post(server: BackendProcess) -> requests.Response:
    record = a_record(server.project_id)
    body = b'{"records":[' + to_wire(record) + b"]}"
    headers = {**server.headers, "Content-Type": "application/json"}
    return requests.post(f"{server.project_base}/records:batch", data=body, headers=headers, timeout=PATIENCE_S)


def answers_503(response: requests.Response) -> bool:
    return response.status_code == 503 and response.headers["retry-after"] == "1"


def test_while_the_database_is_away_everything_says_so_and_the_first_question_after_it_is_answered(
    server: BackendProcess, cluster: Cluster, browser: requests.Session
) -> None:
    assert post(server).status_code == 200
    assert look(browser, server).status_code == 200
    cluster.kill()
    page = look(browser, server)
    assert answers_503(page)
    assert "cannot answer just now" in page.text
    assert answers_503(health(server))
    assert answers_503(health(server, "/readyz"))
    assert answers_503(post(server))
    for _ in range(20):
        assert answers_503(look(browser, server, ".json"))
    assert server.log.count("ERROR freeplay_like.server.store.reading: ") == 1
    cluster.start()
    assert look(browser, server).status_code == 200
    assert post(server).status_code == 200
    assert health(server, "/readyz").status_code == 200
    until(lambda: health(server).status_code == 200, PATIENCE_S, "the server's health")


def test_a_database_that_was_started_again_in_between_is_noticed_by_nobody(
    server: BackendProcess, cluster: Cluster, browser: requests.Session
) -> None:
    assert look(browser, server).status_code == 200
    cluster.stop()
    cluster.start()
    assert look(browser, server).status_code == 200
    assert post(server).status_code == 200


def test_a_database_that_takes_no_writes_can_be_read(
    server: BackendProcess, cluster: Cluster, browser: requests.Session
) -> None:
    cluster.execute("ALTER DATABASE away SET default_transaction_read_only = on")
    cluster.stop()
    cluster.start()
    try:
        until(lambda: answers_503(post(server)), PATIENCE_S, "the refusal of records")
        refused = health(server)
        assert answers_503(refused)
        assert "writ" in refused.json()["message"]
    finally:
        cluster.execute("ALTER DATABASE away RESET default_transaction_read_only")
        cluster.stop()
        cluster.start()
    assert post(server).status_code == 200


def test_a_question_that_somebody_holds_up_is_refused_in_time(
    server: BackendProcess, cluster: Cluster, browser: requests.Session
) -> None:
    assert look(browser, server).status_code == 200
    with psycopg.connect(cluster.url("away")) as holding:
        holding.execute("LOCK TABLE browser_session IN ACCESS EXCLUSIVE MODE")
        assert answers_503(look(browser, server))
    assert look(browser, server).status_code == 200
