"""Where the environments of a template point, and who moved them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from freeplay_like.server.store.prompts.listing import add, names_of
from freeplay_like.server.store.prompts.reading import check_version, find_template, newest
from freeplay_like.server.store.prompts.views import (
    LATEST,
    EnvironmentMoved,
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
    prompt_version,
    to_micros,
)
from freeplay_like.server.store.views import Project


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
    known = names_of(connection, of)
    for name, new_id in zip(wanted, new_ids, strict=False):
        if name not in known:
            add(connection, of, name, is_protected=False, new_id=new_id, now=now)
    _move(connection, template_id, now_at, goals, by, now)


def move(
    connection: sa.Connection,
    of: Project,
    template_id: str,
    name: str,
    by: Mover,
    *,
    goal: str | None,
    at: str | None,
    new_id: str,
    now: datetime,
) -> None:
    """Let one environment of a template point at the version `goal`, at nothing where that is None.

    `at` is the version that it was seen to point at, None for nothing; `new_id` an id for an environment that the
    project may not have yet.

    Raises:
        VersionNotFound: there is no such version.
        EnvironmentMoved: it points at another one by now.
        LatestIsNewest: it is `latest`.
        MayNotDeploy, ReasonNeeded: it is protected.
        TooMuch: the project would have more environments than it may.
    """
    if name == LATEST:
        raise LatestIsNewest("'latest' always means the newest version; point another environment at this one")
    now_at = connection.scalar(
        sa.select(environment.c.version_id).where(environment.c.template_id == template_id, environment.c.name == name)
    )
    if now_at != at:
        raise EnvironmentMoved(f"somebody has moved environment {name[:100]!r} since: look at where it points now")
    if goal is not None:
        check_version(connection, of, template_id, goal)
        point(connection, of, template_id, goal, [name], by, new_ids=[new_id], now=now)
    elif now_at is not None:
        find_template(connection, of, template_id)
        _check_protected(connection, of, [name], by)
        _move(connection, template_id, {name: now_at}, {name: None}, by, now)


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
