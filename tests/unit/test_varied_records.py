"""The records that stores are filled with: the same each time, and varied enough to mean something."""

from __future__ import annotations

from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire, to_wire
from support.varied import RARE_WORD, VariedRecords

COUNT = 2_000


def test_the_same_seed_gives_the_same_records() -> None:
    assert list(VariedRecords("p", seed=3).make(50)) == list(VariedRecords("p", seed=3).make(50))
    assert list(VariedRecords("p", seed=3).make(50)) != list(VariedRecords("p", seed=4).make(50))


def test_records_survive_the_wire_and_are_in_order_and_all_different() -> None:
    records = list(VariedRecords("p").make(COUNT))
    assert [from_wire(to_wire(record), Record) for record in records] == records
    assert len({record.record_id for record in records}) == COUNT
    assert [record.started_at for record in records] == sorted(record.started_at for record in records)


def test_records_are_varied() -> None:
    records = list(VariedRecords("p").make(COUNT))
    assert len({record.outcome for record in records}) == 7
    assert len({record.model for record in records}) >= 10
    assert COUNT / 10 < len({record.session_id for record in records}) < COUNT
    assert sum(RARE_WORD in record.messages[-1].text for record in records) == 2
    size = sum(len(to_wire(record)) for record in records) / COUNT
    assert 3_000 < size < 4_000
