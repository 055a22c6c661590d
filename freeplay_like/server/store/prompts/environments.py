"""The store's part about environments: the project's list of them, where they point, and who moved them."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.prompts.listing import ENVIRONMENTS_LIMIT as ENVIRONMENTS_LIMIT
from freeplay_like.server.store.prompts.listing import (
    change_environment,
    create_environment,
    delete_environment,
    environments,
    get_environment,
)
from freeplay_like.server.store.prompts.pointing import move, moves, point
from freeplay_like.server.store.prompts.reading import check_version
from freeplay_like.server.store.prompts.views import Environment, Move, Mover
from freeplay_like.server.store.views import Project


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

    def move(
        self, project: Project, template_id: str, name: str, by: Mover, *, goal: str | None, at: str | None
    ) -> None:
        """Let one environment of a template point at another version, or at nothing; see `move`.

        Raises:
            VersionNotFound, EnvironmentMoved, LatestIsNewest, MayNotDeploy, ReasonNeeded, TooMuch: it stays.
            StoreUnavailable: it could not be stored now.
        """
        now, new_id = self._access.clock.now(), self._access.clock.new_id()
        self._access.change(
            lambda connection: move(
                connection, project, template_id, name, by, goal=goal, at=at, new_id=new_id, now=now
            )
        )

    def moves(self, project: Project, template_id: str, offset: int, limit: int) -> tuple[Move, ...]:
        """The moves of a template's environments, newest first; see `moves`."""
        return self._access.ask(moves, project, template_id, offset, limit)
