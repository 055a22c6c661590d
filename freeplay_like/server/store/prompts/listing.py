"""The project's list of environments: made, renamed, protected, deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.prompts.views import (
    LATEST,
    Environment,
    EnvironmentInUse,
    EnvironmentNotFound,
    MayNotDeploy,
    Mover,
)
from freeplay_like.server.store.tables import (
    environment,
    environment_move,
    from_micros,
    project_environment,
    prompt_template,
    to_micros,
)
from freeplay_like.server.store.views import NameTaken, Project, TooMuch

ENVIRONMENTS_LIMIT: Final = 200
"""The most environments of a project."""


def environments(connection: sa.Connection, of: Project) -> tuple[Environment, ...]:
    """All environments by name, but for `latest`."""
    rows = connection.execute(_with_counts(of).order_by(project_environment.c.name))
    return tuple(_environment(row._mapping) for row in rows)


def get_environment(connection: sa.Connection, of: Project, environment_id: str) -> Environment:
    """An environment by its id.

    Raises:
        EnvironmentNotFound: there is none.
    """
    row = connection.execute(_with_counts(of).where(project_environment.c.id == environment_id)).one_or_none()
    if row is None:
        raise EnvironmentNotFound(f"no environment of id {environment_id[:100]!r} in project {of.name!r}")
    return _environment(row._mapping)


def create_environment(
    connection: sa.Connection, of: Project, name: str, *, is_protected: bool, new_id: str, now: datetime
) -> Environment:
    """A new environment, which no template has yet.

    Raises:
        NameTaken: there is one of that name.
        TooMuch: the project has as many as it may.
    """
    _check_free(connection, of, name)
    add(connection, of, name, is_protected=is_protected, new_id=new_id, now=now)
    return get_environment(connection, of, new_id)


def change_environment(
    connection: sa.Connection,
    of: Project,
    environment_id: str,
    by: Mover,
    *,
    name: str | None,
    is_protected: bool | None,
) -> Environment:
    """Rename an environment, or protect it, or stop protecting it; None leaves it as it is.

    Raises:
        EnvironmentNotFound: there is none.
        NameTaken: there is another one of that name.
        MayNotDeploy: it is protected, or is to be.
    """
    known = get_environment(connection, of, environment_id)
    if (known.is_protected or is_protected) and not by.may_deploy:
        raise MayNotDeploy(f"environment {known.name!r} is protected, or is to be: that needs deploy")
    if name is not None and name != known.name:
        _check_free(connection, of, name)
        for table in (environment, environment_move):
            column = table.c.name if table is environment else table.c.environment
            connection.execute(
                sa.update(table)
                .where(table.c.template_id.in_(_template_ids(of)), column == known.name)
                .values({column.name: name})
            )
    connection.execute(
        sa.update(project_environment)
        .where(project_environment.c.id == environment_id)
        .values(
            name=name or known.name,
            is_protected=known.is_protected if is_protected is None else is_protected,
        )
    )
    return get_environment(connection, of, environment_id)


def delete_environment(connection: sa.Connection, of: Project, environment_id: str, by: Mover) -> None:
    """Delete an environment that no template has.

    Raises:
        EnvironmentNotFound: there is none.
        EnvironmentInUse: templates have it.
        MayNotDeploy: it is protected.
    """
    known = get_environment(connection, of, environment_id)
    if known.is_protected and not by.may_deploy:
        raise MayNotDeploy(f"environment {known.name!r} is protected: to delete it needs deploy")
    if known.templates:
        raise EnvironmentInUse(
            f"{known.templates} templates have environment {known.name!r}; give their versions other environments first"
        )
    connection.execute(sa.delete(project_environment).where(project_environment.c.id == environment_id))


def _with_counts(of: Project) -> sa.Select[*tuple[object, ...]]:
    count = sa.select(sa.func.count()).where(
        environment.c.name == project_environment.c.name, environment.c.template_id.in_(_template_ids(of))
    )
    return sa.select(project_environment, count.scalar_subquery().label("templates")).where(
        project_environment.c.project_key == of.key
    )


def _template_ids(of: Project) -> sa.Select[tuple[str]]:
    return sa.select(prompt_template.c.id).where(prompt_template.c.project_key == of.key)


def _environment(fields: sa.RowMapping) -> Environment:
    return Environment(
        id=fields["id"],
        name=fields["name"],
        is_protected=fields["is_protected"],
        created_at=from_micros(fields["created_at"]),
        templates=fields["templates"],
    )


def _check_free(connection: sa.Connection, of: Project, name: str) -> None:
    taken = connection.scalar(
        sa.select(project_environment.c.id).where(
            project_environment.c.project_key == of.key, project_environment.c.name == name
        )
    )
    if name == LATEST or taken is not None:
        raise NameTaken(f"there is an environment {name!r} already; choose another name")


def add(connection: sa.Connection, of: Project, name: str, *, is_protected: bool, new_id: str, now: datetime) -> None:
    """One more environment of the project, of a name that is free.

    Raises:
        TooMuch: the project has as many as it may.
    """
    count = connection.scalar(sa.select(sa.func.count()).where(project_environment.c.project_key == of.key)) or 0
    if count >= ENVIRONMENTS_LIMIT:
        raise TooMuch(f"project {of.name!r} has {count} environments, and {ENVIRONMENTS_LIMIT} is the most it may have")
    connection.execute(
        sa.insert(project_environment).values(
            id=new_id, project_key=of.key, name=name, is_protected=is_protected, created_at=to_micros(now)
        )
    )


def names_of(connection: sa.Connection, of: Project) -> frozenset[str]:
    """The names of all environments, but for `latest`."""
    statement = sa.select(project_environment.c.name).where(project_environment.c.project_key == of.key)
    return frozenset(connection.scalars(statement))
