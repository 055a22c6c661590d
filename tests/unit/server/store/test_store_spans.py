"""Spans of one call end in one record, in whatever order they and the records of our SDK arrive."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import attrs
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.spans.calls import Role, reading_of, record_id_of
from freeplay_like.server.spans.span import Span
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.records import spans
from freeplay_like.server.store.records.spans import SpanDraft, SpanResult
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project
from support.plain_records import a_record
from support.waiting import until

TRACE = "a" * 32
BEGAN_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGAN_NS = int(BEGAN_AT.timestamp()) * 10**9
NAMES: dict[str, str] = {}
"""What the tests call the records that spans make."""


def a_draft(number: int, *, inside: int | None = None, role: Role = "call", **changes: object) -> SpanDraft:
    """A span of a library of its own; the record that a call makes is named `made-<number>`."""
    span = Span(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_id=None if inside is None else f"{inside:016x}",
        name=f"span {number}",
        kind=3,
        started_ns=BEGAN_NS + number * 1_000_000,
        ended_ns=BEGAN_NS + 1_000_000_000,
        is_error=False,
        status_message="",
        attributes={"gen_ai.request.model": "gpt-x"} if role == "call" else {},
        events=(),
        resource={},
        scope=str(changes.pop("scope", f"library {number}")),
        scope_version="",
    )
    reading = reading_of(span, "p")
    NAMES[record_id_of(span)] = f"made-{number}"
    draft = SpanDraft(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        role=role,
        name=span.name,
        scope=span.scope,
        session_id=None,
        started_at=span.started_at,
        ended_at=span.ended_at,
        record=reading.record,
        record_id=None,
        body=to_wire(span),
    )
    return attrs.evolve(draft, **changes)


def named(record_id: str | None) -> str | None:
    """The name of a record that a span made; any other id as it is."""
    return record_id if record_id is None else NAMES.get(record_id, record_id)


def send(store: Store, project: Project, *drafts: SpanDraft) -> SpanResult:
    return store.spans.save(project, drafts)


def deliver(store: Store, project: Project, *records: Record) -> None:
    incoming = tuple(Incoming(index=i, record=one, body=to_wire(one)) for i, one in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=BEGAN_AT))


def recorded(store: Store, project: Project) -> list[str]:
    return sorted(str(named(row.record_id)) for row in store.calls.page(project.id, EVERYTHING, limit=100).rows)


def belongings(store: Store, project: Project) -> dict[str, str | None]:
    return {row.name: named(row.record_id) for row in store.spans.tree(project.id, TRACE).spans}


def an_sdk_record(span: int) -> Record:
    return a_record("p", record_id="ours", otel_trace_id=TRACE, otel_span_id=f"{span:016x}")


def test_a_call_is_recorded_and_everything_else_kept(store: Store, project: Project) -> None:
    result = send(store, project, a_draft(1, role="plain"), a_draft(2, inside=1))
    assert result == SpanResult(stored=2, duplicates=0, records=1)
    assert recorded(store, project) == ["made-2"]
    assert belongings(store, project) == {"span 1": None, "span 2": "made-2"}


def test_spans_that_come_again_change_nothing(store: Store, project: Project) -> None:
    send(store, project, a_draft(1))
    assert send(store, project, a_draft(1), a_draft(1, name="again")) == SpanResult(stored=0, duplicates=2, records=0)
    assert send(store, project, a_draft(2), a_draft(2, name="twice")).stored == 1
    assert [row.name for row in store.spans.tree(project.id, TRACE).spans] == ["span 1", "span 2"]
    assert recorded(store, project) == ["made-1", "made-2"]


def test_an_inner_call_that_comes_first_gives_its_place_up(store: Store, project: Project) -> None:
    send(store, project, a_draft(3, inside=2))
    assert recorded(store, project) == ["made-3"]
    send(store, project, a_draft(2, inside=1, role="plain"))
    send(store, project, a_draft(1))
    assert recorded(store, project) == ["made-1"]
    assert belongings(store, project) == {"span 1": "made-1", "span 2": None, "span 3": "made-1"}


@pytest.mark.parametrize("is_span_first", [True, False])
def test_a_call_that_our_sdk_recorded_is_linked(store: Store, project: Project, is_span_first: bool) -> None:
    steps = [lambda: send(store, project, a_draft(2, inside=1)), lambda: deliver(store, project, an_sdk_record(1))]
    for step in steps if is_span_first else reversed(steps):
        step()
    assert recorded(store, project) == ["ours"]
    assert belongings(store, project) == {"span 2": "ours"}
    assert store.spans.record_of_span(project.id, f"{2:016x}") == "ours"
    assert store.spans.record_of_span(project.id, f"{1:016x}") == "ours"


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("is_span_first", [True, False])
def test_a_call_that_comes_in_both_ways_to_two_servers_at_once_is_recorded_once(
    store: Store, project: Project, is_span_first: bool
) -> None:
    def put_record(connection: sa.Connection) -> None:
        one = an_sdk_record(1)
        incoming = (Incoming(index=0, record=one, body=to_wire(one)),)
        store._save(connection, [Batch(project_key=project.key, records=incoming, received_at=BEGAN_AT)])

    def put_span(connection: sa.Connection) -> None:
        spans.save(connection, project, [a_draft(2, inside=1)], BEGAN_AT, None, store._save)

    def is_waiting() -> bool:
        statement = sa.text("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")
        with store._reading.begin() as connection:
            return connection.execute(statement).first() is not None

    first, second = (put_span, put_record) if is_span_first else (put_record, put_span)
    there = store.database.open(is_writer=True)
    with ThreadPoolExecutor(1) as pool:
        with there.begin() as elsewhere:
            first(elsewhere)
            later = pool.submit(store._writer.run, second, is_alone=False)
            until(is_waiting, what="the other server")
        later.result(60)
    there.dispose()
    assert recorded(store, project) == ["ours"]
    assert belongings(store, project) == {"span 2": "ours"}


def test_our_sdks_own_span_links_before_its_record_is_there(store: Store, project: Project) -> None:
    send(store, project, a_draft(2, inside=1))
    send(store, project, a_draft(1, role="own", record_id="ours"))
    assert recorded(store, project) == []
    deliver(store, project, an_sdk_record(1))
    assert recorded(store, project) == ["ours"]


def test_what_was_said_of_a_call_goes_with_it(store: Store, project: Project) -> None:
    call = a_draft(2, inside=1)
    send(store, project, call)
    assert call.record is not None
    made = call.record.record_id
    said = Amendment(
        amendment_id="said", record_id=made, project_id="p", made_at=BEGAN_AT, feedback="positive", scores={"s": 1}
    )
    assert store.calls.amend(project, said)
    deliver(store, project, an_sdk_record(1))
    ours = store.calls.get(project.id, "ours")
    assert ours is not None
    assert ours.amendments == (attrs.evolve(said, record_id="ours"),)
    assert store.calls.get(project.id, made) is None


def test_a_call_of_another_trace_with_the_same_response_id_is_the_same(store: Store, project: Project) -> None:
    first, second = a_draft(1), a_draft(2, trace_id="b" * 32)
    first, second = (
        attrs.evolve(one, record=attrs.evolve(one.record, response_id="r1")) for one in (first, second) if one.record
    )
    send(store, project, second)
    send(store, project, first)
    assert recorded(store, project) == ["made-1"]


def test_a_call_that_turns_out_to_stand_alone_is_recorded_then(store: Store, project: Project) -> None:
    first, twin = a_draft(1, inside=9, scope="one"), a_draft(2, inside=9, scope="two")
    send(store, project, first, a_draft(3, inside=9, scope="two"))
    assert recorded(store, project) == ["made-1"]
    send(store, project, twin)
    assert recorded(store, project) == ["made-1", "made-3"]
    assert belongings(store, project) == {"span 1": "made-1", "span 2": "made-1", "span 3": "made-3"}


def test_a_record_without_a_span_looks_for_none(store: Store, project: Project) -> None:
    deliver(store, project, a_record("p", record_id="plain"))
    deliver(store, project, an_sdk_record(1))
    assert recorded(store, project) == ["ours", "plain"]


def test_another_project_sees_and_changes_nothing(store: Store, project: Project) -> None:
    other = store.projects.create("other")
    send(store, project, a_draft(2, inside=1))
    send(store, other, a_draft(1))
    deliver(store, other, an_sdk_record(1))
    assert recorded(store, project) == ["made-2"]
    assert [row.name for row in store.spans.tree(other.id, TRACE).spans] == ["span 1"]
    assert store.spans.record_of_span(other.id, f"{2:016x}") is None


def test_a_tree_is_read_in_its_order_whatever_its_shape(store: Store, project: Project) -> None:
    drafts = [
        a_draft(1, role="plain"),
        a_draft(2, inside=1, role="plain"),
        a_draft(3, inside=1, role="plain"),
        a_draft(4, inside=2, role="plain"),
        a_draft(5, inside=99, role="plain"),
        a_draft(6, inside=7, role="plain"),
        a_draft(7, inside=6, role="plain"),
    ]
    send(store, project, *reversed(drafts))
    found = [(row.name[-1], row.depth) for row in store.spans.tree(project.id, TRACE).spans]
    assert found == [("1", 0), ("2", 1), ("4", 2), ("3", 1), ("5", 0), ("6", 0), ("7", 1)]


def test_a_trace_of_more_spans_than_an_answer_has_says_so(store: Store, project: Project) -> None:
    send(store, project, *(a_draft(n, inside=n - 1, role="plain") for n in range(1, 1_003)))
    tree = store.spans.tree(project.id, TRACE)
    assert (len(tree.spans), tree.has_more, tree.spans[-1].depth) == (1_000, True, 999)


def test_spans_of_a_deleted_session_go_with_it(store: Store, project: Project) -> None:
    call = a_draft(2, inside=1, session_id="s1")
    assert call.record is not None
    call = attrs.evolve(call, record=attrs.evolve(call.record, session_id="s1"))
    send(store, project, a_draft(1, role="plain"), call)
    store.deletion.session(project, "s1")
    assert store.spans.tree(project.id, TRACE).spans == ()
    assert recorded(store, project) == []


def test_what_a_call_said_is_indexed_though_nothing_else_arrives(store: Store, project: Project) -> None:
    def indexed() -> int:
        return store.calls._access.ask(following.indexed_seq)

    for number in (1, 2):  # the second comes when the writer has nothing left to do
        send(store, project, a_draft(number))
        newest = store.calls.newest_seq(project.id)
        assert until(lambda newest=newest: indexed() >= newest, what="the index")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(SqliteDatabase(tmp_path_factory.mktemp("spans") / "test.db"))
    yield opened
    opened.close()


_count = iter(range(10**6))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(["call", "plain", "step"]), st.sampled_from(["one", "two"])),
        min_size=2,
        max_size=6,
    ),
    ours=st.integers(0, 7),
    order=st.randoms(use_true_random=False),
)
def test_the_order_in_which_spans_and_records_arrive_makes_no_difference(
    shared: Store, tmp_path: Path, shapes: list[tuple[int, Role, str]], ours: int, order
) -> None:
    drafts = [  # none lies in itself, however far: no tracer makes a circle
        a_draft(number, inside=inside % number if inside < 5 else 99, role=role, scope=scope)
        for number, (inside, role, scope) in enumerate(shapes, start=1)
    ]
    outcomes = []
    for _ in range(2):
        project = shared.projects.create(f"project {next(_count)}")
        steps = [partial(send, shared, project, one) for one in drafts]
        steps.append(partial(deliver, shared, project, an_sdk_record(ours)))
        order.shuffle(steps)
        for step in steps:
            step()
        outcomes.append((recorded(shared, project), belongings(shared, project)))
    assert outcomes[0] == outcomes[1]
