"""Records: how they are stored, once each, and every question that is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.server.store import search, sqlite
from freeplay_like.server.store.bodies import Packer, unpack
from freeplay_like.server.store.tables import (
    asked_differently,
    call_value,
    from_micros,
    record,
    record_body,
    sender,
    to_micros,
)
from freeplay_like.server.store.views import (
    FIRST_LINES_LIMIT,
    Batch,
    CallFilter,
    CallPage,
    CallRow,
    FilterValues,
    Incoming,
    KnownSender,
    Project,
    Sender,
    StoredCall,
    StoreResult,
)

_VALUES_LIMIT: Final = 200
_SESSION_LIMIT: Final = 1_000


# --- storing ----------------------------------------------------------------------------------------------


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
    for batch in batches:
        received_at = to_micros(batch.received_at)
        stored = sum(plan.take(batch.project_key, incoming, received_at) for incoming in batch.records)
        results.append(StoreResult(stored=stored, duplicates=len(batch.records) - stored))
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
    search.replace(connection, seq, _body(connection, seq), incoming.record)
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


# --- asking -----------------------------------------------------------------------------------------------

_COLUMNS: Final = tuple(record.c[field.name] for field in attrs.fields(CallRow) if field.name != "project_id")


def list_calls(
    connection: sa.Connection, of: Project, which: CallFilter, before: str | None, after: str | None, limit: int
) -> CallPage:
    """A page of the list, newest first.

    Raises:
        ValueError: a cursor that no page gave out.
    """
    if after is not None:
        found = _calls(connection, of, which, record.c.seq > _position(after), limit + 1, is_newest_first=False)
        rows = found[:limit][::-1]
        newer = str(rows[0].seq) if len(found) > limit else None
        return CallPage(rows=tuple(rows), older=str(rows[-1].seq) if rows else str(_position(after) + 1), newer=newer)
    where = sa.true() if before is None else record.c.seq < _position(before)
    found = _calls(connection, of, which, where, limit + 1, is_newest_first=True)
    rows = found[:limit]
    newer = None
    if before is not None:
        newer = str(rows[0].seq if rows else _position(before) - 1)
    return CallPage(rows=tuple(rows), older=str(rows[-1].seq) if len(found) > limit else None, newer=newer)


def calls_after(
    connection: sa.Connection, of: Project, which: CallFilter, after_seq: int, limit: int
) -> tuple[CallRow, ...]:
    """What arrived after a row, in the order of arrival."""
    return tuple(_calls(connection, of, which, record.c.seq > after_seq, limit, is_newest_first=False))


def newest_seq(connection: sa.Connection, of: Project) -> int:
    """The number of the newest call, 0 where there is none."""
    return connection.scalar(sa.select(sa.func.max(record.c.seq)).where(record.c.project_key == of.key)) or 0


def get_call(connection: sa.Connection, of: Project, record_id: str) -> StoredCall | None:
    """One call, whole."""
    found = (
        connection.execute(
            sa.select(*_COLUMNS, record.c.received_at).where(
                record.c.project_key == of.key, record.c.record_id == record_id
            )
        )
        .mappings()
        .one_or_none()
    )
    if found is None:
        return None
    row = _row(of, found)
    return StoredCall(
        row=row,
        record=_body(connection, row.seq),
        received_at=from_micros(found["received_at"]),
        previous_id=_neighbour(connection, of, row, is_next=False),
        next_id=_neighbour(connection, of, row, is_next=True),
    )


def session_calls(connection: sa.Connection, of: Project, session_id: str) -> tuple[CallRow, ...]:
    """The calls of a session in the order they began."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(record.c.project_key == of.key, record.c.session_id == session_id)
        .order_by(record.c.started_at, record.c.seq)
        .limit(_SESSION_LIMIT)
    )
    return tuple(_row(of, row) for row in rows.mappings())


def filter_values(connection: sa.Connection, of: Project) -> FilterValues:
    """What the filters can offer."""

    def values(kind: str) -> tuple[str, ...]:
        return tuple(
            connection.scalars(
                sa.select(call_value.c.value)
                .where(call_value.c.project_key == of.key, call_value.c.kind == kind)
                .order_by(call_value.c.value)
                .limit(_VALUES_LIMIT)
            )
        )

    return FilterValues(models=values("model"), outcomes=values("outcome"), templates=values("template"))


def senders(connection: sa.Connection, of: Project) -> tuple[KnownSender, ...]:
    """The SDK processes that delivered records, the last heard of first."""
    rows = connection.execute(
        sa.select(sender).where(sender.c.project_key == of.key).order_by(sender.c.seen_at.desc()).limit(_VALUES_LIMIT)
    )
    return tuple(
        KnownSender(
            sender=Sender(
                sender_id=row.sender_id,
                host=row.host,
                pid=row.pid,
                sdk=row.sdk,
                dropped=row.dropped,
                spooled_bytes=row.spooled_bytes,
                oldest_unsent_at=None if row.oldest_unsent_at is None else from_micros(row.oldest_unsent_at),
            ),
            seen_at=from_micros(row.seen_at),
        )
        for row in rows
    )


def _calls(
    connection: sa.Connection,
    of: Project,
    which: CallFilter,
    where: sa.ColumnElement[bool],
    limit: int,
    *,
    is_newest_first: bool,
) -> list[CallRow]:
    """The first calls of a filter from one end.

    A filter that can hold in two ways (the model asked for or the one that answered; a text that is indexed or not
    yet) is asked once for each way, because an index serves each one, and none serves both.
    """
    statement = sa.select(*_COLUMNS).where(record.c.project_key == of.key, where)
    for column, value in (
        (record.c.outcome, which.outcome),
        (record.c.template_name, which.template),
        (record.c.session_id, which.session_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    statements = [statement]
    if which.model is not None:
        asked_for = sa.and_(record.c.requested_model == which.model, asked_differently)
        statements = [statement.where(record.c.model == which.model), statement.where(asked_for)]
    if which.text:
        statements = [way for each in statements for way in search.ways_to_find(connection, each, which.text)]
    found = []
    for each in statements:
        order = record.c.seq.desc() if is_newest_first else record.c.seq.asc()
        found += [_row(of, row) for row in connection.execute(each.order_by(order).limit(limit)).mappings()]
    return sorted(found, key=lambda row: row.seq, reverse=is_newest_first)[:limit]


def _row(of: Project, row: sa.RowMapping) -> CallRow:
    values = {column.name: row[column] for column in _COLUMNS}
    values["started_at"] = from_micros(values["started_at"])
    return CallRow(project_id=of.id, **values)


def _body(connection: sa.Connection, seq: int) -> Record:
    body = connection.execute(sa.select(record_body.c.zstd).where(record_body.c.seq == seq)).scalar_one()
    return unpack(body)


def _neighbour(connection: sa.Connection, of: Project, row: CallRow, *, is_next: bool) -> str | None:
    if row.session_id is None:
        return None
    place = sa.tuple_(record.c.started_at, record.c.seq)
    here = sa.tuple_(sa.literal(to_micros(row.started_at)), sa.literal(row.seq))
    statement = sa.select(record.c.record_id).where(
        record.c.project_key == of.key, record.c.session_id == row.session_id, place > here if is_next else place < here
    )
    ends = (record.c.started_at, record.c.seq) if is_next else (record.c.started_at.desc(), record.c.seq.desc())
    return connection.scalar(statement.order_by(*ends).limit(1))


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise ValueError(f"{cursor!r} is not a place in the list; leave it out for the newest calls")
    return int(cursor)
