"""`freeplay-like dataset`: test cases out of files and recorded calls, and back into files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs
import click

from freeplay_like.cli.backend_options import at_backend
from freeplay_like.cli.case_files import format_of, parts, read_cases
from freeplay_like.cli.place import Duration
from freeplay_like.cli.run_backend import CALLS_A_REQUEST, CASES_A_REQUEST, run_backend
from freeplay_like.core.case_files import FileFormat, to_csv, to_jsonl, with_ids
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ConfigurationError

CALLS_LIMIT: Final = 1_000
"""The most recorded calls that a filter may add at once."""

_JSON: Final = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


@click.group()
def dataset() -> None:
    """Named lists of test cases."""


@dataset.command("list")
@at_backend
@_JSON
def list_datasets(*, api_base: str, api_key: str, project_id: str | None, is_json: bool) -> None:
    """List the datasets of a project."""
    with run_backend(api_base, api_key, project_id) as backend:
        found = backend.datasets()
    if is_json:
        click.echo(json.dumps([attrs.asdict(each) for each in found], indent=2))
        return
    for each in found:
        click.echo(f"{each.name}  ({each.kind}, {each.cases} cases)  {each.id}")


@dataset.command()
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@click.option("--kind", type=click.Choice(["prompt", "agent"]), default="prompt", show_default=True)
@at_backend
@_JSON
def create(
    *, name: str, description: str, kind: str, api_base: str, api_key: str, project_id: str | None, is_json: bool
) -> None:
    """Make an empty dataset."""
    with run_backend(api_base, api_key, project_id) as backend:
        made = backend.create_dataset(name, description, kind)
    click.echo(json.dumps(attrs.asdict(made)) if is_json else made.id)


@dataset.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@at_backend
def add(*, name: str, file: Path, api_base: str, api_key: str, project_id: str | None) -> None:
    """Add the cases of a file, FILE.csv or FILE.jsonl, to a dataset.

    The first row of a CSV file names the inputs; the columns output, history (JSON) and metadata.NAME are those of a
    case. A line of a JSONL file is a case in the words of the API. All of the file is checked before anything is sent.
    A file can be added again, after a failure or with more cases in it: what is there already is not added twice.
    """
    cases = read_cases(file)
    with run_backend(api_base, api_key, project_id) as backend:
        into = backend.dataset(name)
        if into.kind != "prompt":
            raise ConfigurationError(f"dataset {name!r} is one for agents; files have cases for prompts")
        for part in parts(with_ids(cases, into.id), CASES_A_REQUEST):
            backend.add_cases(into.id, part)
        after = backend.dataset(name).cases
    there = len(cases) - (after - into.cases)
    click.echo(f"{after - into.cases} cases added to {name!r}" + (f", {there} were there already" if there > 0 else ""))


@dataset.command("from-calls")
@click.argument("name")
@click.argument("record_ids", nargs=-1, metavar="[RECORD_ID]...")
@click.option("--template", help="Calls from this prompt template.")
@click.option("--outcome", help="Calls that ended so, e.g. complete.")
@click.option("--since", type=Duration(), help="Calls of this time up to now: 24h, 7d.")
@click.option("--text", help="Calls with this in question or answer.")
@click.option(
    "--limit",
    type=click.IntRange(1, CALLS_LIMIT),
    default=100,
    show_default=True,
    help="At most so many, newest first.",
)
@at_backend
def from_calls(
    *,
    name: str,
    record_ids: Sequence[str],
    template: str | None,
    outcome: str | None,
    since: timedelta | None,
    text: str | None,
    limit: int,
    api_base: str,
    api_key: str,
    project_id: str | None,
) -> None:
    """Make recorded calls test cases: those of some record ids, or those that the options find.

    The variables of a call become the inputs, a complete answer what is expected. A call is in a dataset once.
    """
    filters = _filters(template, outcome, since, text)
    if bool(record_ids) == bool(filters):
        raise click.UsageError("give record ids, or say which calls: --template, --outcome, --since, --text")
    with run_backend(api_base, api_key, project_id) as backend:
        into = backend.dataset(name)
        found = list(record_ids) or backend.find_calls(_all_of(filters), limit)
        for start in range(0, len(found), CALLS_A_REQUEST):
            taken = backend.add_calls(into.id, found[start : start + CALLS_A_REQUEST])
            for skipped in taken.skipped:
                click.echo(f"left out {skipped['record_id']}: {skipped['message']}", err=True)
        after = backend.dataset(name).cases
    click.echo(f"{len(found)} calls found, {after - into.cases} cases added to {name!r}")


@dataset.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), help="[default: by the file's name, else jsonl]")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file, instead of standard output.")
@at_backend
def export(
    *,
    name: str,
    form: FileFormat | None,
    output: Path | None,
    api_base: str,
    api_key: str,
    project_id: str | None,
) -> None:
    """Write the cases of a dataset as a file that `add` takes."""
    form = form or (format_of(output) if output is not None else "jsonl")
    with run_backend(api_base, api_key, project_id) as backend:
        cases = [_for_file(case) for case in backend.cases(backend.dataset(name))]
    text = to_csv(cases) if form == "csv" else to_jsonl(cases)
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    click.echo(f"{len(cases)} cases written to {output}", err=True)


def _for_file(case: JsonObject) -> JsonObject:
    """A case without its id, which is that of the one dataset, and without where it came from."""
    return {name: value for name, value in case.items() if name not in ("id", "source_record_id")}


def _filters(template: str | None, outcome: str | None, since: timedelta | None, text: str | None) -> list[JsonObject]:
    filters: list[JsonObject] = [
        {"field": field, "op": op, "value": value}
        for field, op, value in (
            ("prompt_template", "eq", template),
            ("outcome", "eq", outcome),
            ("text", "contains", text),
        )
        if value is not None
    ]
    if since is not None:
        began_at = datetime.now(UTC) - since
        filters.append({"field": "start_time", "op": "gte", "value": began_at.isoformat()})
    return filters


def _all_of(filters: list[JsonObject]) -> JsonObject:
    return filters[0] if len(filters) == 1 else {"and": filters}
