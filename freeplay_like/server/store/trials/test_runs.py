"""Test runs: a template version, or anything else, tried over the cases of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import attrs
import sqlalchemy as sa

from freeplay_like.core.run_results import Result, RunSummary, summarize
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.records.trace_tables import trace
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.trials import datasets, test_cases
from freeplay_like.server.store.trials.execution_tables import suite_job
from freeplay_like.server.store.trials.run_results import RunCall, calls_of_run, results_of
from freeplay_like.server.store.trials.tables import dataset, test_case, test_run, test_run_case, test_suite
from freeplay_like.server.store.views import (
    Dataset,
    DatasetCase,
    DatasetKind,
    NewRun,
    NotFound,
    Project,
    Refused,
    RunDraft,
)


class RunNotFound(NotFound):
    """There is no such test run in that project."""


class DatasetEmpty(Refused):
    """A test run over nothing was asked for."""


Execution = Literal["running", "complete", "failed", "cancelled"]


@attrs.frozen(kw_only=True)
class RunInfo:
    """A test run. `finished` counts the cases whose call has ended, however it ended; the rest as in `RunDraft`.

    `execution` says where it stands, where a server carries it out itself, and `execution_error` why that failed.
    """

    id: str
    name: str
    description: str
    kind: DatasetKind
    flavor: str | None
    dataset_id: str
    dataset_name: str
    suite_id: str | None
    template_id: str | None
    template_version_id: str | None
    environment: str | None
    parameters: JsonObject
    created_at: datetime
    cases: int
    finished: int
    execution: Execution | None = None
    execution_error: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every case has a call that ended, and whoever carries it out is done."""
        return self.finished >= self.cases if self.execution is None else self.execution == "complete"


@attrs.frozen(kw_only=True)
class RunState:
    """Where a test run stands: `records` counts all of its calls, `summary` looks at one a case."""

    info: RunInfo
    records: int
    summary: RunSummary


@attrs.frozen(kw_only=True)
class TriedCase:
    """A case of a run and its calls, in the order they began."""

    case: DatasetCase
    calls: tuple[RunCall, ...]


def create(connection: sa.Connection, of: Project, draft: RunDraft, new_id: str, now: datetime) -> DatasetKind:
    """A new test run over the cases that its dataset has now; their kind.

    Raises:
        DatasetNotFound: there is no dataset of that name.
        DatasetEmpty: it has no test cases.
    """
    over = datasets.get_named(connection, of, draft.dataset_name)
    insert(connection, of, over, draft, new_id, now)
    return over.kind


def insert(
    connection: sa.Connection,
    of: Project,
    over: Dataset,
    draft: RunDraft,
    new_id: str,
    now: datetime,
    suite_key: int | None = None,
) -> None:
    """A new test run over the cases that a dataset has now.

    Raises:
        DatasetEmpty: it has no test cases.
    """
    connection.execute(
        sa.insert(test_run).values(
            id=new_id,
            project_key=of.key,
            dataset_key=over.key,
            name=draft.name or over.name,
            description=draft.description,
            flavor=draft.flavor,
            created_at=to_micros(now),
            suite_key=suite_key,
            template_id=draft.template_id,
            template_version_id=draft.template_version_id,
            environment=draft.environment,
            parameters=draft.parameters,
        )
    )
    members = (
        sa.select(test_run.c.key, test_case.c.key)
        .join_from(test_run, test_case, test_run.c.dataset_key == test_case.c.dataset_key)
        .where(test_run.c.id == new_id, test_case.c.deleted_at.is_(None))
    )
    take = sa.insert(test_run_case).from_select(["test_run_key", "test_case_key"], members)
    taken = connection.execute(take.execution_options(preserve_rowcount=True))
    if not taken.rowcount:
        raise DatasetEmpty(
            f"dataset {over.name!r} has no test cases; add some with POST .../datasets/id/{over.id}/test-cases"
        )


def cases(
    connection: sa.Connection, run_id: str, offset: int = 0, limit: int = test_cases.CASES_LIMIT
) -> tuple[DatasetCase, ...]:
    """The cases of a test run, in the order of its dataset."""
    members = (
        sa.select(test_run_case.c.test_case_key)
        .join(test_run, test_run_case.c.test_run_key == test_run.c.key)
        .where(test_run.c.id == run_id)
    )
    return test_cases.cases_where(connection, test_case.c.key.in_(members), offset, limit)


@attrs.frozen(kw_only=True)
class WhichRuns:
    """Runs over a dataset, of a version, of a suite; None leaves that open."""

    dataset_id: str | None = None
    version_id: str | None = None
    suite_id: str | None = None


ALL_RUNS: Final = WhichRuns()


def runs(
    connection: sa.Connection, of: Project, offset: int, limit: int, which: WhichRuns = ALL_RUNS
) -> tuple[RunInfo, ...]:
    """The test runs of a project, newest first."""
    statement = _runs(of).order_by(test_run.c.key.desc()).offset(offset).limit(limit)
    for column, value in (
        (dataset.c.id, which.dataset_id),
        (test_run.c.template_version_id, which.version_id),
        (test_suite.c.id, which.suite_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    return tuple(_info(connection, of, row) for row in connection.execute(statement).mappings())


def info(connection: sa.Connection, of: Project, run_id: str) -> RunInfo:
    """One test run.

    Raises:
        RunNotFound: there is none of that id.
    """
    row = connection.execute(_runs(of).where(test_run.c.id == run_id)).mappings().one_or_none()
    if row is None:
        raise RunNotFound(f"no test run {run_id!r} in project {of.name!r}")
    return _info(connection, of, row)


def get(connection: sa.Connection, of: Project, run_id: str) -> RunState:
    """Where a test run stands.

    Raises:
        RunNotFound: there is none of that id.
    """
    found = info(connection, of, run_id)
    calls = calls_of_run(connection, of, run_id)
    return RunState(info=found, records=len(calls), summary=summarize(results_of(calls)))


def results(connection: sa.Connection, of: Project, run_id: str) -> tuple[RunInfo, tuple[Result, ...]]:
    """A run, and what each of its cases came to.

    Raises:
        RunNotFound: there is none of that id.
    """
    return info(connection, of, run_id), results_of(calls_of_run(connection, of, run_id))


def tried_cases(
    connection: sa.Connection, of: Project, run_id: str, offset: int, limit: int
) -> tuple[DatasetKind, tuple[TriedCase, ...]]:
    """The kind of a run, and some of its cases, each with its calls.

    Raises:
        RunNotFound: there is none of that id.
    """
    kind = info(connection, of, run_id).kind
    found = cases(connection, run_id, offset, limit)
    by_case: dict[str | None, list[RunCall]] = {}
    for call in calls_of_run(connection, of, run_id, [case.id for case in found]):
        by_case.setdefault(call.result.test_case_id, []).append(call)
    return kind, tuple(TriedCase(case=case, calls=tuple(by_case.get(case.id, ()))) for case in found)


def _runs(of: Project) -> sa.Select[*tuple[object, ...]]:
    return (
        sa.select(
            *test_run.c,
            dataset.c.id.label("dataset_id"),
            sa.func.coalesce(dataset.c.deleted_name, dataset.c.name).label("dataset_name"),
            dataset.c.kind,
            test_suite.c.id.label("suite_id"),
            suite_job.c.state.label("execution"),
            suite_job.c.error.label("execution_error"),
        )
        .join_from(test_run, dataset, test_run.c.dataset_key == dataset.c.key)
        .outerjoin(test_suite, test_run.c.suite_key == test_suite.c.key)
        .outerjoin(suite_job, test_run.c.key == suite_job.c.test_run_key)
        .where(test_run.c.project_key == of.key)
    )


def _info(connection: sa.Connection, of: Project, row: sa.RowMapping) -> RunInfo:
    in_run = sa.select(sa.func.count()).where(test_run_case.c.test_run_key == row["key"])
    case_count = connection.scalar(in_run) or 0
    given = {field.name: row[field.name] for field in attrs.fields(RunInfo) if field.name in row}
    return RunInfo(
        **{
            **given,
            "created_at": from_micros(row["created_at"]),
            "cases": case_count,
            "finished": _finished(connection, of, row, case_count),
        }
    )


def _finished(connection: sa.Connection, of: Project, row: sa.RowMapping, case_count: int) -> int:
    """How many cases have a call that ended, or a trace.

    A record that names no case counts as one: the clients of Freeplay 0.1.6 know the run alone.
    """
    has_ended = sa.and_(
        record.c.project_key == of.key, record.c.test_run_id == row["id"], record.c.ended_at.is_not(None)
    )
    is_traced = sa.and_(trace.c.project_key == of.key, trace.c.test_run_id == row["id"])
    tried = sa.union(
        sa.select(record.c.test_case_id).where(has_ended), sa.select(trace.c.test_case_id).where(is_traced)
    ).subquery()
    named = connection.scalar(
        sa.select(sa.func.count())
        .select_from(tried)
        .join(test_case, test_case.c.id == tried.c.test_case_id)
        .join(test_run_case, test_run_case.c.test_case_key == test_case.c.key)
        .where(test_run_case.c.test_run_key == row["key"])
    )
    unnamed = connection.scalar(
        sa.select(sa.func.count()).select_from(record).where(has_ended, record.c.test_case_id.is_(None))
    )
    return min(case_count, (named or 0) + (unnamed or 0))


class TestRuns(Part):
    """Test runs."""

    __test__ = False  # not one of pytest's

    def create(self, project: Project, draft: RunDraft) -> NewRun:
        """A new test run over the cases that its dataset has now.

        Raises:
            DatasetNotFound, DatasetEmpty: see `create`.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        kind = self._access.change(lambda connection: create(connection, project, draft, new_id, now))
        # read by a reader: unpacking a large dataset would keep the writer from taking records
        return NewRun(id=new_id, kind=kind, cases=self._access.ask(cases, new_id))

    def page(self, project: Project, offset: int, limit: int, which: WhichRuns = ALL_RUNS) -> tuple[RunInfo, ...]:
        """The test runs of a project, newest first."""
        return self._access.ask(runs, project, offset, limit, which)

    def get(self, project: Project, run_id: str) -> RunState:
        """Where a test run stands.

        Raises:
            RunNotFound: there is none of that id.
        """
        return self._access.ask(get, project, run_id)

    def results(self, project: Project, run_ids: Sequence[str]) -> tuple[tuple[RunInfo, tuple[Result, ...]], ...]:
        """Runs, and what each of their cases came to, in one snapshot.

        Raises:
            RunNotFound: there is none of one of the ids.
        """
        return self._access.ask(lambda connection: tuple(results(connection, project, run_id) for run_id in run_ids))

    def cases(
        self, project: Project, run_id: str, offset: int, limit: int
    ) -> tuple[DatasetKind, tuple[TriedCase, ...]]:
        """The kind of a run, and some of its cases, each with its calls.

        Raises:
            RunNotFound: there is none of that id.
        """
        return self._access.ask(tried_cases, project, run_id, offset, limit)
