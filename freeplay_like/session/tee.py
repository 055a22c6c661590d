"""One call from its start to its one record: what both twins of a stream share.

`Tee` decides everything: what the caller gets next, how the stream ended, and that exactly one record is kept of it. It
does no I/O but the recorder's; the shells in `streams.py` read the provider's bytes and hand them in.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from freeplay_like.clock import Clock
from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.records import Outcome, Record, RecordBuilder, outcome_of_finish
from freeplay_like.errors import (
    ProviderError,
    StreamAbandoned,
    StreamCancelled,
    StreamConsumed,
    StreamError,
    StreamInterrupted,
)
from freeplay_like.recording.base import Recorder
from freeplay_like.session.calls import Call
from freeplay_like.session.net import net

logger = logging.getLogger("freeplay_like")

CHECKPOINT_MS: Final = 250
CHECKPOINT_CHARACTERS: Final = 4096

Listener = Callable[[Outcome, CompletionResponse], None]
"""Told once how a stream ended, before its caller sees the end."""


def outcome_of(error: BaseException) -> Outcome:
    """How a stream ended that ended with this error."""
    if isinstance(error, (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit, StreamCancelled)):
        return "cancelled"
    if isinstance(error, StreamInterrupted):
        return "interrupted"
    return "abandoned" if isinstance(error, StreamAbandoned) else "error"


class Tee:
    """One call from its start to its one record. What both twins share; no I/O but the recorder's."""

    def __init__(self, call: Call, recorder: Recorder, clock: Clock, listener: Listener | None = None) -> None:
        self._call = call
        self._recorder = recorder
        self._clock = clock
        self._listener = listener
        self._reader = call.flavor.reader(call.request)
        self._builder = RecordBuilder(call.record, clock.monotonic_ns())
        self._ready: deque[CompletionChunk] = deque()
        self._failure: BaseException | None = None
        self._error: BaseException | None = None
        self._response: CompletionResponse | None = None
        self._is_body_read = False
        self._is_iterated = False
        self._unsaved: list[str] = []
        self._unsaved_characters = 0
        self._saved_ns = self._builder.started_ns
        self._pid = os.getpid()
        net.ready()
        self._keep(recorder.start, call.record)

    # --- what a caller may ask at any time ----------------------------------------------------------------

    @property
    def record_id(self) -> str:
        """The id of the record that this call leaves in the backend."""
        return self._call.record.record_id

    @property
    def text(self) -> str:
        """The text of the first choice, as far as it was delivered."""
        return self._builder.completion.text

    @property
    def partial(self) -> CompletionResponse:
        """The completion as far as it was delivered."""
        return self._response or self._builder.response()

    @property
    def is_finished(self) -> bool:
        """True once the call's record is settled: drained, failed, closed or dropped."""
        return self._builder.is_settled

    # --- what the shells call -----------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        """Take bytes of the body. An error in them is raised after the chunks before it were delivered."""
        try:
            self._ready.extend(self._reader.feed(data))
        except Exception as exc:  # noqa: BLE001  (kept, and raised by _take)
            self._failure = exc

    def _end_of_body(self) -> None:
        """The provider has no more bytes."""
        try:
            self._ready.extend(self._reader.end())
        except Exception as exc:  # noqa: BLE001  (kept, and raised by _take)
            self._failure = exc
        self._is_body_read = True

    def _take(self) -> CompletionChunk | None:
        """The next chunk for the caller, None where more of the body is needed first.

        A chunk that carries nothing for a caller (a role, a finish reason, usage) is taken into the completion and
        passed over; what it said stands on the final chunk.
        """
        while self._ready:
            chunk = self._ready.popleft()
            now_ns = self._clock.monotonic_ns()
            self._builder.feed(chunk, now_ns)
            if chunk.text or chunk.reasoning or chunk.tool_calls or chunk.refusal or chunk.logprobs is not None:
                if chunk.text and chunk.choice == 0:
                    self._checkpoint(chunk.text, now_ns)
                return chunk
        if self._failure is not None:
            self._fail(self._failure)
            raise self._failure
        return self._finish() if self._is_body_read else None

    def _finish(self) -> CompletionChunk:
        """The one final chunk, or the error of a stream that ended without saying so."""
        response = self._builder.response()
        outcome = outcome_of_finish(response)
        if outcome == "interrupted":
            error = StreamInterrupted(
                f"{self._call.record.provider} ended the stream without a finish reason after "
                f"{len(response.content)} characters; the answer is partial (see .partial)",
                partial=response,
            )
            self._fail(error)
            raise error
        self._settle(outcome)
        choice = response.choices[0]
        return CompletionChunk(
            is_final=True,
            choice=choice.index,
            finish_reason=choice.finish_reason,
            finish_reason_raw=choice.finish_reason_raw,
            usage=response.usage,
            model=response.model,
            response_id=response.response_id,
        )

    def _checkpoint(self, text: str, now_ns: int) -> None:
        self._unsaved.append(text)
        self._unsaved_characters += len(text)
        if now_ns - self._saved_ns >= CHECKPOINT_MS * 1_000_000 or self._unsaved_characters >= CHECKPOINT_CHARACTERS:
            self._keep(self._recorder.progress, self.record_id, "".join(self._unsaved))
            self._unsaved.clear()
            self._unsaved_characters = 0
            self._saved_ns = now_ns

    def _fail(self, error: BaseException) -> None:
        """Settle with what ended the stream; the caller gets it unchanged, with the partial completion on it."""
        if isinstance(error, (ProviderError, StreamError)) and error.partial is None:
            error.partial = self._builder.response()
        if isinstance(error, ProviderError) and error.request_id is None:
            error.request_id = self._builder.request_id
        self._settle(outcome_of(error), error)

    def _settle(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Keep the one record. Every later call does nothing. Never waits, never raises."""
        record = self._builder.settle(outcome, self._clock.monotonic_ns(), error)
        if record is None:
            return
        self._response = self._builder.response()
        self._error = error
        self._ready.clear()
        self._keep(self._recorder.submit, record)
        if self._listener is not None:
            self._listener(outcome, self._response)

    def _stop(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """The caller wants no more: settle, unless the stream has ended already."""
        if not self._builder.is_settled:
            self._settle(outcome, error)
            why = {"cancelled": "was closed before its end", "abandoned": "was dropped before its end"}[outcome]
            kind = StreamCancelled if outcome == "cancelled" else StreamAbandoned
            self._error = kind(f"the stream {why}; the answer is partial (see .partial)", partial=self._response)
            self._error.__cause__ = error

    def _begin_iteration(self) -> None:
        if self._builder.is_settled and self._is_iterated:
            raise StreamConsumed(
                "the stream was read already; its answer is in .result(), its text in .text", partial=self._response
            )
        self._is_iterated = True

    def _outcome(self) -> CompletionResponse:
        """The answer of a settled stream, or the error it ended with, the same one every time."""
        if self._error is not None:
            if isinstance(self._error, Exception):
                raise self._error
            raise StreamCancelled(
                f"the stream ended by {type(self._error).__name__}; the answer is partial (see .partial)",
                partial=self._response,
            ) from self._error
        return self.partial

    def _keep(self, method: Callable[..., None], *args: Record | str) -> None:
        """Recording never raises into a call, whoever wrote the recorder."""
        try:
            method(*args)
        except Exception:
            logger.exception("the recorder failed; call %s may not be recorded", self.record_id)

    def _is_lost(self) -> bool:
        """Whether the garbage collector has found a call that still needs its record. What a parent process opened
        is the parent's to settle, and half of an object whose making failed is nobody's."""
        builder = getattr(self, "_builder", None)
        return not (builder is None or builder.is_settled or self._pid != os.getpid() or sys.is_finalizing())
