"""Replays: recorded calls, or messages that somebody wrote, which the server asks by itself.

They are jobs as test runs are: one server at a time has them, by a lease. A call whose server died, or that was broken
off when it stopped, is asked again under an id of its own; one that has its answer or its error is not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.access import Part, project_from
from freeplay_like.server.store.bodies import Packer, unpack
from freeplay_like.server.store.tables import project, to_micros
from freeplay_like.server.store.trials import leases, replay_reading
from freeplay_like.server.store.trials.leases import RUNNING, JobEnd
from freeplay_like.server.store.trials.replay_tables import replay_item, replay_job
from freeplay_like.server.store.trials.replay_views import (
    Replay,
    ReplayDraft,
    ReplayEnded,
    ReplayItem,
    ReplayJob,
    ReplaySpec,
)
from freeplay_like.server.store.views import CallRow, Project


def start(
    connection: sa.Connection, of: Project, draft: ReplayDraft, new_id: str, now: datetime, by: str | None
) -> None:
    """A new replay, for a server to carry out."""
    values = {
        "id": new_id,
        "project_key": of.key,
        "kind": draft.kind,
        "is_bulk": draft.is_bulk,
        "state": RUNNING,
        "lease_until": 0,
        "created_at": to_micros(now),
        "created_by": by,
        "zstd": Packer().pack(to_wire(draft.spec)),
    }
    key = connection.execute(sa.insert(replay_job).values(values).returning(replay_job.c.key)).scalar_one()
    rows = [
        {"job_key": key, "place": place, "choice": item.choice, "source_id": item.source_id}
        for place, item in enumerate(draft.items)
    ]
    connection.execute(sa.insert(replay_item), rows)


def claim(connection: sa.Connection, owner: str, now: datetime, lease: timedelta, *, is_bulk: bool) -> ReplayJob | None:
    """Take over the oldest replay that nobody has; None where there is none."""
    key = leases.claim(connection, replay_job, _claimable(now, is_bulk=is_bulk), owner, now, lease)
    return None if key is None else _job(connection, key)


def renew(
    connection: sa.Connection, owner: str, replay_ids: Collection[str], now: datetime, lease: timedelta
) -> frozenset[str]:
    """Put off the end of the leases of a server's replays; those that are still its own."""
    rows = connection.execute(sa.select(replay_job.c.key, replay_job.c.id).where(replay_job.c.id.in_(replay_ids)))
    ids = {key: replay_id for key, replay_id in rows}
    return frozenset(ids[key] for key in leases.renew(connection, replay_job, owner, ids, now, lease))


def cancel(connection: sa.Connection, of: Project, replay_id: str, now: datetime) -> None:
    """Ask no more of a replay.

    Raises:
        ReplayNotFound: there is none.
        ReplayEnded: it has ended.
    """
    key = replay_reading.job_key(connection, of, replay_id)
    if not leases.end(connection, replay_job, key, "cancelled", now):
        raise ReplayEnded("this replay has ended already")


def job_of_record(connection: sa.Connection, of: Project, record_id: str) -> str | None:
    """The replay that a call was made for."""
    statement = (
        sa.select(replay_job.c.id)
        .join(replay_item, replay_item.c.job_key == replay_job.c.key)
        .where(replay_job.c.project_key == of.key, replay_item.c.record_id == record_id)
    )
    return connection.scalar(statement.limit(1))


def _claimable(now: datetime, *, is_bulk: bool) -> sa.Select[int]:
    return leases.claimable(replay_job, now, replay_job.c.is_bulk == sa.literal(is_bulk))


def _job(connection: sa.Connection, key: int) -> ReplayJob:
    statement = sa.select(replay_job.c.id.label("job_id"), replay_job.c.kind, replay_job.c.zstd, project)
    joined = statement.join_from(replay_job, project, replay_job.c.project_key == project.c.key)
    row = connection.execute(joined.where(replay_job.c.key == key)).mappings().one()
    spec = unpack(row["zstd"], ReplaySpec)
    return ReplayJob(key=key, id=row["job_id"], project=project_from(row), kind=row["kind"], spec=spec)


class Replays(Part):
    """Replays, and what the playground asked."""

    def start(self, of: Project, draft: ReplayDraft, by: str | None) -> str:
        """A new replay; its id. `by` is a person's id.

        Raises:
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        self._access.change(lambda connection: start(connection, of, draft, new_id, now, by))
        return new_id

    def get(self, of: Project, replay_id: str) -> Replay:
        """One replay.

        Raises:
            ReplayNotFound: there is none.
        """
        return self._access.ask(replay_reading.get, of, replay_id)

    def page(self, of: Project, offset: int, limit: int) -> tuple[Replay, ...]:
        """The replays of recorded calls, newest first."""
        return self._access.ask(replay_reading.page, of, offset, limit)

    def items(
        self, of: Project, replay_id: str, offset: int, limit: int, *, is_worst_first: bool = False
    ) -> tuple[ReplayItem, ...]:
        """Calls of a replay as they were put in, or the worst first.

        Raises:
            ReplayNotFound: there is no such replay.
        """
        return self._access.ask(replay_reading.items, of, replay_id, offset, limit, is_worst_first=is_worst_first)

    def sources(self, of: Project, record_ids: Sequence[str]) -> tuple[CallRow, ...]:
        """The calls of these ids, in that order, without those that are not there."""
        return self._access.ask(replay_reading.sources, of, record_ids)

    def of_record(self, of: Project, record_id: str) -> str | None:
        """The id of the replay that a call was made for."""
        return self._access.ask(job_of_record, of, record_id)

    def cancel(self, of: Project, replay_id: str) -> None:
        """Ask no more of a replay; its calls under way are broken off within seconds.

        Raises:
            ReplayNotFound, ReplayEnded: see `cancel`.
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        self._access.change_anyway(lambda connection: cancel(connection, of, replay_id, now))

    # --- for the server that carries them out; all raise StoreUnavailable where nothing can be written now ----------

    def claim(self, owner: str, lease: timedelta, *, is_bulk: bool) -> ReplayJob | None:
        """Take over the oldest replay that nobody has; None where there is none."""
        now = self._access.clock.now()
        if self._access.ask(lambda connection: connection.scalar(_claimable(now, is_bulk=is_bulk))) is None:
            return None
        return self._access.change(lambda connection: claim(connection, owner, now, lease, is_bulk=is_bulk))

    def renew(self, owner: str, replay_ids: Collection[str], lease: timedelta) -> frozenset[str]:
        """Put off the end of the leases of a server's replays; those that are still its own to carry out."""
        now = self._access.clock.now()
        return self._access.change_anyway(lambda connection: renew(connection, owner, replay_ids, now, lease))

    def finish(self, job: ReplayJob, owner: str, state: JobEnd, error: str | None = None) -> None:
        """End a replay, unless another server has it by now."""
        now = self._access.clock.now()
        self._access.change_anyway(
            lambda connection: leases.end(connection, replay_job, job.key, state, now, owner=owner, error=error)
        )

    def release(self, owner: str) -> None:
        """Let go of every replay of a server that goes down."""
        self._access.change_anyway(lambda connection: leases.release(connection, replay_job, owner))

    def unfinished(self, job: ReplayJob) -> tuple[ReplayItem, ...]:
        """The calls with which something is still to be done: those to be made, and those to be compared."""
        return self._access.ask(replay_reading.unfinished, job.project, job.key)

    def begin_item(self, job: ReplayJob, place: int) -> str:
        """A call is about to be made; the id that its record is to have."""
        record_id = self._access.clock.new_id()
        self._write_item(job, place, {"record_id": record_id})
        return record_id

    def skip_item(self, job: ReplayJob, place: int, problem: str) -> None:
        """A call cannot be made; why."""
        self._write_item(job, place, {"problem": problem})

    def compare_item(self, job: ReplayJob, place: int, likeness: float) -> None:
        """How alike the answer and the original's are."""
        self._write_item(job, place, {"likeness": likeness})

    def _write_item(self, job: ReplayJob, place: int, values: dict[str, object]) -> None:
        is_it = replay_item.c.job_key == job.key, replay_item.c.place == place
        self._access.change(lambda connection: connection.execute(sa.update(replay_item).where(*is_it).values(values)))
