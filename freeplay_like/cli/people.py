"""`freeplay-like people`: who may look at the pages of a server, in its database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import attrs
import click

from freeplay_like.cli.data_folder import existing_store
from freeplay_like.cli.database_options import database_options
from freeplay_like.core.wire import to_wire
from freeplay_like.errors import ConfigurationError
from freeplay_like.server.store.accounts.people import KnownPerson, Role
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Conflict, NotFound, Refused, StoreUnavailable

ROLES: Final[tuple[Role, ...]] = ("admin", "reviewer")

_URL = click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The address of the server.")
_JSON = click.option("--json", "is_json", is_flag=True, help="Print JSON, an object a line.")


@attrs.frozen(kw_only=True)
class _Link:
    name: str
    role: Role
    url: str


@click.group()
def people() -> None:
    """People: who may look at the pages of a server, in every project. They sign in with links, which work once."""


@people.command("list")
@database_options
@_JSON
def list_(data: Path | None, database_url: str | None, *, is_json: bool) -> None:
    """Show everybody, the first one first."""
    with _opened(data, database_url) as store:
        found = store.people.all()
    for one in found:
        browsers = f"{one.sessions} browser{'' if one.sessions == 1 else 's'} signed in"
        click.echo(to_wire(one).decode() if is_json else f"{one.role:8}  {one.name}  ({browsers})")


@people.command()
@database_options
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="reviewer", show_default=True, help="What they may do.")
@_URL
@_JSON
def add(data: Path | None, database_url: str | None, name: str, role: str, url: str, *, is_json: bool) -> None:
    """Add somebody, and print a link that signs in one browser, once, within a day."""
    with _opened(data, database_url) as store:
        _say_link(store, store.people.create(name, cast("Role", role)), url, is_json=is_json)


@people.command()
@database_options
@click.argument("name")
@_URL
@_JSON
def link(data: Path | None, database_url: str | None, name: str, url: str, *, is_json: bool) -> None:
    """Print a further link for somebody: for another browser, or when theirs was signed out."""
    with _opened(data, database_url) as store:
        _say_link(store, _named(store, name), url, is_json=is_json)


@people.command()
@database_options
@click.argument("name")
def remove(data: Path | None, database_url: str | None, name: str) -> None:
    """Sign somebody out everywhere, for good. What they said in reviews stays, with their name."""
    with _opened(data, database_url) as store:
        store.people.remove(_named(store, name).id)
    click.echo(f"{name} is removed")


@contextmanager
def _opened(data: Path | None, database_url: str | None) -> Iterator[Store]:
    """The store, which is there already.

    Raises:
        ConfigurationError: there is none, or it refuses what is done with it.
    """
    store = existing_store(data, database_url)
    try:
        yield store
    except (Conflict, NotFound, Refused, StoreUnavailable) as exc:
        raise ConfigurationError(str(exc)) from exc
    finally:
        store.close()


def _named(store: Store, name: str) -> KnownPerson:
    known = store.people.all()
    for one in known:
        if name in (one.name, one.id):
            return one
    there = ", ".join(repr(one.name) for one in known[:20]) or "nobody"
    raise ConfigurationError(f"there is no person {name!r}; there is {there}")


def _say_link(store: Store, whom: KnownPerson, url: str, *, is_json: bool) -> None:
    token = store.people.create_sign_in_link(whom.id)
    made = _Link(name=whom.name, role=whom.role, url=f"{url.rstrip('/')}/sign-in?token={token}")
    if is_json:
        click.echo(json.dumps(attrs.asdict(made)))
        return
    click.echo(made.url)
    click.echo(f"It signs in one browser as {made.name} ({made.role}), once, within a day.", err=True)
