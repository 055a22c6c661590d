"""How fast the database grows: its size is written down every hour, and two such numbers tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.tables import from_micros, size_sample, to_micros

SAMPLE_EVERY: Final = timedelta(hours=1)
KEPT: Final = timedelta(days=400)
SPAN: Final = timedelta(days=7)
"""Over how long growth is measured, where so much is known."""
LEAST_SPAN: Final = timedelta(hours=1)
"""From less nothing is concluded."""


@attrs.frozen(kw_only=True)
class Sample:
    """How much of the database held something at a moment."""

    taken_at: datetime
    used_bytes: int


@attrs.frozen(kw_only=True)
class Growth:
    """The samples of the last days, oldest first, and now. `bytes_a_day` is None while too little is known."""

    samples: tuple[Sample, ...]
    bytes_a_day: float | None


def growth_of(samples: tuple[Sample, ...]) -> Growth:
    """What the samples say."""
    first, last = (samples[0], samples[-1]) if samples else (None, None)
    if first is None or last is None or last.taken_at - first.taken_at < LEAST_SPAN:
        return Growth(samples=samples, bytes_a_day=None)
    days = (last.taken_at - first.taken_at) / timedelta(days=1)
    return Growth(samples=samples, bytes_a_day=(last.used_bytes - first.used_bytes) / days)


class Sizes(Part):
    """Writes down how large the database is, and tells how it grows."""

    def sample(self) -> None:
        """Write the size down, where it was not within the hour; forget what is very old."""
        now = self._access.clock.now()
        if self._access.ask(_newest, now - SAMPLE_EVERY):
            return

        def add(connection: sa.Connection) -> None:
            connection.execute(sa.delete(size_sample).where(size_sample.c.taken_at < to_micros(now - KEPT)))
            if not _newest(connection, now - SAMPLE_EVERY):
                sample = _now(connection, now)
                connection.execute(
                    sa.insert(size_sample).values(taken_at=to_micros(sample.taken_at), used_bytes=sample.used_bytes)
                )

        self._access.change_anyway(add)

    def growth(self) -> Growth:
        """How the database grows."""
        return self._access.ask(_growth, self._access.clock.now())


def _growth(connection: sa.Connection, now: datetime) -> Growth:
    rows = connection.execute(
        sa.select(size_sample.c.taken_at, size_sample.c.used_bytes)
        .where(size_sample.c.taken_at > to_micros(now - SPAN))
        .order_by(size_sample.c.taken_at)
    )
    samples = [Sample(taken_at=from_micros(taken_at), used_bytes=used_bytes) for taken_at, used_bytes in rows]
    return growth_of((*samples, _now(connection, now)))


def _newest(connection: sa.Connection, since: datetime) -> bool:
    """Whether there is a sample since then."""
    statement = sa.select(size_sample.c.taken_at).where(size_sample.c.taken_at > to_micros(since)).limit(1)
    return connection.scalar(statement) is not None


def _now(connection: sa.Connection, now: datetime) -> Sample:
    sizes = database_of(connection).sizes(connection)
    return Sample(taken_at=now, used_bytes=sizes.database_bytes - sizes.free_bytes)
