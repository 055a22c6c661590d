"""`freeplay-like init`: a project, its key and a way in, ready for use."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import attrs
import click

from freeplay_like.cli.data_folder import open_store
from freeplay_like.cli.database_options import database_options
from freeplay_like.core.wire import WireError, from_wire
from freeplay_like.errors import ConfigurationError
from freeplay_like.prompts.folder import FolderPrompts
from freeplay_like.server.state import Settings
from freeplay_like.server.store.prompts.templates import Draft, check_name
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Project

KEYS_NAME: Final = "init-keys.json"
"""The file in the data folder that keeps, readable by its owner alone, the keys that `init` gave out in clear."""


@attrs.frozen(kw_only=True)
class Ready:
    """What `init` prints."""

    project_id: str
    api_key: str
    admin_url: str
    api_base: str


@click.command()
@database_options
@click.option("--project", required=True, help="The project's name; it is made if there is none of that name.")
@click.option(
    "--templates",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of *.prompt files to put into the project.",
)
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The address of the server.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def init(
    data: Path | None, database_url: str | None, project: str, templates: Path | None, url: str, *, is_json: bool
) -> None:
    """Make a project (or find it), and print its key and a fresh sign-in link.

    It can be run again, also while a server runs over the same folder: project and key stay, the link is new and
    works once within 24 hours. The key has all scopes of its project. So that it can be printed again, it is kept in
    clear in init-keys.json in the data folder, which only its owner can read; the database has only its hash. Over
    PostgreSQL there is no such folder: each run prints a new key.
    """
    store = open_store(data, database_url)
    try:
        with nullcontext() if data is None else _locked(data):
            ready = _prepare(store, data, project, templates, Settings(url=url.rstrip("/")))
    finally:
        store.close()
    if is_json:
        click.echo(json.dumps(attrs.asdict(ready)))
        return
    click.echo(f"project   {ready.project_id}  ({project})")
    click.echo(f"API key   {ready.api_key}")
    click.echo(f"API base  {ready.api_base}")
    click.echo(f"sign in   {ready.admin_url}")


def _prepare(store: Store, data: Path | None, name: str, templates: Path | None, settings: Settings) -> Ready:
    if not name.strip() or not name.isprintable():
        raise ConfigurationError(f"--project must be a name, not {name!r}")
    project = store.projects.find(name) or store.projects.create(name)
    if templates is not None:
        _put_templates(store, project, templates)
    following = f"/projects/{project.id}/calls"
    return Ready(
        project_id=project.id,
        api_key=store.keys.create(project) if data is None else _key(store, data / KEYS_NAME, project),
        admin_url=f"{settings.url}/sign-in?token={store.people.create_sign_in_link()}&next={following}",
        api_base=settings.api_base,
    )


def _put_templates(store: Store, project: Project, folder: Path) -> None:
    source = FolderPrompts(folder)
    for name in source.names():
        check_name(name)
        store.prompts.create_version(project, Draft(template=source.get(project.id, name, "latest")))


def _key(store: Store, path: Path, project: Project) -> str:
    """The key that was given out for this project, or a new one where there is none, or it is no longer good."""
    keys: dict[str, str] = {}
    if path.exists():
        try:
            keys = from_wire(path.read_bytes(), dict[str, str])
        except WireError as exc:
            raise ConfigurationError(
                f"{str(path)!r} is not what init wrote: {exc}; move it away to get a new key"
            ) from exc
    known = keys.get(project.id)
    if known is not None and store.keys.find(known) is not None:
        return known
    keys[project.id] = store.keys.create(project)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(keys, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return keys[project.id]


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """One `init` at a time in a data folder."""
    with (data / f"{KEYS_NAME}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
