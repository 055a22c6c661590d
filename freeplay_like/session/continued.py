"""One answer out of several calls: what hit its length limit is continued, in both twins, streamed or whole.

`core.continuation.Joining` decides; the shells here open calls, wait and hand chunks on. Each part is a call of its
own, with a record that names the first part's as its parent.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

import attrs

from freeplay_like.clock import Clock
from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.continuation import CallAgain, Continuation, Joined, JoinFailed, Joining, Step
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Outcome
from freeplay_like.errors import StreamAbandoned, StreamCancelled
from freeplay_like.session.reading import AsyncReading, Reading, SyncReading
from freeplay_like.session.streams import AsyncCompletionStream, CompletionStream
from freeplay_like.session.tee import Tee, final_chunk

logger = logging.getLogger("freeplay_like")


class _Continued(Reading):
    """What both twins know. No I/O."""

    def __init__(self, continuation: Continuation, first: Tee, clock: Clock) -> None:
        super().__init__()
        self._continuation = continuation
        self._joining = Joining(continuation, first._call.record.messages, random.random)
        self._clock = clock
        self._first = self._part = first
        self._overlap = self._joining.overlap()
        self._delivered: list[str] = []
        self._step: Step | None = None
        self._response: CompletionResponse | None = None

    @property
    def record_id(self) -> str:
        """The id of the first part's record; `partial.parts` and `result().parts` have those of all."""
        return self._first.record_id

    @property
    def text(self) -> str:
        """The text as far as it was delivered."""
        return "".join(self._delivered)

    @property
    def partial(self) -> CompletionResponse:
        """The answer as far as it came, the part that is on its way included."""
        return self._response or self._joining.merged(self._part.partial)

    @property
    def is_finished(self) -> bool:
        """True once nothing more will come."""
        return self._response is not None

    def _note_handler_error(self) -> None:
        self._first._note_handler_error()

    def _handed_on(self, chunk: CompletionChunk) -> CompletionChunk | None:
        """A part's chunk as the caller gets it: without what repeats the text before it; None where nothing is left."""
        if chunk.text:
            text = self._overlap.feed(chunk.text)
            if text != chunk.text:
                chunk = attrs.evolve(chunk, text=text)
            if not text and not (chunk.reasoning or chunk.tool_calls or chunk.refusal or chunk.logprobs):
                return None
            self._delivered.append(text)
        return chunk

    def _part_ended(self, step: Step) -> CompletionChunk | None:
        """What a part has held back until its end, to be delivered before the next step is taken."""
        self._step = step
        rest = self._overlap.end()
        if not rest:
            return None
        self._delivered.append(rest)
        return CompletionChunk(text=rest)

    def _next_call(self) -> CallAgain | CompletionChunk:
        """The call to be made next, or the last chunk.

        Raises:
            IncompleteResponse, ProviderError, StreamError: the answer ends here, and not well.
        """
        step, self._step = self._step, None
        if isinstance(step, Joined):
            self._finish(step.response)
            return final_chunk(step.response)
        if isinstance(step, JoinFailed):
            self._finish(self._joining.merged(), step.error)
            raise step.error
        assert step is not None  # noqa: S101 - a part that ends leaves a step
        if step.state is not None and self._continuation.on_progress is not None:
            try:
                self._continuation.on_progress(step.state)
            except Exception:
                logger.exception("on_progress failed; the answer is continued")
        return step

    def _finish(self, response: CompletionResponse, error: BaseException | None = None) -> None:
        if self._response is None:
            self._response, self._error = response, error

    def _stopped(self, outcome: Outcome, partial: CompletionResponse, cause: BaseException | None) -> None:
        kind = StreamCancelled if outcome == "cancelled" else StreamAbandoned
        error = kind("the answer was left before its end; it is partial (see .partial)", partial=partial)
        error.__cause__ = cause
        self._finish(partial, error)

    def _is_lost(self) -> bool:
        return not self.is_finished and self._part._is_lost()

    def _drop(self, outcome: Outcome = "abandoned") -> None:
        self._stopped(outcome, self.partial, None)
        self._part._drop(outcome)


class ContinuedStream(_Continued, SyncReading):
    """An answer that is continued where it hits its length limit; read like a `CompletionStream`.

    Its chunks are those of all parts, with one final chunk; its result is all parts joined, with their usage added up.
    """

    _part: CompletionStream

    def __init__(
        self,
        continuation: Continuation,
        first: CompletionStream,
        open_part: Callable[[tuple[Message, ...], str], CompletionStream],
        clock: Clock,
    ) -> None:
        super().__init__(continuation, first, clock)
        self._open_part = open_part

    def _advance(self) -> CompletionChunk:
        try:
            while True:
                chunk = self._from_part() if self._step is None else self._take_step()
                if chunk is not None:
                    return chunk
        except BaseException as exc:
            self._finish(self.partial, exc)
            raise

    def _from_part(self) -> CompletionChunk | None:
        try:
            chunk = next(self._part)
            if not chunk.is_final:
                return self._handed_on(chunk)
            step = self._joining.feed(self._part.result())
        except Exception as exc:  # noqa: BLE001 - `Joining` says what is to be raised
            step = self._joining.fail(exc)
        return self._part_ended(step)

    def _take_step(self) -> CompletionChunk | None:
        step = self._next_call()
        if isinstance(step, CompletionChunk):
            return step
        if step.delay_s:
            self._clock.sleep(step.delay_s)
        self._overlap = self._joining.overlap()
        try:
            self._part = self._open_part(step.messages, self.record_id)
        except Exception as exc:  # noqa: BLE001 - `Joining` says what is to be raised
            self._step = self._joining.fail(exc)
        return None

    def _leave(self, error: BaseException | None) -> None:
        if not self.is_finished:
            self._stopped("cancelled", self.partial, error)
        self._part._leave(error)


class AsyncContinuedStream(_Continued, AsyncReading):
    """The async twin of `ContinuedStream`."""

    _part: AsyncCompletionStream

    def __init__(
        self,
        continuation: Continuation,
        first: AsyncCompletionStream,
        open_part: Callable[[tuple[Message, ...], str], Awaitable[AsyncCompletionStream]],
        clock: Clock,
    ) -> None:
        super().__init__(continuation, first, clock)
        self._open_part = open_part

    async def _advance(self) -> CompletionChunk:
        try:
            while True:
                chunk = await self._from_part() if self._step is None else await self._take_step()
                if chunk is not None:
                    return chunk
        except BaseException as exc:
            self._finish(self.partial, exc)
            raise

    async def _from_part(self) -> CompletionChunk | None:
        try:
            chunk = await anext(self._part)
            if not chunk.is_final:
                return self._handed_on(chunk)
            step = self._joining.feed(await self._part.result())
        except Exception as exc:  # noqa: BLE001 - `Joining` says what is to be raised
            step = self._joining.fail(exc)
        return self._part_ended(step)

    async def _take_step(self) -> CompletionChunk | None:
        step = self._next_call()
        if isinstance(step, CompletionChunk):
            return step
        if step.delay_s:
            await self._clock.asleep(step.delay_s)
        self._overlap = self._joining.overlap()
        try:
            self._part = await self._open_part(step.messages, self.record_id)
        except Exception as exc:  # noqa: BLE001 - `Joining` says what is to be raised
            self._step = self._joining.fail(exc)
        return None

    async def _leave(self, error: BaseException | None) -> None:
        if not self.is_finished:
            self._stopped("cancelled", self.partial, error)
        await self._part._leave(error)
