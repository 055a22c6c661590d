"""Test runs that servers carry out themselves, and their calls that are under way.

A running job belongs to one server at a time, by a lease that the server puts off while it lives. So does a call: where
its server died, the record that was laid by for it is stored by another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, from_wire, to_wire
from freeplay_like.server.store.access import Access, Part, project_from
from freeplay_like.server.store.accounts import providers
from freeplay_like.server.store.bodies import Packer, raw
from freeplay_like.server.store.prompts import reading as prompt_reading
from freeplay_like.server.store.prompts.views import LATEST
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import project, to_micros
from freeplay_like.server.store.trials import leases, test_runs, test_suites
from freeplay_like.server.store.trials.execution_tables import started_call, suite_job
from freeplay_like.server.store.trials.leases import RUNNING, UNASKED, JobEnd
from freeplay_like.server.store.trials.tables import test_run, test_suite
from freeplay_like.server.store.trials.test_suites import SuiteRun, SuiteRunDraft
from freeplay_like.server.store.views import Batch, Conflict, DatasetCase, Incoming, Project, StoreResult

ORPHANS_AT_ONCE: Final = 100


class NotExecutable(Conflict):
    """A suite that no server can carry out by itself."""


class NotExecuted(Conflict):
    """A run that is not carried out by a server, or no longer."""


@attrs.frozen(kw_only=True)
class Job:
    """A run that this server is to carry out. `template` None: the version that it tries is gone."""

    run_key: int
    run_id: str
    project: Project
    template: PromptTemplate | None
    environment: str
    parameters: JsonObject
    thresholds: dict[str, float]
    created_by: str | None


def start(
    connection: sa.Connection,
    of: Project,
    suite_id: str,
    draft: SuiteRunDraft,
    new_id: str,
    now: datetime,
    by: str | None,
    *,
    needs_connection: bool,
) -> SuiteRun:
    """A new run that a server carries out.

    Raises:
        SuiteNotFound, VersionUnknown, DatasetEmpty: see `test_suites.start`.
        NotExecutable: the suite is not for a prompt, or its template names no flavor.
        NotConnected: there is no connection to its provider.
    """
    run = test_suites.start(connection, of, suite_id, draft, new_id, now)
    if run.version is None:
        raise NotExecutable(
            f"test suite {suite_id!r} tries no prompt template, so the server knows nothing to call: run it from the "
            "client, with run() in the place of execute()"
        )
    template = run.version.template
    if template.flavor_name is None:
        raise NotExecutable(f"prompt template {template.name!r} names no flavor: save a version with a provider")
    if needs_connection:
        providers.require(connection, of, template.flavor_name)
    run_key = connection.execute(_key_of(new_id)).scalar_one()
    connection.execute(
        sa.insert(suite_job).values(
            test_run_key=run_key,
            project_key=of.key,
            state=RUNNING,
            lease_until=0,
            created_at=to_micros(now),
            created_by=by,
        )
    )
    return run


def cancel(connection: sa.Connection, of: Project, suite_id: str, run_id: str, now: datetime) -> None:
    """Carry a run out no further.

    Raises:
        SuiteNotFound, RunNotFound: there is no such suite, or it has no such run.
        NotExecuted: no server carries it out, or it has ended.
    """
    test_suites.check_run(connection, of, suite_id, run_id)
    run_key = connection.execute(_key_of(run_id)).scalar_one()
    if not leases.end(connection, suite_job, run_key, "cancelled", now):
        raise NotExecuted(f"test run {run_id!r} is not being carried out by the server")


def claim(connection: sa.Connection, owner: str, now: datetime, lease: timedelta) -> Job | None:
    """Take over the oldest job that nobody has; None where there is none."""
    run_key = leases.claim(connection, suite_job, leases.claimable(suite_job, now), owner, now, lease)
    return None if run_key is None else _job(connection, run_key)


def renew(
    connection: sa.Connection, owner: str, run_ids: Collection[str], now: datetime, lease: timedelta
) -> frozenset[str]:
    """Put off the end of the leases of a server's runs; those that are still its own."""
    rows = connection.execute(sa.select(test_run.c.key, test_run.c.id).where(test_run.c.id.in_(run_ids)))
    ids = {key: run_id for key, run_id in rows}
    return frozenset(ids[key] for key in leases.renew(connection, suite_job, owner, ids, now, lease))


def renew_calls(connection: sa.Connection, owner: str, now: datetime, lease: timedelta) -> None:
    """Put off the end of the leases of a server's calls that are under way."""
    renewed = sa.update(started_call).where(started_call.c.owner == owner)
    connection.execute(renewed.values(lease_until=to_micros(now + lease)))


def finish(connection: sa.Connection, run_id: str, owner: str, state: JobEnd, error: str | None, now: datetime) -> None:
    """End a job, unless another server has it by now."""
    run_key = connection.execute(_key_of(run_id)).scalar_one_or_none()
    if run_key is not None:
        leases.end(connection, suite_job, run_key, state, now, owner=owner, error=error)


def done_cases(connection: sa.Connection, job: Job) -> frozenset[str]:
    """The cases of a run that are not to be asked again: their call has ended, well or with an error."""
    is_done = record.c.ended_at.is_not(None), record.c.outcome.not_in(UNASKED), record.c.test_case_id.is_not(None)
    rows = connection.execute(
        sa.select(record.c.test_case_id)
        .where(record.c.project_key == job.project.key, record.c.test_run_id == job.run_id, *is_done)
        .distinct()
    )
    return frozenset(rows.scalars())


def orphans(connection: sa.Connection, now: datetime) -> tuple[tuple[Project, bytes], ...]:
    """The records that were laid by for calls whose server is gone."""
    rows = connection.execute(
        sa.select(project, started_call.c.zstd)
        .join_from(started_call, project, started_call.c.project_key == project.c.key)
        .where(started_call.c.lease_until < to_micros(now))
        .limit(ORPHANS_AT_ONCE)
    )
    return tuple((project_from(row), raw(row["zstd"])) for row in rows.mappings())


def _key_of(run_id: str) -> sa.Select[int]:
    return sa.select(test_run.c.key).where(test_run.c.id == run_id)


def _job(connection: sa.Connection, run_key: int) -> Job:
    run = connection.execute(sa.select(test_run).where(test_run.c.key == run_key)).mappings().one()
    of = project_from(
        connection.execute(sa.select(project).where(project.c.key == run["project_key"])).mappings().one()
    )
    created_by = connection.scalar(sa.select(suite_job.c.created_by).where(suite_job.c.test_run_key == run_key))
    thresholds = connection.scalar(sa.select(test_suite.c.thresholds).where(test_suite.c.key == run["suite_key"]))
    version = prompt_reading.get_version(connection, of, run["template_id"], run["template_version_id"])
    return Job(
        run_key=run_key,
        run_id=run["id"],
        project=of,
        template=None if version is None else version.template,
        environment=run["environment"] or LATEST,
        parameters=run["parameters"],
        thresholds=thresholds or {},
        created_by=created_by,
    )


class Executions(Part):
    """Runs that servers carry out, and their calls that are under way."""

    def __init__(self, access: Access, save: Callable[[Batch], StoreResult]) -> None:
        super().__init__(access)
        self._save = save

    def start(
        self, of: Project, suite_id: str, draft: SuiteRunDraft, by: str | None, *, needs_connection: bool
    ) -> SuiteRun:
        """A new run that a server carries out.

        Raises:
            SuiteNotFound, VersionUnknown, DatasetEmpty, NotExecutable, NotConnected: see `start`.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(
            lambda connection: start(
                connection, of, suite_id, draft, new_id, now, by, needs_connection=needs_connection
            )
        )

    def cancel(self, of: Project, suite_id: str, run_id: str) -> None:
        """Carry a run out no further; calls that are under way are broken off within seconds.

        Raises:
            SuiteNotFound, RunNotFound, NotExecuted: see `cancel`.
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        self._access.change_anyway(lambda connection: cancel(connection, of, suite_id, run_id, now))

    # --- for the server that carries them out; all raise StoreUnavailable where nothing can be written now ----------

    def claim(self, owner: str, lease: timedelta) -> Job | None:
        """Take over the oldest job that nobody has; None where there is none."""
        now = self._access.clock.now()
        if self._access.ask(lambda connection: connection.scalar(leases.claimable(suite_job, now))) is None:
            return None
        return self._access.change(lambda connection: claim(connection, owner, now, lease))

    def renew(self, owner: str, run_ids: Collection[str], lease: timedelta) -> frozenset[str]:
        """Put off the end of the leases of a server's runs; those that are still its own to carry out."""
        now = self._access.clock.now()
        return self._access.change_anyway(lambda connection: renew(connection, owner, run_ids, now, lease))

    def renew_calls(self, owner: str, lease: timedelta) -> None:
        """Put off the end of the leases of a server's calls that are under way."""
        now = self._access.clock.now()
        self._access.change_anyway(lambda connection: renew_calls(connection, owner, now, lease))

    def finish(self, run_id: str, owner: str, state: JobEnd, error: str | None = None) -> None:
        """End a job, unless another server has it by now."""
        now = self._access.clock.now()
        self._access.change_anyway(lambda connection: finish(connection, run_id, owner, state, error, now))

    def release(self, owner: str) -> None:
        """Let go of every job of a server that goes down."""
        self._access.change_anyway(lambda connection: leases.release(connection, suite_job, owner))

    def done_cases(self, job: Job) -> frozenset[str]:
        """The cases of a run that are not to be asked again."""
        return self._access.ask(done_cases, job)

    def cases(self, job: Job, offset: int, limit: int) -> tuple[DatasetCase, ...]:
        """Some cases of a run, in the order of its dataset."""
        return self._access.ask(test_runs.cases, job.run_id, offset, limit)

    def begin_call(self, of: Project, record_id: str, body: bytes, owner: str, lease: timedelta) -> None:
        """Lay by what is to be kept of a call if its server dies: the JSON of its record as it stands."""
        row = {
            "project_key": of.key,
            "record_id": record_id,
            "owner": owner,
            "lease_until": to_micros(self._access.clock.now() + lease),
            "zstd": Packer().pack(body),
        }
        self._access.change(lambda connection: connection.execute(sa.insert(started_call).values(row)))

    def end_call(self, of: Project, record_id: str) -> None:
        """Forget what was laid by: the call has its record."""
        is_it = started_call.c.project_key == of.key, started_call.c.record_id == record_id
        self._access.change_anyway(lambda connection: connection.execute(sa.delete(started_call).where(*is_it)))

    def adopt_calls(self) -> int:
        """Store the records of calls whose server is gone, as interrupted; how many there were."""
        now = self._access.clock.now()
        found = self._access.ask(orphans, now)
        for of, body in found:
            value = from_wire(body, Record)
            incoming = Incoming(index=0, record=value, body=to_wire(value))
            self._save(Batch(project_key=of.key, records=(incoming,), received_at=now))
            self.end_call(of, value.record_id)
        return len(found)
