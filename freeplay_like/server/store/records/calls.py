"""Every question that is asked of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from freeplay_like.core.records import Amendment, Feedback, Record
from freeplay_like.core.wire import JsonObject, from_wire
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.bodies import raw
from freeplay_like.server.store.derived.facts import feedback_of
from freeplay_like.server.store.derived.filters import Filter
from freeplay_like.server.store.derived.lists import (
    COLUMNS,
    calls_after,
    list_calls,
    newest_seq,
    row_of,
)
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.records import amendments
from freeplay_like.server.store.records.tables import record, record_body, sender
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import (
    CallPage,
    CallRow,
    KnownSender,
    Project,
    Sender,
    SentRecord,
    SentSession,
    SessionTotals,
    StoredCall,
)

_VALUES_LIMIT: Final = 200
_SESSION_LIMIT: Final = 1_000
READ_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""The most JSON of records that one answer holds, unless a single record is larger."""


class _Metadata(msgspec.Struct):
    metadata: JsonObject = {}


def seq_of(connection: sa.Connection, of: Project, record_id: str) -> int | None:
    """The number of a call; None where the project has no such call."""
    return database_of(connection).seqs_of(connection, of.key, [record_id]).get(record_id)


def get_call(connection: sa.Connection, of: Project, record_id: str) -> StoredCall | None:
    """One call, whole."""
    seq = seq_of(connection, of, record_id)
    if seq is None:
        return None
    found = connection.execute(sa.select(*COLUMNS, record.c.received_at).where(record.c.seq == seq)).mappings().one()
    row = row_of(of, found)
    return StoredCall(
        row=row,
        record=whole_record(connection, row.seq),
        amendments=tuple(from_wire(said, Amendment) for said in amendments.of_record(connection, of, record_id)),
        received_at=from_micros(found["received_at"]),
        previous_id=_neighbour(connection, of, row, is_next=False),
        next_id=_neighbour(connection, of, row, is_next=True),
    )


def get_sent(connection: sa.Connection, of: Project, record_id: str) -> SentRecord | None:
    """One record as it was sent, and what was said of it."""
    seq = seq_of(connection, of, record_id)
    if seq is None:
        return None
    return SentRecord(body=_sent(connection, seq), amendments=amendments.of_record(connection, of, record_id))


def sent_session(connection: sa.Connection, of: Project, session_id: str, limit: int) -> SentSession | None:
    """The newest records of a session, at most `limit` and about `READ_LIMIT_BYTES`; None where it has none."""
    is_in_it = sa.and_(record.c.project_key == of.key, record.c.session_id == session_id)
    totals = _totals(connection, is_in_it)
    newest = connection.execute(
        sa.select(record.c.seq, record.c.record_id)
        .where(is_in_it)
        .order_by(record.c.started_at.desc(), record.c.seq.desc())
        .limit(limit)
    ).all()
    if not newest:
        return None
    found: list[SentRecord] = []
    size = 0
    for seq, record_id in newest:
        one = SentRecord(body=_sent(connection, seq), amendments=amendments.of_record(connection, of, record_id))
        size += len(one.body) + sum(map(len, one.amendments))
        if found and size > READ_LIMIT_BYTES:
            break
        found.append(one)
    found.reverse()
    metadata: JsonObject = {}
    for one in found:
        metadata.update(from_wire(one.body, _Metadata).metadata)
    return SentSession(metadata=metadata, totals=totals, records=tuple(found), has_more=len(found) < totals.calls)


def _totals(connection: sa.Connection, where: sa.ColumnElement[bool]) -> SessionTotals:
    # summed as floats: a sum of whole numbers that a sender made up can be larger than a database can keep
    sums = [sa.func.sum(sa.cast(column, sa.Double)) for column in (record.c.input_tokens, record.c.output_tokens)]
    costs = sa.func.count(record.c.cost_nano_usd), sa.func.sum(record.c.cost_nano_usd)
    row = connection.execute(sa.select(sa.func.count(), *sums, *costs).where(where)).one()
    calls, input_tokens, output_tokens, priced_calls, cost_nano_usd = row
    return SessionTotals(
        calls=calls,
        input_tokens=int(input_tokens or 0),
        output_tokens=int(output_tokens or 0),
        priced_calls=priced_calls,
        cost_nano_usd=int(cost_nano_usd or 0),
    )


def session_calls(connection: sa.Connection, of: Project, session_id: str) -> tuple[CallRow, ...]:
    """The calls of a session in the order they began."""
    rows = connection.execute(
        sa.select(*COLUMNS)
        .where(record.c.project_key == of.key, record.c.session_id == session_id)
        .order_by(record.c.started_at, record.c.seq)
        .limit(_SESSION_LIMIT)
    )
    return tuple(row_of(of, row) for row in rows.mappings())


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


def whole_record(connection: sa.Connection, seq: int) -> Record:
    """The record of a number."""
    return from_wire(_sent(connection, seq), Record)


def _sent(connection: sa.Connection, seq: int) -> bytes:
    return raw(connection.execute(sa.select(record_body.c.zstd).where(record_body.c.seq == seq)).scalar_one())


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


class Calls(Part):
    """The calls: listed, opened, added to."""

    def page(
        self,
        project_id: str,
        filter: Filter,
        *,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
        is_choice: bool = False,
    ) -> CallPage:
        """Calls in the order of their arrival, newest first.

        `before` takes the `older` cursor of another page, `after` its `newer` one. `is_choice`: something is done with
        just these, so all of them must be there.

        Raises:
            ValueError: a cursor that no page gave out.
        """
        nothing = CallPage(rows=(), older=None, newer=None)
        ask = self._access.ask_of if is_choice else self._access.ask_list_of
        return ask(project_id, list_calls, nothing, filter, before, after, limit)

    def after(self, project_id: str, filter: Filter, after_seq: int, limit: int = 100) -> tuple[CallRow, ...]:
        """The first calls that arrived after the one of that number, oldest first."""
        return self._access.ask_of(project_id, calls_after, (), filter, after_seq, limit)

    def settled_seq(self) -> int:
        """A number up to which no call can appear any more: whoever has seen those goes on after it.

        Ask it before the calls; before a `page`, which a standby may answer, ask `listed_seq`.
        """
        return self._access.settled_seq()

    def listed_seq(self) -> int:
        """As `settled_seq`: a page that is asked for from now on has all calls up to there."""
        return self._access.listed_seq()

    def newest_seq(self, project_id: str) -> int:
        """The number of the call that arrived last, 0 where there is none."""
        return self._access.ask_of(project_id, newest_seq, 0)

    def feedback(self, project: Project, record_ids: Sequence[str]) -> dict[str, Feedback]:
        """The last thumb that was given on each of some calls, by record id."""
        return self._access.ask(feedback_of, project.key, record_ids)

    def get(self, project_id: str, record_id: str) -> StoredCall | None:
        """One call, whole."""
        return self._access.ask_of(project_id, get_call, None, record_id)

    def get_sent(self, project_id: str, record_id: str) -> SentRecord | None:
        """One record as it was sent, and what was said of it."""
        return self._access.ask_of(project_id, get_sent, None, record_id)

    def sent_session(self, project_id: str, session_id: str, limit: int) -> SentSession | None:
        """The newest records of a session as they were sent, in the order they began; None where there is none."""
        return self._access.ask_of(project_id, sent_session, None, session_id, limit)

    def of_session(self, project_id: str, session_id: str) -> tuple[CallRow, ...]:
        """The first thousand calls of a session, in the order they began."""
        return self._access.ask_of(project_id, session_calls, (), session_id)

    def senders(self, project_id: str) -> tuple[KnownSender, ...]:
        """The SDK processes that delivered records, the last heard of first; at most 200."""
        return self._access.ask_of(project_id, senders, ())

    def amend(self, project: Project, amendment: Amendment) -> bool:
        """Store something said of a record; False where the project has no such record.

        Raises:
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        return self._access.change(lambda connection: amendments.amend(connection, project, amendment, now))
