from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.records.session_metadata import SessionNotFound
from freeplay_like.server.store.records.trace_views import TraceChange
from freeplay_like.server.store.records.traces import NAMES_LIMIT, TraceElsewhere, TraceNotFound
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project, Refused
from support.plain_records import a_record

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def put(store: Store, project: Project, **fields: object) -> str:
    record = a_record(project.id, **fields)
    incoming = Incoming(index=0, record=record, body=to_wire(record))
    assert store.save(Batch(project_key=project.key, records=(incoming,), received_at=NOW)).stored == 1
    return record.record_id


def test_what_is_said_of_a_trace_is_put_together(store: Store, project: Project) -> None:
    store.traces.save(project, "s", "t", TraceChange(output=1, metadata={"a": 1, "b": 2}, scores={"x": 0.5}))
    later = TraceChange(input={"q": [1]}, output="two", metadata={"a": None, "c": 3}, kind="agent", started_at=NOW)
    store.traces.save(project, "s", "t", later)
    whole = store.traces.get(project.id, "t")
    assert whole is not None
    trace = whole.trace
    assert (trace.input, trace.output, trace.kind, trace.started_at) == ({"q": [1]}, "two", "agent", NOW)
    assert (trace.metadata, trace.scores) == ({"b": 2, "c": 3}, {"x": 0.5})
    assert trace.created_at <= trace.updated_at


def test_the_parts_of_a_trace_may_come_in_any_order(store: Store, project: Project) -> None:
    store.traces.save(project, "s", "child", TraceChange(parent_id="t", started_at=NOW + timedelta(seconds=1)))
    late = put(store, project, session_id="s", trace_id="t", started_at=NOW + timedelta(seconds=2))
    early = put(store, project, session_id="s", trace_id="t", started_at=NOW)
    bare = store.traces.get(project.id, "t")
    assert bare is not None
    assert (bare.record_ids, bare.child_ids, bare.trace.session_id) == ((early, late), ("child",), "s")
    store.traces.save(project, "s", "t", TraceChange(name="whole", started_at=NOW))
    whole = store.traces.get(project.id, "t")
    assert whole is not None
    assert (whole.record_ids, whole.child_ids, whole.trace.name) == ((early, late), ("child",), "whole")
    assert [each.trace_id for each in store.traces.of_session(project.id, "s", 0, 10)] == ["t", "child"]
    assert [each.trace_id for each in store.traces.of_session(project.id, "s", 1, 10)] == ["child"]


def test_a_trace_of_another_project_or_session_is_not_there(store: Store, project: Project) -> None:
    other = store.projects.create("other")
    store.traces.save(project, "s", "t", TraceChange(name="mine"))
    store.traces.save(other, "s", "t", TraceChange(name="theirs"))
    found = store.traces.get(project.id, "t")
    assert found is not None
    assert found.trace.name == "mine"
    with pytest.raises(TraceElsewhere, match="of session 's', not of 'elsewhere'"):
        store.traces.save(project, "elsewhere", "t", TraceChange(name="x"))
    with pytest.raises(TraceNotFound, match="no trace 't' in session 'elsewhere'"):
        store.traces.save_known(project, "elsewhere", "t", TraceChange(name="x"))


def test_only_a_known_trace_is_added_to_where_that_is_asked(store: Store, project: Project) -> None:
    with pytest.raises(TraceNotFound, match="no trace 't' in project 'first'"):
        store.traces.save_known(project, None, "t", TraceChange(feedback={"stars": 1}))
    put(store, project, session_id="s", trace_id="t")
    store.traces.save_known(project, None, "t", TraceChange(feedback={"stars": 1}))
    found = store.traces.get(project.id, "t")
    assert found is not None
    assert (found.trace.feedback, found.trace.session_id) == ({"stars": 1}, "s")


def test_the_names_of_a_trace_and_of_a_session_are_bounded(store: Store, project: Project) -> None:
    names = {str(n): n for n in range(NAMES_LIMIT)}
    store.traces.save(project, "s", "t", TraceChange(metadata=names))
    with pytest.raises(Refused, match="the metadata of trace 't' would have 201 names"):
        store.traces.save(project, "s", "t", TraceChange(metadata={"more": 1}))
    store.session_metadata.merge(project, "s", names)
    with pytest.raises(Refused, match="the metadata of session 's' would have 201 names"):
        store.session_metadata.merge(project, "s", {"more": 1})
    assert store.session_metadata.of(project.id, ["s"]) == {"s": names}


def test_metadata_is_said_of_a_known_session_alone(store: Store, project: Project) -> None:
    with pytest.raises(SessionNotFound, match="no session 's' in project 'first'"):
        store.session_metadata.merge(project, "s", {"a": 1})
    put(store, project, session_id="s")
    store.session_metadata.merge(project, "s", {"a": 1, "b": 2})
    store.session_metadata.merge(project, "s", {"a": None, "c": 3})
    assert store.session_metadata.of(project.id, ["s", "unknown"]) == {"s": {"b": 2, "c": 3}}
    assert store.session_metadata.of(store.projects.create("other").id, ["s"]) == {}


def test_batches_that_wait_for_each_other_are_committed_together(database: Database) -> None:
    """Saving waits for the commit, and whoever listens hears of it too."""
    opened = Store(database)
    heard: list[int] = []
    opened.on_settled(lambda settled: heard.append(len(settled)))
    project = opened.projects.create("first")
    record_id = put(opened, project, session_id="s")
    assert opened.completions.get(project.id, record_id) is not None
    assert heard == [1]
    opened.close()
