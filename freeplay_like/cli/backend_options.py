"""The options of a command that asks a backend over its API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import click

C = TypeVar("C", bound=Callable[..., object])

_OPTIONS: Final = (
    click.option("--project-id", help="The project, where the key belongs to several."),
    click.option(
        "--api-key", envvar="FREEPLAY_LIKE_API_KEY", required=True, help="Its key; better set by environment."
    ),
    click.option(
        "--api-base", envvar="FREEPLAY_LIKE_API_BASE", required=True, help="The backend's API address (http://.../api)."
    ),
)


def at_backend(command: C) -> C:
    """Give a command the options `--api-base`, `--api-key` and `--project-id`."""
    for option in _OPTIONS:
        command = option(command)
    return command
