from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from freeplay_like.core.records import ErrorInfo, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.following import DERIVE_FROM, derived_seq
from freeplay_like.server.store.derived.timeline import BARS, NOTHING, Timeline
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project
from support.plain_records import a_record
from support.waiting import until

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def save(store: Store, project: Project, *records: Record) -> None:
    incoming = tuple(Incoming(index=i, record=record, body=to_wire(record)) for i, record in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=NOW))


def at(project: Project, ago: timedelta, *, failed: bool = False) -> Record:
    record = attrs.evolve(a_record(project.id), started_at=NOW - ago)
    return attrs.evolve(record, outcome="error", error=ErrorInfo(type="T", message="m")) if failed else record


def drawn(store: Store, project: Project, query: str = "") -> Timeline:
    return store.statistics.timeline(project.id, parse(query))


def test_nothing_is_drawn_where_there_are_no_calls(store: Store, project: Project) -> None:
    assert drawn(store, project) == NOTHING
    assert store.statistics.timeline("none", parse("")) == NOTHING


@pytest.mark.parametrize("span", [timedelta(seconds=20), timedelta(hours=5), timedelta(days=9), timedelta(days=900)])
@pytest.mark.parametrize("count", [41, DERIVE_FROM + 1], ids=["read from rows", "derived"])
def test_every_call_is_in_one_bar_of_its_time(store: Store, project: Project, span: timedelta, count: int) -> None:
    records = [at(project, span * step / count, failed=step % 4 == 0) for step in range(count)]
    save(store, project, *records)
    if count > DERIVE_FROM:
        until(lambda: store.calls._access.ask(derived_seq) >= count, what="what is derived of the calls")
    found = drawn(store, project)
    assert len(found.bars) <= BARS
    assert all(before.ends_at == after.starts_at for before, after in zip(found.bars, found.bars[1:], strict=False))
    for bar in found.bars:
        within = [record for record in records if bar.starts_at <= record.started_at < bar.ends_at]
        assert (bar.calls, bar.errors) == (len(within), sum(record.outcome == "error" for record in within))
    assert sum(bar.calls for bar in found.bars) == len(records)
    assert found.highest == max(bar.calls for bar in found.bars)


def test_a_time_in_the_filter_is_the_time_of_the_bars(store: Store, project: Project) -> None:
    save(store, project, *(at(project, timedelta(hours=hours)) for hours in range(48)))
    found = drawn(store, project, "started_at:>=2026-11-21T00:00 started_at:<2026-11-21T06:00")
    assert found.bars[0].starts_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert found.bars[-1].ends_at >= datetime(2026, 11, 21, 6, tzinfo=UTC)
    assert sum(bar.calls for bar in found.bars) == 6
    assert drawn(store, project, "started_at:<2020-01-01") == NOTHING


def test_other_filters_leave_the_time_as_it_is(store: Store, project: Project) -> None:
    save(store, project, at(project, timedelta(hours=9)), at(project, timedelta(hours=4), failed=True))
    whole, failed = drawn(store, project), drawn(store, project, "outcome:error")
    assert [bar.starts_at for bar in whole.bars] == [bar.starts_at for bar in failed.bars]
    assert sum(bar.calls for bar in failed.bars) == sum(bar.errors for bar in failed.bars) == 1
