"""What is said of records after they were kept: feedback, comments, scores, further messages. Stored once each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from freeplay_like.core.records import Amendment
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.bodies import Packer, raw
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.records.tables import amendment, score
from freeplay_like.server.store.removal.tombstones import buried
from freeplay_like.server.store.tables import to_micros
from freeplay_like.server.store.views import Batch, IncomingAmendment, Project

READ_LIMIT: Final = 1_000
"""The most that is read back of what was said of one record: the newest."""


def save(connection: sa.Connection, batches: Sequence[Batch]) -> list[int]:
    """Store what the batches say of records, in the transaction at hand; how many of each batch's were new.

    The first arrival of an id stands. What is said of a record that was deleted is not stored.
    """
    known = _known(connection, batches)
    deleted = buried(connection, _spoken_of(batches))
    packer = Packer()
    counts: list[int] = []
    rows: list[dict[str, object]] = []
    scores: list[dict[str, object]] = []
    amended: list[tuple[int, str]] = []
    replaced: list[tuple[int, str, str]] = []
    for batch in batches:
        before = len(rows)
        for incoming in batch.amendments:
            value = incoming.amendment
            key = batch.project_key, value.amendment_id
            if key in known or (batch.project_key, value.record_id) in deleted:
                continue
            known.add(key)
            amended.append((batch.project_key, value.record_id))
            if value.reviewer_id is not None:
                replaced.append((batch.project_key, value.record_id, value.reviewer_id))
            shared: dict[str, object] = {
                "project_key": batch.project_key,
                "amendment_id": value.amendment_id,
                "record_id": value.record_id,
                "made_at": to_micros(value.made_at),
            }
            received_at = to_micros(batch.received_at)
            body = packer.pack(incoming.body)
            said_by = {"feedback": value.feedback, "reviewer_id": value.reviewer_id}
            rows.append({**shared, **said_by, "received_at": received_at, "zstd": body})
            scores += [{**shared, "name": name, "value": to_wire(said).decode()} for name, said in value.scores.items()]
        counts.append(len(rows) - before)
    if rows:
        with following.amending(connection, amended):
            for project_key, record_id, reviewer_id in replaced:
                _forget_scores(connection, project_key, record_id, reviewer_id)
            connection.execute(sa.insert(amendment), rows)
            if scores:
                connection.execute(sa.insert(score), scores)
    return counts


def _forget_scores(connection: sa.Connection, project_key: int, record_id: str, reviewer_id: str) -> None:
    """Count a person's earlier reviews of a record no more: the next one stands for all that they say of it."""
    theirs = sa.select(amendment.c.amendment_id).where(
        amendment.c.project_key == project_key,
        amendment.c.record_id == record_id,
        amendment.c.reviewer_id == reviewer_id,
    )
    connection.execute(sa.delete(score).where(score.c.project_key == project_key, score.c.amendment_id.in_(theirs)))


def _spoken_of(batches: Sequence[Batch]) -> dict[int, list[str]]:
    """The records that amendments speak of, by the key of their project."""
    ids: dict[int, list[str]] = {}
    for batch in batches:
        for incoming in batch.amendments:
            ids.setdefault(batch.project_key, []).append(incoming.amendment.record_id)
    return ids


def amend(connection: sa.Connection, of: Project, value: Amendment, now: datetime) -> bool:
    """Store one thing said of a record; False where the project has no such record."""
    if not database_of(connection).seqs_of(connection, of.key, [value.record_id]):
        return False
    incoming = IncomingAmendment(index=0, amendment=value, body=to_wire(value))
    save(connection, [Batch(project_key=of.key, amendments=(incoming,), received_at=now)])
    return True


def of_record(connection: sa.Connection, of: Project, record_id: str) -> tuple[bytes, ...]:
    """What was said of a record, as it was sent, in the order it was said; at most the newest `READ_LIMIT`."""
    packed = connection.scalars(
        sa.select(amendment.c.zstd)
        .where(amendment.c.project_key == of.key, amendment.c.record_id == record_id)
        .order_by(amendment.c.made_at.desc(), amendment.c.amendment_id.desc())
        .limit(READ_LIMIT)
    ).all()
    return tuple(raw(body) for body in reversed(packed))


def _known(connection: sa.Connection, batches: Sequence[Batch]) -> set[tuple[int, str]]:
    """Which of the amendments are stored: `(project, id)`."""
    ids: dict[int, list[str]] = {}
    for batch in batches:
        if batch.amendments:
            ids.setdefault(batch.project_key, []).extend(each.amendment.amendment_id for each in batch.amendments)
    return {
        (project_key, found)
        for project_key, wanted in ids.items()
        for found in connection.scalars(
            sa.select(amendment.c.amendment_id).where(
                amendment.c.project_key == project_key, amendment.c.amendment_id.in_(wanted)
            )
        )
    }
