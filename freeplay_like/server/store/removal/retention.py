"""The end of what a project keeps for some days only: record by record, or whole stretches of them where that is soon.

Every answer is the same on both ways. Within a stretch that is to fall only the row of a record is deleted, with all
that was derived from it or said of it; its body and its words, nearly all there is, go with the stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.access import Part, project_from
from freeplay_like.server.store.engines.database import Spans, database_of
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.removal import beside
from freeplay_like.server.store.removal.deletion import Numbered, delete_records
from freeplay_like.server.store.tables import project, to_micros
from freeplay_like.server.store.views import Project

SLICE_RECORDS: Final = 100
"""How many records are deleted in one transaction."""
FALLING_SLICE_RECORDS: Final = 500
"""The same where their bodies and words stay until their stretch falls."""
SOON: Final = timedelta(days=1)
"""How long the body of a record may stay in a stretch that is to fall."""
WORDS_SLICE: Final = 500
"""How many words are looked at in one transaction, whether any text has them."""


class Retention(Part):
    """Deletes what is kept no longer. Goes on when the disk is full: it makes room."""

    def expire(self, pause: Callable[[], bool]) -> None:
        """Delete all whose time is over; `pause` is called between slices, and says whether to break off."""
        now = self._access.clock.now()
        if self._access.database.spans is not None:
            self._access.change_anyway(partial(_mark, now=now))
        for of in self._access.ask(_limited):
            before = now - timedelta(days=of.retention_days or 0)
            while self.expire_some(of, before):
                if pause():
                    return
        self._drop(pause)

    def expire_some(self, of: Project, before: datetime) -> bool:
        """Delete a slice of what began before a moment; True where more may be left."""
        now = self._access.clock.now()
        return self._access.change_anyway(partial(_expire, project_key=of.key, before=before, now=now)) > 0

    def make_room(self) -> None:
        """See that there is room for the records to come, so that none waits for it."""
        spans = self._access.database.spans
        if spans is not None:
            self._access.change_anyway(spans.make_room)

    def _drop(self, pause: Callable[[], bool]) -> None:
        spans = self._access.database.spans
        if spans is None:
            return
        is_any_dropped = False
        for span in self._access.ask(_empty):
            if self._access.change_anyway(partial(spans.drop, span=span)):
                is_any_dropped = True
                if pause():
                    return
        after: int | None = 0
        while is_any_dropped and after is not None and not pause():
            after = self._access.change_anyway(partial(spans.drop_words, after=after, limit=WORDS_SLICE))


def _limited(connection: sa.Connection) -> Sequence[Project]:
    """The projects that do not keep their calls for ever."""
    rows = connection.execute(sa.select(project).where(project.c.retention_days.is_not(None)).order_by(project.c.key))
    return [project_from(row) for row in rows.mappings()]


def _empty(connection: sa.Connection) -> Sequence[range]:
    """The stretches to which no record comes any more, and that have none."""
    spans = database_of(connection).spans
    return [] if spans is None else [span for span in spans.full(connection) if _is_empty(connection, span)]


def _is_empty(connection: sa.Connection, span: range) -> bool:
    is_in_it = record.c.seq >= span.start, record.c.seq < span.stop
    return connection.scalar(sa.select(record.c.seq).where(*is_in_it).limit(1)) is None


def _mark(connection: sa.Connection, now: datetime) -> None:
    """Let those stretches fall, the oldest first, that will soon have no records, and no others."""
    spans = database_of(connection).spans
    if spans is None:
        return
    soon = list(_soon_empty(connection, spans, now))
    for span in spans.falling(connection):
        if span not in soon:
            spans.keep(connection, span)  # somebody keeps their calls for longer now
    for span in soon:
        spans.fall(connection, span)


def _soon_empty(connection: sa.Connection, spans: Spans, now: datetime) -> Iterator[range]:
    ends = {key: days for key, days in connection.execute(sa.select(project.c.key, project.c.retention_days))}
    newest = sa.select(sa.func.max(record.c.started_at))
    for span in spans.full(connection):
        is_in_it = record.c.seq >= span.start, record.c.seq < span.stop
        for key, days in ends.items():
            began_at = connection.scalar(newest.where(record.c.project_key == key, *is_in_it))
            if began_at is not None and (days is None or began_at >= to_micros(now + SOON - timedelta(days=days))):
                return
        yield span


def _expire(connection: sa.Connection, project_key: int, before: datetime, now: datetime) -> int:
    """Delete some of what began before a moment; how much it was."""
    spans = database_of(connection).spans
    falling = () if spans is None else spans.falling(connection)
    found = _expired(connection, project_key, before)
    light = [one for one in found if any(one[0] in span for span in falling)]
    heavy = [one for one in found if not any(one[0] in span for span in falling)][:SLICE_RECORDS]
    gone = delete_records(connection, project_key, light, now, is_expired=True, is_body_left=True)
    gone += delete_records(connection, project_key, heavy, now, is_expired=True)
    if gone.records:
        return gone.records
    with database_of(connection).wiping(connection):
        return beside.delete_expired(connection, project_key, before, SLICE_RECORDS)


def _expired(connection: sa.Connection, project_key: int, before: datetime) -> Sequence[Numbered]:
    """The oldest records of a project that began before a moment."""
    rows = connection.execute(
        sa.select(record.c.seq, record.c.record_id)
        .where(record.c.project_key == project_key, record.c.started_at < to_micros(before))
        .order_by(record.c.started_at, record.c.seq)
        .limit(FALLING_SLICE_RECORDS if database_of(connection).spans else SLICE_RECORDS)
    )
    return [(seq, record_id) for seq, record_id in rows]
