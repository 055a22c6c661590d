"""How every part of the store reaches the database: questions in a snapshot, changes through the one writer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from freeplay_like.clock import Clock
from freeplay_like.server.store.disk import Disk
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.tables import from_micros, project
from freeplay_like.server.store.views import Project, StoreUnavailable
from freeplay_like.server.store.writer import Writer

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


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

    def __init__(self, database: Database, reading: sa.Engine, writer: Writer, clock: Clock, disk: Disk) -> None:
        self.clock = clock
        self.database = database
        self.writer = writer
        self.reading = reading
        self._disk = disk

    def ask(self, question: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer a question from one connection, in one snapshot.

        Raises:
            StoreUnavailable: the database does not answer, or too many ask.
        """
        with self._snapshot() as connection:
            return question(connection, *args, **kwargs)

    def ask_of(
        self,
        project_id: str,
        question: Callable[Concatenate[sa.Connection, Project, P], T],
        otherwise: T,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As `ask`, about a project; `otherwise` where there is no such project."""
        with self._snapshot() as connection:
            of = get_project(connection, project_id)
            return otherwise if of is None else question(connection, of, *args, **kwargs)

    @contextmanager
    def _snapshot(self) -> Iterator[sa.Connection]:
        try:
            with self.reading.begin() as connection:
                yield connection
        except sa.exc.TimeoutError as exc:
            raise StoreUnavailable("too many questions wait for the database; ask again later") from exc
        except sa.exc.OperationalError as exc:
            logger.error("the store cannot be read: %s", exc.orig)
            raise StoreUnavailable(f"the store cannot be read: {exc.orig}") from exc

    def change(self, job: Callable[[sa.Connection], T]) -> T:
        """Do `job` in a transaction of its own, and wait for its commit.

        Raises:
            StoreReadOnly: the disk is nearly full.
            StoreUnavailable: it could not be committed. Whatever `job` raises comes out as it is.
        """
        self._disk.require_room()
        return self.writer.run(job)

    def change_anyway(self, job: Callable[[sa.Connection], T]) -> T:
        """Like `change`, also when the disk is nearly full: for what makes room, and for what lets people in or out.

        Raises:
            StoreUnavailable: it could not be committed. Whatever `job` raises comes out as it is.
        """
        return self.writer.run(job)


class Part:
    """A part of the store: the questions about one thing, and what can be changed of it."""

    def __init__(self, access: Access) -> None:
        self._access = access
