"""How the store is: how far behind what follows the commits is, who delivers, what the files take."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.derived.following import derived_seq, indexed_seq
from freeplay_like.server.store.engines.database import ClusterFigures, Sizes, database_of
from freeplay_like.server.store.reading import PoolFigures
from freeplay_like.server.store.records.tables import record, sender
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import Project

SENDER_AGE: Final = timedelta(hours=1)
"""How long ago a sender may have been heard of to be counted."""
CURSORS: Final = {"derived_seq": derived_seq, "indexed_seq": indexed_seq}
"""The numbers up to which something follows the records."""


@attrs.frozen(kw_only=True)
class Lag:
    """How far something is behind the records. `waiting_s` is how long the first one that is missing has waited."""

    cursor: str
    records: int
    waiting_s: float


@attrs.frozen(kw_only=True)
class Senders:
    """The processes that delivered lately. `oldest_unsent_s` is the age of the oldest record one of them still has."""

    count: int
    dropped: int
    spooled_bytes: int
    oldest_unsent_s: float


@attrs.frozen(kw_only=True)
class StoreStatus:
    """How the store is at one moment."""

    newest_seq: int
    lags: tuple[Lag, ...]
    senders: Senders
    files: Sizes


@attrs.frozen(kw_only=True)
class SenderState:
    """A process that delivers, as it said of itself when it was last heard of.

    `lag_s` is how old the oldest record then was that it had not delivered before; None where it does not say.
    """

    sender_id: str
    host: str | None
    pid: int | None
    sdk: str | None
    seen_at: datetime
    lag_s: float | None
    spooled_bytes: int
    dropped: int


def status(connection: sa.Connection, now: datetime) -> StoreStatus:
    """How the store is."""
    newest = connection.scalar(sa.select(sa.func.max(record.c.seq))) or 0
    return StoreStatus(
        newest_seq=newest,
        lags=tuple(_lag(connection, name, cursor(connection), newest, now) for name, cursor in CURSORS.items()),
        senders=_senders(connection, now),
        files=database_of(connection).sizes(connection),
    )


def _lag(connection: sa.Connection, cursor: str, value: int, newest: int, now: datetime) -> Lag:
    first = connection.scalar(
        sa.select(record.c.received_at).where(record.c.seq > value).order_by(record.c.seq).limit(1)
    )
    waiting_s = 0.0 if first is None else max(0.0, (now - from_micros(first)).total_seconds())
    return Lag(cursor=cursor, records=max(0, newest - value), waiting_s=waiting_s)


def _senders(connection: sa.Connection, now: datetime) -> Senders:
    # as floats: what senders say of themselves adds up to more than a database's whole numbers can be
    sums = (sa.func.sum(sa.cast(column, sa.Double)) for column in (sender.c.dropped, sender.c.spooled_bytes))
    count, oldest, dropped, spooled = connection.execute(
        sa.select(sa.func.count(), sa.func.min(sender.c.oldest_unsent_at), *sums).where(
            sender.c.seen_at > to_micros(now - SENDER_AGE)
        )
    ).one()
    return Senders(
        count=count,
        dropped=int(dropped or 0),
        spooled_bytes=int(spooled or 0),
        oldest_unsent_s=0.0 if oldest is None else max(0.0, (now - from_micros(oldest)).total_seconds()),
    )


def senders_of(connection: sa.Connection, of: Project, limit: int) -> tuple[SenderState, ...]:
    """The processes that delivered to a project, those first that were heard of last."""
    rows = connection.execute(
        sa.select(sender).where(sender.c.project_key == of.key).order_by(sender.c.seen_at.desc()).limit(limit)
    )
    return tuple(_sender(row._mapping) for row in rows)


def _sender(fields: sa.RowMapping) -> SenderState:
    oldest = fields["oldest_unsent_at"]
    return SenderState(
        sender_id=fields["sender_id"],
        host=fields["host"],
        pid=fields["pid"],
        sdk=fields["sdk"],
        seen_at=from_micros(fields["seen_at"]),
        lag_s=None if oldest is None else max(0, fields["seen_at"] - oldest) / 1_000_000,
        spooled_bytes=fields["spooled_bytes"],
        dropped=fields["dropped"],
    )


def oldest_call(connection: sa.Connection, of: Project) -> datetime | None:
    """When the oldest call of a project began that is kept."""
    statement = sa.select(sa.func.min(record.c.started_at)).where(record.c.project_key == of.key)
    oldest = connection.scalar(statement)
    return None if oldest is None else from_micros(oldest)


@attrs.frozen(kw_only=True)
class StandbyStatus:
    """The standby from which lists are read where `is_used`. `lag_s` is infinite where it does not answer."""

    name: str
    is_used: bool
    lag_s: float
    pool: PoolFigures


def cluster(connection: sa.Connection) -> ClusterFigures | None:
    """How the database is that several servers share."""
    return database_of(connection).cluster(connection)


class Status(Part):
    """Tells how the store is."""

    @property
    def pool(self) -> PoolFigures:
        """How busy the connections are on which questions are answered."""
        return self._access.reader.figures

    @property
    def standby(self) -> StandbyStatus | None:
        """The standby from which lists are read; None where there is none."""
        standby = self._access.standby
        if standby is None:
            return None
        return StandbyStatus(
            name=standby.reader.name, is_used=standby.is_near, lag_s=standby.lag_s, pool=standby.reader.figures
        )

    def cluster(self) -> ClusterFigures | None:
        """How the database is; None where one server has it to itself."""
        return self._access.ask(cluster)

    def now(self) -> StoreStatus:
        """How the store is at this moment."""
        return self._access.ask(status, self._access.clock.now())

    def senders(self, project_id: str, limit: int = 100) -> tuple[SenderState, ...]:
        """The processes that delivered to a project, those first that were heard of last."""
        return self._access.ask_of(project_id, senders_of, (), limit)

    def oldest_call(self, project_id: str) -> datetime | None:
        """When the oldest call of a project began that is kept; None where there is none."""
        return self._access.ask_of(project_id, oldest_call, None)
