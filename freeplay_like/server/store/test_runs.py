"""Test runs: a template version, or anything else, tried over the cases of a dataset."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from freeplay_like.core.wire import JsonValue, from_wire
from freeplay_like.server.store import datasets
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.dataset_tables import dataset, test_case, test_run, test_run_case
from freeplay_like.server.store.record_tables import record, score
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import DatasetCase, NewRun, Project, Refused, RunDraft, RunState

VALUES_LIMIT: Final = 1_000
"""The most different values of scores that are counted: more are no summary."""


class DatasetEmpty(Refused):
    """A test run over nothing was asked for."""


def create(connection: sa.Connection, of: Project, draft: RunDraft, new_id: str, now: datetime) -> None:
    """A new test run over the cases that its dataset has now.

    Raises:
        DatasetNotFound: there is no dataset of that name.
        DatasetEmpty: it has no test cases.
    """
    over = datasets.get_named(connection, of, draft.dataset_name)
    connection.execute(
        sa.insert(test_run).values(
            id=new_id,
            project_key=of.key,
            dataset_key=over.key,
            name=draft.name or over.name,
            description=draft.description,
            flavor=draft.flavor,
            created_at=to_micros(now),
        )
    )
    members = (
        sa.select(test_run.c.key, test_case.c.key)
        .join_from(test_run, test_case, test_run.c.dataset_key == test_case.c.dataset_key)
        .where(test_run.c.id == new_id)
    )
    taken = connection.execute(sa.insert(test_run_case).from_select(["test_run_key", "test_case_key"], members))
    if not taken.rowcount:
        raise DatasetEmpty(
            f"dataset {over.name!r} has no test cases; add some with POST .../datasets/id/{over.id}/test-cases"
        )


def cases(connection: sa.Connection, run_id: str) -> tuple[DatasetCase, ...]:
    """The cases of a test run, in the order they were added to its dataset."""
    members = (
        sa.select(test_run_case.c.test_case_key)
        .join(test_run, test_run_case.c.test_run_key == test_run.c.key)
        .where(test_run.c.id == run_id)
    )
    return datasets.cases_where(connection, test_case.c.key.in_(members))


def get(connection: sa.Connection, of: Project, run_id: str) -> RunState | None:
    """Where a test run stands."""
    row = connection.execute(
        sa.select(test_run, dataset.c.id.label("dataset_id"), dataset.c.name.label("dataset_name"))
        .join(dataset, test_run.c.dataset_key == dataset.c.key)
        .where(test_run.c.project_key == of.key, test_run.c.id == run_id)
    ).one_or_none()
    if row is None:
        return None
    in_run = sa.select(sa.func.count()).where(test_run_case.c.test_run_key == row.key)
    case_count = connection.scalar(in_run) or 0
    is_of_run = sa.and_(record.c.project_key == of.key, record.c.test_run_id == run_id)
    return RunState(
        id=row.id,
        name=row.name,
        description=row.description,
        flavor=row.flavor,
        dataset_id=row.dataset_id,
        dataset_name=row.dataset_name,
        created_at=from_micros(row.created_at),
        cases=case_count,
        finished=_finished(connection, row.key, is_of_run, case_count),
        records=connection.scalar(sa.select(sa.func.count()).select_from(record).where(is_of_run)) or 0,
        scores=_scores(connection, is_of_run),
    )


def _finished(connection: sa.Connection, run_key: int, is_of_run: sa.ColumnElement[bool], case_count: int) -> int:
    """How many cases have a call that ended.

    A record that names no case counts as one: the clients of Freeplay 0.1.6 know the run alone.
    """
    named = connection.scalar(
        sa.select(sa.func.count(test_case.c.key.distinct()))
        .select_from(record)
        .join(test_case, test_case.c.id == record.c.test_case_id)
        .join(test_run_case, test_run_case.c.test_case_key == test_case.c.key)
        .where(is_of_run, record.c.ended_at.is_not(None), test_run_case.c.test_run_key == run_key)
    )
    unnamed = connection.scalar(
        sa.select(sa.func.count())
        .select_from(record)
        .where(is_of_run, record.c.ended_at.is_not(None), record.c.test_case_id.is_(None))
    )
    return min(case_count, (named or 0) + (unnamed or 0))


def _scores(connection: sa.Connection, is_of_run: sa.ColumnElement[bool]) -> dict[str, dict[str, int]]:
    """How often each score has each value, where the last word on a record counts."""
    place = sa.func.row_number().over(
        partition_by=(score.c.record_id, score.c.name), order_by=(score.c.made_at.desc(), score.c.amendment_id.desc())
    )
    said = (
        sa.select(score.c.name, score.c.value, place.label("place"))
        .join_from(
            record,
            score,
            sa.and_(score.c.project_key == record.c.project_key, score.c.record_id == record.c.record_id),
        )
        .where(is_of_run)
        .subquery()
    )
    rows = connection.execute(
        sa.select(said.c.name, said.c.value, sa.func.count())
        .where(said.c.place == 1)
        .group_by(said.c.name, said.c.value)
        .order_by(said.c.name, sa.func.count().desc(), said.c.value)
        .limit(VALUES_LIMIT)
    )
    counts: dict[str, dict[str, int]] = {}
    for name, value, count in rows:
        by_value = counts.setdefault(name, {})
        key = _word(value)
        by_value[key] = by_value.get(key, 0) + count
    return counts


def _word(value: str) -> str:
    """A score's value as text: text as it is, everything else as JSON."""
    said: JsonValue = from_wire(value, object)
    return said if isinstance(said, str) else value


class TestRuns(Part):
    """Test runs."""

    def create(self, project: Project, draft: RunDraft) -> NewRun:
        """A new test run over the cases that its dataset has now.

        Raises:
            DatasetNotFound, DatasetEmpty: see `create`.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        self._access.change(lambda connection: create(connection, project, draft, new_id, now))
        # read by a reader: unpacking a large dataset would keep the writer from taking records
        return NewRun(id=new_id, cases=self._access.ask(cases, new_id))

    def get(self, project_id: str, run_id: str) -> RunState | None:
        """Where a test run stands."""
        return self._access.ask_of(project_id, get, None, run_id)
