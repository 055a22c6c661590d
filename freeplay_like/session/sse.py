"""What a web framework iterates: a stream as server-sent events.

A web server that loses its client closes such a body (WSGI), cancels the task that reads it, or just drops it; all
three mean the same, and leave a `cancelled` record with what was delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.web import SseFormat, sse_chunk, sse_end, sse_error
from freeplay_like.errors import FreeplayError
from freeplay_like.session.net import net

if TYPE_CHECKING:
    from freeplay_like.session.reading import AsyncReading, Reading, SyncReading


def _encoded(chunk: CompletionChunk, stream: Reading, format: SseFormat) -> bytes:
    """What a chunk is on the wire; empty where the format has nothing to say of it."""
    if chunk.is_final:
        return sse_end(stream.partial, stream.record_id, format)
    return sse_chunk(chunk, stream.record_id, format)


class SseBody:
    """Iterates bytes; has the `close` that WSGI asks for."""

    def __init__(self, stream: SyncReading, format: SseFormat) -> None:
        self._stream = stream
        self._format = format

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        stream = self._stream
        while True:
            try:
                chunk = next(stream)
            except FreeplayError as exc:
                return sse_error(exc, stream.record_id, self._format)
            if data := _encoded(chunk, stream, self._format):
                return data

    def close(self) -> None:
        """The client is gone, or has everything."""
        self._stream.close()

    def __del__(self) -> None:
        if self._stream._is_lost():
            net.catch(lambda stream=self._stream: stream._drop("cancelled"))  # type: ignore[misc]


class AsyncSseBody:
    """The async twin of `SseBody`."""

    def __init__(self, stream: AsyncReading, format: SseFormat) -> None:
        self._stream = stream
        self._format = format

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        stream = self._stream
        while True:
            try:
                chunk = await anext(stream)
            except FreeplayError as exc:
                return sse_error(exc, stream.record_id, self._format)
            if data := _encoded(chunk, stream, self._format):
                return data

    async def aclose(self) -> None:
        """The client is gone, or has everything."""
        await self._stream.aclose()

    def __del__(self) -> None:
        if self._stream._is_lost():
            net.catch(lambda stream=self._stream: stream._drop("cancelled"))  # type: ignore[misc]
