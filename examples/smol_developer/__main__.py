"""Writes a small program from a sentence; see the README beside this file.

python -m examples.smol_developer "a pomodoro timer in one HTML page" --out timer
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import click

if not __package__:  # run as `python examples/smol_developer`
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.smol_developer import developer, developer_async
from examples.smol_developer.answering import Answering, Source, answering
from examples.smol_developer.screen import Screen
from examples.smol_developer.workspace import Workspace, WorkspaceError
from freeplay_like import AsyncFreeplay, FlushReport, FolderPrompts, Freeplay, FreeplayError, Retry, Totals
from freeplay_like.core.wire import JsonValue
from freeplay_like.flavors.registry import flavor_names
from freeplay_like.testing import MemoryRecorder

PROMPTS = FolderPrompts(Path(__file__).with_name("prompts"))
API_KEY = os.environ.get("FREEPLAY_LIKE_API_KEY")
API_BASE = os.environ.get("FREEPLAY_LIKE_API_BASE", "http://127.0.0.1:8000/api")
PROJECT = os.environ.get("FREEPLAY_LIKE_PROJECT", "smol-developer")
FLUSH_S = 10.0


@click.command()
@click.argument("prompt")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The program's folder.")
@click.option("--flavor", "flavor_name", type=click.Choice(flavor_names()), help="Who answers, with --model.")
@click.option("--model", help="The model, if not the templates' own.")
@click.option("--simulate", "source", flag_value="simulated", help="Ask nobody: it is always the same small program.")
@click.option("--local", "source", flag_value="local", help="Ask a very small model on this machine (93 MB).")
@click.option("--parallel", "limit", type=click.IntRange(1), default=4, show_default=True, help="Files at a time.")
@click.option("--async", "is_async", is_flag=True, help="Use the async client.")
def main(
    *,
    prompt: str,
    out: Path,
    flavor_name: str | None,
    model: str | None,
    source: Source | None,
    limit: int,
    is_async: bool,
) -> None:
    """Plan a program, list its files and write them. The same command again goes on after an interruption."""
    screen = Screen()
    try:
        workspace = Workspace(out, prompt)
        with answering(source or "provider", flavor_name, model, screen) as who:
            if is_async:
                failures = asyncio.run(awrite(who, workspace, screen, limit))
            else:
                failures = write(who, workspace, screen, limit)
    except (FreeplayError, WorkspaceError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for path in workspace.in_state("yours"):
        screen.say(f"  {path}: left as it is, because it was not written here or was changed since")
    if failures:
        raise click.ClickException(f"{len(failures)} of the files failed; the same command again tries them again")
    screen.say(f"The program is in {out}")


def write(who: Answering, workspace: Workspace, screen: Screen, limit: int) -> Sequence[Exception]:
    """Have the program written; the errors of files that failed."""
    with Freeplay(
        who.flavor,
        prompts=PROMPTS,
        recorder=records_kept(),
        retry=Retry(attempts=6, wait_s=1, max_wait_s=60, on_retry=screen.try_again),
        model=who.model,
        max_tokens=who.max_tokens,
    ) as freeplay:
        session = freeplay.create_session(PROJECT, session_id=workspace.run.session_id, metadata=this_start())
        workspace.begin(session.session_id)
        try:
            return developer.develop(session, workspace, screen, who.continuation, limit)
        finally:
            sum_up(session.session_id, session.totals, freeplay.flush(FLUSH_S), screen)


async def awrite(who: Answering, workspace: Workspace, screen: Screen, limit: int) -> Sequence[Exception]:
    """The same with the async client."""
    async with AsyncFreeplay(
        who.flavor,
        prompts=PROMPTS,
        recorder=records_kept(),
        retry=Retry(attempts=6, wait_s=1, max_wait_s=60, on_retry=screen.try_again),
        model=who.model,
        max_tokens=who.max_tokens,
    ) as freeplay:
        session = freeplay.create_session(PROJECT, session_id=workspace.run.session_id, metadata=this_start())
        workspace.begin(session.session_id)
        try:
            return await developer_async.develop(session, workspace, screen, who.continuation, limit)
        finally:
            sum_up(session.session_id, session.totals, await freeplay.flush(FLUSH_S), screen)


def records_kept() -> MemoryRecorder | None:
    """What keeps the records where there is no backend; None leaves it to the client."""
    return None if API_KEY else MemoryRecorder()


def this_start() -> dict[str, JsonValue]:
    """The metadata of this start's records: all starts of a run share its session."""
    return {"run_id": uuid.uuid4().hex}


def sum_up(session_id: str, totals: Totals, flushed: FlushReport, screen: Screen) -> None:
    """Say what was used, and where it can be looked at."""
    if not totals.calls:
        return
    cost = f", {totals.cost_usd:.4f} USD" if totals.cost_usd is not None else ""
    screen.say(f"\n{totals.calls} calls, {totals.input_tokens} tokens in, {totals.output_tokens} out{cost}")
    if not API_KEY:
        screen.say("Their records were kept in memory only, because FREEPLAY_LIKE_API_KEY is not set.")
    elif flushed.is_complete:
        screen.say(f"Their records: {API_BASE.removesuffix('/api')}/projects/{PROJECT}/sessions/{session_id}")
    else:
        screen.say(f"Their records are on this disk, and will be sent later: {'; '.join(flushed.errors)}")


if __name__ == "__main__":
    main()
