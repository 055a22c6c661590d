"""The live tail as its readers see it: server-sent events from a real server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import attrs
import pytest
import requests

from freeplay_like.server.pages.calls.tail import MOST_TAILS
from support.backend import BackendProcess
from support.events import events
from support.records import RecordMaker, post_records
from support.waiting import until


@pytest.fixture
def person(own_backend: BackendProcess) -> Iterator[requests.Session]:
    with requests.Session() as browser:
        browser.get(own_backend.sign_in_url(), timeout=20).raise_for_status()
        yield browser


def address(backend: BackendProcess) -> str:
    return f"{backend.url}/projects/{backend.project_id}/calls/tail"


def open_tail(backend: BackendProcess, person: requests.Session, last_id: str = "", **query: str) -> requests.Response:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    return person.get(address(backend), params=query, headers=headers, stream=True, timeout=30)


def test_begins_after_the_record_that_the_page_knew(own_backend: BackendProcess, person: requests.Session) -> None:
    records = RecordMaker(project_id=own_backend.project_id).make(3)
    post_records(own_backend.api_base, own_backend.api_key, records)
    with open_tail(own_backend, person, after="1") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event = next(events(answer))
    assert event.rows == [records[2].record_id, records[1].record_id]
    assert event.id == "3"


def test_a_later_record_that_the_page_knew_is_left_out(own_backend: BackendProcess, person: requests.Session) -> None:
    records = RecordMaker(project_id=own_backend.project_id).make(3)
    post_records(own_backend.api_base, own_backend.api_key, records)
    with open_tail(own_backend, person, after="0", shown="1,3") as answer:
        event = next(events(answer))
    assert (event.id, event.rows) == ("3", [records[1].record_id])
    with open_tail(own_backend, person, after="0", shown="1,x") as answer:
        assert answer.status_code == 400


def test_a_reader_that_comes_back_is_told_nothing_twice(own_backend: BackendProcess, person: requests.Session) -> None:
    records = RecordMaker(project_id=own_backend.project_id).make(4)
    post_records(own_backend.api_base, own_backend.api_key, records[:2])
    with open_tail(own_backend, person, after="0") as answer:
        first = next(events(answer))
    post_records(own_backend.api_base, own_backend.api_key, records[2:])
    with open_tail(own_backend, person, last_id=first.id, after="0") as answer:
        second = next(events(answer))
    assert first.rows + second.rows == [records[i].record_id for i in (1, 0, 3, 2)]


def test_text_with_any_kind_of_line_end_stays_in_its_event(
    own_backend: BackendProcess, person: requests.Session
) -> None:
    record = RecordMaker(project_id=own_backend.project_id).one()
    message = attrs.evolve(record.messages[-1], content="one\r\rid: 99\r\n\r\ndata: two\n\nevent: three")
    post_records(own_backend.api_base, own_backend.api_key, [attrs.evolve(record, messages=(message,))])
    with open_tail(own_backend, person, after="0") as answer:
        event = next(events(answer))
    assert (event.id, event.name, event.rows) == ("1", "", [record.record_id])


def test_only_what_the_filter_lets_through_is_told(own_backend: BackendProcess, person: requests.Session) -> None:
    maker = RecordMaker(project_id=own_backend.project_id)
    records = [maker.one(0, outcome="refused"), maker.one(1), maker.one(2, outcome="refused")]
    with open_tail(own_backend, person, after="0", q="outcome:complete") as answer:
        post_records(own_backend.api_base, own_backend.api_key, records)
        event = next(events(answer))
    assert event.rows == [records[1].record_id]


def test_a_reader_far_behind_is_told_so(own_backend: BackendProcess, person: requests.Session) -> None:
    records = RecordMaker(project_id=own_backend.project_id).make(101)
    post_records(own_backend.api_base, own_backend.api_key, records)
    with open_tail(own_backend, person, after="0") as answer:
        told = list(events(answer))
    assert [event.name for event in told] == ["behind"]


def test_ends_in_order_when_the_server_stops(own_backend: BackendProcess, person: requests.Session) -> None:
    with open_tail(own_backend, person, after="0") as answer:
        assert own_backend.stop() == 0
        assert list(events(answer)) == []  # the end of the answer, not of the connection: that would raise


def test_watchers_are_bounded_and_a_place_comes_free(own_backend: BackendProcess, person: requests.Session) -> None:
    with contextlib.ExitStack() as watching:
        # All are kept: an iterator that is dropped takes its connection with it.
        answers = [watching.enter_context(open_tail(own_backend, person, after="0")) for _ in range(MOST_TAILS)]
        lines = [answer.iter_lines(chunk_size=1) for answer in answers]
        assert [next(line) for line in lines] == [b": here"] * MOST_TAILS
        with open_tail(own_backend, person, after="0") as refused:
            assert (refused.status_code, refused.headers["HX-Reswap"]) == (503, "none")

    def is_let_in() -> bool:
        with open_tail(own_backend, person, after="0") as answer:
            return answer.status_code == 200

    until(is_let_in, 60.0, "a place came free")


def test_a_stranger_is_told_to_sign_in(own_backend: BackendProcess) -> None:
    answer = requests.get(address(own_backend), timeout=20)
    assert answer.status_code == 401


@pytest.mark.parametrize("after", ["-1", "x", "9" * 30, "٣"])
def test_a_damaged_place_is_refused_and_leaves_the_page_alone(
    own_backend: BackendProcess, person: requests.Session, after: str
) -> None:
    with open_tail(own_backend, person, after=after) as answer:
        assert answer.status_code == 400
        assert answer.headers["HX-Reswap"] == "none"


def test_static_files_are_kept_for_good_by_their_content(own_backend: BackendProcess, person: requests.Session) -> None:
    page = person.get(f"{own_backend.url}/projects", timeout=20).text
    addresses = re.findall(r'"(/static/[^"]+)"', page)
    assert len(addresses) >= 5
    for path in addresses:
        answer = requests.get(own_backend.url + path, timeout=20)  # nobody signed in
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        stale = requests.get(own_backend.url + path.partition("?")[0] + "?v=0", timeout=20)
        assert stale.headers["Cache-Control"] == "no-cache"
    assert requests.get(f"{own_backend.url}/static/../app.py", timeout=20).status_code == 404
    assert requests.get(f"{own_backend.url}/static/README.md", timeout=20).status_code == 404
