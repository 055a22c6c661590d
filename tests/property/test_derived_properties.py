"""Whatever happens to the records of a store, what is derived from them answers like a plain look at each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from freeplay_like.core.bitmaps import BLOCK
from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.histogram import RELATIVE_ERROR
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment, ErrorInfo, Record, TemplateRef
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.charts import ChartAsk, span_of
from freeplay_like.server.store.derived.filters import EVERYTHING, AllOf, AnyOf, Filter, Not, all_of, term
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, IncomingAmendment
from support.plain_calls import PlainCall, counts, holds, number, rank
from support.plain_records import a_record, an_unsettled

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)
WORDS = ("Lyon", "LYONS", "Straße", "refund", "東京タワー", "未来の東京", "café", "100%", "a_b", "ΑΘΗΝΑ", "x" * 50)
FIELDS = (
    *("model", "outcome", "template", "version", "environment", "provider", "error", "feedback", "session", "stream"),
    *("metadata.channel", "metadata.n", "metadata.tags", "score.ok", "score.grade"),
)
SESSIONS = (None, "s1", "s2", "s3")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(SqliteDatabase(tmp_path_factory.mktemp("derived") / "test.db"))
    opened._writer._background = lambda connection: False  # what is derived when is part of what is tried
    yield opened
    opened.close()


class World:
    """A store and what must be in it, and everything that can happen to both."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)  # noqa: S311  the same seed tries the same again
        self.project = store.projects.create(f"p{seed}-{len(store.projects.all())}")
        self.calls: dict[str, PlainCall] = {}
        self.unsettled: dict[str, Record] = {}

    def run(self, steps: int) -> None:
        happen = (self.save, self.save, self.settle, self.delete, self.price, self.amend, self.derive, self.index)
        self.save()
        for _ in range(steps):
            self.random.choice(happen)()

    def a_call(self) -> Record:
        draw = self.random
        failed = draw.random() < 0.3
        template = TemplateRef(
            name=draw.choice(("trip", "bill")), version=draw.choice(("1", "2")), environment=draw.choice(("prod", None))
        )
        return attrs.evolve(
            a_record(self.project.id),
            session_id=draw.choice(SESSIONS),
            template=draw.choice((None, template)),
            messages=(Message(role="user", content=self.text()),),
            choices=() if failed else (Choice(text=self.text(), finish_reason="stop"),),
            error=ErrorInfo(type=draw.choice(("Timeout", "Refused")), message=self.text()) if failed else None,
            outcome="error" if failed else draw.choice(("complete", "truncated")),
            requested_model="gpt",
            model=draw.choice(("gpt", "gpt-1", "claude", None)),
            metadata=draw.choice(({}, {"channel": "web", "n": draw.randrange(3)}, {"tags": ["a", "b"]}, {"deep": {}})),
            usage=draw.choice((None, Usage(input_tokens=draw.randrange(2000), output_tokens=draw.choice((None, 7))))),
            started_at=NOW - timedelta(hours=draw.randrange(60), milliseconds=draw.randrange(4_000_000)),
            latency_ms=draw.choice((None, round(draw.lognormvariate(6, 2), 3))),
            time_to_first_chunk_ms=draw.choice((None, 12.5)),
            is_stream=draw.random() < 0.5,
        )

    def text(self) -> str:
        return " ".join(self.random.choices(WORDS, k=self.random.randrange(4)))

    def save(self) -> None:
        if self.random.random() < 0.3:
            self.skip_numbers()
        records = [self.a_call() for _ in range(self.random.randrange(1, 8))]
        for made in records[:1]:
            self.unsettled[made.record_id] = made
        sent = [an_unsettled(made) if made.record_id in self.unsettled else made for made in records]
        self.post(*sent)
        for made in sent:
            self.calls[made.record_id] = PlainCall(self.seq_of(made.record_id), made)

    def skip_numbers(self) -> None:
        """Go on some way up to the next block, as if other projects had been busy."""
        step = self.random.choice((1, BLOCK // 2, BLOCK - 3))
        statement = sa.text("UPDATE sqlite_sequence SET seq = seq + :step WHERE name = 'record'")
        self.store._writer.run(lambda connection: connection.execute(statement, {"step": step}))

    def post(self, *records: Record) -> None:
        incoming = tuple(Incoming(index=i, record=made, body=to_wire(made)) for i, made in enumerate(records))
        self.store.save(Batch(project_key=self.project.key, records=incoming, received_at=NOW))

    def seq_of(self, record_id: str) -> int:
        stored = self.store.calls.get(self.project.id, record_id)
        assert stored is not None
        return stored.row.seq

    def settle(self) -> None:
        if not self.unsettled:
            return
        record_id, whole = self.unsettled.popitem()
        self.post(whole)
        self.calls[record_id].record = whole
        self.calls[record_id].cost_nano_usd = None  # what came is priced anew

    def pick(self) -> list[PlainCall]:
        return self.random.sample(list(self.calls.values()), k=min(len(self.calls), self.random.randrange(4)))

    def delete(self) -> None:
        gone = self.pick()
        seqs = [call.seq for call in gone]

        def job(connection: sa.Connection) -> None:
            following.forget(connection, seqs)
            connection.execute(sa.delete(record_body).where(record_body.c.seq.in_(seqs)))
            connection.execute(sa.delete(record).where(record.c.seq.in_(seqs)))

        self.store._writer.run(job)
        for call in gone:
            del self.calls[call.record.record_id]
            self.unsettled.pop(call.record.record_id, None)

    def price(self) -> None:
        assert self.store.prices.wait(60), "a call waits for its price, and would get it later"
        priced = self.pick()
        costs = {call.seq: self.random.choice((None, 0, self.random.randrange(10**9))) for call in priced}

        def job(connection: sa.Connection) -> None:
            with following.changing(connection, costs, is_text=False):
                for seq, cost in costs.items():
                    connection.execute(sa.update(record).where(record.c.seq == seq).values(cost_nano_usd=cost))

        self.store._writer.run(job)
        for call in priced:
            call.cost_nano_usd = costs[call.seq]

    def amend(self) -> None:
        for call in self.pick():
            said = Amendment(
                amendment_id=f"{call.record.record_id}-{len(call.amendments)}",
                record_id=call.record.record_id,
                project_id=self.project.id,
                made_at=NOW + timedelta(seconds=self.random.randrange(100)),
                feedback=self.random.choice((None, "positive", "negative")),
                scores=self.random.choice(({}, {"ok": True}, {"ok": False, "grade": self.random.randrange(3)})),
            )
            incoming = IncomingAmendment(index=0, amendment=said, body=to_wire(said))
            self.store.save(Batch(project_key=self.project.key, amendments=(incoming,), received_at=NOW))
            call.amendments.append(said)

    def derive(self) -> None:
        self.store._writer.run(lambda connection: following.derive_slice(connection, least=1))

    def index(self) -> None:
        self.store._writer.run(following.index_slice)

    def matching(self, which: Filter) -> list[PlainCall]:
        found = [call for call in self.calls.values() if holds(call, which)]
        return sorted(found, key=lambda call: -call.seq)

    def a_filter(self, depth: int = 2) -> Filter:
        draw = self.random
        kind = draw.randrange(8 if depth else 5)
        if kind == 7:
            return Not(self.a_filter(depth - 1))
        if kind >= 5:
            parts = tuple(self.a_filter(depth - 1) for _ in range(draw.randrange(1, 4)))
            return (AllOf if kind == 5 else AnyOf)(parts)
        if kind == 4:
            return term(draw.choice(("text", "text", "input", "output")), "contains", self.a_text())
        if kind == 3:
            op = draw.choice(("lt", "gt", "lte", "gte", "eq"))
            calls = list(self.calls.values())
            if draw.random() < 0.3:
                return term("started_at", "gte", (NOW - timedelta(hours=draw.randrange(60))).isoformat())
            field = draw.choice(("latency_ms", "cost_usd", "input_tokens", "tokens"))
            numbers = [each for call in calls if (each := number(call, field)) is not None]
            return term(field, op, draw.choice([*numbers, 7.0]))
        field = draw.choice(FIELDS)
        known = sorted({value for call in self.calls.values() for value in counts([call], field)})
        if field != "session" and draw.random() < 0.2:
            return term(field, "exists")
        if known and field != "session" and draw.random() < 0.2:
            return term(field, "contains", draw.choice(known)[:2])
        return term(field, "eq", draw.choice([*known, "nothing"]))

    def a_text(self) -> str:
        text = self.random.choice((self.text(), self.random.choice(WORDS)))
        begin = self.random.randrange(max(1, len(text)))
        return text[begin : begin + self.random.randrange(1, 12)].strip() or "refund"


def check_lists(world: World, which: Filter) -> None:
    expected = [call.record.record_id for call in world.matching(which)]
    page = world.store.calls.page(world.project.id, which, limit=1_000)
    assert [row.record_id for row in page.rows] == expected, which
    seen: list[str] = []
    page = world.store.calls.page(world.project.id, which, limit=3)
    while True:
        seen += [row.record_id for row in page.rows]
        if page.older is None:
            break
        page = world.store.calls.page(world.project.id, which, before=page.older, limit=3)
    assert seen == expected
    rows = world.store.calls.after(world.project.id, which, 0, limit=1_000)
    assert [row.record_id for row in rows] == expected[::-1]


def check_counts(world: World, which: Filter) -> None:
    calls = world.matching(which)
    names = ("model", "outcome", "template", "error", "feedback", "metadata.channel", "metadata.tags", "score.ok")
    facets = world.store.statistics.facets(world.project.id, which, names)
    assert facets.calls == len(calls)
    for name in names:
        assert {found.value: found.calls for found in facets.fields[name]} == dict(counts(calls, name)), name
    summary = world.store.statistics.summary(world.project.id, which)
    assert (summary.calls, summary.errors) == (len(calls), sum(call.record.outcome == "error" for call in calls))
    for name in ("latency_ms", "cost_usd", "tokens"):
        numbers = [each for call in calls if (each := number(call, name)) is not None]
        spread = summary.numbers[name]
        assert (spread.count, spread.sum) == (len(numbers), pytest.approx(sum(numbers)))
        for share, found in ((0.5, spread.p50), (0.95, spread.p95)):
            assert found == (pytest.approx(rank(numbers, share), abs=1e-9) if numbers else None)


def check_sessions(world: World, which: Filter) -> None:
    order = dict.fromkeys(call.record.session_id for call in world.matching(which) if call.record.session_id)
    rows = world.store.sessions.page(world.project.id, which, 0, 100)
    assert [row.session_id for row in rows] == list(order)
    assert [row.session_id for row in world.store.sessions.page(world.project.id, which, 1, 1)] == list(order)[1:2]
    for row in rows:
        calls = [call.record for call in world.calls.values() if call.record.session_id == row.session_id]
        began = [made.started_at for made in calls]
        assert (row.calls, row.first_started_at, row.last_started_at) == (len(calls), min(began), max(began))


def check_charts(world: World, which: Filter, by: str | None) -> None:
    span = span_of(NOW - timedelta(days=4), NOW + timedelta(days=1), 3_600)
    chart = world.store.statistics.chart(world.project.id, ChartAsk(span=span, by=by, filter=which))
    expected: dict[tuple[str, datetime], list[PlainCall]] = {}
    for call in world.matching(which):
        made = call.record
        name = "" if by is None else (made.model or made.requested_model or "") if by == "model" else made.outcome
        expected.setdefault((name, made.started_at.replace(minute=0, second=0, microsecond=0)), []).append(call)
    found = {(series.value, at): point for series in chart.series for at, point in series.points}
    assert set(found) == set(expected)
    for place, calls in expected.items():
        point = found[place]
        costs = [call.cost_nano_usd for call in calls if call.cost_nano_usd is not None]
        assert (point.calls, point.priced_calls) == (len(calls), len(costs))
        assert point.errors == sum(call.record.outcome == "error" for call in calls)
        assert point.cost_usd == pytest.approx(sum(costs) / 1e9)
        assert point.input_tokens == sum(int(number(call, "input_tokens") or 0) for call in calls)
        median = rank([call.record.latency_ms for call in calls], 0.5)
        assert (point.latency_ms is None) == (median is None)
        if point.latency_ms is not None:
            assert point.latency_ms.p50 == pytest.approx(median, rel=RELATIVE_ERROR + 1e-6)


TRIES = settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),  # a smaller seed is no simpler one
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@TRIES
@given(seed=st.integers(0, 2**32))
def test_every_answer_is_that_of_a_plain_look(store: Store, seed: int) -> None:
    world = World(store, seed)
    world.run(25)
    for _ in range(12):
        which = world.a_filter()
        check_lists(world, which)
        check_counts(world, which)
        check_sessions(world, which)
    check_lists(world, EVERYTHING)
    check_counts(world, EVERYTHING)
    check_sessions(world, EVERYTHING)
    for which in (EVERYTHING, term("template", "eq", "trip"), all_of([world.a_filter(), world.a_filter()])):
        for by in (None, "model", "outcome"):
            check_charts(world, which, by)


@TRIES
@given(seed=st.integers(0, 2**32))
def test_nothing_is_left_of_what_was_deleted(store: Store, seed: int) -> None:
    world = World(store, seed)
    world.run(15)
    world.derive()
    world.index()
    while world.calls:
        world.delete()
    tables = ("facet", "rollup", "session_summary")
    with store._reading.begin() as connection:
        for table in tables:
            statement = sa.text(f"SELECT count(*) FROM {table} WHERE project_key = :key")  # noqa: S608  our own names
            left = connection.scalar(statement, {"key": world.project.key})
            columns = 7 if table == "facet" else 0  # the columns of numbers, which tell nothing
            assert left <= columns, table
