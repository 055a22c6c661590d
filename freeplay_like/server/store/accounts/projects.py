"""Projects: everything else belongs to one."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from freeplay_like.server.store.access import Part, get_project, project_from
from freeplay_like.server.store.tables import project, store_state, to_micros
from freeplay_like.server.store.views import NameTaken, NotFound, Project


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
    given = sa.select(store_state.c.value).where(store_state.c.name == "last_project_key")
    last = max(connection.scalar(given) or 0, connection.scalar(sa.select(sa.func.max(project.c.key))) or 0)
    # not numbered by the database: it would give the number of a project that was deleted to the next one, while what
    # still comes for the old one carries that number
    values = {"key": last + 1, "id": project_id, "name": name, "created_at": to_micros(now)}
    connection.execute(sa.insert(project).values(values))
    return get_project(connection, project_id)


def change_project(connection: sa.Connection, of: Project, *, name: str | None, retention_days: int | None) -> Project:
    """Give a project a name (None leaves it) and a retention (None keeps its records for ever).

    Raises:
        NameTaken: another project has the name.
        NotFound: the project is gone.
    """
    if name is not None:
        other = find_project(connection, name)
        if other is not None and other.key != of.key:
            raise NameTaken(f"there is a project {name!r} already; choose another name")
        connection.execute(sa.update(project).where(project.c.key == of.key).values(name=name))
    connection.execute(sa.update(project).where(project.c.key == of.key).values(retention_days=retention_days))
    changed = get_project(connection, of.id)
    if changed is None:
        raise NotFound(f"there is no project {of.id!r}: it was deleted meanwhile")
    return changed


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

    def change(self, project: Project, *, name: str | None = None, retention_days: int | None) -> Project:
        """The project with another name (None leaves it) and retention (None: for ever); see `change_project`."""
        return self._access.change(
            lambda connection: change_project(connection, project, name=name, retention_days=retention_days)
        )
