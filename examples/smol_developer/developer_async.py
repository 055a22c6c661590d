"""The async twin of `developer.py`: the same calls, awaited, and tasks in place of threads."""

from __future__ import annotations

from functools import partial

from freeplay_like import AsyncSession, Continuation, aparallel

from .developer import TRIES, broke_off, code_in, code_variables
from .paths import FileList
from .screen import Screen
from .workspace import Workspace


async def develop(
    session: AsyncSession, workspace: Workspace, screen: Screen, continuation: Continuation, limit: int
) -> list[Exception]:
    """Do what the workspace's run still lacks, at most `limit` files at a time; the errors of files that failed."""
    run = workspace.run
    if run.plan is None:
        plan_stream = await session.complete_stream("plan", {"prompt": run.prompt}, continuation=continuation)
        async with plan_stream:
            run.plan = (await plan_stream.deliver(screen.write)).text
        screen.say()
        workspace.remember()
    if run.file_list is None:
        listed = await session.structured("paths", {"prompt": run.prompt, "plan": run.plan}, FileList)
        run.file_list = listed.value
        workspace.remember()

    missing = workspace.in_state("missing")
    with screen:
        jobs = [partial(write_file, session, workspace, screen, continuation, path) for path in missing]
        results = await aparallel(jobs, limit)  # Ctrl-C cancels the tasks: each stream leaves its record
    return [result for result in results if result is not None]


async def write_file(
    session: AsyncSession, workspace: Workspace, screen: Screen, continuation: Continuation, path: str
) -> None:
    """Have the model write one file, and put it in its place."""
    for attempt in range(1, TRIES + 1):
        screen.begin(path)
        try:
            variables = code_variables(workspace, path)
            async with await session.complete_stream("code", variables, continuation=continuation) as stream:
                async for chunk in stream:
                    screen.advance(path, chunk.text)
                answer = await stream.result()
            workspace.write(path, code_in(answer, path))
        except Exception as error:
            if attempt < TRIES and broke_off(error):
                continue
            screen.end(path, f"failed: {error}")
            raise
        screen.end(path, "written")
        return
