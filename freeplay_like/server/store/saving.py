"""Storing what came together: records, once each, what was said of records, and who sent it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.server.store import amendments, search, sqlite
from freeplay_like.server.store.bodies import Packer
from freeplay_like.server.store.record_tables import call_value, record, record_body, sender
from freeplay_like.server.store.records import whole_record
from freeplay_like.server.store.tables import to_micros
from freeplay_like.server.store.views import FIRST_LINES_LIMIT, Batch, Incoming, Sender, StoreResult


@attrs.define
class _Plan:
    """What a group of batches comes to: the rows to add, in order, and the rows to replace by their number."""

    known: dict[tuple[int, str], tuple[int, bool]]
    added: dict[tuple[int, str], tuple[Incoming, int]] = attrs.field(factory=dict)
    replaced: dict[int, tuple[Incoming, int]] = attrs.field(factory=dict)

    def take(self, project_key: int, incoming: Incoming, received_at: int) -> bool:
        """Plan one record; False where it is stored already.

        The first arrival of an id stands, except one of a call that nobody saw end: its end may still come, from
        the process itself, after another had taken it for dead.
        """
        key = project_key, incoming.record.record_id
        if key in self.added:
            before = self.added[key][0].record
            if not (_is_unsettled(before) and incoming.record.ended_at is not None):
                return False
            self.added[key] = incoming, received_at
            return False
        if key not in self.known:
            self.added[key] = incoming, received_at
            return True
        seq, is_unsettled = self.known[key]
        if is_unsettled and seq not in self.replaced and incoming.record.ended_at is not None:
            self.replaced[seq] = incoming, received_at
            return True
        return False


def save_batches(connection: sa.Connection, batches: Sequence[Batch]) -> list[StoreResult]:
    """Store a group of batches in the transaction at hand; one result for each."""
    plan = _Plan(_known(connection, batches))
    results = []
    for batch, said in zip(batches, amendments.save(connection, batches), strict=True):
        received_at = to_micros(batch.received_at)
        stored = sum(plan.take(batch.project_key, incoming, received_at) for incoming in batch.records)
        results.append(
            StoreResult(
                stored=stored,
                duplicates=len(batch.records) - stored,
                amendments_stored=said,
                amendments_duplicates=len(batch.amendments) - said,
            )
        )
    _add(connection, plan)
    for seq, (incoming, received_at) in plan.replaced.items():
        _replace(connection, seq, incoming, received_at)
    _save_values(connection, batches)
    _save_senders(connection, batches)
    return results


def _is_unsettled(value: Record) -> bool:
    return value.outcome == "interrupted" and value.ended_at is None


def _known(connection: sa.Connection, batches: Sequence[Batch]) -> dict[tuple[int, str], tuple[int, bool]]:
    """Which of the records are stored: `(project, id)` to `(seq, whether its end may still come)`."""
    ids: dict[int, list[str]] = {}
    for batch in batches:
        ids.setdefault(batch.project_key, []).extend(incoming.record.record_id for incoming in batch.records)
    known = {}
    for project_key, wanted in ids.items():
        rows = connection.execute(
            sa.select(record.c.seq, record.c.record_id, record.c.outcome, record.c.ended_at).where(
                record.c.project_key == project_key, record.c.record_id.in_(wanted)
            )
        )
        for seq, record_id, outcome, ended_at in rows:
            known[project_key, record_id] = seq, outcome == "interrupted" and ended_at is None
    return known


def _add(connection: sa.Connection, plan: _Plan) -> None:
    if not plan.added:
        return
    # what came together is numbered by when it began, so that a list in the order of arrival reads in order
    order = sorted(plan.added.items(), key=lambda item: item[1][0].record.started_at)
    packer = Packer()
    rows, bodies = [], []
    for seq, ((project_key, _), (incoming, received_at)) in zip(
        sqlite.reserve_seqs(connection, len(order)), order, strict=True
    ):
        rows.append({"seq": seq, "project_key": project_key, **_values(incoming.record, received_at)})
        bodies.append({"seq": seq, "zstd": packer.pack(incoming.body)})
    connection.execute(sa.insert(record), rows)
    connection.execute(sa.insert(record_body), bodies)


def _replace(connection: sa.Connection, seq: int, incoming: Incoming, received_at: int) -> None:
    search.replace(connection, seq, whole_record(connection, seq), incoming.record)
    connection.execute(sa.update(record).where(record.c.seq == seq).values(**_values(incoming.record, received_at)))
    packed = Packer().pack(incoming.body)
    connection.execute(sa.update(record_body).where(record_body.c.seq == seq).values(zstd=packed))


def _values(value: Record, received_at: int) -> dict[str, object]:
    """The columns of a record, but for its number and project."""
    template, usage = value.template, value.usage
    users = [message.text for message in value.messages if message.role == "user"]
    return {
        "record_id": value.record_id,
        "session_id": value.session_id,
        "template_name": template.name if template else None,
        "template_version": template.version if template else None,
        "template_version_id": template.version_id if template else None,
        "environment": template.environment if template else None,
        "provider": value.provider,
        "flavor": value.flavor,
        "requested_model": value.requested_model,
        "model": value.model,
        "outcome": value.outcome,
        "started_at": to_micros(value.started_at),
        "ended_at": None if value.ended_at is None else to_micros(value.ended_at),
        "received_at": received_at,
        "latency_ms": value.latency_ms,
        "time_to_first_chunk_ms": value.time_to_first_chunk_ms,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "is_stream": value.is_stream,
        "first_user": users[-1][:FIRST_LINES_LIMIT] if users else "",
        "first_answer": _answer(value)[:FIRST_LINES_LIMIT],
        "error_type": value.error.type if value.error else None,
        "test_run_id": value.test_run_id,
        "test_case_id": value.test_case_id,
        "trace_id": value.trace_id,
        "parent_id": value.parent_id,
        "otel_trace_id": value.otel_trace_id,
        "otel_span_id": value.otel_span_id,
    }


def _answer(value: Record) -> str:
    """What a reader of a list sees of the answer: the text, else the refusal, else the tools asked for."""
    if not value.choices:
        return ""
    choice = value.choices[0]
    return choice.text or choice.refusal or ", ".join(f"{call.name}({call.arguments})" for call in choice.tool_calls)


def _save_values(connection: sa.Connection, batches: Sequence[Batch]) -> None:
    values: set[tuple[int, str, str]] = set()
    for batch in batches:
        for incoming in batch.records:
            value = incoming.record
            name = value.template.name if value.template else None
            for kind, text in (("model", value.model or value.requested_model), ("template", name)):
                if text:
                    values.add((batch.project_key, kind, text[:400]))
            values.add((batch.project_key, "outcome", value.outcome))
    if not values:
        return
    columns = call_value.c.project_key, call_value.c.kind, call_value.c.value
    known = {tuple(row) for row in connection.execute(sa.select(*columns).where(sa.tuple_(*columns).in_(values)))}
    new = [{"project_key": key, "kind": kind, "value": text} for key, kind, text in sorted(values - known)]
    if new:
        connection.execute(sa.insert(call_value), new)


def _save_senders(connection: sa.Connection, batches: Sequence[Batch]) -> None:
    latest = {(batch.project_key, batch.sender.sender_id): batch for batch in batches if batch.sender is not None}
    for (project_key, sender_id), batch in latest.items():
        values = attrs.asdict(cast("Sender", batch.sender), filter=lambda field, _: field.name != "sender_id")
        oldest = values["oldest_unsent_at"]
        values["oldest_unsent_at"] = None if oldest is None else to_micros(oldest)
        values["seen_at"] = to_micros(batch.received_at)
        where = sa.and_(sender.c.project_key == project_key, sender.c.sender_id == sender_id)
        if not connection.execute(sa.update(sender).where(where).values(**values)).rowcount:
            connection.execute(sa.insert(sender).values(project_key=project_key, sender_id=sender_id, **values))
