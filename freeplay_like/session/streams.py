"""The streams a caller holds: `CompletionStream` and its async twin.

Both are thin shells over `Tee`. A shell's own words are only `next` / `await anext` and `close` / `aclose`. Shells are
iterator classes and not generator functions, because a generator that never started runs no `finally`, and the provider
was already called.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import Self

from freeplay_like.clock import Clock
from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.events import Event, EventBuilder
from freeplay_like.core.records import Outcome
from freeplay_like.core.web import SseFormat
from freeplay_like.flavors.base import AsyncConnection, Connection
from freeplay_like.recording.base import Recorder
from freeplay_like.session.calls import Call
from freeplay_like.session.net import net
from freeplay_like.session.sse import AsyncSseBody, SseBody
from freeplay_like.session.tee import Listener, Tee

_closing: set[asyncio.Task[None]] = set()
"""Tasks that close connections of dropped streams; a loop holds its tasks only weakly."""


class CompletionStream(Tee):
    """The answer as it comes: iterate for chunks, or ask for `.result()`.

    Use it as a context manager where the loop may be left early: leaving the block closes the provider's connection
    at once. A stream that is dropped instead is closed by a background thread.
    """

    _connection: Connection | None = None

    @classmethod
    def open(cls, call: Call, recorder: Recorder, clock: Clock, listener: Listener | None = None) -> Self:
        """Send the request; return once the provider's status is known to be good.

        Raises:
            ProviderError: the provider refused, failed or was not reached; recorded.
        """
        stream = cls(call, recorder, clock, listener)
        try:
            connection = call.flavor.open(call.request)
        except BaseException as exc:
            stream._fail(exc)
            raise
        stream._builder.request_id = connection.request_id
        stream._connection = connection
        stream._body = iter(connection)
        return stream

    _body: Iterator[bytes]

    def __iter__(self) -> Self:
        self._begin_iteration()
        return self

    def __next__(self) -> CompletionChunk:
        if self._builder.is_settled:
            raise StopIteration
        try:
            while (chunk := self._take()) is None:
                try:
                    data = next(self._body)
                except StopIteration:
                    self._end_of_body()
                else:
                    self._read(data)
        except BaseException as exc:
            self._fail(exc)
            self._let_go()
            raise
        if chunk.is_final:
            self._let_go()
        return chunk

    def events(self) -> Iterator[Event]:
        """The stream as events (see `freeplay_like.core.events`); reads the stream, in place of iterating it."""
        builder = EventBuilder()
        for chunk in self:
            yield from builder.end(chunk, self.partial) if chunk.is_final else builder.feed(chunk)

    def sse(self, format: SseFormat = "text") -> SseBody:
        """The stream as server-sent events, for a web response. The web server may drop or close it at any moment."""
        return SseBody(self, format)

    def result(self) -> CompletionResponse:
        """The whole answer; reads what is left of the stream.

        Raises:
            ProviderError, StreamError: the stream did not end well: the same error every time, with `.partial`.
        """
        while not self._builder.is_settled:
            next(self, None)
        return self._outcome()

    def get_final_completion(self) -> CompletionResponse:
        """The same as `result`."""
        return self.result()

    def until_done(self) -> Self:
        """Read the stream to its end and return it."""
        self.result()
        return self

    def close(self) -> None:
        """Stop: the provider's connection is closed at once, the record keeps what was delivered. Safe to repeat."""
        self._stop("cancelled")
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop("cancelled", error)
        self._let_go()

    def __del__(self) -> None:
        if self._is_lost():
            net.catch(self._drop)

    def _drop(self, outcome: Outcome = "abandoned") -> None:
        self._stop(outcome)
        self._let_go()

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()


class AsyncCompletionStream(Tee):
    """The async twin of `CompletionStream`: `async for`, `await stream.result()` (or `await stream`), `async with`."""

    _connection: AsyncConnection | None = None

    @classmethod
    async def open(cls, call: Call, recorder: Recorder, clock: Clock, listener: Listener | None = None) -> Self:
        """Send the request; return once the provider's status is known to be good.

        Raises:
            ProviderError: the provider refused, failed or was not reached; recorded.
        """
        stream = cls(call, recorder, clock, listener)
        stream._loop = asyncio.get_running_loop()
        try:
            connection = await call.flavor.aopen(call.request)
        except BaseException as exc:
            stream._fail(exc)
            raise
        stream._builder.request_id = connection.request_id
        stream._connection = connection
        stream._body = aiter(connection)
        return stream

    _body: AsyncIterator[bytes]
    _loop: asyncio.AbstractEventLoop

    def __aiter__(self) -> Self:
        self._begin_iteration()
        return self

    async def __anext__(self) -> CompletionChunk:
        if self._builder.is_settled:
            raise StopAsyncIteration
        try:
            while (chunk := self._take()) is None:
                try:
                    data = await anext(self._body)
                except StopAsyncIteration:
                    self._end_of_body()
                else:
                    self._read(data)
        except BaseException as exc:
            self._fail(exc)
            await self._let_go()
            raise
        if chunk.is_final:
            await self._let_go()
        return chunk

    async def events(self) -> AsyncIterator[Event]:
        """The stream as events (see `freeplay_like.core.events`); reads the stream, in place of iterating it."""
        builder = EventBuilder()
        async for chunk in self:
            for event in builder.end(chunk, self.partial) if chunk.is_final else builder.feed(chunk):
                yield event

    def sse(self, format: SseFormat = "text") -> AsyncSseBody:
        """The stream as server-sent events, for a web response. The web server may drop or close it at any moment."""
        return AsyncSseBody(self, format)

    async def result(self) -> CompletionResponse:
        """The whole answer; reads what is left of the stream.

        Raises:
            ProviderError, StreamError: the stream did not end well: the same error every time, with `.partial`.
        """
        while not self._builder.is_settled:
            with contextlib.suppress(StopAsyncIteration):
                await anext(self)
        return self._outcome()

    def __await__(self) -> Generator[object, None, CompletionResponse]:
        return self.result().__await__()

    async def get_final_completion(self) -> CompletionResponse:
        """The same as `result`."""
        return await self.result()

    async def until_done(self) -> Self:
        """Read the stream to its end and return it."""
        await self.result()
        return self

    async def aclose(self) -> None:
        """Stop: the provider's connection is closed at once, the record keeps what was delivered. Safe to repeat."""
        self._stop("cancelled")
        await self._let_go()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop("cancelled", error)
        await self._let_go()

    def __del__(self) -> None:
        if self._is_lost():
            net.catch(self._drop)

    def _drop(self, outcome: Outcome = "abandoned") -> None:
        """Settle, and close the connection on the loop it belongs to; a loop that is gone took it along."""
        self._stop(outcome)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its connections with it
            self._loop.call_soon_threadsafe(self._let_go_soon)

    def _let_go_soon(self) -> None:
        task = self._loop.create_task(self._let_go())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def _let_go(self) -> None:
        if self._connection is not None:
            await self._connection.aclose()
