"""One call from its start to its one record: what both twins of a stream share.

`Tee` decides everything: what the caller gets next, how the stream ended, and that exactly one record is kept of it. It
does no I/O but the recorder's; the shells in `streams.py` read the provider's bytes and hand them in.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

from freeplay_like.clock import Clock
from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.limits import AttemptPhase
from freeplay_like.core.records import Outcome, Record, RecordBuilder, outcome_of_finish
from freeplay_like.errors import (
    ProviderError,
    StreamAbandoned,
    StreamCancelled,
    StreamError,
    StreamInterrupted,
)
from freeplay_like.flavors.base import AsyncConnection, Connection
from freeplay_like.recording.base import Recorder
from freeplay_like.session.attempts import Attempts
from freeplay_like.session.calls import Call
from freeplay_like.session.net import net
from freeplay_like.session.reading import Reading
from freeplay_like.session.spans import start_span

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


def final_chunk(response: CompletionResponse) -> CompletionChunk:
    """The last chunk of a stream that came to this."""
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


class Tee(Reading):
    """One call from its start to its one record. What both twins share; no I/O but the recorder's."""

    def __init__(self, call: Call, recorder: Recorder, clock: Clock, listener: Listener | None = None) -> None:
        super().__init__()
        self._span = start_span(call.record, call.options.redact)
        if self._span.trace_id is not None:
            call = attrs.evolve(call, record=self._span.marked(call.record))
        self._call = call
        self._recorder = recorder
        self._clock = clock
        self._listener = listener
        self._reader = call.flavor.reader(call.request)
        self._builder = RecordBuilder(call.record, clock.monotonic_ns())
        self._attempts = Attempts(call, clock, self._builder.started_ns)
        timeout = call.options.timeout
        self._has_deadlines = (timeout.first_chunk_s, timeout.between_chunks_s, timeout.total_s) != (None, None, None)
        self._ready: Iterator[CompletionChunk] = iter(())
        self._response: CompletionResponse | None = None
        self._is_body_read = False
        self._has_delivered = False
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
    def headers(self) -> Mapping[str, str]:
        """The head of the provider's answer, names in lower case."""
        return dict(self._builder.headers)

    @property
    def is_finished(self) -> bool:
        """True once the call's record is settled: drained, failed, closed or dropped."""
        return self._builder.is_settled

    # --- what the shells call -----------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        """Take bytes of the body, after all chunks of the bytes before. They are read as chunks are asked for: the
        first chunk of a burst does not wait for its last, and an error is raised after the chunks before it."""
        self._ready = self._reader.feed(data)

    def _end_of_body(self) -> None:
        """The provider has no more bytes."""
        self._is_body_read = True
        self._ready = self._last_chunks()

    def _last_chunks(self) -> Iterator[CompletionChunk]:
        yield from self._reader.end()

    def _take(self) -> CompletionChunk | None:
        """The next chunk for the caller, None where more of the body is needed first.

        A chunk that carries nothing for a caller (a role, a finish reason, usage) is taken into the completion and
        passed over; what it said stands on the final chunk.
        """
        for chunk in self._ready:
            now_ns = self._clock.monotonic_ns()
            self._builder.feed(chunk, now_ns)
            if chunk.text or chunk.reasoning or chunk.tool_calls or chunk.refusal or chunk.logprobs is not None:
                if chunk.text and chunk.choice == 0:
                    self._checkpoint(chunk.text, now_ns)
                self._has_delivered = True
                return chunk
        return self._finish() if self._is_body_read else None

    def _finish(self) -> CompletionChunk:
        """The one final chunk, or the error of a stream that ended without saying so."""
        response = self._builder.response()
        outcome = outcome_of_finish(response)
        if outcome == "interrupted" and not self._call.options.allow_incomplete:
            raise StreamInterrupted(
                f"{self._call.record.provider} ended the stream without a finish reason after "
                f"{len(response.content)} characters; the answer is partial (see .partial)",
                partial=response,
            )
        self._settle(outcome)
        return final_chunk(response)

    def _checkpoint(self, text: str, now_ns: int) -> None:
        self._unsaved.append(text)
        self._unsaved_characters += len(text)
        if now_ns - self._saved_ns >= CHECKPOINT_MS * 1_000_000 or self._unsaved_characters >= CHECKPOINT_CHARACTERS:
            self._keep(self._recorder.progress, self.record_id, "".join(self._unsaved))
            self._unsaved.clear()
            self._unsaved_characters = 0
            self._saved_ns = now_ns

    def _connected(self, connection: Connection | AsyncConnection) -> None:
        """The provider's status is good."""
        self._attempts.connected()
        self._builder.request_id = connection.request_id
        self._builder.headers = connection.headers

    def _again(self, error: BaseException, *, is_open: bool) -> float | None:
        """How long to wait before the call is tried again after this error; None where it is over, and settled.

        What has delivered a chunk is never tried again. The caller of the last try gets its error unchanged, with the
        partial completion and the tries before on it.
        """
        phase: AttemptPhase = ("first_chunk" if self._call.record.is_stream else "body") if is_open else "open"
        may_repeat = not (self._has_delivered or self._builder.is_settled)
        pause_s = self._attempts.pause_after(error, phase) if may_repeat else None
        if pause_s is not None:
            self._reader = self._call.flavor.reader(self._call.request)
            self._builder.restart()
            self._is_body_read = False
            self._builder.request_id = None
            return pause_s
        if isinstance(error, (ProviderError, StreamError)):
            error.partial = self._builder.response()
        if isinstance(error, ProviderError):
            error.attempts = tuple(self._attempts.failed)
            if error.request_id is None:
                error.request_id = self._builder.request_id
        self._settle(outcome_of(error), error)
        return None

    def _settle(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Keep the one record. Every later call does nothing. Never waits, never raises."""
        self._builder.attempts = self._attempts.failed
        record = self._builder.settle(outcome, self._clock.monotonic_ns(), error)
        if record is None:
            return
        self._response = self._builder.response()
        self._error = error
        self._ready = iter(())
        self._keep(self._recorder.submit, record)
        self._span.end(record)
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

    def _note_handler_error(self) -> None:
        self._builder.handler_errors += 1

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
