"""Jobs that one server at a time carries out: taken with a lease, which that server puts off while it lives.

For any table of jobs: its key is its first column, and it has `state`, `owner`, `lease_until`, `error` and `ended_at`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa

from freeplay_like.server.store.tables import to_micros

JobEnd = Literal["complete", "failed", "cancelled"]
LEASE: Final = timedelta(seconds=10)
"""How long a server that is not heard of is taken to be alive."""
RUNNING: Final = "running"
UNASKED: Final = ("cancelled", "abandoned")
"""The outcomes of calls that were broken off here: what they were to answer is asked again."""


def claimable(
    jobs: sa.Table, now: datetime, *which: sa.ColumnElement[bool], order: Sequence[sa.ColumnElement[object]] = ()
) -> sa.Select[int]:
    """The key of the first job that nobody has, the oldest first unless an order is said."""
    key = _key(jobs)
    is_free = jobs.c.state == RUNNING, jobs.c.lease_until < to_micros(now)
    return sa.select(key).where(*is_free, *which).order_by(*order, key).limit(1)


def claim(
    connection: sa.Connection, jobs: sa.Table, found: sa.Select[int], owner: str, now: datetime, lease: timedelta
) -> int | None:
    """Take over the job that `claimable` finds; its key, None where there is none."""
    key = connection.scalar(found)
    if key is None:
        return None
    is_free = _key(jobs) == key, jobs.c.state == RUNNING, jobs.c.lease_until < to_micros(now)
    values = {"owner": owner, "lease_until": to_micros(now + lease)}
    return key if connection.execute(sa.update(jobs).where(*is_free).values(**values)).rowcount else None


def renew(
    connection: sa.Connection, jobs: sa.Table, owner: str, keys: Collection[int], now: datetime, lease: timedelta
) -> frozenset[int]:
    """Put off the end of a server's leases; the keys of the jobs that are still its own."""
    is_its = jobs.c.owner == owner, jobs.c.state == RUNNING, _key(jobs).in_(keys)
    connection.execute(sa.update(jobs).where(*is_its).values(lease_until=to_micros(now + lease)))
    return frozenset(connection.scalars(sa.select(_key(jobs)).where(*is_its)))


def end(
    connection: sa.Connection,
    jobs: sa.Table,
    key: int,
    state: JobEnd,
    now: datetime,
    *,
    owner: str | None = None,
    error: str | None = None,
) -> bool:
    """End a job that runs; False where it does not, or where it is not the `owner`'s that is named."""
    is_it = [_key(jobs) == key, jobs.c.state == RUNNING]
    if owner is not None:
        is_it.append(jobs.c.owner == owner)
    values = {"state": state, "error": error, "owner": None, "ended_at": to_micros(now)}
    return connection.execute(sa.update(jobs).where(*is_it).values(**values)).rowcount > 0


def release(connection: sa.Connection, jobs: sa.Table, owner: str) -> None:
    """Let go of every job of a server that goes down: another may go on at once."""
    is_its = jobs.c.owner == owner, jobs.c.state == RUNNING
    connection.execute(sa.update(jobs).where(*is_its).values(owner=None, lease_until=0))


def _key(jobs: sa.Table) -> sa.Column[int]:
    return next(iter(jobs.primary_key.columns))
