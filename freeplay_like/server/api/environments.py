"""The environments of a project, and who may move them.

Addresses are Freeplay's, where an account has environments; here each project has its own, so it is the key's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, TypeVar

import attrs
from starlette.exceptions import HTTPException
from starlette.responses import Response

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.operations import PAGE, Ask, operation
from freeplay_like.server.api.prompt_bodies import EnvironmentName, environment_names
from freeplay_like.server.store.prompts.views import LATEST, Environment, LatestIsNewest, MayNotDeploy, Mover

B = TypeVar("B")

_ENVIRONMENTS: Final = "/api/v2/environments"
_ENVIRONMENT: Final = f"{_ENVIRONMENTS}/{{environment_id}}"


@attrs.frozen(kw_only=True)
class NewEnvironment:
    """The body that makes an environment. To move a protected one needs the scope `deploy`, and a reason."""

    name: EnvironmentName
    is_protected: bool = False


@attrs.frozen(kw_only=True)
class EnvironmentChange:
    """The body that changes an environment; what is not there stays."""

    name: EnvironmentName | None = None
    is_protected: bool | None = None


@attrs.frozen(kw_only=True)
class EnvironmentAnswer:
    """An environment. `templates` counts those that have it; `latest`, which all have, is nobody's to change."""

    id: str
    name: str
    is_protected: bool
    is_latest: bool
    created_at: datetime
    templates: int | None

    @classmethod
    def of(cls, environment: Environment) -> EnvironmentAnswer:
        """The answer for an environment."""
        return cls(**attrs.asdict(environment), is_latest=False)


@operation("GET", _ENVIRONMENTS, scope="read", query=PAGE)
def list_environments(ask: Ask[None]) -> JsonObject:
    """The environments of the key's project: `latest`, then the others by name."""
    page = ask.page()
    known = [_latest(ask), *map(EnvironmentAnswer.of, ask.store.environments.all(ask.project))]
    return page.answer(known[page.offset : page.offset + page.limit])


@operation("POST", _ENVIRONMENTS, scope="prompts", body=NewEnvironment, status=201, returns=EnvironmentAnswer)
def create_environment(ask: Ask[NewEnvironment]) -> EnvironmentAnswer:
    """A new environment of the key's project, which no template has yet."""
    body = ask.body
    environment_names([body.name])
    if body.is_protected and not mover(ask).may_deploy:
        raise HTTPException(403, f"The API key {ask.key.key_id} may not protect an environment: this needs deploy.")
    made = ask.store.environments.create(ask.project, body.name, is_protected=body.is_protected)
    return EnvironmentAnswer.of(made)


@operation("GET", _ENVIRONMENT, scope="read", returns=EnvironmentAnswer)
def get_environment(ask: Ask[None]) -> EnvironmentAnswer:
    """One environment of the key's project."""
    environment_id = ask.path("environment_id")
    if environment_id == LATEST:
        return _latest(ask)
    return EnvironmentAnswer.of(ask.store.environments.get(ask.project, environment_id))


@operation("PATCH", _ENVIRONMENT, scope="prompts", body=EnvironmentChange, returns=EnvironmentAnswer)
def change_environment(ask: Ask[EnvironmentChange]) -> EnvironmentAnswer:
    """Rename an environment, or protect it, or stop protecting it."""
    body = ask.body
    if body.name is not None:
        environment_names([body.name])
    with translated():
        changed = ask.store.environments.change(
            ask.project, _id_of(ask), mover(ask), name=body.name, is_protected=body.is_protected
        )
    return EnvironmentAnswer.of(changed)


@operation("DELETE", _ENVIRONMENT, scope="prompts", status=204)
def delete_environment(ask: Ask[None]) -> Response:
    """Delete an environment that no template has."""
    with translated():
        ask.store.environments.delete(ask.project, _id_of(ask), mover(ask))
    return Response(status_code=204)


OPERATIONS: Final = (list_environments, create_environment, get_environment, change_environment, delete_environment)


def mover(ask: Ask[B], reason: str | None = None) -> Mover:
    """The key that asks, as one who points environments at versions."""
    return Mover(kind="key", id=ask.key.key_id, may_deploy="deploy" in ask.key.scopes, reason=reason)


@contextmanager
def translated() -> Iterator[None]:
    """403 where the store refuses somebody who may not deploy."""
    try:
        yield
    except MayNotDeploy as exc:
        raise HTTPException(403, str(exc)) from exc


def _latest(ask: Ask[None]) -> EnvironmentAnswer:
    """The environment that every project has."""
    return EnvironmentAnswer(
        id=LATEST,
        name=LATEST,
        is_protected=False,
        is_latest=True,
        created_at=ask.project.created_at,
        templates=None,
    )


def _id_of(ask: Ask[B]) -> str:
    """The id in the address, of an environment that can be changed."""
    environment_id = ask.path("environment_id")
    if environment_id == LATEST:
        raise LatestIsNewest("'latest' always means the newest version; it cannot be changed or deleted")
    return environment_id
