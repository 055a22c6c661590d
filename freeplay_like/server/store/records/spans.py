"""Spans of OpenTelemetry: kept as they came, recorded where they are calls, and read back as the tree that they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire
from freeplay_like.server.spans.calls import Role
from freeplay_like.server.store.access import Access, Part
from freeplay_like.server.store.bodies import Packer, raw
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.records import span_links
from freeplay_like.server.store.records.span_tables import otel_span
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import Batch, Incoming, Project, StoreResult

TREE_LIMIT: Final = 1_000
"""The most spans of a trace that are read back at once."""
TREE_LIMIT_BYTES: Final = 16 * 1024 * 1024

SaveBatches = Callable[[sa.Connection, Sequence[Batch]], Sequence[StoreResult]]


@attrs.frozen(kw_only=True)
class SpanDraft:
    """A span that is to be kept. `record` is the one that a call would make, `record_id` the one our SDK's span names.

    `body` is the span's JSON. `model` is the name that was asked for.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    role: Role
    name: str
    scope: str
    session_id: str | None
    started_at: datetime
    ended_at: datetime | None
    record: Record | None
    record_id: str | None
    body: bytes

    @property
    def place(self) -> tuple[str, str]:
        """Its ids."""
        return self.trace_id, self.span_id


@attrs.frozen(kw_only=True)
class SpanResult:
    """What became of spans; `records` counts those that were made of them."""

    stored: int
    duplicates: int
    records: int


@attrs.frozen(kw_only=True)
class SpanRow:
    """A span, read back. `depth` is how deep it lies in its trace, `body` its JSON."""

    span_id: str
    parent_id: str | None
    role: Role
    name: str
    record_id: str | None
    started_at: datetime
    ended_at: datetime
    depth: int
    body: bytes


@attrs.frozen(kw_only=True)
class SpanTree:
    """The spans of a trace, each before those that lie in it; `has_more` where they were too many for one answer."""

    spans: tuple[SpanRow, ...]
    has_more: bool


def save(
    connection: sa.Connection,
    of: Project,
    drafts: Sequence[SpanDraft],
    now: datetime,
    api_key_id: str | None,
    save_batches: SaveBatches,
) -> SpanResult:
    """Keep spans, each once, and record the calls among them that nothing else recorded, in the transaction at hand."""
    database_of(connection).lock_traces(connection, is_shared=False)
    database_of(connection).lock(connection)
    known = _known(connection, of.key, drafts)
    new = {draft.place: draft for draft in reversed(drafts) if draft.place not in known}
    if not new:
        return SpanResult(stored=0, duplicates=len(drafts), records=0)
    packer = Packer()
    connection.execute(
        sa.insert(otel_span), [_values(of.key, draft, to_micros(now), packer) for draft in reversed(new.values())]
    )
    counting = span_links.settle(connection, of.key, {draft.trace_id for draft in new.values()})
    made = [new[place].record for place in sorted(counting) if place in new]
    again = span_links.records_of(connection, of.key, counting - new.keys())
    records = [one for one in (*made, *again) if one is not None]
    incoming = tuple(Incoming(index=index, record=one, body=to_wire(one)) for index, one in enumerate(records))
    if incoming:
        save_batches(connection, [Batch(project_key=of.key, records=incoming, received_at=now, api_key_id=api_key_id)])
    return SpanResult(stored=len(new), duplicates=len(drafts) - len(new), records=len(incoming))


def _known(connection: sa.Connection, project_key: int, drafts: Sequence[SpanDraft]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for some in span_links.slices(drafts):
        rows = connection.execute(
            sa.select(otel_span.c.trace_id, otel_span.c.span_id).where(
                otel_span.c.project_key == project_key,
                otel_span.c.trace_id.in_({draft.trace_id for draft in some}),
                otel_span.c.span_id.in_({draft.span_id for draft in some}),
            )
        )
        found.update((trace_id, span_id) for trace_id, span_id in rows)
    return found


def _values(project_key: int, draft: SpanDraft, received_at: int, packer: Packer) -> dict[str, object]:
    made = draft.record
    started_at = to_micros(draft.started_at)
    return {
        "project_key": project_key,
        "trace_id": draft.trace_id,
        "span_id": draft.span_id,
        "parent_id": draft.parent_id,
        "role": draft.role,
        "name": draft.name,
        "scope": draft.scope,
        "model": made.requested_model if made else None,
        "response_id": made.response_id if made else None,
        "session_id": draft.session_id,
        "started_at": started_at,
        "ended_at": started_at if draft.ended_at is None else max(started_at, to_micros(draft.ended_at)),
        "own_record_id": made.record_id if made else draft.record_id,
        "record_id": draft.record_id,
        "received_at": received_at,
        "zstd": packer.pack(draft.body),
    }


def tree(connection: sa.Connection, of: Project, trace_id: str) -> SpanTree:
    """The spans of a trace."""
    rows = connection.execute(
        sa.select(otel_span)
        .where(otel_span.c.project_key == of.key, otel_span.c.trace_id == trace_id)
        .order_by(otel_span.c.started_at, otel_span.c.key)
        .limit(TREE_LIMIT + 1)
    )
    found: list[SpanRow] = []
    size, has_more = 0, False
    for row in rows:
        body = raw(row.zstd)
        size += len(body)
        if len(found) == TREE_LIMIT or (found and size > TREE_LIMIT_BYTES):
            has_more = True
            break
        found.append(
            SpanRow(
                span_id=row.span_id,
                parent_id=row.parent_id,
                role=row.role,
                name=row.name,
                record_id=row.record_id,
                started_at=from_micros(row.started_at),
                ended_at=from_micros(row.ended_at),
                depth=0,
                body=body,
            )
        )
    return SpanTree(spans=_in_tree_order(found), has_more=has_more)


def _in_tree_order(rows: Sequence[SpanRow]) -> tuple[SpanRow, ...]:
    """Each span before those that lie in it, and these in the order they began. No depth is too deep, nor a circle."""
    there = {row.span_id for row in rows}
    inside: dict[str | None, list[SpanRow]] = defaultdict(list)
    for row in rows:
        inside[row.parent_id if row.parent_id in there else None].append(row)
    ordered: list[SpanRow] = []
    seen: set[str] = set()
    waiting = [(row, 0) for row in reversed(inside[None])]
    rest = iter(rows)
    while True:
        if not waiting:
            left = next((row for row in rest if row.span_id not in seen), None)
            if left is None:
                return tuple(ordered)
            waiting.append((left, 0))
        row, depth = waiting.pop()
        if row.span_id in seen:
            continue
        seen.add(row.span_id)
        ordered.append(attrs.evolve(row, depth=depth))
        waiting += [(child, depth + 1) for child in reversed(inside[row.span_id])]


def record_of_span(connection: sa.Connection, of: Project, span_id: str) -> str | None:
    """The record that a span belongs to, be it one that was sent here or one that our SDK recorded itself."""
    kept = sa.select(otel_span.c.record_id).where(
        otel_span.c.project_key == of.key, otel_span.c.span_id == span_id, otel_span.c.record_id.is_not(None)
    )
    made = sa.select(record.c.record_id).where(record.c.project_key == of.key, record.c.otel_span_id == span_id)
    found = connection.scalar(kept.order_by(otel_span.c.key.desc()).limit(1))
    return found or connection.scalar(made.order_by(record.c.seq.desc()).limit(1))


class Spans(Part):
    """The spans that other senders sent."""

    def __init__(self, access: Access, save_batches: SaveBatches) -> None:
        super().__init__(access)
        self._save_batches = save_batches

    def save(self, project: Project, drafts: Sequence[SpanDraft], *, api_key_id: str | None = None) -> SpanResult:
        """Keep spans, each once, and record the calls among them that nothing else recorded.

        Raises:
            StoreUnavailable: they could not be stored now.
        """
        now = self._access.clock.now()
        return self._access.change(
            lambda connection: save(connection, project, drafts, now, api_key_id, self._save_batches), is_alone=False
        )

    def tree(self, project_id: str, trace_id: str) -> SpanTree:
        """The spans of a trace, at most `TREE_LIMIT`; none where there is no such trace."""
        return self._access.ask_of(project_id, tree, SpanTree(spans=(), has_more=False), trace_id)

    def record_of_span(self, project_id: str, span_id: str) -> str | None:
        """The record that a span belongs to; None where there is no such span, or it belongs to none."""
        return self._access.ask_of(project_id, record_of_span, None, span_id)
