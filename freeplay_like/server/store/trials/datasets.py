"""Datasets: named lists of test cases."""

from __future__ import annotations

import difflib
from datetime import datetime

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.trials.tables import dataset, test_case, test_run, test_run_case, test_suite
from freeplay_like.server.store.views import (
    Conflict,
    Dataset,
    DatasetDraft,
    DatasetKind,
    NameTaken,
    NotFound,
    Project,
)


class DatasetNotFound(NotFound):
    """There is no such dataset in that project."""


class DatasetInUse(Conflict):
    """Something that is still there is made of the dataset."""


@attrs.frozen(kw_only=True)
class DatasetChange:
    """What is to be said of a dataset instead; None leaves what is said now."""

    name: str | None = None
    description: str | None = None
    input_names: tuple[str, ...] | None = None
    media_input_names: tuple[str, ...] | None = None
    support_history: bool | None = None


def create(connection: sa.Connection, of: Project, draft: DatasetDraft, new_id: str, now: datetime) -> Dataset:
    """A new dataset.

    Raises:
        NameTaken: there is one of that name.
    """
    if _find(connection, of, dataset.c.name == draft.name) is not None:
        raise NameTaken(f"there is a dataset {draft.name!r} already; add to it, or choose another name")
    connection.execute(
        sa.insert(dataset).values(
            id=new_id,
            project_key=of.key,
            name=draft.name,
            description=draft.description,
            input_names=draft.input_names,
            media_input_names=draft.media_input_names,
            support_history=draft.support_history,
            created_at=to_micros(now),
            kind=draft.kind,
        )
    )
    return get(connection, of, new_id)


def datasets(
    connection: sa.Connection,
    of: Project,
    kind: DatasetKind | None,
    offset: int,
    limit: int,
    *,
    dataset_id: str | None = None,
    name: str | None = None,
) -> tuple[Dataset, ...]:
    """The datasets, newest first; those of one kind, one id, one name where these are given."""
    statement = _datasets(of).order_by(dataset.c.key.desc()).offset(offset).limit(limit)
    for column, value in ((dataset.c.kind, kind), (dataset.c.id, dataset_id), (dataset.c.name, name)):
        if value is not None:
            statement = statement.where(column == value)
    return tuple(_dataset(row) for row in connection.execute(statement).mappings())


def get(connection: sa.Connection, of: Project, dataset_id: str, kind: DatasetKind | None = None) -> Dataset:
    """A dataset by its id, of that kind where one is given.

    Raises:
        DatasetNotFound: there is none.
    """
    found = _find(connection, of, dataset.c.id == dataset_id)
    if found is None or kind not in (None, found.kind):
        which = "dataset" if kind is None else f"{kind} dataset"
        raise DatasetNotFound(f"no {which} {dataset_id!r} in project {of.name!r}")
    return found


def get_named(connection: sa.Connection, of: Project, name: str) -> Dataset:
    """A dataset by its name.

    Raises:
        DatasetNotFound: there is none; names near ones.
    """
    found = _find(connection, of, dataset.c.name == name)
    if found is None:
        names = connection.scalars(
            sa.select(dataset.c.name).where(dataset.c.project_key == of.key, dataset.c.deleted_at.is_(None))
        ).all()
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        hint = f"near names: {', '.join(map(repr, near))}" if near else "no dataset has a name like it"
        raise DatasetNotFound(f"no dataset {name!r} in project {of.name!r}; {hint}")
    return found


def change(
    connection: sa.Connection, of: Project, dataset_id: str, said: DatasetChange, kind: DatasetKind | None = None
) -> Dataset:
    """Say something else of a dataset.

    Raises:
        DatasetNotFound: there is no such dataset.
        NameTaken: another one has the name.
    """
    found = get(connection, of, dataset_id, kind)
    values = {name: value for name, value in attrs.asdict(said, recurse=False).items() if value is not None}
    other = None if said.name is None else _find(connection, of, dataset.c.name == said.name)
    if other is not None and other.key != found.key:
        raise NameTaken(f"there is a dataset {said.name!r} already; choose another name")
    if values:
        connection.execute(sa.update(dataset).where(dataset.c.key == found.key).values(**values))
    return get(connection, of, dataset_id, kind)


def delete(
    connection: sa.Connection, of: Project, dataset_id: str, now: datetime, kind: DatasetKind | None = None
) -> None:
    """Delete a dataset with its test cases. Cases that a run used stay for that run, where nobody else sees them.

    Raises:
        DatasetNotFound: there is no such dataset.
        DatasetInUse: a test suite runs over it.
    """
    found = get(connection, of, dataset_id, kind)
    suite = connection.scalar(sa.select(test_suite.c.name).where(test_suite.c.dataset_key == found.key).limit(1))
    if suite is not None:
        raise DatasetInUse(f"test suite {suite!r} runs over dataset {found.name!r}; delete the suite first")
    is_used = sa.exists().where(test_run_case.c.test_case_key == test_case.c.key)
    connection.execute(sa.delete(test_case).where(test_case.c.dataset_key == found.key, ~is_used))
    has_run = connection.scalar(sa.select(sa.exists().where(test_run.c.dataset_key == found.key)))
    if not has_run:
        connection.execute(sa.delete(dataset).where(dataset.c.key == found.key))
        return
    put_away = {"deleted_at": to_micros(now), "deleted_name": found.name, "name": found.id}
    connection.execute(sa.update(dataset).where(dataset.c.key == found.key).values(**put_away))


def _datasets(of: Project) -> sa.Select[*tuple[object, ...]]:
    count = (
        sa.select(sa.func.count())
        .where(test_case.c.dataset_key == dataset.c.key, test_case.c.deleted_at.is_(None))
        .scalar_subquery()
    )
    return sa.select(*dataset.c, count.label("cases")).where(
        dataset.c.project_key == of.key, dataset.c.deleted_at.is_(None)
    )


def _find(connection: sa.Connection, of: Project, where: sa.ColumnElement[bool]) -> Dataset | None:
    row = connection.execute(_datasets(of).where(where)).mappings().one_or_none()
    return None if row is None else _dataset(row)


def _dataset(row: sa.RowMapping) -> Dataset:
    return Dataset(
        key=row["key"],
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        description=row["description"],
        input_names=tuple(row["input_names"]),
        media_input_names=tuple(row["media_input_names"]),
        support_history=row["support_history"],
        created_at=from_micros(row["created_at"]),
        cases=row["cases"],
    )


class Datasets(Part):
    """Datasets. Their test cases are a part of their own."""

    def create(self, project: Project, draft: DatasetDraft) -> Dataset:
        """A new dataset.

        Raises:
            NameTaken: there is one of that name.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(lambda connection: create(connection, project, draft, new_id, now))

    def page(
        self,
        project: Project,
        kind: DatasetKind | None,
        offset: int,
        limit: int,
        *,
        dataset_id: str | None = None,
        name: str | None = None,
    ) -> tuple[Dataset, ...]:
        """The datasets of a project, newest first; only those of a kind, an id or a name where these are given."""
        return self._access.ask(datasets, project, kind, offset, limit, dataset_id=dataset_id, name=name)

    def get(self, project: Project, dataset_id: str, kind: DatasetKind | None = None) -> Dataset:
        """A dataset by its id.

        Raises:
            DatasetNotFound: there is none.
        """
        return self._access.ask(get, project, dataset_id, kind)

    def named(self, project: Project, name: str) -> Dataset:
        """A dataset by its name.

        Raises:
            DatasetNotFound: there is none.
        """
        return self._access.ask(get_named, project, name)

    def change(
        self, project: Project, dataset_id: str, said: DatasetChange, kind: DatasetKind | None = None
    ) -> Dataset:
        """Say something else of a dataset.

        Raises:
            DatasetNotFound, NameTaken: see `change`.
            StoreUnavailable: it could not be stored now.
        """
        return self._access.change(lambda connection: change(connection, project, dataset_id, said, kind))

    def delete(self, project: Project, dataset_id: str, kind: DatasetKind | None = None) -> None:
        """Delete a dataset with its test cases; cases that a run used stay for that run.

        Raises:
            DatasetNotFound, DatasetInUse: see `delete`.
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        self._access.change(lambda connection: delete(connection, project, dataset_id, now, kind))
