"""Projects: everything else belongs to one."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from freeplay_like.server.store.access import Part, get_project, project_from
from freeplay_like.server.store.tables import project, to_micros
from freeplay_like.server.store.views import NameTaken, Project


def projects(connection: sa.Connection) -> tuple[Project, ...]:
    """All projects, newest first."""
    rows = connection.execute(sa.select(project).order_by(project.c.key.desc()))
    return tuple(project_from(row) for row in rows.mappings())


def find_project(connection: sa.Connection, name: str) -> Project | None:
    """A project by its name."""
    row = connection.execute(sa.select(project).where(project.c.name == name)).mappings().one_or_none()
    return None if row is None else project_from(row)


def create_project(connection: sa.Connection, name: str, project_id: str, now: datetime) -> Project | None:
    """A new project; None where the name is taken."""
    if find_project(connection, name) is not None:
        return None
    connection.execute(sa.insert(project).values(id=project_id, name=name, created_at=to_micros(now)))
    return get_project(connection, project_id)


class Projects(Part):
    """Projects."""

    def all(self) -> tuple[Project, ...]:
        """All projects, newest first."""
        return self._access.ask(projects)

    def get(self, project_id: str) -> Project | None:
        """A project by its id."""
        return self._access.ask(get_project, project_id)

    def find(self, name: str) -> Project | None:
        """A project by its name."""
        return self._access.ask(find_project, name)

    def create(self, name: str) -> Project:
        """A new project.

        Raises:
            NameTaken: there is one of that name.
            StoreUnavailable: it could not be stored now.
        """
        project_id, now = self._access.clock.new_id(), self._access.clock.now()
        created = self._access.change(lambda connection: create_project(connection, name, project_id, now))
        if created is None:
            raise NameTaken(f"there is a project {name!r} already; choose another name")
        return created
