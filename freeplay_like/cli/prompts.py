"""`freeplay-like prompts`: templates as files in a folder, and as versions in a backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import click

from freeplay_like.backend_link import BackendLink
from freeplay_like.cli.backend_options import at_backend
from freeplay_like.cli.prompt_import import Importer
from freeplay_like.cli.prompt_sync import LATEST, Pull, Push, Report, chosen, difference
from freeplay_like.errors import ConfigurationError
from freeplay_like.prompts.bundles import bundle_files
from freeplay_like.prompts.folder import FolderPrompts
from freeplay_like.prompts.project import PromptProject
from freeplay_like.prompts.sync import SAID, compare_all
from freeplay_like.prompts.working_copy import WorkingCopy

_TIMEOUT_S: Final = 30.0

_FOLDER: Final = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("prompts"),
    show_default=True,
    help="The folder with the *.prompt files.",
)
_ENVIRONMENT: Final = click.option(
    "--environment", default=LATEST, show_default=True, help="The environment whose versions are compared."
)
_THEIRS: Final = click.option(
    "--force-theirs", "theirs", multiple=True, metavar="NAME", help="Take the backend's version of this template."
)
_OURS: Final = click.option(
    "--force-ours", "ours", multiple=True, metavar="NAME", help="Keep to the file of this template."
)
_NAMES: Final = click.argument("names", nargs=-1, metavar="[NAME]...")
_REASON: Final = click.option("--reason", help="Why environments are moved; protected ones want to know.")


@contextmanager
def _project(api_base: str, api_key: str, project_id: str | None) -> Iterator[PromptProject]:
    link = BackendLink(api_base, api_key, _TIMEOUT_S)
    try:
        yield PromptProject(link, project_id)
    finally:
        link.close()


@click.group()
def prompts() -> None:
    """Prompt templates in a folder and in a backend."""


@prompts.command("list")
@at_backend
@_FOLDER
@click.option("--json", "is_json", is_flag=True, help="Print one JSON array.")
def list_templates(api_base: str, api_key: str, project_id: str | None, folder: Path, *, is_json: bool) -> None:
    """List templates with their versions and environments, and what became of them in the folder."""
    with _project(api_base, api_key, project_id) as project:
        rows = _rows(project, WorkingCopy(folder, project.id))
    if is_json:
        click.echo(json.dumps([attrs.asdict(row) for row in rows]))
        return
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        version = f"version {row.latest_version}" if row.latest_version else "-"
        where = f"  [{', '.join(row.environments)}]" if row.environments else ""
        click.echo(f"{row.name:<{width}}  {version:<12}{where}  {row.status}")


@attrs.frozen(kw_only=True)
class _Row:
    """A line of the list."""

    name: str
    latest_version: str | None
    environments: list[str]
    status: str


def _rows(project: PromptProject, copy: WorkingCopy) -> list[_Row]:
    known = {template.name: template for template in project.templates()}
    here, problems = copy.read()
    compared = compare_all(here, project.in_environment(LATEST), copy.common)
    statuses = {each.name: SAID[each.status] for each in compared} | dict.fromkeys(problems, "cannot be read here")
    return [
        _Row(
            name=name,
            latest_version=known[name].latest_version if name in known else None,
            environments=sorted(set(known[name].environments) - {LATEST}) if name in known else [],
            status=statuses.get(name, "no version yet"),
        )
        for name in sorted({*known, *statuses})
    ]


@prompts.command()
@at_backend
@_FOLDER
@_ENVIRONMENT
@_THEIRS
@_OURS
@_NAMES
def pull(
    api_base: str,
    api_key: str,
    project_id: str | None,
    folder: Path,
    environment: str,
    theirs: tuple[str, ...],
    ours: tuple[str, ...],
    names: tuple[str, ...],
) -> None:
    """Write what changed in the backend into the folder. Exits with 1 where both sides changed.

    Nothing that was edited here is overwritten, unless a name is forced. With --force-ours the file counts as edited
    from their version: push makes it the next one.
    """
    with _project(api_base, api_key, project_id) as project:
        copy = WorkingCopy(folder, project.id)
        report = Pull(project, copy, environment, frozenset(theirs), frozenset(ours)).run(names)
    _finish(report)


@prompts.command()
@at_backend
@_FOLDER
@_OURS
@_REASON
@click.option("--environment", help="Point this environment at the versions that the folder has.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be done.")
@_NAMES
def push(
    api_base: str,
    api_key: str,
    project_id: str | None,
    folder: Path,
    environment: str | None,
    reason: str | None,
    ours: tuple[str, ...],
    names: tuple[str, ...],
    *,
    is_dry: bool,
) -> None:
    """Make versions of what changed in the folder. Exits with 1 where both sides changed.

    A template that is deleted here stays there, unless its name is forced: then it is put away.
    """
    if environment == LATEST:
        raise ConfigurationError("'latest' always means the newest version: a push moves it by itself")
    with _project(api_base, api_key, project_id) as project:
        copy = WorkingCopy(folder, project.id)
        pushing = Push(project, copy, environment, reason, frozenset(ours), is_dry=is_dry)
        report = pushing.run(names)
    _finish(report)


@prompts.command()
@at_backend
@_FOLDER
@_ENVIRONMENT
@_NAMES
def diff(
    api_base: str, api_key: str, project_id: str | None, folder: Path, environment: str, names: tuple[str, ...]
) -> None:
    """Show what is different between the backend and the folder. Exits with 1 where anything is."""
    with _project(api_base, api_key, project_id) as project:
        copy = WorkingCopy(folder, project.id)
        here, problems = copy.read()
        compared = compare_all(here, project.in_environment(environment), copy.common)
    report = Report()
    for name, problem in problems.items():
        if not names or name in names:
            report.fail(name, f"cannot be read here: {problem}")
    for each in chosen(compared, [name for name in names if name not in problems]):
        if each.status != "same" and each.name not in problems:
            report.fail(each.name, SAID[each.status], difference(each))
    _finish(report)


@prompts.command("import")
@at_backend
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_REASON
@click.option("--bundle-project", help="The project of a bundle that holds several.")
@click.option("--no-environments", "is_bare", is_flag=True, help="Leave environments where they are.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be done.")
def import_templates(
    api_base: str,
    api_key: str,
    project_id: str | None,
    source: Path,
    reason: str | None,
    bundle_project: str | None,
    *,
    is_bare: bool,
    is_dry: bool,
) -> None:
    """Make versions of a Freeplay bundle (`freeplay download`), or of a folder of *.prompt files.

    The environments of a bundle are pointed at its versions. A template that cannot be taken does not hold up the
    others; the exit status is 1 then.
    """
    with _project(api_base, api_key, project_id) as project:
        importer = Importer(project, reason, is_dry=is_dry, moves_environments=not is_bare)
        files = bundle_files(source)
        if files:
            importer.take_bundle(files, bundle_project)
        else:
            importer.take_folder(FolderPrompts(source))
    _finish(importer.report)


def _finish(report: Report) -> None:
    """Say so where there was nothing to say, and exit with 1 where something was left to a person."""
    if not report.has_said:
        click.echo("nothing to do")
    if report.has_failed:
        raise SystemExit(1)
