"""Where a command works: over the data folder on this machine, or over a server's API with a key of a project."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import attrs
import click

from freeplay_like.backend_link import BackendLink, project_path
from freeplay_like.errors import BackendError, ConfigurationError

if TYPE_CHECKING:
    from freeplay_like.server.store.store import Store
    from freeplay_like.server.store.views import Project

C = TypeVar("C", bound=Callable[..., object])

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
    """The data folder itself: needs no key, also beside a running server."""

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


def place_options(command: C) -> C:
    """The options that `place` takes."""
    for option in (
        click.option("--api-key", envvar="FREEPLAY_LIKE_API_KEY", help="Its key; better set by environment."),
        click.option("--api-base", envvar="FREEPLAY_LIKE_API_BASE", help="A server's API address."),
        click.option("--project", help="The project's name, with --data."),
        click.option(
            "--data",
            type=click.Path(file_okay=False, exists=True, path_type=Path),
            help="The folder with the database, instead of an API.",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def place(data: Path | None, project: str | None, api_base: str | None, api_key: str | None) -> Iterator[Place]:
    """Where the options say.

    Raises:
        ConfigurationError: they name no place, or one that is not there.
        BackendError: the server does not answer.
    """
    if data is not None:
        with local(data, project) as found:
            yield found
        return
    if not api_base or not api_key:
        raise ConfigurationError("name a place: --data DIR --project NAME, or --api-base URL and --api-key KEY")
    link = BackendLink(api_base, api_key, ANSWER_S)
    try:
        yield Remote(link=link, api_key=api_key, project_id=project_of(link))
    finally:
        link.close()


@contextmanager
def local(data: Path, project: str | None) -> Iterator[Local]:
    """A project in a data folder; its name may be left out where there is one alone.

    Raises:
        ConfigurationError: there is none, or the store refuses what is done with it.
    """
    from freeplay_like.cli.data_folder import existing_database, open_store
    from freeplay_like.server.store.views import Conflict, NotFound, Refused, StoreUnavailable, TooMuch

    existing_database(data)
    store = open_store(data)
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
