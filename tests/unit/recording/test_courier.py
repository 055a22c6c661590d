"""Delivery's decisions, with a clock and a backend of the test's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from freeplay_like.core.wire import to_wire
from freeplay_like.recording.courier import FIRST_PAUSE_S, HOLD_S, HURRIED_PAUSE_S, LONGEST_PAUSE_S, Courier
from freeplay_like.recording.frames import Lane, amend_frame, end_frame
from freeplay_like.recording.gates import Gate, Tally
from freeplay_like.recording.sources import Limits, Pending, Ring
from freeplay_like.recording.transport import Answer, Sender, answer_of, batch_body, retry_after_s
from freeplay_like.recording.troubles import Troubles
from support.sink import make_amendment, make_record

STORED = Answer(verdict="stored")
AWAY = Answer(verdict="unreachable", message="away")
FAILED = Answer(verdict="failed", message="tripped")


class HandClock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def monotonic_ns(self) -> int:
        return round(self.now_s * 1e9)

    def new_id(self) -> str:
        return "id"


class ScriptedTransport:
    """Answers with the script, then always `stored`."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = deque(answers)
        self.sent: list[int] = []

    def send(self, lane: Lane, sender: Sender, items: Sequence[bytes]) -> Answer:
        self.sent.append(len(items))
        return self.answers.popleft() if self.answers else STORED

    def close(self) -> None:
        pass


class Bench:
    def __init__(self, *answers: Answer) -> None:
        self.clock = HandClock()
        self.transport = ScriptedTransport(*answers)
        self.rejected: list[Pending] = []
        self.ring = Ring()
        self.courier = Courier(
            self.transport,
            clock=self.clock,
            limits=Limits(),
            sender=lambda: Sender(sender_id="s", host="h", pid=1, sdk="t"),
            reject=lambda pending, _: self.rejected.append(pending),
            troubles=Troubles(),
        )

    def offer(self, count: int) -> None:
        for _ in range(count):
            self.ring.offer(to_wire(make_record()))

    def run(self) -> None:
        """Until there is nothing left, or a pause."""
        while self.courier.step([self.ring]):
            pass


def test_pauses_grow_are_spread_and_end_with_success() -> None:
    bench = Bench(*[AWAY] * 12)
    bench.offer(1)
    pauses = []
    for _ in range(12):
        bench.run()
        pauses.append(bench.courier.pause_until_s - bench.clock.now_s)
        bench.clock.now_s = bench.courier.pause_until_s + 0.001  # the clock counts whole nanoseconds
    assert all(
        FIRST_PAUSE_S - 1e-6 <= pause <= min(LONGEST_PAUSE_S, 0.2 * 2 ** (n + 1)) + 1e-6
        for n, pause in enumerate(pauses)
    )
    assert len(set(pauses)) > 6
    bench.run()
    assert bench.ring.counts.sent == 1


def test_nothing_is_sent_during_a_pause() -> None:
    bench = Bench(AWAY)
    bench.offer(3)
    bench.run()
    bench.offer(1)
    bench.run()
    assert bench.transport.sent == [3]


def test_who_waits_shortens_a_pause_but_not_one_that_the_backend_asked_for() -> None:
    bench = Bench(*[AWAY] * 9, Answer(verdict="unreachable", retry_after_s=7.0))
    bench.courier.is_hurried = True
    bench.offer(1)
    for _ in range(9):
        bench.run()
        assert bench.courier.pause_until_s - bench.clock.now_s <= HURRIED_PAUSE_S
        bench.courier.hurry()
    bench.run()
    bench.courier.hurry()
    bench.run()
    assert len(bench.transport.sent) == 10
    bench.clock.now_s += 7.0
    bench.run()
    assert bench.ring.counts.sent == 1


def test_a_batch_is_suspected_only_when_an_empty_one_passes() -> None:
    bench = Bench(*[FAILED] * 5, AWAY, FAILED, STORED, STORED, FAILED, STORED)
    bench.offer(2)
    for _ in range(30):
        bench.run()
        bench.clock.now_s += 60
    # 5 tries; the probe fails: back off; a try, the probe passes: halves; one passes, one fails, its probe passes.
    assert bench.transport.sent == [2, 2, 2, 2, 2, 0, 2, 0, 1, 1, 0]
    assert (len(bench.rejected), bench.ring.counts.sent, bench.ring.counts.rejected) == (1, 1, 1)


def test_records_of_a_refused_project_stay_in_memory_and_others_pass() -> None:
    bench = Bench(Answer(verdict="denied", message="no"), STORED)
    bench.ring.offer(to_wire(make_record(project_id="theirs")))
    bench.offer(2)
    bench.run()
    assert (bench.ring.counts.sent, len(bench.ring)) == (2, 1)
    bench.ring.offer(to_wire(make_record(project_id="theirs")))
    bench.run()
    assert bench.transport.sent == [1, 2]
    bench.ring.release_held()
    bench.run()
    assert (bench.ring.counts.sent, len(bench.ring)) == (4, 0)


def test_a_ring_drops_what_it_cannot_hold_and_takes_again_what_fits() -> None:
    data = to_wire(make_record())
    ring = Ring(limit_bytes=len(data) * 5 // 2)
    for _ in range(3):
        ring.offer(data)
    assert (len(ring), ring.dropped.value) == (2, 1)
    assert [pending.data for pending in ring.drain()] == [data] * 2
    ring.offer(data)
    assert (len(ring), ring.dropped.value) == (1, 1)


def test_what_is_no_record_is_dropped_and_counted() -> None:
    ring = Ring()
    ring.offer(b"no record")
    assert ring.take(Limits(), 0.0) is None
    ring.offer(b"none either")
    assert (ring.drain(), len(ring), ring.dropped.value) == ([], 0, 2)


def test_what_is_still_in_memory_knows_how_it_stands_in_a_journal() -> None:
    ring = Ring()
    record, amendment = to_wire(make_record()), to_wire(make_amendment())
    ring.offer(record)
    ring.offer(amendment)
    assert [pending.frame for pending in ring.drain()] == [end_frame(record), amend_frame(amendment)]


def test_the_ring_tells_of_records_it_delivered_and_not_of_amendments() -> None:
    bench = Bench()
    told: list[str] = []
    bench.ring.on_settled = told.append
    record = make_record()
    bench.ring.offer(to_wire(make_amendment()))
    bench.ring.offer(to_wire(record))
    bench.run()
    assert (told, bench.ring.counts.sent) == ([record.record_id], 2)


def test_a_backend_that_knows_no_amendments_is_asked_again_later() -> None:
    bench = Bench(STORED, Answer(verdict="unheard", message="no word"))
    bench.offer(2)
    bench.ring.offer(to_wire(make_amendment()))
    bench.run()
    assert (bench.transport.sent, bench.ring.counts.sent, len(bench.ring)) == ([2, 1], 2, 1)
    bench.offer(1)
    bench.run()
    assert (bench.transport.sent, len(bench.ring)) == ([2, 1, 1], 1)
    bench.clock.now_s += 2 * HOLD_S
    bench.run()
    assert (bench.ring.counts.sent, len(bench.ring)) == (4, 0)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (413, "too_large"),
        *((status, "denied") for status in (401, 403, 404)),
        *((status, "unacceptable") for status in (400, 422)),
        (500, "failed"),
        *((status, "unreachable") for status in (429, 503, 301, 204)),
    ],
)
def test_what_a_status_means(status: int, verdict: str) -> None:
    assert answer_of(status, b"").verdict == verdict


@pytest.mark.parametrize("body", [b"", b"ok", b"[]", b"{}", b'{"stored":"1"}', b'{"stored":1'])
def test_a_200_that_is_no_answer_is_not_believed(body: bytes) -> None:
    assert answer_of(200, body).verdict == "unreachable"


def test_an_answer_names_what_was_rejected_and_may_say_more() -> None:
    answer = answer_of(200, b'{"stored":1,"duplicates":2,"rejected":[{"index":3,"record_id":null,"message":"m"}]}')
    assert answer.verdict == "stored"
    assert [(r.index, r.message) for r in answer.rejected] == [(3, "m")]


def test_an_answer_without_a_word_of_amendments_has_not_stored_them() -> None:
    assert answer_of(200, b'{"stored":0,"rejected":[]}', kind="amendment").verdict == "unheard"
    body = b'{"stored":0,"rejected":[],"amendments_stored":0,"amendments_rejected":[{"index":1,"message":"m"}]}'
    answer = answer_of(200, body, kind="amendment")
    assert (answer.verdict, [r.index for r in answer.rejected]) == ("stored", [1])
    assert answer_of(200, body).rejected == ()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        ("-1", 0.0),
        ("1e9", 600.0),
        ("nan", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 50.0),
        ("Thu, 01 Jan 1970 00:00:00 -0000", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, datetime.fromtimestamp(10, UTC)) == seconds


def test_records_go_into_a_body_as_they_are() -> None:
    sender = Sender(sender_id="s", host="h", pid=1, sdk="t")
    assert batch_body("record", sender, [b'{"a": 1}', b'{"b":2}']).endswith(b',"records":[{"a": 1},{"b":2}]}')


def test_amendments_have_their_own_place_in_a_body() -> None:
    sender = Sender(sender_id="s", host="h", pid=1, sdk="t")
    assert batch_body("amendment", sender, [b'{"a": 1}']).endswith(b',"records":[],"amendments":[{"a": 1}]}')


def test_a_gate_is_quiet_when_it_is_shut_and_everybody_has_left() -> None:
    gate = Gate()
    assert gate.enter()
    gate.shut()
    assert (gate.enter(), gate.is_quiet) == (False, False)
    gate.leave()
    assert gate.is_quiet


def test_looking_at_a_tally_does_not_count() -> None:
    tally = Tally()
    tally.add()
    assert [tally.value, tally.value] == [1, 1]
    tally.add()
    assert tally.value == 2
