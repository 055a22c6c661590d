from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import sqlalchemy as sa

from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message
from freeplay_like.core.records import ErrorInfo, Record, TemplateRef
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter, term
from freeplay_like.server.store.derived.following import indexed_seq
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import (
    Batch,
    Incoming,
    Project,
    Sender,
    StoreBusy,
    StoreResult,
    StoreUnavailable,
)
from freeplay_like.server.store.writer import PENDING_LIMIT_BYTES, Settled
from support.databases import hold, over_sqlite
from support.plain_records import a_record, an_unsettled
from support.waiting import until

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def batch(project: Project, *records: Record, sender: Sender | None = None) -> Batch:
    incoming = tuple(Incoming(index=i, record=record, body=to_wire(record)) for i, record in enumerate(records))
    return Batch(project_key=project.key, records=incoming, received_at=NOW, sender=sender)


def save(store: Store, project: Project, *records: Record) -> StoreResult:
    return store.save(batch(project, *records))


def texts(store: Store, project: Project, which: Filter = EVERYTHING) -> list[str]:
    return [row.first_answer for row in store.calls.page(project.id, which).rows]


def index_everything(store: Store) -> None:
    def is_done() -> bool:
        with store._reading.begin() as connection:
            last = connection.scalar(sa.text("SELECT max(seq) FROM record"))
            return indexed_seq(connection) == last

    until(is_done, what="the text index")


# --- storing


def test_a_record_comes_back_as_it_was_sent(store: Store, project: Project) -> None:
    sent = a_record(
        project.id,
        template=TemplateRef(name="trip", version="3", version_id="v", environment="prod"),
        usage=Usage(input_tokens=7, output_tokens=0),
        session_id="s",
        variables={"city": "Lyon", "deep": [{"a": None}]},
    )
    assert save(store, project, sent) == StoreResult(stored=1)
    stored = store.calls.get(project.id, sent.record_id)
    assert stored is not None
    assert stored.record == sent
    assert stored.received_at == NOW
    assert (stored.row.template_name, stored.row.template_version, stored.row.environment) == ("trip", "3", "prod")
    assert (stored.row.input_tokens, stored.row.output_tokens) == (7, 0)
    assert (stored.row.first_user, stored.row.first_answer) == ("Where is Lyon?", "In France.")
    assert stored.row.started_at == sent.started_at


def test_the_second_arrival_of_an_id_changes_nothing(store: Store, project: Project) -> None:
    first = a_record(project.id)
    save(store, project, first)
    again = attrs.evolve(first, outcome="error")
    assert save(store, project, again, again) == StoreResult(duplicates=2)
    stored = store.calls.get(project.id, first.record_id)
    assert stored is not None
    assert stored.record.outcome == "complete"


def test_an_id_twice_in_one_batch_is_stored_once(store: Store, project: Project) -> None:
    record = a_record(project.id)
    assert save(store, project, record, record) == StoreResult(stored=1, duplicates=1)
    assert len(store.calls.page(project.id, EVERYTHING).rows) == 1


def test_a_late_end_replaces_a_call_that_nobody_saw_end(store: Store, project: Project) -> None:
    settled = a_record(project.id, answer="In France, on the Rhone.")
    save(store, project, an_unsettled(settled))
    index_everything(store)
    assert save(store, project, settled) == StoreResult(stored=1)
    stored = store.calls.get(project.id, settled.record_id)
    assert stored is not None
    assert stored.record == settled
    assert texts(store, project, parse("the Rhone")) == ["In France, on the Rhone."]
    assert save(store, project, an_unsettled(settled)) == StoreResult(duplicates=1)
    assert texts(store, project) == ["In France, on the Rhone."]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_end_and_its_unsettled_twin_in_one_batch_leave_the_end(
    store: Store, project: Project, order: tuple[int, int]
) -> None:
    settled = a_record(project.id)
    pair = an_unsettled(settled), settled
    assert save(store, project, *(pair[i] for i in order)) == StoreResult(stored=1, duplicates=1)
    stored = store.calls.get(project.id, settled.record_id)
    assert stored is not None
    assert stored.record == settled


def test_an_interruption_that_was_seen_is_final(store: Store, project: Project) -> None:
    interrupted = a_record(project.id, outcome="interrupted")
    save(store, project, interrupted)
    assert save(store, project, attrs.evolve(interrupted, outcome="complete")) == StoreResult(duplicates=1)


def test_projects_may_use_the_same_id_and_see_only_their_own(store: Store, project: Project) -> None:
    other = store.projects.create("second")
    ours = a_record(project.id, answer="ours", session_id="s")
    theirs = attrs.evolve(ours, project_id=other.id, choices=(Choice(text="theirs"),))
    save(store, project, ours)
    assert save(store, other, theirs) == StoreResult(stored=1)
    index_everything(store)
    for which in (EVERYTHING, parse("our"), parse("session:s"), parse("model:gpt-x-1")):
        assert texts(store, project, which) == ["ours"]
    stored = store.calls.get(other.id, ours.record_id)
    assert stored is not None
    assert stored.record.text == "theirs"
    assert [row.first_answer for row in store.calls.of_session(project.id, "s")] == ["ours"]


def test_batches_that_wait_together_are_committed_together(store: Store, project: Project) -> None:
    settled: list[Settled] = []
    store.on_settled(lambda group: settled.extend(group))
    is_open = threading.Event()
    busy = store._writer.enqueue(lambda connection: is_open.wait(20))
    before = store.commits
    for _ in range(50):
        store.submit(batch(project, a_record(project.id)))
    assert not settled
    is_open.set()
    assert busy.result(20)
    until(lambda: len(settled) == 50, what="50 answers")
    assert store.commits - before == 1
    assert {result.stored for _, result in settled if isinstance(result, StoreResult)} == {1}


def test_a_record_that_no_database_takes_does_not_keep_the_others_out(store: Store, project: Project) -> None:
    poison = a_record(project.id, usage=Usage(input_tokens=2**63))
    settled: list[Settled] = []
    store.on_settled(lambda group: settled.extend(group))
    is_open = threading.Event()
    store._writer.enqueue(lambda connection: is_open.wait(20))
    store.submit(batch(project, a_record(project.id), poison, a_record(project.id)))
    store.submit(batch(project, a_record(project.id)))
    is_open.set()
    until(lambda: len(settled) == 2, what="two answers")
    (_, first), (_, second) = settled
    assert isinstance(first, StoreResult)
    assert first.stored == 2
    assert [index for index, _ in first.rejected] == [1]
    assert second == StoreResult(stored=1)
    assert len(texts(store, project)) == 3


def test_more_than_may_wait_is_refused(store: Store, project: Project) -> None:
    is_open = threading.Event()
    store._writer.enqueue(lambda connection: is_open.wait(20))
    record = a_record(project.id)
    huge = Batch(
        project_key=project.key,
        records=(Incoming(index=0, record=record, body=b" " * PENDING_LIMIT_BYTES),),
        received_at=NOW,
    )
    store.submit(huge)
    with pytest.raises(StoreBusy, match="send again later"):
        store.submit(batch(project, a_record(project.id)))
    is_open.set()


def test_a_closed_store_has_written_what_it_took_and_takes_no_more(store: Store, project: Project) -> None:
    answers: list[Settled] = []
    store.on_settled(lambda group: answers.extend(group))
    for _ in range(20):
        store.submit(batch(project, a_record(project.id)))
    store.close()
    assert sum(result.stored for _, result in answers if isinstance(result, StoreResult)) == 20
    with pytest.raises(StoreUnavailable, match="closed"):
        store.submit(batch(project, a_record(project.id)))


def test_senders_are_known_by_what_they_said_last(store: Store, project: Project) -> None:
    sender = Sender(sender_id="a", host="h", pid=1, dropped=2, oldest_unsent_at=NOW - timedelta(seconds=5))
    store.save(batch(project, sender=sender))
    store.save(batch(project, sender=attrs.evolve(sender, dropped=3)))
    (known,) = store.calls.senders(project.id)
    assert known.sender == attrs.evolve(sender, dropped=3)
    assert known.seen_at == NOW


# --- asking


def test_the_list_is_newest_first_and_pages_both_ways(store: Store, project: Project) -> None:
    save(store, project, *(a_record(project.id, answer=str(i)) for i in range(7)))
    seen: list[Sequence[str]] = []
    page = store.calls.page(project.id, EVERYTHING, limit=3)
    assert page.newer is None
    while True:
        seen.append([row.first_answer for row in page.rows])
        if page.older is None:
            break
        page = store.calls.page(project.id, EVERYTHING, before=page.older, limit=3)
    assert seen == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    back = store.calls.page(project.id, EVERYTHING, after=page.newer, limit=3)
    assert [row.first_answer for row in back.rows] == ["3", "2", "1"]
    first = store.calls.page(project.id, EVERYTHING, after=back.newer, limit=3)
    assert [row.first_answer for row in first.rows] == ["6", "5", "4"]
    assert first.newer is None


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "9" * 19, "٣"])
def test_a_cursor_of_no_page_is_refused(store: Store, project: Project, cursor: str) -> None:
    with pytest.raises(ValueError, match="not a place in the list"):
        store.calls.page(project.id, EVERYTHING, before=cursor)


def test_what_came_together_is_listed_by_when_it_began(store: Store, project: Project) -> None:
    early, late = a_record(project.id, answer="early"), a_record(project.id, answer="late")
    save(store, project, late, early)
    assert texts(store, project) == ["late", "early"]


def test_calls_after_a_number_come_in_the_order_they_arrived(store: Store, project: Project) -> None:
    save(store, project, a_record(project.id, answer="0"))
    here = store.calls.newest_seq(project.id)
    save(store, project, *(a_record(project.id, answer=str(i)) for i in (1, 2, 3)))
    assert [row.first_answer for row in store.calls.after(project.id, EVERYTHING, here)] == ["1", "2", "3"]
    assert [row.first_answer for row in store.calls.after(project.id, EVERYTHING, here, limit=2)] == ["1", "2"]


def test_filters_hold_together(store: Store, project: Project) -> None:
    trip = TemplateRef(name="trip")
    save(
        store,
        project,
        a_record(project.id, answer="a", template=trip, session_id="s"),
        a_record(project.id, answer="b", template=trip, outcome="error", error=ErrorInfo(type="T", message="boom")),
        a_record(project.id, answer="c", model=None, requested_model="other"),
    )
    index_everything(store)
    assert texts(store, project, parse("template:trip")) == ["b", "a"]
    assert texts(store, project, parse("template:trip outcome:complete")) == ["a"]
    assert texts(store, project, parse("session:s")) == ["a"]
    assert texts(store, project, parse("model:gpt-x")) == ["b", "a"]
    assert texts(store, project, parse("model:gpt-x-1 outcome:error")) == ["b"]
    assert texts(store, project, parse("model:other")) == ["c"]
    assert texts(store, project, parse("BOOM model:gpt-x")) == ["b"]


@pytest.mark.parametrize(
    "text",
    [
        "needle",
        "NEEDLE",
        'with "quotes"',
        "100%_\\",
        "a* OR b",
        "emoji 🎈 here",
        "ümläut",
        "ne",
        "🎈",
        "-minus",
        "NEAR(x y)",
    ],
)
@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_text_is_found_as_it_stands(store: Store, project: Project, text: str, is_indexed: bool) -> None:
    if not is_indexed:
        hold(store)
    save(
        store,
        project,
        a_record(project.id, answer="hay"),
        a_record(project.id, question=f"before {text} after", answer="asked"),
        a_record(project.id, answer=f"before {text} after"),
    )
    if is_indexed:
        index_everything(store)
    assert texts(store, project, term("text", "contains", text)) == [f"before {text} after", "asked"]
    assert texts(store, project, term("text", "contains", f"{text} nowhere")) == []


def test_a_text_deep_in_a_conversation_is_found_once_indexed(store: Store, project: Project) -> None:
    messages = (
        Message(role="system", content="You know the password tulip."),
        Message(role="user", content="x" * 3_000),
    )
    save(store, project, a_record(project.id, messages=messages))
    index_everything(store)
    assert texts(store, project, parse("password tulip")) == ["In France."]


def test_a_list_shows_what_a_call_without_text_asked_for(store: Store, project: Project) -> None:
    from freeplay_like.core.messages import ToolCall

    call = ToolCall(id="1", name="weather", arguments='{"city":"Lyon"}')
    save(
        store,
        project,
        a_record(project.id, choices=(Choice(tool_calls=(call,)),)),
        a_record(project.id, choices=(Choice(refusal="No."),), messages=()),
        a_record(project.id, choices=()),
    )
    assert texts(store, project) == ["", "No.", 'weather({"city":"Lyon"})']


def test_neighbours_in_a_session_are_in_the_order_they_began(store: Store, project: Project) -> None:
    first, second, third = (a_record(project.id, session_id="s") for _ in range(3))
    save(store, project, third)
    save(store, project, first, second, a_record(project.id, session_id="other"))
    stored = store.calls.get(project.id, second.record_id)
    assert stored is not None
    assert (stored.previous_id, stored.next_id) == (first.record_id, third.record_id)
    calls = store.calls.of_session(project.id, "s")
    assert [row.record_id for row in calls] == [first.record_id, second.record_id, third.record_id]
    ends = [store.calls.get(project.id, record.record_id) for record in (first, third)]
    assert [end and (end.previous_id, end.next_id) for end in ends] == [
        (None, second.record_id),
        (second.record_id, None),
    ]


def test_questions_about_no_project_have_empty_answers(store: Store) -> None:
    assert store.calls.page("none", EVERYTHING).rows == ()
    assert store.calls.after("none", EVERYTHING, 0) == ()
    assert store.calls.newest_seq("none") == 0
    assert store.calls.get("none", "x") is None
    assert store.calls.of_session("none", "s") == ()
    assert store.prompts.summaries("none") == ()
    assert store.prompts.get("none", "n", "latest") is None


@over_sqlite
def test_no_filter_of_the_list_reads_all_records(store: Store, project: Project) -> None:
    queries: list[str] = []

    def remember(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        queries.append(statement)

    sa.event.listen(store._reading, "before_cursor_execute", remember)
    save(store, project, a_record(project.id, session_id="s"))
    filters = [EVERYTHING, *map(parse, ("model:m", "session:s", "text", "te"))]
    for which in filters:
        store.calls.page(project.id, which)
    asked = [query for query in queries if "FROM record" in query and "SELECT" in query]
    assert len(asked) > len(filters)
    with store._reading.begin() as connection:
        for query in asked:
            values = ("1",) * query.count("?")
            plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values))
            assert "SCAN record " not in f"{plan} ", (query, plan)
            assert "TEMP B-TREE" not in plan, (query, plan)
