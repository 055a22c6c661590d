"""`freeplay-like spool`: what has not reached the backend yet, and sending it."""

from __future__ import annotations

from pathlib import Path

import click

from freeplay_like.recording.folders import SPOOL_DIR_VARIABLE, spool_candidates
from freeplay_like.recording.spool import SpoolFolder, spool_flush, spool_status

_SPOOL_DIR = click.option(
    "--spool-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"The spool; else {SPOOL_DIR_VARIABLE}, else where recorders of this user put it.",
)


@click.group()
def spool() -> None:
    """Records on this machine that have not reached the backend."""


@spool.command()
@_SPOOL_DIR
def status(spool_dir: Path | None) -> None:
    """Show what waits, a line for each process that recorded."""
    for path in spool_candidates(spool_dir):
        found = spool_status(path)
        click.echo(f"{path}: {found.pending} pending, {found.rejected} rejected, {found.damaged} damaged")
        for folder in found.folders:
            click.echo(f"  {_line(folder)}")


@spool.command()
@_SPOOL_DIR
@click.option("--api-base", envvar="FREEPLAY_LIKE_API_BASE", required=True, help="The backend's API address.")
@click.option("--api-key", envvar="FREEPLAY_LIKE_API_KEY", required=True, help="Its key; better set by environment.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds.")
def flush(spool_dir: Path | None, api_base: str, api_key: str, timeout_s: float) -> None:
    """Send what processes have left that are gone. Exits with 1 where something is still pending."""
    pending = 0
    for path in spool_candidates(spool_dir):
        report = spool_flush(path, api_base, api_key, timeout_s=timeout_s)
        pending += report.pending
        click.echo(f"{path}: {report.sent} sent, {report.pending} pending")
        for error in report.errors:
            click.echo(f"  {error}", err=True)
    if pending:
        raise SystemExit(1)


def _line(folder: SpoolFolder) -> str:
    owner = f"process {folder.pid} ({'running' if folder.is_alive else 'gone'})"
    oldest = f", oldest of {folder.oldest_at}" if folder.oldest_at else ""
    return (
        f"{owner} to {folder.api_base}: {folder.pending} pending, {folder.in_flight} in flight, "
        f"{folder.size_bytes} bytes{oldest}"
    )
