"""Test suites: a dataset, what is tried over it, and what a run has to reach."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs
import sqlalchemy as sa

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.prompts import reading as prompt_reading
from freeplay_like.server.store.prompts.views import LATEST
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.trials import datasets, test_runs
from freeplay_like.server.store.trials.tables import dataset, test_run, test_suite
from freeplay_like.server.store.trials.test_runs import RunNotFound
from freeplay_like.server.store.views import (
    DatasetKind,
    NameTaken,
    NotFound,
    Project,
    Refused,
    RunDraft,
    TemplateVersion,
)


class SuiteNotFound(NotFound):
    """There is no such test suite in that project."""


class VersionUnknown(NotFound):
    """A suite's template has no version that could be tried."""


class SuiteMismatch(Refused):
    """What a suite tries and its dataset do not go together."""


@attrs.frozen(kw_only=True)
class SuiteDraft:
    """A test suite that is to be made: over a dataset, for a prompt template or an agent.

    `thresholds` says which mean each score must have at least for a run to pass.
    """

    name: str
    description: str = ""
    dataset_id: str
    template_id: str | None = None
    agent_id: str | None = None
    thresholds: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class TestSuite:
    """A test suite. `kind` is that of its dataset."""

    __test__ = False  # not one of pytest's

    key: int
    id: str
    name: str
    description: str
    kind: DatasetKind
    dataset_id: str
    template_id: str | None
    agent_id: str | None
    thresholds: Mapping[str, float]
    created_at: datetime


@attrs.frozen(kw_only=True)
class SuiteRunDraft:
    """What is to be tried: the version of an id, or the one an environment points at; `parameters` go over its own."""

    name: str | None = None
    environment: str | None = None
    template_version_id: str | None = None
    parameters: JsonObject = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class SuiteRun:
    """A run that was just made: `version` is what a suite for a prompt tries."""

    run_id: str
    cases: int
    version: TemplateVersion | None


def create(connection: sa.Connection, of: Project, draft: SuiteDraft, new_id: str, now: datetime) -> TestSuite:
    """A new test suite.

    Raises:
        DatasetNotFound: there is no such dataset.
        TemplateNotFound: there is no such template.
        NameTaken: there is a suite of that name.
        SuiteMismatch: a template for cases of an agent.
    """
    over = datasets.get(connection, of, draft.dataset_id)
    if draft.template_id is not None and over.kind == "agent":
        raise SuiteMismatch(f"dataset {over.name!r} is one for agents: give 'agent_id' instead of a prompt template")
    if draft.template_id is not None:
        prompt_reading.find_template(connection, of, draft.template_id)
    is_taken = sa.exists().where(test_suite.c.project_key == of.key, test_suite.c.name == draft.name)
    if connection.scalar(sa.select(is_taken)):
        raise NameTaken(f"there is a test suite {draft.name!r} already; choose another name")
    connection.execute(
        sa.insert(test_suite).values(
            id=new_id,
            project_key=of.key,
            dataset_key=over.key,
            name=draft.name,
            description=draft.description,
            template_id=draft.template_id,
            agent_id=draft.agent_id,
            thresholds=dict(draft.thresholds),
            created_at=to_micros(now),
        )
    )
    return get(connection, of, new_id)


def suites(connection: sa.Connection, of: Project, offset: int, limit: int) -> tuple[TestSuite, ...]:
    """The test suites of a project, newest first."""
    rows = connection.execute(_suites(of).order_by(test_suite.c.key.desc()).offset(offset).limit(limit))
    return tuple(_suite(row) for row in rows.mappings())


def get(connection: sa.Connection, of: Project, suite_id: str) -> TestSuite:
    """A test suite.

    Raises:
        SuiteNotFound: there is none of that id.
    """
    row = connection.execute(_suites(of).where(test_suite.c.id == suite_id)).mappings().one_or_none()
    if row is None:
        raise SuiteNotFound(f"no test suite {suite_id!r} in project {of.name!r}")
    return _suite(row)


def delete(connection: sa.Connection, of: Project, suite_id: str) -> None:
    """Delete a test suite; its runs stay, as runs over its dataset.

    Raises:
        SuiteNotFound: there is none of that id.
    """
    found = get(connection, of, suite_id)
    connection.execute(sa.update(test_run).where(test_run.c.suite_key == found.key).values(suite_key=None))
    connection.execute(sa.delete(test_suite).where(test_suite.c.key == found.key))


def start(
    connection: sa.Connection, of: Project, suite_id: str, draft: SuiteRunDraft, new_id: str, now: datetime
) -> SuiteRun:
    """A new run of a suite over the cases that its dataset has now.

    Raises:
        SuiteNotFound: there is no such suite.
        VersionUnknown: the suite's template has no such version, or nothing in that environment.
        DatasetEmpty: there are no cases.
    """
    suite = get(connection, of, suite_id)
    version = None if suite.template_id is None else _version(connection, of, suite.template_id, draft)
    over = datasets.get(connection, of, suite.dataset_id)
    run = RunDraft(
        dataset_name=over.name,
        name=draft.name or f"{suite.name[:180]} {now:%Y-%m-%d %H:%M}",
        template_id=suite.template_id,
        template_version_id=None if version is None else version.template.version_id,
        environment=draft.environment,
        parameters=draft.parameters,
    )
    test_runs.insert(connection, of, over, run, new_id, now, suite_key=suite.key)
    return SuiteRun(run_id=new_id, cases=over.cases, version=version)


def check_run(connection: sa.Connection, of: Project, suite_id: str, run_id: str) -> TestSuite:
    """The suite that a run belongs to.

    Raises:
        SuiteNotFound, RunNotFound: there is no such suite, or it has no such run.
    """
    suite = get(connection, of, suite_id)
    is_its = sa.exists().where(test_run.c.id == run_id, test_run.c.suite_key == suite.key)
    if not connection.scalar(sa.select(is_its)):
        raise RunNotFound(f"no run {run_id!r} of test suite {suite.name!r}")
    return suite


def _version(connection: sa.Connection, of: Project, template_id: str, draft: SuiteRunDraft) -> TemplateVersion:
    if draft.template_version_id is not None:
        found = prompt_reading.get_version(connection, of, template_id, draft.template_version_id)
        said = f"no version {draft.template_version_id!r}"
    else:
        name, environment = prompt_reading.find_template(connection, of, template_id).name, draft.environment or LATEST
        found = prompt_reading.get_template(connection, of, name, environment)
        said = f"no version in environment {environment!r}"
    if found is None:
        raise VersionUnknown(f"prompt template {template_id!r} has {said}")
    return found


def _suites(of: Project) -> sa.Select[*tuple[object, ...]]:
    return (
        sa.select(*test_suite.c, dataset.c.id.label("dataset_id"), dataset.c.kind)
        .join_from(test_suite, dataset, test_suite.c.dataset_key == dataset.c.key)
        .where(test_suite.c.project_key == of.key)
    )


def _suite(row: sa.RowMapping) -> TestSuite:
    fields = {field.name: row[field.name] for field in attrs.fields(TestSuite)}
    return TestSuite(**{**fields, "created_at": from_micros(row["created_at"])})


class TestSuites(Part):
    """Test suites."""

    __test__ = False

    def create(self, project: Project, draft: SuiteDraft) -> TestSuite:
        """A new test suite.

        Raises:
            DatasetNotFound, TemplateNotFound, NameTaken, SuiteMismatch: see `create`.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(lambda connection: create(connection, project, draft, new_id, now))

    def page(self, project: Project, offset: int, limit: int) -> tuple[TestSuite, ...]:
        """The test suites of a project, newest first."""
        return self._access.ask(suites, project, offset, limit)

    def get(self, project: Project, suite_id: str) -> TestSuite:
        """A test suite.

        Raises:
            SuiteNotFound: there is none of that id.
        """
        return self._access.ask(get, project, suite_id)

    def delete(self, project: Project, suite_id: str) -> None:
        """Delete a test suite; its runs stay, as runs over its dataset.

        Raises:
            SuiteNotFound: there is none of that id.
            StoreUnavailable: it could not be stored now.
        """
        self._access.change(lambda connection: delete(connection, project, suite_id))

    def start(self, project: Project, suite_id: str, draft: SuiteRunDraft) -> SuiteRun:
        """A new run of a suite over the cases that its dataset has now.

        Raises:
            SuiteNotFound, VersionUnknown, DatasetEmpty: see `start`.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(lambda connection: start(connection, project, suite_id, draft, new_id, now))

    def of_run(self, project: Project, suite_id: str, run_id: str) -> TestSuite:
        """The suite that a run belongs to.

        Raises:
            SuiteNotFound, RunNotFound: there is no such suite, or it has no such run.
        """
        return self._access.ask(check_run, project, suite_id, run_id)
