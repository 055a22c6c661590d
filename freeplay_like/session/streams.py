"""The streams a caller holds: `CompletionStream` and its async twin.

Both are thin shells over `Tee`. A shell's own words are only `next` / `await anext`, `open` / `await aopen`, waiting
and closing. Shells are iterator classes and not generator functions, because a generator that never started runs no
`finally`, and the provider was already called.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Self

from freeplay_like.clock import Clock
from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.records import Outcome
from freeplay_like.errors import StreamCancelled
from freeplay_like.flavors.base import AsyncConnection, Connection
from freeplay_like.recording.base import Recorder
from freeplay_like.session.calls import Call
from freeplay_like.session.net import net
from freeplay_like.session.reading import AsyncReading, SyncReading
from freeplay_like.session.tee import Listener, Tee
from freeplay_like.session.watch import Deadline

_closing: set[asyncio.Task[None]] = set()
"""Tasks that close connections of dropped streams; a loop holds its tasks only weakly."""


class CompletionStream(Tee, SyncReading):
    """The answer as it comes: iterate for chunks, or ask for `.result()`.

    Use it as a context manager where the loop may be left early: leaving the block closes the provider's connection
    at once. A stream that is dropped instead is closed by a background thread.
    """

    _connection: Connection | None = None
    _body: Iterator[bytes]
    _deadline: Deadline | None = None
    _is_late = False

    @classmethod
    def open(cls, call: Call, recorder: Recorder, clock: Clock, listener: Listener | None = None) -> Self:
        """Send the request; return once the provider's status is known to be good.

        Raises:
            ProviderError: the provider refused, failed or was not reached, as often as it was tried; recorded.
        """
        stream = cls(call, recorder, clock, listener)
        stream._connect()
        return stream

    def _advance(self) -> CompletionChunk:
        """The next chunk, from as many bytes and tries as it takes."""
        while True:
            try:
                chunk = self._read_chunk()
            except BaseException as exc:
                pause_s = self._again(exc, is_open=True)
                self._let_go()
                if pause_s is None:
                    raise
            else:
                if chunk.is_final:
                    self._let_go()
                return chunk
            self._pause(pause_s)
            self._connect()

    def _read_chunk(self) -> CompletionChunk:
        chunk = self._take()
        if chunk is not None:
            return chunk
        if not self._has_deadlines:
            return self._await_chunk()
        deadline = self._deadline = self._deadline or Deadline(self._be_late)
        at_ns = self._attempts.deadline_ns(has_delivered=self._has_delivered)
        if at_ns is None:
            return self._await_chunk()
        deadline.set(at_ns)
        try:
            return self._await_chunk()
        except StreamCancelled as exc:
            if self._is_late:
                self._is_late = False
                raise self._attempts.late() from exc
            raise
        finally:
            deadline.clear()

    def _await_chunk(self) -> CompletionChunk:
        while True:
            try:
                data = next(self._body)
            except StopIteration:
                self._end_of_body()
            else:
                self._read(data)
            chunk = self._take()
            if chunk is not None:
                return chunk

    def _be_late(self) -> None:
        """Called by the watch, on its thread: the one who waits for bytes will find the connection closed."""
        self._is_late = True
        self._let_go()

    def _connect(self) -> None:
        """Open the connection, trying again where that may help."""
        while True:
            try:
                wait_s = self._attempts.line_up()
                if wait_s:
                    self._clock.sleep(wait_s)
                with self._span.active():
                    connection = self._call.flavor.open(self._call.request, self._attempts.begin())
            except BaseException as exc:
                pause_s = self._again(exc, is_open=False)
                if pause_s is None:
                    raise
            else:
                self._connection = connection
                self._body = iter(connection)
                self._connected(connection)
                return
            self._pause(pause_s)

    def _pause(self, pause_s: float) -> None:
        """A pause that is broken off ends the call: nobody will open it again."""
        try:
            self._clock.sleep(pause_s)
        except BaseException as exc:
            self._stop("cancelled", exc)
            raise

    def _leave(self, error: BaseException | None) -> None:
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


class AsyncCompletionStream(Tee, AsyncReading):
    """The async twin of `CompletionStream`: `async for`, `await stream.result()` (or `await stream`), `async with`."""

    _connection: AsyncConnection | None = None
    _body: AsyncIterator[bytes]
    _loop: asyncio.AbstractEventLoop

    @classmethod
    async def open(cls, call: Call, recorder: Recorder, clock: Clock, listener: Listener | None = None) -> Self:
        """Send the request; return once the provider's status is known to be good.

        Raises:
            ProviderError: the provider refused, failed or was not reached, as often as it was tried; recorded.
        """
        stream = cls(call, recorder, clock, listener)
        stream._loop = asyncio.get_running_loop()
        await stream._connect()
        return stream

    async def _advance(self) -> CompletionChunk:
        """The next chunk, from as many bytes and tries as it takes."""
        while True:
            try:
                chunk = await self._read_chunk()
            except BaseException as exc:
                pause_s = self._again(exc, is_open=True)
                await self._let_go()
                if pause_s is None:
                    raise
            else:
                if chunk.is_final:
                    await self._let_go()
                return chunk
            await self._pause(pause_s)
            await self._connect()

    async def _read_chunk(self) -> CompletionChunk:
        chunk = self._take()
        if chunk is not None:
            return chunk
        at_ns = self._attempts.deadline_ns(has_delivered=self._has_delivered) if self._has_deadlines else None
        if at_ns is None:
            return await self._await_chunk()
        try:
            async with asyncio.timeout((at_ns - self._clock.monotonic_ns()) / 1e9) as limit:
                return await self._await_chunk()
        except TimeoutError as exc:
            if limit.expired():
                raise self._attempts.late() from exc
            raise

    async def _await_chunk(self) -> CompletionChunk:
        while True:
            try:
                data = await anext(self._body)
            except StopAsyncIteration:
                self._end_of_body()
            else:
                self._read(data)
            chunk = self._take()
            if chunk is not None:
                return chunk

    async def _connect(self) -> None:
        """Open the connection, trying again where that may help."""
        while True:
            try:
                wait_s = self._attempts.line_up()
                if wait_s:
                    await self._clock.asleep(wait_s)
                with self._span.active():
                    connection = await self._call.flavor.aopen(self._call.request, self._attempts.begin())
            except BaseException as exc:
                pause_s = self._again(exc, is_open=False)
                if pause_s is None:
                    raise
            else:
                self._connection = connection
                self._body = aiter(connection)
                self._connected(connection)
                return
            await self._pause(pause_s)

    async def _pause(self, pause_s: float) -> None:
        """A pause that is broken off ends the call: nobody will open it again."""
        try:
            await self._clock.asleep(pause_s)
        except BaseException as exc:
            self._stop("cancelled", exc)
            raise

    async def _leave(self, error: BaseException | None) -> None:
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
