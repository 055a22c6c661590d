"""The options that say where a backend's database is; without the server's packages, which not every command needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import click
from click.core import ParameterSource

C = TypeVar("C", bound=Callable[..., object])

DATABASE_VARIABLE: Final = "FREEPLAY_LIKE_DATABASE_URL"
"""Where the address of a PostgreSQL database may stand, which other users of the machine then do not see."""


def database_options(command: C) -> C:
    """The options that say where the database is. What is said in the command goes before the environment."""
    for option in (
        click.option(
            "--database-url",
            envvar=DATABASE_VARIABLE,
            callback=_unless_said_otherwise,
            help="The address of a PostgreSQL database instead (postgresql://...); better set by environment.",
        ),
        click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The folder with the database."),
    ):
        command = option(command)
    return command


def _unless_said_otherwise(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    def source(name: str | None) -> ParameterSource | None:
        return context.get_parameter_source(name or "")

    is_said = any(source(name) is ParameterSource.COMMANDLINE for name in ("data", "api_base"))
    return None if is_said and source(parameter.name) is ParameterSource.ENVIRONMENT else value
