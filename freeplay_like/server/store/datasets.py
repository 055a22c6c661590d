"""Datasets: named lists of test cases."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.bodies import Packer, unpack
from freeplay_like.server.store.dataset_tables import dataset, test_case
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import (
    CaseContent,
    Dataset,
    DatasetCase,
    DatasetDraft,
    NameTaken,
    NotFound,
    Project,
    TooMuch,
)

CASES_LIMIT: Final = 10_000
"""The most test cases of one dataset."""
SIZE_LIMIT_BYTES: Final = 32 * 1024 * 1024
"""The most JSON of one dataset: a test run hands all of it out at once."""


class DatasetNotFound(NotFound):
    """There is no such dataset in that project."""


class DatasetFull(TooMuch):
    """A dataset would hold more than one may."""


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
        )
    )
    return get(connection, of, new_id)


def datasets(connection: sa.Connection, of: Project, offset: int, limit: int) -> tuple[Dataset, ...]:
    """The datasets, newest first."""
    rows = connection.execute(
        sa.select(dataset)
        .where(dataset.c.project_key == of.key)
        .order_by(dataset.c.key.desc())
        .offset(offset)
        .limit(limit)
    )
    return tuple(_dataset(row) for row in rows.mappings())


def get(connection: sa.Connection, of: Project, dataset_id: str) -> Dataset:
    """A dataset by its id.

    Raises:
        DatasetNotFound: there is none.
    """
    found = _find(connection, of, dataset.c.id == dataset_id)
    if found is None:
        raise DatasetNotFound(f"no dataset {dataset_id!r} in project {of.name!r}")
    return found


def get_named(connection: sa.Connection, of: Project, name: str) -> Dataset:
    """A dataset by its name.

    Raises:
        DatasetNotFound: there is none; names near ones.
    """
    found = _find(connection, of, dataset.c.name == name)
    if found is None:
        names = connection.scalars(sa.select(dataset.c.name).where(dataset.c.project_key == of.key)).all()
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        hint = f"near names: {', '.join(map(repr, near))}" if near else "no dataset has a name like it"
        raise DatasetNotFound(f"no dataset {name!r} in project {of.name!r}; {hint}")
    return found


def add_cases(
    connection: sa.Connection,
    of: Project,
    dataset_id: str,
    contents: Sequence[CaseContent],
    new_id: Callable[[], str],
    now: datetime,
) -> tuple[str, ...]:
    """Put test cases at the end of a dataset; their ids.

    Raises:
        DatasetNotFound: there is no such dataset.
        DatasetFull: it would hold more than it may; none is added.
    """
    into = get(connection, of, dataset_id)
    bodies = [to_wire(content) for content in contents]
    _check_room(connection, into, len(bodies), sum(map(len, bodies)))
    packer = Packer()
    rows = [
        {
            "id": new_id(),
            "dataset_key": into.key,
            "size_bytes": len(body),
            "zstd": packer.pack(body),
            "created_at": to_micros(now),
        }
        for body in bodies
    ]
    if rows:
        connection.execute(sa.insert(test_case), rows)
    return tuple(str(row["id"]) for row in rows)


def cases(connection: sa.Connection, of: Project, dataset_id: str) -> tuple[DatasetCase, ...]:
    """The test cases of a dataset, in the order they were added.

    Raises:
        DatasetNotFound: there is no such dataset.
    """
    return cases_where(connection, test_case.c.dataset_key == get(connection, of, dataset_id).key)


def cases_where(connection: sa.Connection, where: sa.ColumnElement[bool]) -> tuple[DatasetCase, ...]:
    """The test cases of some rows, in the order they were added."""
    rows = connection.execute(sa.select(test_case.c.id, test_case.c.zstd).where(where).order_by(test_case.c.key))
    return tuple(DatasetCase(id=row.id, content=unpack(row.zstd, CaseContent)) for row in rows)


def _check_room(connection: sa.Connection, of: Dataset, count: int, size_bytes: int) -> None:
    statement = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(test_case.c.size_bytes), 0))
    held, held_bytes = connection.execute(statement.where(test_case.c.dataset_key == of.key)).one()
    if held + count > CASES_LIMIT:
        raise DatasetFull(
            f"dataset {of.name!r} has {held} test cases; with {count} more it has over {CASES_LIMIT}: begin another one"
        )
    if held_bytes + size_bytes > SIZE_LIMIT_BYTES:
        raise DatasetFull(
            f"dataset {of.name!r} has {held_bytes} bytes; with {size_bytes} more it has over {SIZE_LIMIT_BYTES}: "
            "begin another one"
        )


def _find(connection: sa.Connection, of: Project, where: sa.ColumnElement[bool]) -> Dataset | None:
    row = connection.execute(sa.select(dataset).where(dataset.c.project_key == of.key, where)).mappings().one_or_none()
    return None if row is None else _dataset(row)


def _dataset(row: sa.RowMapping) -> Dataset:
    return Dataset(
        key=row["key"],
        id=row["id"],
        name=row["name"],
        description=row["description"],
        input_names=tuple(row["input_names"]),
        media_input_names=tuple(row["media_input_names"]),
        support_history=row["support_history"],
        created_at=from_micros(row["created_at"]),
    )


class Datasets(Part):
    """Datasets and their test cases."""

    def create(self, project: Project, draft: DatasetDraft) -> Dataset:
        """A new dataset.

        Raises:
            NameTaken: there is one of that name.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(lambda connection: create(connection, project, draft, new_id, now))

    def page(self, project_id: str, offset: int, limit: int) -> tuple[Dataset, ...]:
        """The datasets of a project, newest first."""
        return self._access.ask_of(project_id, datasets, (), offset, limit)

    def add_cases(self, project: Project, dataset_id: str, contents: Sequence[CaseContent]) -> tuple[str, ...]:
        """Put test cases at the end of a dataset; their ids.

        Raises:
            DatasetNotFound, DatasetFull: see `add_cases`.
            StoreUnavailable: they could not be stored now.
        """
        new_id, now = self._access.clock.new_id, self._access.clock.now()
        return self._access.change(lambda connection: add_cases(connection, project, dataset_id, contents, new_id, now))

    def cases(self, project: Project, dataset_id: str) -> tuple[DatasetCase, ...]:
        """The test cases of a dataset, in the order they were added.

        Raises:
            DatasetNotFound: there is no such dataset.
        """
        return self._access.ask(cases, project, dataset_id)
