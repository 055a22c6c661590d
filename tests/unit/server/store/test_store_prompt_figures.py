from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from freeplay_like.core.records import Amendment, Record, TemplateRef
from freeplay_like.core.wire import to_wire
from freeplay_like.server.pages.addresses import since
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.prompts.figures import CallFigures
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, IncomingAmendment, Project
from support.clocks import SetClock
from support.records import RecordMaker

NOW = SetClock.moment + timedelta(minutes=30)


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    clock = SetClock()
    clock.moment = NOW
    opened = Store(database, clock=clock)
    yield opened
    opened.close()


_makers = itertools.count(1)


def call(project: Project, name: str, version: str, age: timedelta, **more: object) -> Record:
    """A call of a template, some time ago."""
    made = RecordMaker(project_id=project.id, now=NOW, seed=next(_makers)).one(1)
    template = TemplateRef(name=name, version=version)
    return attrs.evolve(made, template=template, started_at=NOW - age, **more)  # type: ignore[arg-type]  # fields


def save(store: Store, project: Project, records: list[Record], amendments: tuple[Amendment, ...] = ()) -> None:
    store.save(
        Batch(
            project_key=project.key,
            records=tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records)),
            amendments=tuple(
                IncomingAmendment(index=i, amendment=each, body=to_wire(each)) for i, each in enumerate(amendments)
            ),
            received_at=NOW,
        )
    )


def test_all_templates_are_counted_in_one_question_and_lists_find_the_same(store: Store, project: Project) -> None:
    hours = (0, 1, 23, 24, 50, 24 * 8)
    records = [call(project, "shop/answer", "1", timedelta(hours=hour), latency_ms=100.0) for hour in hours]
    records.append(call(project, "shop/triage", "2", timedelta(hours=2), outcome="error", latency_ms=300.0))
    records.append(attrs.evolve(call(project, "x", "1", timedelta()), template=None))
    save(store, project, records)
    figures = store.prompt_figures.by_template(project)
    assert figures.day_since == datetime(2026, 11, 20, 19, tzinfo=UTC)
    assert figures.week_since == datetime(2026, 11, 15, tzinfo=UTC)
    assert figures.day_calls == {"shop/answer": 3, "shop/triage": 1}
    assert {name: each.calls for name, each in figures.week.items()} == {"shop/answer": 5, "shop/triage": 1}
    assert figures.by_day["shop/answer"] == (0, 0, 0, 0, 1, 2, 2)
    assert figures.week["shop/triage"].error_share == 1.0
    assert figures.week["shop/answer"].latency_p50_ms == pytest.approx(100, rel=0.05)
    assert not figures.is_partial
    for moment, calls in ((figures.day_since, 3), (figures.week_since, 5)):
        assert store.statistics.summary(project.id, since(moment, template="shop/answer")).calls == calls


def test_versions_are_told_apart_with_all_that_was_said_of_their_calls(store: Store, project: Project) -> None:
    records = [call(project, "shop/answer", version, timedelta(days=day)) for version in "12" for day in (0, 400)]
    records.append(call(project, "shop/other", "1", timedelta()))
    said = [
        Amendment(
            amendment_id=f"a{number}",
            record_id=record.record_id,
            project_id=project.id,
            made_at=NOW,
            feedback=feedback,
            scores=scores,
        )
        for number, (record, feedback, scores) in enumerate(
            [(records[0], "positive", {}), (records[1], "negative", {"review": "bad"}), (records[2], "positive", {})]
        )
    ]
    save(store, project, records, tuple(said))  # type: ignore[arg-type]  # words of the closed sets
    figures = store.prompt_figures.by_version(project, "shop/answer", ["1", "2", "3"])
    assert {label: each.calls for label, each in figures.calls.items()} == {"1": 2, "2": 2, "3": 0}
    first = figures.thumbs["1"]
    assert (first.positive, first.negative, first.good, first.bad) == (1, 1, 0, 1)
    assert figures.thumbs["2"].positive == 1
    assert figures.thumbs["3"].positive == 0


def test_what_is_not_known_is_not_guessed() -> None:
    nothing = CallFigures()
    assert nothing.error_share is None
    assert nothing.cost_per_call_nano_usd is None
    assert nothing.tokens_per_call is None
    some = CallFigures(calls=4, errors=1, input_tokens=6, output_tokens=4, priced_calls=2, cost_nano_usd=500)
    assert (some.error_share, some.tokens_per_call, some.cost_per_call_nano_usd) == (0.25, 2.5, 250)
