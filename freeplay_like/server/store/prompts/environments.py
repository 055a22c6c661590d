"""Environments: the project's list of them, where those of a template point, and who moved them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.prompts.reading import check_version, find_template, newest
from freeplay_like.server.store.prompts.views import (
    LATEST,
    Environment,
    EnvironmentInUse,
    EnvironmentNotFound,
    LatestIsNewest,
    MayNotDeploy,
    Move,
    Mover,
    ReasonNeeded,
    VersionRef,
)
from freeplay_like.server.store.tables import (
    environment,
    environment_move,
    from_micros,
    project_environment,
    prompt_template,
    prompt_version,
    to_micros,
)
from freeplay_like.server.store.views import NameTaken, Project, TooMuch

ENVIRONMENTS_LIMIT: Final = 200
"""The most environments of a project."""


# --- the project's list -----------------------------------------------------------------------------------


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
    _add(connection, of, name, is_protected=is_protected, new_id=new_id, now=now)
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


def _add(connection: sa.Connection, of: Project, name: str, *, is_protected: bool, new_id: str, now: datetime) -> None:
    count = connection.scalar(sa.select(sa.func.count()).where(project_environment.c.project_key == of.key)) or 0
    if count >= ENVIRONMENTS_LIMIT:
        raise TooMuch(f"project {of.name!r} has {count} environments, and {ENVIRONMENTS_LIMIT} is the most it may have")
    connection.execute(
        sa.insert(project_environment).values(
            id=new_id, project_key=of.key, name=name, is_protected=is_protected, created_at=to_micros(now)
        )
    )


# --- where they point -------------------------------------------------------------------------------------


def point(
    connection: sa.Connection,
    of: Project,
    template_id: str,
    version_id: str,
    names: Collection[str],
    by: Mover,
    *,
    new_ids: Collection[str],
    now: datetime,
    is_exact: bool = False,
) -> None:
    """Let environments of a template point at a version, and keep who did it.

    `is_exact`: the others that point at this version point at nothing then. `new_ids` are ids for as many environments
    that the project may not have yet.

    Raises:
        LatestIsNewest: `latest` is among them, and the version is not the newest.
        MayNotDeploy, ReasonNeeded: one that would move is protected.
        TooMuch: the project would have more environments than it may.
    """
    if LATEST in names and newest(connection, template_id) != version_id:
        raise LatestIsNewest("'latest' always means the newest version; point another environment at this one")
    wanted = sorted(set(names) - {LATEST})
    now_at: dict[str, str] = {
        row.name: row.version_id
        for row in connection.execute(sa.select(environment).where(environment.c.template_id == template_id))
    }
    goals: dict[str, str | None] = {name: version_id for name in wanted if now_at.get(name) != version_id}
    if is_exact:
        goals.update({name: None for name, at in now_at.items() if at == version_id and name not in wanted})
    _check_protected(connection, of, goals, by)
    known = _names_of(connection, of)
    for name, new_id in zip(wanted, new_ids, strict=False):
        if name not in known:
            _add(connection, of, name, is_protected=False, new_id=new_id, now=now)
    _move(connection, template_id, now_at, goals, by, now)


def _move(
    connection: sa.Connection,
    template_id: str,
    now_at: dict[str, str],
    goals: dict[str, str | None],
    by: Mover,
    now: datetime,
) -> None:
    at = to_micros(now)
    moves = [
        {
            "template_id": template_id,
            "environment": name,
            "from_version_id": now_at.get(name),
            "to_version_id": goal,
            "moved_at": at,
            "by_kind": by.kind,
            "by_id": by.id,
            "reason": by.reason,
        }
        for name, goal in goals.items()
    ]
    pointers = [
        {"template_id": template_id, "name": name, "version_id": goal, "moved_at": at}
        for name, goal in goals.items()
        if goal is not None
    ]
    connection.execute(
        sa.delete(environment).where(environment.c.template_id == template_id, environment.c.name.in_(list(goals)))
    )
    if pointers:
        connection.execute(sa.insert(environment), pointers)
    if moves:
        connection.execute(sa.insert(environment_move), moves)


def release(connection: sa.Connection, of: Project, template_id: str, by: Mover, now: datetime) -> None:
    """Let the environments of a template point at nothing.

    Raises:
        MayNotDeploy, ReasonNeeded: one of them is protected.
    """
    pointers = connection.execute(sa.select(environment).where(environment.c.template_id == template_id))
    now_at: dict[str, str] = {row.name: row.version_id for row in pointers}
    goals: dict[str, str | None] = dict.fromkeys(now_at)
    _check_protected(connection, of, goals, by)
    _move(connection, template_id, now_at, goals, by, now)


def _check_protected(connection: sa.Connection, of: Project, names: Collection[str], by: Mover) -> None:
    protected = connection.scalars(
        sa.select(project_environment.c.name)
        .where(
            project_environment.c.project_key == of.key,
            project_environment.c.is_protected,
            project_environment.c.name.in_(list(names)),
        )
        .order_by(project_environment.c.name)
    ).all()
    if not protected:
        return
    listed = ", ".join(map(repr, protected))
    if not by.may_deploy:
        raise MayNotDeploy(f"environment {listed} is protected: to move it needs deploy")
    if not (by.reason or "").strip():
        raise ReasonNeeded(f"environment {listed} is protected: say why it is moved, in 'reason'")


def _names_of(connection: sa.Connection, of: Project) -> frozenset[str]:
    statement = sa.select(project_environment.c.name).where(project_environment.c.project_key == of.key)
    return frozenset(connection.scalars(statement))


# --- who moved them ---------------------------------------------------------------------------------------


def moves(connection: sa.Connection, of: Project, template_id: str, offset: int, limit: int) -> tuple[Move, ...]:
    """The moves of a template's environments, newest first.

    Raises:
        TemplateNotFound: there is no such template.
    """
    find_template(connection, of, template_id)
    before, after = prompt_version.alias("before"), prompt_version.alias("after")
    rows = connection.execute(
        sa.select(environment_move, before.c.number.label("from_number"), after.c.number.label("to_number"))
        .outerjoin(before, before.c.id == environment_move.c.from_version_id)
        .outerjoin(after, after.c.id == environment_move.c.to_version_id)
        .where(environment_move.c.template_id == template_id)
        .order_by(environment_move.c.key.desc())
        .offset(offset)
        .limit(limit)
    )
    return tuple(
        Move(
            environment=row.environment,
            from_version=_ref(row.from_version_id, row.from_number),
            to_version=_ref(row.to_version_id, row.to_number),
            moved_at=from_micros(row.moved_at),
            by=Mover(kind=row.by_kind, id=row.by_id, reason=row.reason),
        )
        for row in rows
    )


def _ref(version_id: str | None, number: int | None) -> VersionRef | None:
    return None if version_id is None else VersionRef(version_id=version_id, version=str(number))


class Environments(Part):
    """The environments of projects."""

    def all(self, project: Project) -> tuple[Environment, ...]:
        """All environments by name, but for `latest`."""
        return self._access.ask(environments, project)

    def get(self, project: Project, environment_id: str) -> Environment:
        """An environment by its id; EnvironmentNotFound where there is none."""
        return self._access.ask(get_environment, project, environment_id)

    def create(self, project: Project, name: str, *, is_protected: bool = False) -> Environment:
        """A new environment; see `create_environment`."""
        new_id, now = self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(
            lambda connection: create_environment(
                connection, project, name, is_protected=is_protected, new_id=new_id, now=now
            )
        )

    def change(
        self,
        project: Project,
        environment_id: str,
        by: Mover,
        *,
        name: str | None = None,
        is_protected: bool | None = None,
    ) -> Environment:
        """Rename an environment, or protect it, or stop protecting it; see `change_environment`."""
        return self._access.change(
            lambda connection: change_environment(
                connection, project, environment_id, by, name=name, is_protected=is_protected
            )
        )

    def delete(self, project: Project, environment_id: str, by: Mover) -> None:
        """Delete an environment that no template has; see `delete_environment`."""
        self._access.change(lambda connection: delete_environment(connection, project, environment_id, by))

    def point(self, project: Project, template_id: str, version_id: str, names: Collection[str], by: Mover) -> None:
        """Let exactly these environments point at a version; others that did so point at nothing.

        Raises:
            VersionNotFound: there is no such version.
            LatestIsNewest, MayNotDeploy, ReasonNeeded, TooMuch: see `point`.
            StoreUnavailable: it could not be stored now.
        """
        now, new_ids = self._access.clock.now(), [self._access.clock.new_id() for _ in names]

        def change(connection: sa.Connection) -> None:
            check_version(connection, project, template_id, version_id)
            point(connection, project, template_id, version_id, names, by, new_ids=new_ids, now=now, is_exact=True)

        self._access.change(change)

    def moves(self, project: Project, template_id: str, offset: int, limit: int) -> tuple[Move, ...]:
        """The moves of a template's environments, newest first; see `moves`."""
        return self._access.ask(moves, project, template_id, offset, limit)
