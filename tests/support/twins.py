"""One test for both twins: what the async one gives is awaited on a loop of the test's own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator

import pytest

from freeplay_like import AsyncFreeplay, CompletionChunk, Freeplay


class Sync:
    """The sync twin."""

    name = "sync"
    client = Freeplay

    def do(self, value: object) -> object:
        """The value."""
        return value

    def chunks(self, stream: object) -> list[CompletionChunk]:
        """All chunks of a stream, or events, or bytes."""
        return list(stream)

    def next(self, stream: object) -> CompletionChunk:
        return next(stream)

    def close(self, stream: object) -> None:
        stream.close()

    def jobs(self, *jobs: Callable[[], object]) -> list[object]:
        """The results of jobs that run side by side, an exception in its place."""
        from freeplay_like import parallel

        return parallel(jobs, limit=len(jobs))

    def shut(self) -> None:
        """Nothing to end."""


class Async:
    """The async twin."""

    name = "async"
    client = AsyncFreeplay

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def do(self, value: object) -> object:
        """The value, awaited where it has to be."""
        return self._runner.run(_awaited(value)) if inspect.isawaitable(value) else value

    def chunks(self, stream: object) -> list[CompletionChunk]:
        """All chunks of a stream, or events, or bytes."""

        async def read() -> list[CompletionChunk]:
            return [chunk async for chunk in stream]

        return self._runner.run(read())

    def next(self, stream: object) -> CompletionChunk:
        return self.do(anext(stream))

    def close(self, stream: object) -> None:
        self.do(stream.aclose())

    def jobs(self, *jobs: Callable[[], object]) -> list[object]:
        """The results of jobs that run side by side, an exception in its place."""
        from freeplay_like import aparallel

        return self.do(aparallel(jobs, limit=len(jobs)))

    def shut(self) -> None:
        """End the loop."""
        self._runner.close()


async def _awaited(value: object) -> object:
    return await value


Twin = Sync | Async


@pytest.fixture(params=[Sync, Async], ids=lambda kind: kind.name)
def twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    """Each twin in turn."""
    made: Twin = request.param()
    yield made
    made.shut()
