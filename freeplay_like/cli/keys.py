"""`freeplay-like keys`: the API keys of a project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

import attrs
import click

from freeplay_like.backend_link import segment
from freeplay_like.cli.place import Duration, Place, Remote, Where, place, place_options
from freeplay_like.core.wire import JsonObject, from_wire, to_wire

if TYPE_CHECKING:
    from freeplay_like.server.store.views import Scope

SCOPES: Final[tuple[str, ...]] = ("admin", "deploy", "ingest", "prompts", "read")
"""What keys can be given, as the server knows it (which this file does not load where it asks over the API)."""

_JSON = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


@attrs.frozen(kw_only=True)
class _Made:
    api_key: str


@click.group()
def keys() -> None:
    """API keys: what programs may do in a project. A key is shown once, when it is made."""


@keys.command("list")
@place_options
@_JSON
def list_(where: Where, *, is_json: bool) -> None:
    """Show the keys of a project, newest first; never their secrets."""
    with place(where) as here:
        found = _all(here)
    if is_json:
        click.echo(json.dumps(found))
        return
    for key in found:
        click.echo(_line(key))


@keys.command()
@place_options
@click.option("--name", required=True, help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    required=True,
    help="What it may do; may be given again.",
)
@click.option("--expires-in", type=Duration(), help="When it ends, as in 90d; else never.")
@_JSON
def create(
    where: Where,
    name: str,
    scopes: Sequence[str],
    expires_in: timedelta | None,
    *,
    is_json: bool,
) -> None:
    """Make a key and print it: it cannot be read again."""
    with place(where) as here:
        _say_made(_create(here, name, cast("Sequence[Scope]", scopes), expires_in), is_json=is_json)


@keys.command()
@place_options
@click.argument("key_id")
@click.option("--grace", type=Duration(), default="24h", show_default=True, help="How long the old key goes on.")
@_JSON
def rotate(
    where: Where,
    key_id: str,
    grace: timedelta,
    *,
    is_json: bool,
) -> None:
    """Make a key like another one, which ends after a while, and print it."""
    with place(where) as here:
        _say_made(_rotate(here, key_id, grace), is_json=is_json)


@keys.command()
@place_options
@click.argument("key_id")
def revoke(where: Where, key_id: str) -> None:
    """End a key. It is refused within five seconds."""
    with place(where) as here:
        if isinstance(here, Remote):
            here.link.ask("DELETE", f"{here.path}/api-keys/{segment(key_id, 'a key')}").json()
        else:
            here.store.keys.revoke(here.project, key_id)
    click.echo(f"{key_id} has ended")


def _all(here: Place) -> list[JsonObject]:
    if isinstance(here, Remote):
        answer = here.link.get(f"{here.path}/api-keys")
        return from_wire(to_wire(cast("JsonObject", answer)["data"]), list[JsonObject])
    now = here.store.now()
    rows = [
        {"id": key.key_id, **attrs.asdict(key), "is_live": key.is_live(now)}
        for key in here.store.keys.all(here.project)
    ]
    return from_wire(to_wire(rows), list[JsonObject])


def _create(here: Place, name: str, scopes: Sequence[Scope], expires_in: timedelta | None) -> str:
    if isinstance(here, Remote):
        ends = None if expires_in is None else datetime.now(UTC) + expires_in
        body = {"name": name, "scopes": sorted(set(scopes)), "expires_at": ends}
        return _text(here.link.post(f"{here.path}/api-keys", body))
    ends = None if expires_in is None else here.store.now() + expires_in
    return here.store.keys.create(here.project, frozenset(scopes), name=name, expires_at=ends)


def _rotate(here: Place, key_id: str, grace: timedelta) -> str:
    if isinstance(here, Remote):
        path = f"{here.path}/api-keys/{segment(key_id, 'a key')}/rotate"
        return _text(here.link.post(path, {"grace_s": int(grace.total_seconds())}))
    return here.store.keys.rotate(here.project, key_id, grace)


def _text(answer: object) -> str:
    return from_wire(to_wire(answer), _Made).api_key


def _say_made(text: str, *, is_json: bool) -> None:
    key_id = text.split("_")[1]
    if is_json:
        click.echo(json.dumps({"id": key_id, "api_key": text}))
        return
    click.echo(text)
    click.echo(f"Keep it: it cannot be shown again. To end it: freeplay-like keys revoke {key_id}", err=True)


def _line(key: JsonObject) -> str:
    state = "live" if key["is_live"] else "revoked" if key["revoked_at"] else "expired"
    scopes = ",".join(sorted(str(scope) for scope in cast("list[object]", key["scopes"])))
    ends = f", ends {key['expires_at']}" if key["is_live"] and key["expires_at"] else ""
    used = f"last used {key['last_used_at']}" if key["last_used_at"] else "never used"
    return f"{key['id']}  {state:8}  {scopes:30}  {key['name'] or '-'}  ({used}{ends})"
