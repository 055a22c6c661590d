"""How every part of the store reaches the database: questions in a snapshot, changes through the one writer.

Where there is a standby, `ask_list` and `ask_list_of` are answered there: what goes over many records, and may be a few
seconds old. Everything else asks the primary: one call, who may do what, and whatever decides what is changed. Who has
just changed something is shown it: lists come from the primary until the standby has that change, or, where another
server made it, within `primary_alone`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Concatenate, Final, ParamSpec, TypeVar

import sqlalchemy as sa

from freeplay_like.clock import Clock
from freeplay_like.server.store.disk import Disk
from freeplay_like.server.store.engines.database import Database, database_of
from freeplay_like.server.store.engines.standby import MAX_LAG_S, Standby
from freeplay_like.server.store.reading import Reader
from freeplay_like.server.store.tables import from_micros, project
from freeplay_like.server.store.views import Project, StoreUnavailable
from freeplay_like.server.store.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")

_is_primary_alone: Final = ContextVar("is_primary_alone", default=False)


@contextmanager
def primary_alone() -> Iterator[None]:
    """Within it, and in the threads that work for it, nothing is asked of a standby."""
    before = _is_primary_alone.set(True)
    try:
        yield
    finally:
        _is_primary_alone.reset(before)


def get_project(connection: sa.Connection, project_id: str) -> Project | None:
    """A project by its id."""
    row = connection.execute(sa.select(project).where(project.c.id == project_id)).mappings().one_or_none()
    return None if row is None else project_from(row)


def project_from(fields: sa.RowMapping) -> Project:
    """The project of a row of its table."""
    return Project(
        key=fields["key"],
        id=fields["id"],
        name=fields["name"],
        created_at=from_micros(fields["created_at"]),
        retention_days=fields["retention_days"],
    )


class Access:
    """Shared by the parts of one store. Methods block: async code calls them in a thread."""

    def __init__(
        self,
        database: Database,
        reader: Reader,
        writer: Writer,
        clock: Clock,
        disk: Disk,
        standby: Standby | None = None,
    ) -> None:
        self.clock = clock
        self.database = database
        self.writer = writer
        self.reader = reader
        self.standby = standby
        self._disk = disk
        self._changed_at_s = time.monotonic()

    def ask(self, question: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer a question from one connection, in one snapshot.

        Raises:
            StoreUnavailable: the database does not answer, or too many ask.
        """
        return self.reader.answer(lambda connection: question(connection, *args, **kwargs))

    def ask_of(
        self,
        project_id: str,
        question: Callable[Concatenate[sa.Connection, Project, P], T],
        otherwise: T,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As `ask`, about a project; `otherwise` where there is no such project."""
        return self.ask(_about(project_id, question, otherwise, *args, **kwargs))

    def ask_list(self, question: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `ask`, about many records: of the standby, where there is one that is near enough."""
        standby = self.standby
        if standby is not None and not _is_primary_alone.get() and standby.has(self._changed_at_s):
            try:
                return standby.reader.answer(lambda connection: question(connection, *args, **kwargs))
            except StoreUnavailable:  # the reader has said why
                standby.give_up()
        return self.ask(question, *args, **kwargs)

    def ask_list_of(
        self,
        project_id: str,
        question: Callable[Concatenate[sa.Connection, Project, P], T],
        otherwise: T,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As `ask_of` and `ask_list` together."""
        return self.ask_list(_about(project_id, question, otherwise, *args, **kwargs))

    def settled_seq(self) -> int:
        """A number up to which no record can appear any more; see `Database.settled_seq`."""
        return self.ask(lambda connection: database_of(connection).settled_seq(connection))

    def listed_seq(self) -> int:
        """As `settled_seq`, of which lists that are asked for from now on have every record."""
        standby = self.standby
        is_standby_asked = standby is not None and standby.lag_s <= MAX_LAG_S and not _is_primary_alone.get()
        return standby.settled_seq if standby is not None and is_standby_asked else self.settled_seq()

    def expect_all(self) -> None:
        """Have lists from now on hold at least all that is stored now."""
        self._changed_at_s = time.monotonic()

    def change(self, job: Callable[[sa.Connection], T], *, is_alone: bool = True) -> T:
        """Do `job` in a transaction of its own, and wait for its commit. `is_alone` as in `Writer.enqueue`.

        Raises:
            StoreReadOnly: the disk is nearly full.
            StoreUnavailable: it could not be committed. Whatever `job` raises comes out as it is.
        """
        self._disk.require_room()
        return self.change_anyway(job, is_alone=is_alone)

    def change_anyway(self, job: Callable[[sa.Connection], T], *, is_alone: bool = True) -> T:
        """Like `change`, also when the disk is nearly full: for what makes room, and for what lets people in or out.

        Raises:
            StoreUnavailable: it could not be committed. Whatever `job` raises comes out as it is.
        """
        try:
            return self.writer.run(job, is_alone=is_alone)
        finally:
            self.expect_all()


def _about(
    project_id: str,
    question: Callable[Concatenate[sa.Connection, Project, P], T],
    otherwise: T,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Callable[[sa.Connection], T]:
    """A question about a project that is named by its id."""

    def asked(connection: sa.Connection) -> T:
        of = get_project(connection, project_id)
        return otherwise if of is None else question(connection, of, *args, **kwargs)

    return asked


class Part:
    """A part of the store: the questions about one thing, and what can be changed of it."""

    def __init__(self, access: Access) -> None:
        self._access = access
