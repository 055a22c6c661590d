"""A small developer: it plans a program, lists its files, and writes them a few at a time.

This is the part to read. Everything a call needs stands where the call is made; retries, records, totals and the
history of a truncated answer are the SDK's. `developer_async.py` is the same with `await`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self

import attrs

from freeplay_like import (
    CompletionResponse,
    Continuation,
    ContinuedStream,
    ProviderTimeout,
    ProviderUnavailable,
    Session,
    StreamInterrupted,
    extract_code,
    parallel,
)
from freeplay_like.core.wire import JsonValue

from .paths import FileList, distinct
from .screen import Screen
from .workspace import Workspace

TRIES = 3
"""How often a file is begun whose stream breaks off."""


def develop(
    session: Session, workspace: Workspace, screen: Screen, continuation: Continuation, limit: int
) -> list[Exception]:
    """Do what the workspace's run still lacks, at most `limit` files at a time; the errors of files that failed."""
    run = workspace.run
    if run.plan is None:
        with session.complete_stream("plan", {"prompt": run.prompt}, continuation=continuation) as stream:
            run.plan = stream.deliver(screen.write).text
        screen.say()
        workspace.remember()
    if run.file_list is None:
        run.file_list = session.structured("paths", {"prompt": run.prompt, "plan": run.plan}, FileList).value
        workspace.remember()

    missing = workspace.in_state("missing")
    with screen, OpenStreams() as streams:
        jobs = [partial(write_file, session, workspace, screen, continuation, path, streams) for path in missing]
        results = parallel(jobs, limit)
    return [result for result in results if result is not None]


def write_file(
    session: Session,
    workspace: Workspace,
    screen: Screen,
    continuation: Continuation,
    path: str,
    streams: OpenStreams,
) -> None:
    """Have the model write one file, and put it in its place."""
    for attempt in range(1, TRIES + 1):
        screen.begin(path)
        try:
            variables = code_variables(workspace, path)
            with streams.reading(session.complete_stream("code", variables, continuation=continuation)) as stream:
                for chunk in stream:
                    screen.advance(path, chunk.text)
                answer = stream.result()
            workspace.write(path, code_in(answer, path))
        except Exception as error:
            if attempt < TRIES and broke_off(error):
                continue
            screen.end(path, f"failed: {error}")
            raise
        screen.end(path, "written")
        return


def broke_off(error: Exception) -> bool:
    """Whether a stream ended in its middle. `Retry` does not begin such a call again: text of it is out already."""
    if not isinstance(error, (StreamInterrupted, ProviderUnavailable, ProviderTimeout)):
        return False
    return error.partial is not None and error.partial.text != ""


@attrs.define
class OpenStreams:
    """The streams that threads read now; a context manager that closes them where it is left early.

    Ctrl-C reaches the main thread alone. A stream that is closed from there ends for its reader, and is recorded.
    """

    _streams: set[ContinuedStream] = attrs.field(factory=set)
    _is_over: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        for stream in tuple(self._streams):
            stream.close()

    @contextmanager
    def reading(self, stream: ContinuedStream) -> Iterator[ContinuedStream]:
        """Keep a stream here while it is read."""
        self._streams.add(stream)
        try:
            with stream:
                if self._is_over:
                    stream.close()
                yield stream
        finally:
            self._streams.discard(stream)


def code_variables(workspace: Workspace, path: str) -> dict[str, JsonValue]:
    """The variables of the template `code`."""
    run = workspace.run
    files: list[JsonValue] = [*distinct(run.file_list.files)] if run.file_list is not None else []
    return {"prompt": run.prompt, "plan": run.plan, "files": files, "file": path}


def code_in(answer: CompletionResponse, path: str) -> str:
    """The file in an answer.

    Raises:
        ValueError: the answer holds none: the model refused, or said nothing.
    """
    if answer.finish_reason not in ("stop", "length") or not answer.text.strip():
        raise ValueError(f"the model gave no file (finish_reason={answer.finish_reason!r}): {answer.text[:200]!r}")
    return extract_code(answer.text, filename=path)
