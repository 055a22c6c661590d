"""Sessions as they are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs

from freeplay_like.core.chunks import Usage
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment, ErrorInfo, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, IncomingAmendment, Project

BEGAN = datetime(2026, 5, 1, 12, tzinfo=UTC)


def call(number: int, session_id: str | None = "s", **fields: object) -> Record:
    made = Record(
        record_id=f"r{number}",
        project_id="p",
        session_id=session_id,
        messages=(Message(role="user", content=f"question {number}"),),
        model="m",
        outcome="complete",
        usage=Usage(input_tokens=10, output_tokens=number),
        started_at=BEGAN + timedelta(seconds=number),
        latency_ms=100.0,
    )
    return attrs.evolve(made, **fields)  # type: ignore[arg-type]  # fields of a record


def save(store: Store, project: Project, *records: Record, said: tuple[Amendment, ...] = ()) -> None:
    incoming = tuple(Incoming(index=i, record=one, body=to_wire(one)) for i, one in enumerate(records))
    amendments = tuple(IncomingAmendment(index=i, amendment=one, body=to_wire(one)) for i, one in enumerate(said))
    batch = Batch(project_key=project.key, records=incoming, amendments=amendments, received_at=BEGAN)
    assert store.save(batch).rejected == ()


def test_a_call_knows_its_place_and_who_follows_it(store: Store, project: Project) -> None:
    save(store, project, call(3), call(1), call(2, parent_id="r1"), call(4, "other", parent_id="r1"), call(5, None))
    rows = {number: store.calls.get(project.id, f"r{number}") for number in (1, 2, 5)}
    first, second, alone = (store.conversations.place(project.id, one.row) for one in rows.values() if one)
    assert first is not None
    assert second is not None
    assert (first.position, second.position, first.calls) == (1, 2, 3)
    assert [child.record_id for child in first.children] == ["r2"]
    assert second.children == ()
    assert alone is None


def test_the_figures_of_a_session_are_sums_over_its_calls(store: Store, project: Project) -> None:
    failed = call(3, outcome="error", usage=None, model="n", error=ErrorInfo(type="E", message="m"), latency_ms=None)
    save(store, project, call(1), call(2), failed, call(4, "other"))
    (found,) = store.conversations.figures(project.id, ["none", "s"])
    assert found.session_id == "s"
    assert found.first_user == "question 1"
    assert (found.calls, found.failed_calls, found.input_tokens, found.output_tokens) == (3, 1, 20, 3)
    assert (found.priced_calls, found.cost_nano_usd, found.latency_ms) == (0, 0, 200.0)
    assert (found.models, found.model_count) == (("m", "n"), 2)
    assert found.last_started_at - found.first_started_at == timedelta(seconds=2)


def test_a_page_holds_whole_calls_in_the_order_they_began(store: Store, project: Project) -> None:
    said = Amendment(amendment_id="a", record_id="r2", project_id="p", made_at=BEGAN, feedback="positive")
    save(store, project, *(call(number) for number in (4, 2, 3, 1)), said=(said,))
    first = store.conversations.page(project.id, "s", 0, 3)
    assert [each.record.record_id for each in first.calls] == ["r1", "r2", "r3"]
    assert first.calls[1].amendments == (said,)
    assert (first.has_more, first.before, first.tokens_before) == (True, None, 0)
    last = store.conversations.page(project.id, "s", 3, 3)
    assert [each.record.record_id for each in last.calls] == ["r4"]
    assert last.before is not None
    assert last.before.record.record_id == "r3"
    assert (last.has_more, last.tokens_before, last.cost_before_nano_usd) == (False, 36, 0)


def test_another_projects_sessions_are_not_there(store: Store, project: Project) -> None:
    save(store, project, call(1))
    other = store.projects.create("second")
    assert store.conversations.figures(other.id, ["s"]) == ()
    assert store.conversations.page(other.id, "s", 0, 3).calls == ()
    assert store.conversations.page("no such", "s", 0, 3).calls == ()
