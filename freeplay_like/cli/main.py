"""The command `freeplay-like`. Commands load when they are called: `--version` must not wait for a web server."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from freeplay_like import __version__
from freeplay_like.errors import AuthorizationError, BackendError, FreeplayError

COMMANDS: Final[Mapping[str, str]] = {
    "dataset": "freeplay_like.cli.datasets:dataset",
    "db": "freeplay_like.cli.db:db",
    "delete": "freeplay_like.cli.delete:delete",
    "demo": "freeplay_like.cli.demo:demo",
    "doctor": "freeplay_like.cli.doctor:doctor",
    "export": "freeplay_like.cli.export:export",
    "init": "freeplay_like.cli.init:init",
    "keys": "freeplay_like.cli.keys:keys",
    "people": "freeplay_like.cli.people:people",
    "prices": "freeplay_like.cli.prices:prices",
    "prompts": "freeplay_like.cli.prompts:prompts",
    "serve": "freeplay_like.cli.serve:serve",
    "spool": "freeplay_like.cli.spool:spool",
    "test": "freeplay_like.cli.test:test",
}
"""Each command and where it is."""

EXIT_FAILURE: Final = 1
EXIT_AUTHORIZATION: Final = 3
EXIT_UNREACHABLE: Final = 4
EXIT_INTERRUPTED: Final = 130

_NEEDS_SERVER: Final = frozenset({"sqlalchemy", "starlette", "uvicorn", "httptools", "jinja2", "alembic"})


class _LazyGroup(click.Group):
    """Loads a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as exc:
            if exc.name is None or exc.name.partition(".")[0] not in _NEEDS_SERVER:
                raise
            raise click.ClickException(
                f"`freeplay-like {cmd_name}` needs the server's packages ({exc.name} is missing): "
                "pip install 'freeplay-like[server]'"
            ) from exc
        if not isinstance(command, click.Command):
            raise TypeError(f"{place} is a {type(command).__name__}, not a command")
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="freeplay-like")
def cli() -> None:
    """Prompt templates, provider calls, and a record of every call."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed, 2 used wrongly, 3 refused, 4 not reached, 130 interrupted."""
    try:
        status = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except FreeplayError as exc:
        click.echo(f"Error: {exc}", err=True)
        sys.exit(_exit_status(exc))
    sys.exit(status if isinstance(status, int) else 0)


def _exit_status(error: FreeplayError) -> int:
    if isinstance(error, AuthorizationError):
        return EXIT_AUTHORIZATION
    if isinstance(error, BackendError) and error.status is None:
        return EXIT_UNREACHABLE
    return EXIT_FAILURE
