"""What is asked of the store about prompts, and what it answers with or refuses."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import attrs

from freeplay_like.core import template_files
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import TemplateError
from freeplay_like.server.store.views import Conflict, NotFound, Refused

LATEST: Final = "latest"
"""The environment every template has: it always means the newest version."""

NAME_LIMIT: Final = 200

ENVIRONMENT_LIMIT: Final = 100
"""The most characters of an environment's name."""


class TemplateNotFound(NotFound):
    """There is no such template in that project, or it was put away."""


class VersionNotFound(NotFound):
    """There is no such version of that template in that project."""


class EnvironmentNotFound(NotFound):
    """That project has no such environment."""


class LatestIsNewest(Refused):
    """Somebody wants `latest` to be something else than the newest version."""


class ReasonNeeded(Refused):
    """A protected environment was to be moved, and nobody said why."""


class MayNotDeploy(Exception):
    """A protected environment was to be moved by somebody who may not."""


class VersionInUse(Conflict):
    """An environment points at the version that was to be put away."""


class EnvironmentInUse(Conflict):
    """Templates have the environment that was to be deleted."""


class EnvironmentMoved(Conflict):
    """An environment does not point any more at what it was seen to point at."""


class NewerVersion(Conflict):
    """The newest version is not the one that a new one was to follow."""


@attrs.frozen(kw_only=True)
class Draft:
    """A version that is to be made, of the template of that id, or else of that name. Other ids do not matter.

    `environments` are pointed at it. `based_on` is the id of the version that has to be the newest, "" where there
    must be none yet; None asks for nothing. `is_renewal`: where an older version than the newest says the same, make a
    new one all the same, so that `latest` says what the draft does.
    """

    template: PromptTemplate
    name: str | None = None
    environments: tuple[str, ...] = ()
    based_on: str | None = None
    is_renewal: bool = False


@attrs.frozen(kw_only=True)
class Mover:
    """Who points environments at versions, and why.

    `kind` says what `id` names: an API key, or a person; `machine` is whoever has the data folder. `may_deploy`:
    whether protected environments may be moved; they want a `reason` besides.
    """

    kind: Literal["key", "person", "machine"]
    id: str | None = None
    may_deploy: bool = False
    reason: str | None = None


MACHINE: Final = Mover(kind="machine", may_deploy=True)


@attrs.frozen(kw_only=True)
class VersionRef:
    """A version, as a move names it. `version` is the label people read ("3")."""

    version_id: str
    version: str


@attrs.frozen(kw_only=True)
class Move:
    """An environment of a template was pointed elsewhere; None where it pointed, or points, at nothing."""

    environment: str
    from_version: VersionRef | None
    to_version: VersionRef | None
    moved_at: datetime
    by: Mover


@attrs.frozen(kw_only=True)
class Environment:
    """An environment of a project. `templates` counts those that have it."""

    id: str
    name: str
    is_protected: bool
    created_at: datetime
    templates: int


def check_name(name: str) -> None:
    """Refuse a template name that would not survive as a path in an address or a folder.

    Raises:
        TemplateError: says what a name looks like.
    """
    template_files.check_name(name)
    if len(name) > NAME_LIMIT or not name.isprintable() or name != name.strip():
        raise TemplateError(
            f"a template's name has at most {NAME_LIMIT} printable characters, not {name[:NAME_LIMIT]!r}", template=name
        )


def check_environment_name(name: str) -> None:
    """Refuse what an environment cannot be called.

    Raises:
        Refused: says what a name looks like.
    """
    if not name.strip() or len(name) > ENVIRONMENT_LIMIT or not name.isprintable() or "/" in name:
        raise Refused(
            f"an environment's name has 1 to {ENVIRONMENT_LIMIT} printable characters without '/', "
            f"not {name[:ENVIRONMENT_LIMIT]!r}"
        )
