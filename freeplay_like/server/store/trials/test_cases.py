"""Test cases: what goes in, and what is expected to come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.bodies import Packer, unpack
from freeplay_like.server.store.tables import to_micros
from freeplay_like.server.store.trials import datasets
from freeplay_like.server.store.trials.case_sources import Skipped, cases_of_records
from freeplay_like.server.store.trials.tables import test_case, test_run_case
from freeplay_like.server.store.views import (
    CaseContent,
    Conflict,
    Dataset,
    DatasetCase,
    DatasetKind,
    NotFound,
    Project,
    Refused,
    TooMuch,
)

CASES_LIMIT: Final = 10_000
"""The most test cases of one dataset."""
SIZE_LIMIT_BYTES: Final = 32 * 1024 * 1024
"""The most JSON of one dataset: a test run hands all of it out at once."""

_PLACE: Final = sa.func.coalesce(test_case.c.place, test_case.c.key)
"""Where a case stands in its dataset."""


class CaseNotFound(NotFound):
    """There is no such test case in that dataset."""


class CaseIdTaken(Conflict):
    """A test case of that id is in another dataset."""


class DatasetFull(TooMuch):
    """A dataset would hold more than one may."""


class NotOfThatKind(Refused):
    """A dataset of one kind does not take what was given."""


@attrs.frozen(kw_only=True)
class CaseDraft:
    """A test case that is to be added.

    With an `id` of the sender's own the same case can be sent again: it is there once. `source_record_id` is the
    recorded call it was made from.
    """

    content: CaseContent
    id: str | None = None
    source_record_id: str | None = None


@attrs.frozen(kw_only=True)
class _Row:
    """The columns of a case that is stored."""

    id: str
    dataset_key: int
    size_bytes: int
    zstd: bytes
    created_at: int
    source_record_id: str | None


@attrs.frozen(kw_only=True)
class Taken:
    """The test cases that recorded calls became, also where they had become them before, and what was left out."""

    case_ids: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def add(
    connection: sa.Connection,
    of: Project,
    dataset_id: str,
    drafts: Sequence[CaseDraft],
    new_id: Callable[[], str],
    now: datetime,
    kind: DatasetKind | None = None,
) -> tuple[str, ...]:
    """Put test cases at the end of a dataset; their ids, in the order of the drafts.

    A case whose id the dataset has already is not added again; if it was deleted there, it comes back.

    Raises:
        DatasetNotFound: there is no such dataset.
        DatasetFull: it would hold more than it may; none is added.
        CaseIdTaken: an id is that of a case elsewhere; none is added.
    """
    into = datasets.get(connection, of, dataset_id, kind)
    known = _known(connection, into, [draft.id for draft in drafts if draft.id is not None])
    packer = Packer()
    ids: list[str] = []
    rows: list[_Row] = []
    for draft in drafts:
        case_id = new_id() if draft.id is None else draft.id
        ids.append(case_id)
        if case_id in known:
            continue
        known.add(case_id)
        rows.append(_row(packer, draft.content, case_id, into.key, draft.source_record_id, now))
    _check_room(connection, into, len(rows), sum(row.size_bytes for row in rows))
    if rows:
        connection.execute(sa.insert(test_case), [attrs.asdict(row) for row in rows])
    return tuple(ids)


def add_from_calls(
    connection: sa.Connection,
    of: Project,
    dataset_id: str,
    contents: Mapping[str, CaseContent],
    new_id: Callable[[], str],
    now: datetime,
) -> tuple[str, ...]:
    """Put recorded calls, by their record ids, at the end of a dataset; one that is in it already stays as it is.

    Raises:
        DatasetNotFound, DatasetFull: as in `add`.
        NotOfThatKind: the dataset is one for agents.
    """
    into = datasets.get(connection, of, dataset_id)
    if into.kind != "prompt":
        raise NotOfThatKind(f"dataset {into.name!r} is one for agents, and a recorded call is a case for a prompt")
    rows = connection.execute(
        sa.select(test_case.c.source_record_id, test_case.c.id).where(
            _in(into), test_case.c.source_record_id.in_(contents)
        )
    )
    known: dict[str, str] = {row.source_record_id: row.id for row in rows}
    drafts = [
        CaseDraft(content=content, source_record_id=record_id)
        for record_id, content in contents.items()
        if record_id not in known
    ]
    added = iter(add(connection, of, dataset_id, drafts, new_id, now))
    return tuple(known.get(record_id) or next(added) for record_id in contents)


def page(
    connection: sa.Connection,
    of: Project,
    dataset_id: str,
    offset: int = 0,
    limit: int = CASES_LIMIT,
    kind: DatasetKind | None = None,
) -> tuple[DatasetCase, ...]:
    """The test cases of a dataset, in its order.

    Raises:
        DatasetNotFound: there is no such dataset.
    """
    found = datasets.get(connection, of, dataset_id, kind)
    return cases_where(connection, _in(found), offset, limit)


def cases_where(
    connection: sa.Connection, where: sa.ColumnElement[bool], offset: int = 0, limit: int = CASES_LIMIT
) -> tuple[DatasetCase, ...]:
    """The test cases of some rows, each in its place."""
    rows = connection.execute(
        sa.select(test_case.c.id, test_case.c.zstd, test_case.c.source_record_id)
        .where(where)
        .order_by(_PLACE, test_case.c.key)
        .offset(offset)
        .limit(limit)
    )
    return tuple(
        DatasetCase(id=row.id, content=unpack(row.zstd, CaseContent), source_record_id=row.source_record_id)
        for row in rows
    )


def ids_where(connection: sa.Connection, where: sa.ColumnElement[bool]) -> tuple[str, ...]:
    """The ids of the test cases of some rows, each in its place."""
    return tuple(connection.scalars(sa.select(test_case.c.id).where(where).order_by(_PLACE, test_case.c.key)))


def get(
    connection: sa.Connection, of: Project, dataset_id: str, case_id: str, kind: DatasetKind | None = None
) -> DatasetCase:
    """One test case.

    Raises:
        DatasetNotFound, CaseNotFound: there is no such dataset or case.
    """
    into = datasets.get(connection, of, dataset_id, kind)
    found = cases_where(connection, sa.and_(_in(into), test_case.c.id == case_id))
    if not found:
        raise CaseNotFound(f"no test case {case_id!r} in dataset {into.name!r}")
    return found[0]


def change(
    connection: sa.Connection,
    of: Project,
    dataset_id: str,
    case_id: str,
    said: Callable[[CaseContent], CaseContent],
    new_id: str,
    now: datetime,
    kind: DatasetKind | None = None,
) -> DatasetCase:
    """Let a test case say something else.

    A run that used the case keeps it as it was: the changed one is then a case of its own, `new_id`, in the same place.

    Raises:
        DatasetNotFound, CaseNotFound: there is no such dataset or case.
        DatasetFull: the dataset would hold more than it may.
    """
    into = datasets.get(connection, of, dataset_id, kind)
    before = get(connection, of, dataset_id, case_id, kind)
    content = said(before.content)
    if content == before.content:
        return before
    key, place, size = connection.execute(
        sa.select(test_case.c.key, _PLACE, test_case.c.size_bytes).where(test_case.c.id == case_id)
    ).one()
    row = _row(Packer(), content, case_id, into.key, before.source_record_id, now)
    _check_room(connection, into, 0, row.size_bytes - size)
    if not connection.scalar(sa.select(sa.exists().where(test_run_case.c.test_case_key == key))):
        body = {"zstd": row.zstd, "size_bytes": row.size_bytes}
        connection.execute(sa.update(test_case).where(test_case.c.key == key).values(**body))
        return attrs.evolve(before, content=content)
    connection.execute(sa.update(test_case).where(test_case.c.key == key).values(deleted_at=to_micros(now)))
    connection.execute(sa.insert(test_case).values(**attrs.asdict(attrs.evolve(row, id=new_id)), place=place))
    return attrs.evolve(before, id=new_id, content=content)


def delete(
    connection: sa.Connection,
    of: Project,
    dataset_id: str,
    case_ids: Sequence[str],
    now: datetime,
    kind: DatasetKind | None = None,
) -> None:
    """Delete test cases; one that a run used stays for that run alone.

    Raises:
        DatasetNotFound, CaseNotFound: there is no such dataset or case; none is deleted.
    """
    into = datasets.get(connection, of, dataset_id, kind)
    wanted = sa.and_(_in(into), test_case.c.id.in_(case_ids))
    missing = sorted(set(case_ids) - set(connection.scalars(sa.select(test_case.c.id).where(wanted))))
    if missing:
        raise CaseNotFound(f"no test case {missing[0]!r} in dataset {into.name!r}")
    is_used = sa.exists().where(test_run_case.c.test_case_key == test_case.c.key)
    connection.execute(sa.delete(test_case).where(wanted, ~is_used))
    connection.execute(sa.update(test_case).where(wanted).values(deleted_at=to_micros(now)))


def _in(of: Dataset) -> sa.ColumnElement[bool]:
    return sa.and_(test_case.c.dataset_key == of.key, test_case.c.deleted_at.is_(None))


def _row(
    packer: Packer, content: CaseContent, case_id: str, dataset_key: int, source_record_id: str | None, now: datetime
) -> _Row:
    body = to_wire(content)
    return _Row(
        id=case_id,
        dataset_key=dataset_key,
        size_bytes=len(body),
        zstd=packer.pack(body),
        created_at=to_micros(now),
        source_record_id=source_record_id,
    )


def _known(connection: sa.Connection, into: Dataset, ids: Sequence[str]) -> set[str]:
    """Which ids are those of the dataset's own cases; the deleted ones among them are brought back."""
    known: set[str] = set()
    for row in connection.execute(
        sa.select(test_case.c.id, test_case.c.dataset_key, test_case.c.deleted_at).where(test_case.c.id.in_(ids))
    ):
        if row.dataset_key != into.key:
            raise CaseIdTaken(f"test case id {row.id!r} is taken elsewhere; leave 'id' out, or choose a fresh UUID")
        known.add(row.id)
    if known:
        mine = sa.and_(test_case.c.dataset_key == into.key, test_case.c.id.in_(known))
        connection.execute(sa.update(test_case).where(mine).values(deleted_at=None))
    return known


def _check_room(connection: sa.Connection, of: Dataset, count: int, size_bytes: int) -> None:
    statement = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(test_case.c.size_bytes), 0))
    held, held_bytes = connection.execute(statement.where(_in(of))).one()
    if held + count > CASES_LIMIT:
        raise DatasetFull(
            f"dataset {of.name!r} has {held} test cases; with {count} more it has over {CASES_LIMIT}: begin another one"
        )
    if held_bytes + size_bytes > SIZE_LIMIT_BYTES:
        raise DatasetFull(
            f"dataset {of.name!r} has {held_bytes} bytes; with {size_bytes} more it has over {SIZE_LIMIT_BYTES}: "
            "begin another one"
        )


class TestCases(Part):
    """The test cases of datasets. `kind` in a question means: of a dataset of that kind."""

    __test__ = False  # not one of pytest's

    def add(
        self, project: Project, dataset_id: str, drafts: Sequence[CaseDraft], kind: DatasetKind | None = None
    ) -> tuple[str, ...]:
        """Put test cases at the end of a dataset; their ids. See `add`.

        Raises:
            DatasetNotFound, DatasetFull, CaseIdTaken: none is added.
            StoreUnavailable: they could not be stored now.
        """
        new_id, now = self._access.clock.new_id, self._access.clock.now()
        return self._access.change(lambda connection: add(connection, project, dataset_id, drafts, new_id, now, kind))

    def add_from_calls(self, project: Project, dataset_id: str, record_ids: Sequence[str]) -> Taken:
        """Put recorded calls at the end of a dataset as test cases, each once however often it is asked for.

        Raises:
            DatasetNotFound, DatasetFull, NotOfThatKind: none is added.
            StoreUnavailable: they could not be stored now.
        """
        contents, skipped = self._access.ask(cases_of_records, project, record_ids)
        new_id, now = self._access.clock.new_id, self._access.clock.now()
        ids = self._access.change(
            lambda connection: add_from_calls(connection, project, dataset_id, contents, new_id, now)
        )
        return Taken(case_ids=ids, skipped=skipped)

    def page(
        self,
        project: Project,
        dataset_id: str,
        offset: int = 0,
        limit: int = CASES_LIMIT,
        kind: DatasetKind | None = None,
    ) -> tuple[DatasetCase, ...]:
        """The test cases of a dataset, in its order.

        Raises:
            DatasetNotFound: there is no such dataset.
        """
        return self._access.ask(page, project, dataset_id, offset, limit, kind)

    def get(self, project: Project, dataset_id: str, case_id: str, kind: DatasetKind | None = None) -> DatasetCase:
        """One test case.

        Raises:
            DatasetNotFound, CaseNotFound: there is no such dataset or case.
        """
        return self._access.ask(get, project, dataset_id, case_id, kind)

    def change(
        self,
        project: Project,
        dataset_id: str,
        case_id: str,
        said: Callable[[CaseContent], CaseContent],
        kind: DatasetKind | None = None,
    ) -> DatasetCase:
        """Let a test case say something else; where a run used it, as a new case in its place. See `change`.

        Raises:
            DatasetNotFound, CaseNotFound, DatasetFull: see `change`.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(
            lambda connection: change(connection, project, dataset_id, case_id, said, new_id, now, kind)
        )

    def delete(
        self, project: Project, dataset_id: str, case_ids: Sequence[str], kind: DatasetKind | None = None
    ) -> None:
        """Delete test cases; one that a run used stays for that run alone.

        Raises:
            DatasetNotFound, CaseNotFound: none is deleted.
            StoreUnavailable: they could not be stored now.
        """
        now = self._access.clock.now()
        self._access.change(lambda connection: delete(connection, project, dataset_id, case_ids, now, kind))
