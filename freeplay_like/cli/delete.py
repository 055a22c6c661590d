"""`freeplay-like delete`: a session's, a record's or a person's data, everywhere it is."""

from __future__ import annotations

import json
from collections.abc import Sequence

import attrs
import click

from freeplay_like.cli.place import Place, Remote, Where, place, place_options
from freeplay_like.core.wire import JsonObject, from_wire, to_wire


@click.command()
@place_options
@click.option("--session", "session_id", help="The id of a session.")
@click.option("--record", "record_ids", multiple=True, help="The id of a record; may be given again.")
@click.option(
    "--metadata",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Records that have exactly this in their metadata, as in user_id=u-1; given again, they must have all.",
)
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def delete(
    where: Where,
    session_id: str | None,
    record_ids: Sequence[str],
    pairs: Sequence[str],
    *,
    is_sure: bool,
    is_json: bool,
) -> None:
    """Delete records: bodies, what was said of them, what was derived from them, test cases made from them.

    With --data the traces that the database file keeps are wiped before it returns; a server does that by itself some
    minutes later. There is no way back.
    """
    if [bool(session_id), bool(record_ids), bool(pairs)].count(True) != 1:
        raise click.UsageError("say what to delete with one of --session, --record and --metadata")
    wanted: JsonObject
    if session_id:
        wanted = {"session_id": session_id}
    elif record_ids:
        wanted = {"record_ids": list(record_ids)}
    else:
        wanted = {"metadata": dict(_pair(pair) for pair in pairs)}
    if not is_sure:
        click.confirm(f"Delete, for good, everything with {json.dumps(wanted)}?", abort=True, err=True)
    with place(where) as here:
        report = _delete(here, wanted)
    if is_json:
        click.echo(json.dumps(report))
        return
    click.echo(", ".join(f"{count} {what.replace('_', ' ')}" for what, count in report.items()) + " deleted")


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise click.UsageError(f"--metadata is KEY=VALUE, as in user_id=u-1, not {text!r}")
    return key, value


def _delete(here: Place, wanted: JsonObject) -> dict[str, int]:
    if isinstance(here, Remote):
        return from_wire(to_wire(here.link.post(f"{here.path}/deletions", wanted)), dict[str, int])
    deletion, project = here.store.deletion, here.project
    if "session_id" in wanted:
        report = deletion.session(project, str(wanted["session_id"]))
    elif "record_ids" in wanted:
        report = deletion.records(project, from_wire(to_wire(wanted["record_ids"]), list[str]))
    else:
        report = deletion.person(project, from_wire(to_wire(wanted["metadata"]), dict[str, str]))
    if not deletion.wipe():
        click.echo("a reader kept the log from being wiped: a server over this folder does it later", err=True)
    return attrs.asdict(report)
