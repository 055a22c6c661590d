from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from freeplay_like.core.chunks import Usage
from freeplay_like.core.rates import Rate, Rates
from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.pricing import prices
from freeplay_like.server.store.pricing.priced import RepriceFilter
from freeplay_like.server.store.pricing.team_prices import TeamPriceDraft
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Conflict, Incoming, NotFound, Project, Refused
from support.databases import count_rows
from support.plain_records import a_record, an_unsettled

USAGE = Usage(input_tokens=1000, output_tokens=100)
OWN_RATES: Rates = {"input": Rate(Decimal(1)), "output": Rate(Decimal(2))}
EVERYTHING = RepriceFilter()


def gpt_4o(project: Project, **changes: object) -> Record:
    changes = {"model": "gpt-4o-2024-08-06", "requested_model": "gpt-4o", "usage": USAGE, **changes}
    return a_record(project.id, **changes)


def save(store: Store, project: Project, *records: Record) -> None:
    incoming = tuple(Incoming(index=i, record=record, body=to_wire(record)) for i, record in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=datetime.now(UTC)))


def nano_usd(store: Store, project: Project, record: Record) -> int | None:
    """What a call costs, once nothing waits for its price."""
    assert store.prices.wait(30)
    derivation = store.prices.derivation(project.id, record.record_id)
    if derivation is None:
        return None
    assert sum(line.usd for line in derivation.lines) * 10**9 == derivation.cost_nano_usd
    return derivation.cost_nano_usd


def reprice(store: Store, project: Project, which: RepriceFilter = EVERYTHING) -> tuple[int, int, int]:
    done = store.prices.reprice(project, which)
    while done.next is not None:
        done += store.prices.reprice(project, which, done.next)
    return done.changed, done.before_nano_usd, done.after_nano_usd


def own_price(**changes: object) -> TeamPriceDraft:
    return attrs.evolve(TeamPriceDraft(provider="openai", model="gpt-4o", rates=OWN_RATES), **changes)


def test_the_first_record_of_a_model_is_priced_behind_the_commit_and_the_next_one_in_it(
    store: Store, project: Project
) -> None:
    first, second = gpt_4o(project), gpt_4o(project)
    save(store, project, first)
    assert nano_usd(store, project, first) == 3_500_000
    save(store, project, second)
    derivation = store.prices.derivation(project.id, second.record_id)
    assert derivation is not None
    assert (derivation.matched_model, derivation.model) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert [(line.bucket, line.count, line.rate_usd) for line in derivation.lines] == [
        ("input", 1000, Decimal("2.5")),
        ("output", 100, Decimal(10)),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "gpt-5.1-mini"},
        {"provider": "local"},
        {"provider": "openai-compatible"},
        {"usage": None},
        {"usage": Usage(input_tokens=10)},
        {"usage": Usage(input_tokens=10, output_tokens=1, cached_input_tokens=11)},
        {"usage": Usage(input_tokens=2**62, output_tokens=2**62)},
        {"model": None, "requested_model": None},
    ],
    ids=["only near", "local", "compatible", "no usage", "half a usage", "contradiction", "too much", "no model"],
)
def test_a_cost_that_is_not_known_is_none_and_never_nothing(
    store: Store, project: Project, changes: dict[str, object]
) -> None:
    record = gpt_4o(project, **changes)
    save(store, project, record)
    assert nano_usd(store, project, record) is None


def test_each_price_is_stored_once(store: Store, project: Project) -> None:
    records = [gpt_4o(project) for _ in range(5)]
    for record in records:
        save(store, project, record)
    assert {nano_usd(store, project, record) for record in records} == {3_500_000}
    assert (count_rows(store, "price"), count_rows(store, "price_due")) == (1, 0)


def test_what_waited_when_the_process_died_is_priced_by_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    store = Store(SqliteDatabase(path))
    project = store.projects.create("first")
    record = gpt_4o(project)
    save(store, project, record)
    assert nano_usd(store, project, record) == 3_500_000
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE record SET cost_nano_usd = NULL, price_key = NULL")
        connection.execute("INSERT INTO price_due SELECT seq FROM record")
    again = Store(SqliteDatabase(path))
    try:
        assert nano_usd(again, project, record) == 3_500_000
    finally:
        again.close()


def test_a_call_whose_end_comes_later_is_priced_by_its_end(store: Store, project: Project) -> None:
    ended = gpt_4o(project)
    save(store, project, attrs.evolve(an_unsettled(ended), usage=None))
    assert nano_usd(store, project, ended) is None
    save(store, project, ended)
    assert nano_usd(store, project, ended) == 3_500_000


def test_a_batch_and_a_service_are_priced_as_such(store: Store, project: Project) -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    batch, flex = (
        gpt_4o(project, started_at=at, model=model, request=request)
        for model, request in (("gpt-4o", {"api_style": "batch"}), ("gpt-5", {"service_tier": "flex"}))
    )
    save(store, project, batch, flex)
    assert nano_usd(store, project, batch) == 1_750_000
    assert nano_usd(store, project, flex) == 1_125_000
    derivation = store.prices.derivation(project.id, flex.record_id)
    assert derivation is not None
    assert derivation.conditions == {"service_tier": "flex"}


def test_a_teams_price_goes_before_the_list_from_its_day_on(store: Store, project: Project) -> None:
    day = date(2026, 11, 1)
    store.prices.create(project, own_price(valid_from=day))
    on_the_day = datetime(2026, 11, 1, tzinfo=UTC)
    before, after = (
        gpt_4o(project, started_at=on_the_day - timedelta(seconds=1)),
        gpt_4o(project, started_at=on_the_day),
    )
    save(store, project, before, after)
    assert nano_usd(store, project, before) == 3_500_000
    assert nano_usd(store, project, after) == 1_200_000
    derivation = store.prices.derivation(project.id, after.record_id)
    assert derivation is not None
    assert (derivation.source, derivation.valid_from) == ("team", day)


def test_a_deployment_has_the_price_of_the_model_that_the_team_says_it_is(store: Store, project: Project) -> None:
    draft = TeamPriceDraft(provider="azure", model="our-chat", same_provider="openai", same_model="gpt-4o")
    store.prices.create(project, draft)
    record = gpt_4o(project, provider="azure", requested_model="Our-Chat", model="Our-Chat")
    save(store, project, record)
    assert nano_usd(store, project, record) == 3_500_000


def test_a_free_model_costs_nothing_where_its_team_says_so(store: Store, project: Project) -> None:
    free: Rates = {"input": Rate(Decimal(0)), "output": Rate(Decimal(0))}
    store.prices.create(project, TeamPriceDraft(provider="local", model="smol", rates=free))
    record = gpt_4o(project, provider="local", model="smol")
    save(store, project, record)
    assert nano_usd(store, project, record) == 0


def test_a_teams_price_is_its_projects_alone_and_is_seen_at_once(store: Store, project: Project) -> None:
    other = store.projects.create("other")
    theirs, before = gpt_4o(other), gpt_4o(project)
    save(store, project, before)
    assert nano_usd(store, project, before) == 3_500_000
    made = store.prices.create(project, own_price())
    ours = gpt_4o(project)
    save(store, project, ours)
    save(store, other, theirs)
    assert (nano_usd(store, project, ours), nano_usd(store, other, theirs)) == (1_200_000, 3_500_000)
    store.prices.delete(project, made.id)
    listed_again = gpt_4o(project)
    save(store, project, listed_again)
    assert nano_usd(store, project, listed_again) == 3_500_000
    assert nano_usd(store, project, ours) == 1_200_000


def test_a_model_has_one_price_from_a_day_on(store: Store, project: Project) -> None:
    first = store.prices.create(project, own_price())
    with pytest.raises(Conflict, match="GPT-4o"):
        store.prices.create(project, own_price(model="GPT-4o"))
    second = store.prices.create(project, own_price(valid_from=date(2026, 1, 1)))
    assert [one.id for one in store.prices.all(project)] == [second.id, first.id]
    with pytest.raises(Conflict):
        store.prices.replace(project, second.id, own_price())
    moved = store.prices.replace(project, second.id, own_price(valid_from=date(2026, 2, 1)))
    assert store.prices.get(project, second.id) == moved


def test_a_price_that_is_not_there_or_not_listed_is_refused(store: Store, project: Project) -> None:
    other = store.projects.create("other")
    theirs = store.prices.create(other, own_price())
    for ask in (store.prices.get, store.prices.delete):
        with pytest.raises(NotFound, match=theirs.id):
            ask(project, theirs.id)
    draft = TeamPriceDraft(provider="openai", model="ours", same_provider="openai", same_model="gpt-5.1-mini")
    with pytest.raises(Refused, match="codex-mini"):
        store.prices.create(project, draft)


def test_pricing_again_gives_stored_calls_the_new_price_once(store: Store, project: Project) -> None:
    records = [gpt_4o(project) for _ in range(450)]
    save(store, project, *records, a_record(project.id))
    assert nano_usd(store, project, records[-1]) == 3_500_000
    store.prices.create(project, own_price())
    assert reprice(store, project) == (450, 450 * 3_500_000, 450 * 1_200_000)
    assert reprice(store, project) == (0, 450 * 1_200_000, 450 * 1_200_000)
    assert {nano_usd(store, project, record) for record in records} == {1_200_000}


def test_only_the_calls_that_were_named_are_priced_again(store: Store, project: Project) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    early, late = gpt_4o(project, started_at=at), gpt_4o(project, started_at=at + timedelta(days=1))
    other = gpt_4o(project, started_at=at, model="gpt-5", requested_model="gpt-5")
    save(store, project, early, late, other)
    assert nano_usd(store, project, early) == 3_500_000
    store.prices.create(project, own_price())
    which = RepriceFilter(start=at, end=at + timedelta(days=1), provider="openai", model="gpt-4o")
    assert reprice(store, project, which) == (1, 3_500_000, 1_200_000)
    assert nano_usd(store, project, late) == 3_500_000
    with pytest.raises(Refused, match="after"):
        store.prices.reprice(project, which, "somewhere")


def test_pricing_again_takes_a_cost_away_that_is_no_longer_known(store: Store, project: Project) -> None:
    made = store.prices.create(project, own_price(model="ours"))
    record = gpt_4o(project, model="ours", requested_model="ours")
    save(store, project, record)
    assert nano_usd(store, project, record) == 1_200_000
    store.prices.delete(project, made.id)
    assert reprice(store, project) == (1, 1_200_000, 0)
    assert nano_usd(store, project, record) is None


def test_a_price_that_another_process_set_is_seen_soon(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prices, "REFRESH_S", 0.0)
    records = [gpt_4o(project) for _ in range(3)]
    save(store, project, records[0])
    assert nano_usd(store, project, records[0]) == 3_500_000
    beside = Store(store.database)
    beside.prices.create(project, own_price())
    beside.close()
    for record in records[1:]:
        save(store, project, record)  # the first one lets it look whether prices have changed
        assert store.prices.wait(30)
    assert nano_usd(store, project, records[2]) == 1_200_000


def test_calls_wait_where_prices_cannot_be_looked_up_and_the_next_one_tries_again(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no list")

    first, second, third = (gpt_4o(project) for _ in range(3))
    with monkeypatch.context() as patched:
        patched.setattr(prices, "listed_rates", broken)
        for record in (first, second):
            before = store.prices.failures
            save(store, project, record)
            assert not store.prices.wait(30)
            assert store.prices.failures > before, "tried again; twice, where the first try ends before the commit"
    assert caplog.text.count("no list\n") == 2, "said once: the message and the end of its traceback"
    save(store, project, third)
    assert {nano_usd(store, project, record) for record in (first, second, third)} == {3_500_000}
