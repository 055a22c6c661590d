"""No server knows what another does not: two of them, each a process of its own, over one PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
import requests
import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.local.simulator import Simulator
from freeplay_like.server.auth import REMEMBERED_S
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.pricing.prices import Pricer
from freeplay_like.server.store.records.saving import save_batches
from freeplay_like.server.store.tables import project
from freeplay_like.server.store.views import Batch, Incoming
from support.backend import BackendProcess
from support.events import events
from support.plain_records import a_record
from support.records import RecordMaker, post_records
from support.servers import Pair
from support.suites import PATIENCE_S, a_suite, connected, ended, executed, results, tried
from support.waiting import until


def calls_of(server: BackendProcess) -> str:
    return f"{server.url}/projects/{server.project_id}/calls"


def tail_of(server: BackendProcess, person: requests.Session, address: str = "") -> requests.Response:
    """The live tail at a server, from its address on a page, or from now on."""
    if not address:
        seen = person.get(f"{calls_of(server)}.json", timeout=20).json()["seen_seq"]
        address = urlsplit(f"{calls_of(server)}/tail?after={seen}")._replace(scheme="", netloc="").geturl()
    where = f"{server.url}{address}"
    answer = person.get(where, stream=True, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def post(server: BackendProcess, *records: Record) -> None:
    post_records(server.api_base, server.api_key, list(records))


def tell(server: BackendProcess, *calls: object) -> list[str]:
    """Tell a server of calls that run; those that it wants to be told of whole."""
    told = requests.post(
        f"{server.project_base}/records:live", data=to_wire({"calls": calls}), headers=server.headers, timeout=20
    )
    assert told.status_code == 200, told.text
    unknown: list[str] = told.json()["unknown"]
    return unknown


@contextlib.contextmanager
def being_stored(database_url: str, record: Record) -> Iterator[None]:
    """A third server has given a record its number, and is slow to commit; it does at the end of the block."""
    database = PostgresDatabase(database_url)
    engine = database.open(is_writer=True)
    incoming = Incoming(index=0, record=record, body=to_wire(record))
    with engine.begin() as connection:
        key = connection.execute(sa.select(project.c.key).where(project.c.id == record.project_id)).scalar_one()
        batch = Batch(project_key=key, records=(incoming,), received_at=datetime.now(UTC))
        save_batches(connection, [batch], pricer=Pricer())
        yield
    engine.dispose()


def test_a_record_that_one_takes_appears_in_the_live_list_at_the_other(pair: Pair) -> None:
    _, person = pair.sign_in()
    records = RecordMaker(project_id=pair.a.project_id).make(2)
    with tail_of(pair.b, person) as answer:
        told = events(answer)
        for record in records:
            post(pair.a, record)
            assert next(told).rows == [record.record_id]


def test_a_record_appears_although_its_news_was_lost(pair: Pair) -> None:
    _, person = pair.sign_in()
    records = RecordMaker(project_id=pair.a.project_id).make(2)
    end_lines = sa.text(
        "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database() AND (query LIKE 'LISTEN %' OR query LIKE '%pg_notify%' "
        "OR query LIKE '%pg_locks%')"
    )
    engine = PostgresDatabase(pair.database_url).open(is_writer=True)
    with tail_of(pair.b, person) as answer:
        told = events(answer)
        for record in records:
            with engine.begin() as connection:
                assert connection.execute(end_lines).scalar_one() >= 1
            post(pair.a, record)
            assert next(told).rows == [record.record_id]
    engine.dispose()


def test_a_record_that_is_slow_to_be_there_is_not_left_out(pair: Pair) -> None:
    person, _ = pair.sign_in()
    slow, quick, last = RecordMaker(project_id=pair.a.project_id).make(3)
    with tail_of(pair.a, person) as answer:
        told = events(answer)
        with being_stored(pair.database_url, slow):
            post(pair.b, quick)
            page = person.get(f"{calls_of(pair.a)}.json", timeout=20).json()
            assert page["page"]["rows"][0]["record_id"] == quick.record_id, "it is there at once"
            text = person.get(calls_of(pair.a), timeout=20).text
        assert next(told).rows == [quick.record_id, slow.record_id]
    address = text.partition('hx-sse:connect="')[2].partition('"')[0].replace("&amp;", "&")
    (shown,) = parse_qs(urlsplit(address).query)["shown"]
    assert shown.split(",")[0] == str(page["page"]["rows"][0]["seq"])
    with tail_of(pair.a, person, address) as answer:
        told = events(answer)
        assert next(told).rows == [slow.record_id], "and not what the page shows already"
        post(pair.b, last)
        assert next(told).rows == [last.record_id]


def test_a_call_that_one_is_told_of_is_seen_growing_at_the_other(pair: Pair) -> None:
    at_a, at_b = pair.sign_in()
    record = a_record(pair.a.project_id)
    assert tell(pair.a, {"record_id": record.record_id, "record": record, "text": "To be"}) == []
    assert record.record_id[-6:] in at_b.get(calls_of(pair.b), timeout=20).text
    for person, server in ((at_a, pair.a), (at_b, pair.b)):
        page = person.get(f"{calls_of(server)}/{record.record_id}", timeout=20)
        assert "To be" in page.text
    with (
        at_a.get(f"{calls_of(pair.a)}/{record.record_id}/live", stream=True, timeout=60) as there,
        at_b.get(f"{calls_of(pair.b)}/{record.record_id}/live?after=5", stream=True, timeout=60) as here,
    ):
        told_there, told_here = events(there), events(here)
        assert next(told_there).data == "To be"
        assert tell(pair.a, {"record_id": record.record_id, "at": 5, "text": " or not"}) == []
        assert (next(told_there).data, next(told_here).data) == (" or not", " or not")
        assert tell(pair.b, {"record_id": record.record_id, "at": 12, "text": " to be"}) == [], "its program may move"
        assert (next(told_there).data, next(told_here).data) == (" to be", " to be")
        post(pair.b, attrs.evolve(record, outcome="complete"))
        assert (next(told_there).name, next(told_here).name) == ("end", "end")


def test_the_list_at_one_shows_how_many_calls_run_at_the_other(pair: Pair) -> None:
    _, person = pair.sign_in()
    record = a_record(pair.a.project_id)
    with tail_of(pair.b, person) as answer:
        told = events(answer)
        tell(pair.a, {"record_id": record.record_id, "record": record})
        assert "1 streaming now" in next(told).data
        post(pair.a, record)
        news = [next(told), next(told)]
        assert [event.rows for event in news if event.rows] == [[record.record_id]]
        assert [event for event in news if not event.rows and "streaming" not in event.data]


def test_who_signs_in_at_one_is_signed_in_at_the_other_and_so_out(pair: Pair) -> None:
    at_a, at_b = pair.sign_in()
    assert at_b.get(f"{pair.b.url}/projects", timeout=20).status_code == 200
    out = at_a.post(f"{pair.a.url}/sign-out", headers={"Origin": pair.a.url}, timeout=20, allow_redirects=False)
    assert out.status_code == 303
    assert at_b.get(f"{pair.b.url}/projects", timeout=20).status_code == 401


def test_a_sign_in_link_is_good_at_one_of_them_alone(pair: Pair) -> None:
    link = pair.a.sign_in_url()
    assert requests.get(link, timeout=20).status_code == 200
    again = requests.get(link.replace(pair.a.url, pair.b.url), timeout=20)
    assert again.status_code in (400, 401, 403, 410), again.text


def test_a_key_that_is_revoked_at_one_is_refused_at_the_other(pair: Pair) -> None:
    address = f"{pair.b.project_base}/prompt-templates"

    def status() -> int:
        return requests.get(address, headers=pair.b.headers, timeout=20).status_code

    assert status() == 200
    key_id = pair.b.api_key.split("_")[1]
    revoked = requests.delete(f"{pair.a.project_base}/api-keys/{key_id}", headers=pair.a.headers, timeout=20)
    assert revoked.status_code == 200, revoked.text
    until(lambda: status() == 401, REMEMBERED_S + 20, "the end of the key")


def test_a_run_is_carried_out_once_and_the_other_goes_on_where_one_stops(own_pair: Pair, simulator: Simulator) -> None:
    connected(own_pair.a, simulator)
    suite = a_suite(own_pair.a, 16, model="sim:echo,first_delay_ms=150")
    run_id = executed(own_pair.a, suite)
    simulator.wait_for_requests(5, PATIENCE_S)
    assert own_pair.a.stop() == 0
    assert len(simulator.requests) < 16
    end = ended(own_pair.b, suite, run_id)
    assert (end["status"], end["finished_test_cases"]) == ("complete", 16)
    assert len(simulator.requests) == 16, "each case was asked once"
    outcomes = [[record["outcome"] for record in case["records"]] for case in tried(own_pair.b, run_id)]
    assert outcomes == [["complete"]] * 16


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_run_begun_at_one_ends_at_either(own_pair: Pair, simulator: Simulator, is_killed: bool) -> None:
    connected(own_pair.a, simulator)
    suite = a_suite(own_pair.a, 12, model="sim:echo,first_delay_ms=100")
    run_id = executed(own_pair.a, suite)
    simulator.wait_for_requests(3, PATIENCE_S)
    if is_killed:
        own_pair.a.kill()
    end = ended(own_pair.b, suite, run_id)
    assert (end["status"], end["finished_test_cases"]) == ("complete", 12)
    assert results(own_pair.b, suite, run_id)["status"] == "complete"
    cases = tried(own_pair.b, run_id)
    assert [sum(record["outcome"] == "complete" for record in case["records"]) for case in cases] == [1] * 12
    assert is_killed or len(simulator.requests) == 12
