"""Storing what came together: records, once each, what was said of records, and who sent it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias, cast

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.bodies import Packer
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.facet_index import chunks
from freeplay_like.server.store.derived.facets import kept_metadata
from freeplay_like.server.store.engines.database import RecordKey, database_of, upsert
from freeplay_like.server.store.pricing.prices import Priced, Pricer
from freeplay_like.server.store.records import amendments, span_links
from freeplay_like.server.store.records.tables import record, record_body, sender
from freeplay_like.server.store.removal.tombstones import buried
from freeplay_like.server.store.tables import to_micros
from freeplay_like.server.store.views import FIRST_LINES_LIMIT, Batch, Incoming, Sender, StoreResult

_STATES: Final = sa.select(record.c.seq, record.c.record_id, record.c.outcome, record.c.ended_at)

_Arrival: TypeAlias = tuple[Incoming, Batch]
"""A record, and the batch it came with."""


@attrs.define
class _Plan:
    """What a group of batches comes to: the rows to add, in order, and the rows to replace by their number."""

    known: dict[RecordKey, tuple[int, bool]]
    deleted: set[RecordKey]
    added: dict[RecordKey, _Arrival] = attrs.field(factory=dict)
    replaced: dict[int, _Arrival] = attrs.field(factory=dict)

    def take(self, batch: Batch, incoming: Incoming) -> bool:
        """Plan one record; False where it is stored already, or was deleted.

        The first arrival of an id stands, except one of a call that nobody saw end: its end may still come, from
        the process itself, after another had taken it for dead.
        """
        key = batch.project_key, incoming.record.record_id
        if key in self.deleted:
            return False
        if key in self.added:
            before = self.added[key][0].record
            if not (_is_unsettled(before) and incoming.record.ended_at is not None):
                return False
            self.added[key] = incoming, batch
            return False
        if key not in self.known:
            self.added[key] = incoming, batch
            return True
        seq, is_unsettled = self.known[key]
        if is_unsettled and seq not in self.replaced and incoming.record.ended_at is not None:
            self.replaced[seq] = incoming, batch
            return True
        return False


def save_batches(connection: sa.Connection, batches: Sequence[Batch], *, pricer: Pricer) -> list[StoreResult]:
    """Store a group of batches in the transaction at hand; one result for each."""
    ids: dict[int, list[str]] = {}
    for batch in batches:
        ids.setdefault(batch.project_key, []).extend(incoming.record.record_id for incoming in batch.records)
    if any(incoming.record.otel_span_id is not None for batch in batches for incoming in batch.records):
        database_of(connection).lock_traces(connection, is_shared=True)  # their spans may be coming to another server
    if any(batch.amendments for batch in batches):
        database_of(connection).lock(connection)
    # where servers share a database, claiming tells what is known: by an index that grows into no partitions
    known = {} if database_of(connection).is_shared else _known_surely(connection, ids)
    numbers = _claim(connection, batches, known)
    deleted = buried(connection, ids)  # not before: whoever deletes a record waits for those who have claimed it
    for project_key, record_id in deleted.intersection(numbers):
        database_of(connection).forget_records(connection, project_key, [record_id])
    numbers = {key: seq for key, seq in numbers.items() if key not in deleted}
    plan = _Plan(known=known, deleted=deleted)
    results = []
    for batch, said in zip(batches, amendments.save(connection, batches), strict=True):
        stored = sum(plan.take(batch, incoming) for incoming in batch.records)
        results.append(
            StoreResult(
                stored=stored,
                duplicates=len(batch.records) - stored,
                amendments_stored=said,
                amendments_duplicates=len(batch.amendments) - said,
            )
        )
    due = [*_add(connection, plan, numbers, pricer), *_replace(connection, plan, pricer)]
    if due:
        pricer.put_off(connection, due)
    for project_key in ids:
        instead = span_links.retract_for(connection, project_key, _traced(plan, project_key))
        if instead:
            incoming = tuple(Incoming(index=i, record=one, body=to_wire(one)) for i, one in enumerate(instead))
            received_at = batches[0].received_at
            save_batches(
                connection, [Batch(project_key=project_key, records=incoming, received_at=received_at)], pricer=pricer
            )
    _save_senders(connection, batches)
    return results


def _is_unsettled(value: Record) -> bool:
    return value.outcome == "interrupted" and value.ended_at is None


def _traced(plan: _Plan, project_key: int) -> list[Record]:
    """The records of a project, among those stored, that say which span they are."""
    arrived = (*plan.added.values(), *plan.replaced.values())
    return [
        incoming.record
        for incoming, batch in arrived
        if incoming.record.otel_span_id is not None and batch.project_key == project_key
    ]


def _known(connection: sa.Connection, ids: Mapping[int, Sequence[str]]) -> dict[tuple[int, str], tuple[int, bool]]:
    """Which of the records are stored: `(project, id)` to `(seq, whether its end may still come)`."""
    known = {}
    for project_key, wanted in ids.items():
        seqs = database_of(connection).seqs_of(connection, project_key, wanted)
        for some in chunks(list(seqs.values())):
            for seq, record_id, outcome, ended_at in connection.execute(_STATES.where(record.c.seq.in_(some))):
                known[project_key, record_id] = seq, outcome == "interrupted" and ended_at is None
    return known


def _known_surely(
    connection: sa.Connection, ids: Mapping[int, Sequence[str]]
) -> dict[tuple[int, str], tuple[int, bool]]:
    """As `_known`; nobody else stores the end of one of them before this transaction ends."""
    known = _known(connection, ids)
    if any(is_unsettled for _, is_unsettled in known.values()):
        database_of(connection).lock(connection)
        known = _known(connection, ids)  # it may have come to another server meanwhile
    return known


def _claim(
    connection: sa.Connection,
    batches: Sequence[Batch],
    known: dict[RecordKey, tuple[int, bool]],
) -> Mapping[RecordKey, int]:
    """Number what is new; what another server has stored since `known` was read comes to it."""
    new: dict[RecordKey, datetime] = {}
    for batch in batches:
        for incoming in batch.records:
            key = batch.project_key, incoming.record.record_id
            if key not in known:
                new.setdefault(key, incoming.record.started_at)
    # what came together is numbered by when it began, so that a list in the order of arrival reads in order
    order = sorted(new, key=lambda key: new[key])
    numbers = database_of(connection).claim(connection, order) if order else {}
    late: dict[int, list[str]] = {}
    for project_key, record_id in order:
        if (project_key, record_id) not in numbers:
            late.setdefault(project_key, []).append(record_id)
    known.update(_known_surely(connection, late))
    return numbers


def _add(connection: sa.Connection, plan: _Plan, numbers: Mapping[RecordKey, int], pricer: Pricer) -> list[int]:
    """Store what is new; answers the numbers of the records whose price has to be looked up."""
    packer = Packer()
    rows: list[tuple[object, ...]] = []
    bodies: list[tuple[object, ...]] = []
    due: list[int] = []
    for key, seq in numbers.items():
        project_key, arrival = key[0], plan.added[key]
        priced = pricer.price(arrival[0].record)
        if priced.is_due:
            due.append(seq)
        rows.append((seq, project_key, *_values(arrival, priced)))
        bodies.append((seq, packer.pack(arrival[0].body)))
    if rows:
        database_of(connection).insert_many(connection, record, rows)
        database_of(connection).insert_many(connection, record_body, bodies)
    return due


def _replace(connection: sa.Connection, plan: _Plan, pricer: Pricer) -> list[int]:
    """Store the ends of calls whose beginnings are stored; answers like `_add`."""
    due = []
    for seq, arrival in plan.replaced.items():
        priced = pricer.price(arrival[0].record)
        if priced.is_due:
            due.append(seq)
        packed = Packer().pack(arrival[0].body)
        with following.changing(connection, [seq]):
            values = dict(zip(record.c.keys()[2:], _values(arrival, priced), strict=True))
            connection.execute(sa.update(record).where(record.c.seq == seq).values(values))
            connection.execute(sa.update(record_body).where(record_body.c.seq == seq).values(zstd=packed))
    return due


def _values(arrival: _Arrival, priced: Priced) -> tuple[object, ...]:
    """The columns of a record after its number and project, in the order of the table."""
    incoming, batch = arrival
    value = incoming.record
    template, usage = value.template, value.usage
    return (
        value.record_id,
        value.session_id,
        template.name if template else None,
        template.version if template else None,
        template.version_id if template else None,
        template.environment if template else None,
        value.provider,
        value.flavor,
        value.requested_model,
        value.model,
        value.outcome,
        to_micros(value.started_at),
        None if value.ended_at is None else to_micros(value.ended_at),
        to_micros(batch.received_at),
        value.latency_ms,
        value.time_to_first_chunk_ms,
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        value.is_stream,
        _question(value)[:FIRST_LINES_LIMIT],
        _answer(value)[:FIRST_LINES_LIMIT],
        value.error.type if value.error else None,
        value.test_run_id,
        value.test_case_id,
        value.trace_id,
        value.parent_id,
        value.otel_trace_id,
        value.otel_span_id,
        batch.api_key_id,
        priced.cost_nano_usd,
        priced.price_key,
        kept_metadata(value.metadata),
        value.replay_of,
    )


def _question(value: Record) -> str:
    """What a reader of a list sees of the question: what the user said last."""
    for message in reversed(value.messages):
        if message.role == "user":
            return message.text
    return ""


def _answer(value: Record) -> str:
    """What a reader of a list sees of the answer: the text, else the refusal, else the tools asked for."""
    if not value.choices:
        return ""
    choice = value.choices[0]
    return choice.text or choice.refusal or ", ".join(f"{call.name}({call.arguments})" for call in choice.tool_calls)


def _save_senders(connection: sa.Connection, batches: Sequence[Batch]) -> None:
    latest = {(batch.project_key, batch.sender.sender_id): batch for batch in batches if batch.sender is not None}
    for (project_key, sender_id), batch in sorted(latest.items(), key=lambda item: item[0]):
        values = attrs.asdict(cast("Sender", batch.sender), filter=lambda field, _: field.name != "sender_id")
        oldest = values["oldest_unsent_at"]
        values["oldest_unsent_at"] = None if oldest is None else to_micros(oldest)
        values["seen_at"] = to_micros(batch.received_at)
        upsert(connection, sender, {"project_key": project_key, "sender_id": sender_id, **values})
