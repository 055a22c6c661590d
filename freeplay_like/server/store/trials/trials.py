"""What people want to know of trials: a run with all that its cases came to, whole answers, which runs were the last;
and several versions tried at once over one dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.run_results import Result
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.prompts import reading as prompt_reading
from freeplay_like.server.store.records.calls import whole_record
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.trials import datasets, executions, test_cases, test_runs, test_suites
from freeplay_like.server.store.trials.run_results import RunCall, calls_of_run, results_of
from freeplay_like.server.store.trials.tables import dataset, test_case, test_run, test_run_case, test_suite
from freeplay_like.server.store.trials.test_runs import RunInfo, WhichRuns
from freeplay_like.server.store.trials.test_suites import SuiteDraft, SuiteRunDraft, TestSuite
from freeplay_like.server.store.views import DatasetCase, Project

_NAME_LIMIT: Final = 180


@attrs.frozen(kw_only=True)
class RunView:
    """A run with everything its cases came to. `case_ids` are in the order of its dataset."""

    info: RunInfo
    case_ids: tuple[str, ...]
    calls: tuple[RunCall, ...]

    @property
    def results(self) -> tuple[Result, ...]:
        """What each case came to."""
        return results_of(self.calls)


@attrs.frozen(kw_only=True)
class TrialDraft:
    """Versions that are to be tried over a dataset, a run each. `versions` are pairs of a template's id and a
    version's; `parameters` go over the version's own, `thresholds` are as in `SuiteDraft`."""

    dataset_id: str
    versions: tuple[tuple[str, str], ...]
    name: str | None = None
    parameters: JsonObject = attrs.field(factory=dict)
    thresholds: Mapping[str, float] = attrs.field(factory=dict)


def view(connection: sa.Connection, of: Project, run_id: str) -> RunView:
    """A run with everything its cases came to.

    Raises:
        RunNotFound: there is none of that id.
    """
    info = test_runs.info(connection, of, run_id)
    members = (
        sa.select(test_run_case.c.test_case_key)
        .join(test_run, test_run_case.c.test_run_key == test_run.c.key)
        .where(test_run.c.id == run_id)
    )
    return RunView(
        info=info,
        case_ids=test_cases.ids_where(connection, test_case.c.key.in_(members)),
        calls=calls_of_run(connection, of, run_id),
    )


def cases_by_id(connection: sa.Connection, of: Project, case_ids: Collection[str]) -> dict[str, DatasetCase]:
    """Test cases of any of a project's datasets, also those that only a run still has."""
    is_its = test_case.c.dataset_key.in_(sa.select(dataset.c.key).where(dataset.c.project_key == of.key))
    found = test_cases.cases_where(connection, sa.and_(is_its, test_case.c.id.in_(case_ids)))
    return {case.id: case for case in found}


def answers(connection: sa.Connection, of: Project, record_ids: Collection[str]) -> dict[str, str]:
    """The whole answers of recorded calls, by their ids; what is no recorded call is left out."""
    is_one = record.c.project_key == of.key, record.c.record_id.in_(record_ids)
    seqs = connection.execute(sa.select(record.c.record_id, record.c.seq).where(*is_one)).all()
    return {row.record_id: whole_record(connection, row.seq).text for row in seqs}


def last_runs(connection: sa.Connection, of: Project, dataset_ids: Collection[str]) -> dict[str, RunInfo]:
    """The newest run over each of some datasets, by the dataset's id."""
    newest = {
        dataset_id: test_runs.runs(connection, of, 0, 1, WhichRuns(dataset_id=dataset_id)) for dataset_id in dataset_ids
    }
    return {dataset_id: found[0] for dataset_id, found in newest.items() if found}


def start(
    connection: sa.Connection,
    of: Project,
    draft: TrialDraft,
    new_id: Callable[[], str],
    now: datetime,
    *,
    needs_connection: bool,
) -> tuple[str, ...]:
    """Runs that a server carries out, one a version; their ids. All are begun or none.

    A run is one of the suite of its dataset, template and thresholds, which is made where there is none.

    Raises:
        DatasetNotFound, DatasetEmpty, TemplateNotFound, VersionUnknown, SuiteMismatch, NotExecutable, NotConnected: see
            `executions.start` and `test_suites.create`.
    """
    run_ids = []
    for template_id, version_id in draft.versions:
        suite = _suite_for(connection, of, draft, template_id, new_id, now)
        name = _run_name(connection, of, draft, template_id, version_id)
        asked = SuiteRunDraft(name=name, template_version_id=version_id, parameters=draft.parameters)
        run = executions.start(connection, of, suite.id, asked, new_id(), now, None, needs_connection=needs_connection)
        run_ids.append(run.run_id)
    return tuple(run_ids)


def _run_name(
    connection: sa.Connection, of: Project, draft: TrialDraft, template_id: str, version_id: str
) -> str | None:
    """What a run is called: what was said, and the version where that alone would not tell runs apart."""
    if draft.name is not None and len(draft.versions) == 1:
        return draft.name
    found = prompt_reading.get_version(connection, of, template_id, version_id)
    label = "" if found is None else f"{found.template.name}@{found.template.version}"
    name = draft.name or f"over {datasets.get(connection, of, draft.dataset_id).name}"
    return f"{label} {name}"[:_NAME_LIMIT].strip()


def _suite_for(
    connection: sa.Connection,
    of: Project,
    draft: TrialDraft,
    template_id: str,
    new_id: Callable[[], str],
    now: datetime,
) -> TestSuite:
    over = datasets.get(connection, of, draft.dataset_id)
    template = prompt_reading.find_template(connection, of, template_id)
    alike = sa.and_(test_suite.c.dataset_key == over.key, test_suite.c.template_id == template_id)
    for suite_id in connection.scalars(sa.select(test_suite.c.id).where(alike).order_by(test_suite.c.key)):
        found = test_suites.get(connection, of, suite_id)
        if found.thresholds == draft.thresholds:
            return found
    checks = f" ({', '.join(sorted(draft.thresholds))})" if draft.thresholds else ""
    name = f"{template.name} over {over.name}{checks}"[:_NAME_LIMIT]
    taken = frozenset(
        connection.scalars(
            sa.select(test_suite.c.name).where(
                test_suite.c.project_key == of.key, test_suite.c.name.startswith(name, autoescape=True)
            )
        )
    )
    free = next(each for each in (name, *(f"{name} {n}" for n in range(2, len(taken) + 3))) if each not in taken)
    suite = SuiteDraft(
        name=free, dataset_id=draft.dataset_id, template_id=template_id, thresholds=dict(draft.thresholds)
    )
    return test_suites.create(connection, of, suite, new_id(), now)


class Trials(Part):
    """What the pages of datasets, test runs and comparisons ask."""

    def run(self, project: Project, run_id: str) -> RunView:
        """A run with everything its cases came to.

        Raises:
            RunNotFound: there is none of that id.
        """
        return self._access.ask(view, project, run_id)

    def runs(self, project: Project, run_ids: Collection[str]) -> tuple[RunView, ...]:
        """Several runs, in one snapshot.

        Raises:
            RunNotFound: there is none of one of the ids.
        """
        return self._access.ask(lambda connection: tuple(view(connection, project, run_id) for run_id in run_ids))

    def cases(self, project: Project, case_ids: Collection[str]) -> dict[str, DatasetCase]:
        """Test cases by their ids, also those that only a run still has."""
        return self._access.ask(cases_by_id, project, case_ids)

    def answers(self, project: Project, record_ids: Collection[str]) -> dict[str, str]:
        """The whole answers of recorded calls, by their ids; what is no recorded call is left out."""
        return self._access.ask(answers, project, record_ids)

    def last_runs(self, project: Project, dataset_ids: Collection[str]) -> dict[str, RunInfo]:
        """The newest run over each of some datasets, by the dataset's id."""
        return self._access.ask(last_runs, project, dataset_ids)

    def start(self, project: Project, draft: TrialDraft, *, needs_connection: bool) -> tuple[str, ...]:
        """Runs that a server carries out, one a version; their ids. See `start`.

        Raises:
            NotFound, Conflict, Refused: none is begun.
            StoreUnavailable: they could not be stored now.
        """
        new_id, now = self._access.clock.new_id, self._access.clock.now()
        return self._access.change(
            lambda connection: start(connection, project, draft, new_id, now, needs_connection=needs_connection)
        )
