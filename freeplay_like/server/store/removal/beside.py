"""What lies beside records, and goes with them: traces, spans, what was said of sessions, test cases made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from freeplay_like.core.wire import JsonObject, from_wire, to_wire
from freeplay_like.server.store.bodies import unpack
from freeplay_like.server.store.derived.tables import session_summary
from freeplay_like.server.store.records.span_tables import otel_span
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.records.trace_tables import session_metadata, trace
from freeplay_like.server.store.removal.belonging import delete_whole, tables_with
from freeplay_like.server.store.tables import to_micros
from freeplay_like.server.store.trials.replay_tables import replay_item, replay_job
from freeplay_like.server.store.trials.tables import dataset, test_case


class Metadata(msgspec.Struct):
    """What of a body is read where only its metadata matter."""

    metadata: JsonObject = {}


def says(metadata: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Whether metadata has all of these values. A text also stands for the number that it writes: "42" for 42."""
    return all(key in metadata and _is_same(metadata[key], value) for key, value in wanted.items())


def _is_same(value: object, wanted: object) -> bool:
    written = to_wire(value)
    if isinstance(wanted, str) and not isinstance(value, str):
        return written == wanted.encode("utf-8", "replace")
    return written == to_wire(wanted)


def sessions_saying(connection: sa.Connection, project_key: int, wanted: Mapping[str, object]) -> tuple[str, ...]:
    """The sessions of which this was said."""
    rows = connection.execute(
        sa.select(session_metadata.c.session_id, session_metadata.c.content).where(
            session_metadata.c.project_key == project_key
        )
    )
    return tuple(row.session_id for row in rows if says(from_wire(row.content, dict), wanted))


def traces_saying(connection: sa.Connection, project_key: int, wanted: Mapping[str, object]) -> tuple[str, ...]:
    """The traces of which this was said."""
    rows = connection.execute(sa.select(trace.c.trace_id, trace.c.zstd).where(trace.c.project_key == project_key))
    return tuple(row.trace_id for row in rows if says(unpack(row.zstd, Metadata).metadata, wanted))


def delete_traces(connection: sa.Connection, project_key: int, trace_ids: Sequence[str]) -> None:
    """Delete traces; their records are for the caller."""
    delete_whole(connection, trace, sa.and_(trace.c.project_key == project_key, trace.c.trace_id.in_(trace_ids)))


def delete_of_records(connection: sa.Connection, project_key: int, seqs: Sequence[int]) -> int:
    """Delete what goes with records that are about to be deleted; how many test cases were made from them.

    The spans of an OpenTelemetry trace go with any of its calls, a trace with the last of its records.
    """
    rows = connection.execute(
        sa.select(record.c.record_id, record.c.trace_id, record.c.otel_trace_id).where(record.c.seq.in_(seqs))
    ).all()
    otel_traces = {row.otel_trace_id for row in rows if row.otel_trace_id is not None}
    if otel_traces:
        is_of_them = otel_span.c.project_key == project_key, otel_span.c.trace_id.in_(otel_traces)
        delete_whole(connection, otel_span, sa.and_(*is_of_them))
    traces = {row.trace_id for row in rows if row.trace_id is not None}
    if traces:
        still_there = sa.select(record.c.trace_id).where(
            record.c.project_key == project_key, record.c.trace_id.in_(traces), record.c.seq.not_in(seqs)
        )
        delete_traces(connection, project_key, sorted(traces - set(connection.scalars(still_there))))
    _delete_replays_of(connection, project_key, [row.record_id for row in rows])
    of_project = sa.select(dataset.c.key).where(dataset.c.project_key == project_key)
    is_made_from_them = test_case.c.source_record_id.in_([row.record_id for row in rows])
    return delete_whole(connection, test_case, sa.and_(is_made_from_them, test_case.c.dataset_key.in_(of_project)))


def _delete_replays_of(connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> None:
    """Delete what replays keep of the contents of records: what was written over them, or to make them.

    A large replay holds nothing of a single call but its id.
    """
    is_one = sa.or_(replay_item.c.source_id.in_(record_ids), replay_item.c.record_id.in_(record_ids))
    is_theirs = replay_job.c.project_key == project_key, replay_job.c.is_bulk.is_(False), is_one
    joined = sa.select(replay_job.c.key).join(replay_item, replay_item.c.job_key == replay_job.c.key)
    keys = connection.scalars(joined.where(*is_theirs).distinct()).all()
    if keys:
        delete_whole(connection, replay_job, replay_job.c.key.in_(keys))


def delete_of_sessions(connection: sa.Connection, project_key: int, session_ids: Sequence[str]) -> int:
    """Delete what is kept of sessions beside their records; how many of them there were."""
    there: set[str] = set()
    for table in tables_with("project_key", "session_id"):
        if table not in (record, session_summary):  # those keep themselves right
            where = sa.and_(table.c.project_key == project_key, table.c.session_id.in_(session_ids))
            there.update(connection.scalars(sa.select(table.c.session_id).where(where)))
            delete_whole(connection, table, where)
    return len(there)


def delete_expired(connection: sa.Connection, project_key: int, before: datetime, limit: int) -> int:
    """Delete some of the spans, traces and replays from before a moment, and what was said of sessions that have no
    records any more; how much it was."""
    moment = to_micros(before)
    has_records = sa.exists().where(
        record.c.project_key == project_key, record.c.session_id == session_metadata.c.session_id
    )
    return sum(
        _delete_some(connection, table, sa.and_(table.c.project_key == project_key, is_old), limit)
        for table, is_old in (
            (otel_span, otel_span.c.received_at < moment),
            (trace, sa.and_(trace.c.started_at < moment, trace.c.updated_at < moment)),
            (session_metadata, sa.and_(session_metadata.c.updated_at < moment, ~has_records)),
            (replay_job, replay_job.c.created_at < moment),
        )
    )


def _delete_some(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool], limit: int) -> int:
    keys = list(table.primary_key.columns)
    rows = connection.execute(sa.select(*keys).where(where).limit(limit)).all()
    if not rows:
        return 0
    return delete_whole(connection, table, sa.tuple_(*keys).in_([tuple(row) for row in rows]))
