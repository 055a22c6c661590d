"""What can be done with a stream, whatever stands behind it: one call, or one that is continued.

A class of streams says how the next chunk is read (`_advance`), how it is stopped (`_leave`) and what it ended with
(`_error`); all else is here, for both twins: iterating, the answer at any time and from anywhere, events, handlers.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from types import TracebackType
from typing import Self

from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.events import Event, EventBuilder
from freeplay_like.core.records import Outcome
from freeplay_like.core.schemas import SchemaLike, schema_of
from freeplay_like.core.web import SseFormat
from freeplay_like.errors import StreamCancelled, StreamConsumed
from freeplay_like.session.sse import AsyncSseBody, SseBody

logger = logging.getLogger("freeplay_like")


class Reading(ABC):
    """What both twins know and tell at any time."""

    def __init__(self) -> None:
        self._held: deque[CompletionChunk] = deque()
        self._untold: Exception | None = None
        self._error: BaseException | None = None
        self._is_iterated = False

    @property
    @abstractmethod
    def record_id(self) -> str:
        """The id of the record that the call leaves in the backend."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The text of the first choice, as far as it was delivered."""

    @property
    @abstractmethod
    def partial(self) -> CompletionResponse:
        """The completion as far as it was delivered."""

    @property
    @abstractmethod
    def is_finished(self) -> bool:
        """True once nothing more will come: drained, failed, closed or dropped."""

    def _outcome(self) -> CompletionResponse:
        """The answer of a stream that is finished, or the error that it ended with, the same one every time."""
        if self._error is not None:
            self._error = self._as_exception(self._error)
            raise self._error
        return self.partial

    @abstractmethod
    def _note_handler_error(self) -> None:
        """A handler of the caller's failed."""

    @abstractmethod
    def _is_lost(self) -> bool:
        """Whether the garbage collector has found a call that still needs its record."""

    @abstractmethod
    def _drop(self, outcome: Outcome = "abandoned") -> None:
        """Nobody holds the stream any more: settle it, and let go of its connection. Waits for nothing."""

    def _begin_iteration(self) -> None:
        if self.is_finished and not self._held and self._untold is None:
            raise StreamConsumed(
                "the stream was read already; its answer is in .result(), its text in .text", partial=self.partial
            )

    def _next_held(self) -> CompletionChunk | None:
        """What `result()` has read meanwhile in the iterator's place: a chunk, or the error that ended it.

        None where the iterator is to read on, and where the stream has ended.
        """
        self._is_iterated = True
        if self._held:
            return self._held.popleft()
        if self._untold is not None:
            untold, self._untold = self._untold, None
            raise untold
        return None

    def _hold(self, chunk: CompletionChunk) -> None:
        """`result()` has read this chunk: keep it for the iterator, if there is one."""
        if self._is_iterated:
            self._held.append(chunk)

    def _tell_iterator(self, error: BaseException) -> None:
        """`result()` met this error in the iterator's place."""
        if self._is_iterated and self.is_finished:
            self._untold = self._as_exception(error)

    def _as_exception(self, error: BaseException) -> Exception:
        """The error as others than the one it hit are to see it: nobody else's task was cancelled."""
        if isinstance(error, Exception):
            return error
        cancelled = StreamCancelled(
            f"the stream ended by {type(error).__name__}; the answer is partial (see .partial)", partial=self.partial
        )
        cancelled.__cause__ = error
        return cancelled

    def _handled(self, handler: Callable[..., object], *args: object) -> object:
        """Call a handler; what it raises is counted and logged, and never hurts the stream."""
        try:
            return handler(*args)
        except Exception:  # noqa: BLE001 - logged and counted there
            self._handler_failed(handler)
            return None

    def _handler_failed(self, handler: Callable[..., object]) -> None:
        self._note_handler_error()
        logger.exception("a stream's handler %r failed; the stream goes on", handler)


class SyncReading(Reading):
    """Iterate for chunks, or ask for `result()`; a context manager. One thread at a time reads."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def __iter__(self) -> Self:
        self._begin_iteration()
        return self

    def __next__(self) -> CompletionChunk:
        with self._lock:
            chunk = self._next_held()
            if chunk is not None:
                return chunk
            if self.is_finished:
                raise StopIteration
            return self._advance()

    @abstractmethod
    def _advance(self) -> CompletionChunk:
        """The next chunk; whatever it raises has ended the stream."""

    def result(self) -> CompletionResponse:
        """The whole answer; reads what is left of the stream. May be called at any time, from any thread.

        What it reads of a stream that is being iterated is kept for the iterator.

        Raises:
            ProviderError, StreamError: the stream did not end well: the same error every time, with `.partial`.
        """
        while not self.is_finished:
            with self._lock:
                if not self.is_finished:
                    self._read_on()
        return self._outcome()

    def _read_on(self) -> None:
        try:
            self._hold(self._advance())
        except BaseException as exc:
            self._tell_iterator(exc)
            if not isinstance(exc, Exception):
                raise

    def close(self) -> None:
        """Stop: the provider's connection is closed at once, the record keeps what was delivered. Safe to repeat."""
        self._leave(None)

    @abstractmethod
    def _leave(self, error: BaseException | None) -> None: ...

    def events(self, schema: SchemaLike | None = None) -> Iterator[Event]:
        """The stream as events (see `freeplay_like.core.events`); reads the stream, in place of iterating it.

        With a `schema` (a class, or JSON Schema) the events of the text carry `parsed`, the JSON as far as it came.
        """
        builder = EventBuilder(schema=None if schema is None else schema_of(schema))
        for chunk in self:
            yield from builder.end(chunk, self.partial) if chunk.is_final else builder.feed(chunk)

    def deliver(
        self,
        on_text: Callable[[str], object] | None = None,
        *,
        on_bytes: Callable[[bytes], object] | None = None,
        on_done: Callable[[CompletionResponse], object] | None = None,
    ) -> CompletionResponse:
        """Read the stream and hand each piece of text to a handler, as text or as UTF-8; return the whole answer.

        Handlers get text that is not empty, of the first choice. What one raises is logged and counted in the record;
        the stream goes on.
        """
        for chunk in self:
            if chunk.text and chunk.choice == 0:
                if on_text is not None:
                    self._handled(on_text, chunk.text)
                if on_bytes is not None:
                    self._handled(on_bytes, chunk.text.encode("utf-8", "replace"))
        response = self.result()
        if on_done is not None:
            self._handled(on_done, response)
        return response

    def sse(self, format: SseFormat = "text") -> SseBody:
        """The stream as server-sent events, for a web response. The web server may drop or close it at any moment."""
        return SseBody(self, format)

    def get_final_completion(self) -> CompletionResponse:
        """The same as `result`."""
        return self.result()

    def until_done(self) -> Self:
        """Read the stream to its end and return it."""
        self.result()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)


class AsyncReading(Reading):
    """The async twin of `SyncReading`: `async for`, `await stream.result()` (or `await stream`), `async with`.

    One task at a time reads; others wait for its chunk.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_reading = False
        self._waiters: list[asyncio.Future[None]] = []

    def __aiter__(self) -> Self:
        self._begin_iteration()
        return self

    async def __anext__(self) -> CompletionChunk:
        while True:
            chunk = self._next_held()
            if chunk is not None:
                return chunk
            if self.is_finished:
                raise StopAsyncIteration
            if not self._is_reading:
                return await self._advance_alone()
            await self._other_reader()

    @abstractmethod
    async def _advance(self) -> CompletionChunk:
        """The next chunk; whatever it raises has ended the stream."""

    async def _advance_alone(self) -> CompletionChunk:
        self._is_reading = True
        try:
            return await self._advance()
        finally:
            self._is_reading = False
            if self._waiters:
                for waiter in self._waiters:
                    if not waiter.done():
                        waiter.set_result(None)
                self._waiters.clear()

    async def _other_reader(self) -> None:
        """Wait until the task that reads has its chunk, or is done for."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def result(self) -> CompletionResponse:
        """The whole answer; reads what is left of the stream. May be called at any time, from any task.

        What it reads of a stream that is being iterated is kept for the iterator.

        Raises:
            ProviderError, StreamError: the stream did not end well: the same error every time, with `.partial`.
        """
        while not self.is_finished:
            if self._is_reading:
                await self._other_reader()
            else:
                await self._read_on()
        return self._outcome()

    async def _read_on(self) -> None:
        try:
            self._hold(await self._advance_alone())
        except BaseException as exc:
            self._tell_iterator(exc)
            if not isinstance(exc, Exception):
                raise

    async def aclose(self) -> None:
        """Stop: the provider's connection is closed at once, the record keeps what was delivered. Safe to repeat."""
        await self._leave(None)

    @abstractmethod
    async def _leave(self, error: BaseException | None) -> None: ...

    async def events(self, schema: SchemaLike | None = None) -> AsyncIterator[Event]:
        """The stream as events (see `freeplay_like.core.events`); reads the stream, in place of iterating it.

        With a `schema` (a class, or JSON Schema) the events of the text carry `parsed`, the JSON as far as it came.
        """
        builder = EventBuilder(schema=None if schema is None else schema_of(schema))
        async for chunk in self:
            for event in builder.end(chunk, self.partial) if chunk.is_final else builder.feed(chunk):
                yield event

    async def deliver(
        self,
        on_text: Callable[[str], object] | None = None,
        *,
        on_bytes: Callable[[bytes], object] | None = None,
        on_done: Callable[[CompletionResponse], object] | None = None,
    ) -> CompletionResponse:
        """Read the stream and hand each piece of text to a handler, as text or as UTF-8; return the whole answer.

        Handlers get text that is not empty, of the first choice; what they return is awaited where it can be. What
        one raises is logged and counted in the record; the stream goes on.
        """
        async for chunk in self:
            if chunk.text and chunk.choice == 0:
                if on_text is not None:
                    await self._ahandled(on_text, chunk.text)
                if on_bytes is not None:
                    await self._ahandled(on_bytes, chunk.text.encode("utf-8", "replace"))
        response = await self.result()
        if on_done is not None:
            await self._ahandled(on_done, response)
        return response

    async def _ahandled(self, handler: Callable[..., object], *args: object) -> None:
        returned = self._handled(handler, *args)
        if inspect.isawaitable(returned):
            try:
                await returned
            except Exception:  # noqa: BLE001 - logged and counted there
                self._handler_failed(handler)

    def sse(self, format: SseFormat = "text") -> AsyncSseBody:
        """The stream as server-sent events, for a web response. The web server may drop or close it at any moment."""
        return AsyncSseBody(self, format)

    def __await__(self) -> Generator[object, None, CompletionResponse]:
        return self.result().__await__()

    async def get_final_completion(self) -> CompletionResponse:
        """The same as `result`."""
        return await self.result()

    async def until_done(self) -> Self:
        """Read the stream to its end and return it."""
        await self.result()
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)
