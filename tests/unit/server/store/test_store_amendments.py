from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest
import sqlalchemy as sa

from freeplay_like.clock import SystemClock
from freeplay_like.core.chunks import Usage
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.store.records import amendments
from freeplay_like.server.store.records import calls as records
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, IncomingAmendment, Project, StoreResult
from support.databases import over_sqlite
from support.plain_records import a_record, an_unsettled

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def an_amendment(record: Record, after_s: int = 0, **changes: object) -> Amendment:
    made = Amendment(
        amendment_id=SystemClock().new_id(),
        record_id=record.record_id,
        project_id=record.project_id,
        made_at=NOW + timedelta(seconds=after_s),
    )
    return attrs.evolve(made, **changes)


def batch(project: Project, *values: Record | Amendment) -> Batch:
    of_records = [value for value in values if isinstance(value, Record)]
    said = [value for value in values if isinstance(value, Amendment)]
    return Batch(
        project_key=project.key,
        records=tuple(Incoming(index=i, record=value, body=to_wire(value)) for i, value in enumerate(of_records)),
        amendments=tuple(
            IncomingAmendment(index=i, amendment=value, body=to_wire(value)) for i, value in enumerate(said)
        ),
        received_at=NOW,
    )


def said_of(store: Store, record: Record) -> tuple[Amendment, ...]:
    stored = store.calls.get(record.project_id, record.record_id)
    assert stored is not None
    return stored.amendments


def test_what_is_said_of_a_record_is_kept_beside_it_in_the_order_it_was_said(store: Store, project: Project) -> None:
    record = a_record(project.id)
    late = an_amendment(record, 2, scores={"exact": True, "tone": "warm", "length": 3, "ratio": 0.5})
    early = an_amendment(record, 1, feedback="negative", comments={"why": ["too", {"long": None}]})
    more = an_amendment(record, 3, new_messages=(Message(role="user", content="And Paris?"),))
    result = store.save(batch(project, record, late, more, early))
    assert result == StoreResult(stored=1, amendments_stored=3)
    assert said_of(store, record) == (early, late, more)


def test_what_is_said_before_its_record_arrives_waits_for_it(store: Store, project: Project) -> None:
    record = a_record(project.id)
    amendment = an_amendment(record, feedback="positive")
    assert store.save(batch(project, amendment)) == StoreResult(amendments_stored=1)
    assert store.calls.get(project.id, record.record_id) is None
    store.save(batch(project, an_unsettled(record)))
    store.save(batch(project, record))
    assert said_of(store, record) == (amendment,)


def test_the_same_amendment_is_stored_once(store: Store, project: Project) -> None:
    record = a_record(project.id)
    first = an_amendment(record, feedback="positive")
    again = attrs.evolve(first, feedback="negative")
    assert store.save(batch(project, record, first, again)) == StoreResult(
        stored=1, amendments_stored=1, amendments_duplicates=1
    )
    assert store.save(batch(project, again)) == StoreResult(amendments_duplicates=1)
    assert said_of(store, record) == (first,)


def test_projects_may_use_the_same_amendment_id(store: Store, project: Project) -> None:
    other = store.projects.create("second")
    ours, theirs = a_record(project.id, record_id="r"), a_record(other.id, record_id="r")
    for where, record, thumb in ((project, ours, "positive"), (other, theirs, "negative")):
        amendment = an_amendment(record, amendment_id="a", feedback=thumb)
        assert store.save(batch(where, record, amendment)).amendments_stored == 1
    assert [said.feedback for said in said_of(store, ours)] == ["positive"]
    assert [said.feedback for said in said_of(store, theirs)] == ["negative"]


def test_a_bad_part_does_not_keep_the_others_of_its_batch_out(store: Store, project: Project) -> None:
    record, unkept = a_record(project.id), a_record(project.id, usage=Usage(output_tokens=2**63))
    good = an_amendment(record, feedback="positive")
    bad = attrs.evolve(good, amendment_id="bad", scores={"x" * 3: {}})
    object.__setattr__(bad, "record_id", None)  # no check lets this pass; the database does not take it
    store.submit(batch(project, unkept, record, bad, good))
    store._writer.run(lambda connection: None)
    assert said_of(store, record) == (good,)
    assert store.calls.get(project.id, unkept.record_id) is None


def test_only_the_newest_of_very_many_are_read_back(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amendments, "READ_LIMIT", 3)
    record = a_record(project.id)
    said = [an_amendment(record, second) for second in range(5)]
    store.save(batch(project, record, *said))
    assert said_of(store, record) == tuple(said[2:])


def test_something_can_be_said_of_a_stored_record_only(store: Store, project: Project) -> None:
    other = store.projects.create("second")
    record = a_record(project.id)
    store.save(batch(project, record))
    amendment = an_amendment(record, feedback="positive")
    assert store.calls.amend(project, amendment)
    assert not store.calls.amend(project, attrs.evolve(amendment, record_id="unknown"))
    assert not store.calls.amend(other, attrs.evolve(amendment, project_id=other.id))
    assert said_of(store, record) == (amendment,)


# --- sessions, read back


def test_a_session_is_read_back_as_it_was_sent(store: Store, project: Project) -> None:
    first = a_record(
        project.id, session_id="s", metadata={"user": "u", "try": 1}, usage=Usage(input_tokens=7, output_tokens=2)
    )
    second = a_record(project.id, session_id="s", metadata={"try": 2}, usage=Usage(input_tokens=8))
    body = to_wire(second)[:-1] + b',"of_a_newer_release":[1]}'
    newer = Batch(project_key=project.key, records=(Incoming(index=0, record=second, body=body),), received_at=NOW)
    store.save(newer)
    store.save(batch(project, first, an_amendment(first), a_record(project.id, session_id="other")))
    session = store.calls.sent_session(project.id, "s", 10)
    assert session is not None
    assert [from_wire(sent.body, Record) for sent in session.records] == [first, second]
    assert session.records[1].body == body
    assert [len(sent.amendments) for sent in session.records] == [1, 0]
    assert session.metadata == {"user": "u", "try": 2}
    assert (session.totals.calls, session.totals.input_tokens, session.totals.output_tokens) == (2, 15, 2)
    assert not session.has_more
    assert store.calls.sent_session(project.id, "unknown", 10) is None


def test_a_long_session_gives_its_newest_records(store: Store, project: Project) -> None:
    made = [a_record(project.id, session_id="s") for _ in range(4)]
    store.save(batch(project, *made))
    session = store.calls.sent_session(project.id, "s", 3)
    assert session is not None
    assert [from_wire(sent.body, Record) for sent in session.records] == made[1:]
    assert session.has_more
    assert session.totals.calls == 4


def test_a_large_session_gives_what_fits_and_at_least_one_record(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [a_record(project.id, session_id="s") for _ in range(3)]
    store.save(batch(project, *made))
    for limit, expected in ((1, made[2:]), (2 * len(to_wire(made[2])), made[1:])):
        monkeypatch.setattr(records, "READ_LIMIT_BYTES", limit)
        session = store.calls.sent_session(project.id, "s", 10)
        assert session is not None
        assert [from_wire(sent.body, Record) for sent in session.records] == expected
        assert session.has_more


def test_sums_larger_than_a_database_number_are_still_answered(store: Store, project: Project) -> None:
    usage = Usage(input_tokens=2**62, output_tokens=0)
    store.save(batch(project, *(a_record(project.id, session_id="s", usage=usage) for _ in range(4))))
    session = store.calls.sent_session(project.id, "s", 10)
    assert session is not None
    assert (session.totals.input_tokens, session.totals.output_tokens) == (2**64, 0)


@over_sqlite
def test_what_is_said_of_a_record_is_found_by_an_index(store: Store, project: Project) -> None:
    queries: list[str] = []
    sa.event.listen(store._reading, "before_cursor_execute", lambda *them: queries.append(them[2]))
    store.save(batch(project, a_record(project.id, record_id="r", session_id="s")))
    store.calls.sent_session(project.id, "s", 10)
    (query,) = [each for each in queries if "FROM amendment" in each]
    with store._reading.begin() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("x",) * query.count("?")).all()
    assert "USING INDEX ix_amendment_project_key_record_id_made_at" in str(plan)
