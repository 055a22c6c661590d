"""Where a command works: in the database itself, or over a server's API with a key of a project."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs
import click

from freeplay_like.backend_link import BackendLink, project_path
from freeplay_like.cli.database_options import database_options
from freeplay_like.errors import BackendError, ConfigurationError

if TYPE_CHECKING:
    from freeplay_like.server.store.store import Store
    from freeplay_like.server.store.views import Project

T = TypeVar("T")

ANSWER_S: Final = 600.0
"""How long a server may take for an answer: a deletion looks through all records of a project."""
_DURATION: Final = re.compile(r"(\d{1,9})(s|m|h|d)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@attrs.frozen(kw_only=True)
class Remote:
    """A server's API. `project_id` is the key's project."""

    link: BackendLink
    api_key: str = attrs.field(repr=False)
    project_id: str

    @property
    def path(self) -> str:
        """Where all of the project is, below the API's base."""
        return project_path(self.project_id)


@attrs.frozen(kw_only=True)
class Local:
    """The database itself: needs no key, also beside running servers."""

    store: Store
    project: Project


Place: TypeAlias = Remote | Local


class Duration(click.ParamType[timedelta]):
    """A time such as 30s, 15m, 24h, 7d; or 0."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The time that a text says."""
        if isinstance(value, timedelta):
            return value
        found = _DURATION.fullmatch(str(value))
        if str(value) == "0":
            return timedelta()
        if found is None:
            self.fail(f"{value!r} is no time; write 30s, 15m, 24h or 7d", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@attrs.frozen(kw_only=True)
class Where:
    """What the options of a command say of a place."""

    data: Path | None = None
    database_url: str | None = attrs.field(default=None, repr=False)
    project: str | None = None
    api_base: str | None = None
    api_key: str | None = attrs.field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether a database is named, which goes before an API."""
        return self.data is not None or self.database_url is not None


def place_options(command: Callable[..., T]) -> Callable[..., T]:
    """The options that name a place; they reach the command as one value, its first: a `Where`."""

    @functools.wraps(command)
    def at_place(**said: Any) -> T:
        where = Where(**{field.name: said.pop(field.name) for field in attrs.fields(Where)})
        return command(where, **said)

    for option in (
        click.option("--api-key", envvar="FREEPLAY_LIKE_API_KEY", help="Its key; better set by environment."),
        click.option("--api-base", envvar="FREEPLAY_LIKE_API_BASE", help="A server's API address, instead."),
        click.option("--project", help="The project's name, with --data or --database-url."),
        database_options,
    ):
        at_place = option(at_place)
    return at_place


@contextmanager
def place(where: Where) -> Iterator[Place]:
    """Where the options say.

    Raises:
        ConfigurationError: they name no place, or one that is not there.
        BackendError: the server does not answer.
    """
    if where.is_local:
        with local(where) as found:
            yield found
        return
    if not where.api_base or not where.api_key:
        raise ConfigurationError(
            "name a place: --data DIR or --database-url postgresql://..., with --project NAME, or --api-base URL and "
            "--api-key KEY"
        )
    link = BackendLink(where.api_base, where.api_key, ANSWER_S)
    try:
        yield Remote(link=link, api_key=where.api_key, project_id=project_of(link))
    finally:
        link.close()


@contextmanager
def local(where: Where) -> Iterator[Local]:
    """A project in a database; its name may be left out where there is one alone.

    Raises:
        ConfigurationError: there is none, or the store refuses what is done with it.
    """
    from freeplay_like.cli.data_folder import existing_store
    from freeplay_like.server.store.views import Conflict, NotFound, Refused, StoreUnavailable, TooMuch

    store, project = existing_store(where.data, where.database_url), where.project
    try:
        projects = store.projects.all()
        found = [each for each in projects if project is None or each.name == project]
        if len(found) != 1:
            names = ", ".join(repr(each.name) for each in projects[:20]) or "none"
            said = "name one with --project" if project is None else f"there is no project {project!r}"
            raise ConfigurationError(f"{said}; projects here: {names}")
        yield Local(store=store, project=found[0])
    except (Conflict, NotFound, Refused, StoreUnavailable, TooMuch) as exc:
        raise ConfigurationError(str(exc)) from exc
    finally:
        store.close()


def project_of(link: BackendLink) -> str:
    """The id of the project that a key belongs to."""
    answer = link.get("/v2/projects/all")
    projects = answer.get("projects") if isinstance(answer, dict) else None
    if isinstance(projects, list) and len(projects) == 1 and isinstance(projects[0], dict):
        return str(projects[0].get("id"))
    raise BackendError(f"{link.api_base} did not say which project the key belongs to", url=link.api_base)
