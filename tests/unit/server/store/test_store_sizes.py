"""How fast the database grows, who delivers, and how much comes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived.charts import ChartAsk, span_of
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter, all_of, term
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.figures import Figures, Times
from freeplay_like.server.store.sizes import Sample, growth_of
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project, Sender
from support.clocks import SetClock
from support.plain_records import a_record


def save(store: Store, project: Project, count: int, sender: Sender | None = None, **changes: object) -> None:
    records = [a_record(project.id, **changes) for _ in range(count)]
    incoming = tuple(Incoming(index=i, record=one, body=to_wire(one)) for i, one in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=store.now(), sender=sender))


def test_growth_is_known_once_an_hour_is() -> None:
    clock = SetClock()
    first = Sample(taken_at=clock.moment, used_bytes=1_000)

    def later(minutes: int, used_bytes: int) -> Sample:
        return Sample(taken_at=clock.moment + timedelta(minutes=minutes), used_bytes=used_bytes)

    assert growth_of(()).bytes_a_day is None
    assert growth_of((first, later(59, 2_000))).bytes_a_day is None
    assert growth_of((first, later(60, 2_000))).bytes_a_day == pytest.approx(24_000)
    assert growth_of((first, later(720, 500))).bytes_a_day == pytest.approx(-1_000)


def test_the_size_is_written_down_once_an_hour(database: Database) -> None:
    clock = SetClock()
    store = Store(database, clock=clock)
    began_at = clock.moment
    for minutes in (0, 1, 59, 60, 61, 125):
        clock.moment = began_at + timedelta(minutes=minutes)
        store.sizes.sample()
    growth = store.sizes.growth()
    *written, now = growth.samples
    assert [(one.taken_at - began_at) // timedelta(minutes=1) for one in written] == [0, 60, 125]
    assert now.taken_at == clock.moment
    assert now.used_bytes > 0
    clock.moment = began_at + timedelta(days=500)
    store.sizes.sample()
    assert len(store.sizes.growth().samples) == 2, "what is very old is forgotten"
    store.close()


def test_a_sender_says_how_late_it_was(store: Store, project: Project) -> None:
    oldest = store.now() - timedelta(minutes=3)
    sender = Sender(
        sender_id="s-1", host="web-1", pid=7, sdk="x/1", dropped=2, spooled_bytes=9, oldest_unsent_at=oldest
    )
    save(store, project, 1, sender)
    (found,) = store.status.senders(project.id)
    assert (found.host, found.pid, found.dropped, found.spooled_bytes) == ("web-1", 7, 2, 9)
    assert found.lag_s == pytest.approx(180, abs=20)
    assert store.status.senders("no such project") == ()


def test_the_oldest_call_is_found(store: Store, project: Project) -> None:
    assert store.status.oldest_call(project.id) is None
    save(store, project, 2)
    page = store.calls.page(project.id, EVERYTHING, limit=10)
    assert store.status.oldest_call(project.id) == min(row.started_at for row in page.rows)


def test_times_tell_what_a_share_of_them_did_not_exceed() -> None:
    times = Times()
    assert times.at_most_s(0.99) is None
    for seconds in [0.0004] * 98 + [0.2, 99.0]:
        times.add(seconds)
    assert times.at_most_s(0.5) == 0.0005
    assert times.at_most_s(0.99) == 0.25
    assert times.at_most_s(1) == float("inf")


def test_the_pace_is_that_of_the_marks() -> None:
    figures = Figures()
    assert figures.stored_a_second() == 0
    figures.mark()
    figures.stored += 100
    assert figures.stored_a_second() > 0


@pytest.mark.parametrize("filter", [EVERYTHING, all_of([term("model", "eq", "gpt-x")])], ids=["rollups", "facets"])
def test_a_whole_stretch_is_one_point_for_each_value(store: Store, project: Project, filter: Filter) -> None:
    save(store, project, 3, requested_model="gpt-x", model=None)
    save(store, project, 2, requested_model="gpt-y", model="gpt-x")
    at = store.calls.page(project.id, EVERYTHING, limit=1).rows[0].started_at
    span = span_of(at - timedelta(days=2), at + timedelta(hours=1), 3600)
    chart = store.statistics.chart(project.id, ChartAsk(span=span, by="model", filter=filter, is_whole=True))
    (series,) = chart.series
    ((begins_at, point),) = series.points
    assert (series.value, point.calls, begins_at.timestamp()) == ("gpt-x", 5, span.begins_at)
    assert point.latency_ms is not None


def test_values_beyond_the_limit_are_put_together(store: Store, project: Project) -> None:
    for model, count in (("a", 3), ("b", 2), ("c", 1)):
        save(store, project, count, requested_model=model, model=model)
    at = store.calls.page(project.id, EVERYTHING, limit=1).rows[0].started_at
    span = span_of(at - timedelta(days=1), at + timedelta(hours=1), 3600)
    chart = store.statistics.chart(
        project.id, ChartAsk(span=span, by="model", filter=EVERYTHING, is_whole=True, limit=1)
    )
    assert [(series.value, series.is_rest, series.points[0][1].calls) for series in chart.series] == [
        ("a", False, 3),
        ("", True, 3),
    ]
