"""One OpenTelemetry span a call, for programs that trace.

The program's own tracer provider is used; none is set here and nothing is configured. Where the program has none, there
is no span, and a call pays for looking. What a tracer does wrong is logged once, counted, and never reaches the call.

A span is current only while its call is being opened, so that the spans of the provider's client and of the HTTP
library become its children. No context token is kept: a stream may be left in another task than it was begun in, and a
token cannot be given back there. The span travels in the stream's own object.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

import attrs

from freeplay_like import __version__
from freeplay_like.core.records import Record
from freeplay_like.recording.base import Redact
from freeplay_like.session.span_attributes import (
    FAILED,
    Attributes,
    content_attributes,
    request_attributes,
    response_attributes,
    span_name,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

logger = logging.getLogger("freeplay_like")

CAPTURE_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The conventions' own switch: `true`, `span_only` or `span_and_event` puts contents on spans."""

_CAPTURES: Final = frozenset({"true", "span_only", "span_and_event"})
_PROVIDER_VARIABLE: Final = "OTEL_PYTHON_TRACER_PROVIDER"
_INACTIVE: Final = nullcontext()


class _Tracing:
    """The tracer of the provider that the program has set, and what went wrong with it."""

    def __init__(self) -> None:
        self.failures = 0
        self._provider: object = None
        self._tracer: Tracer | None = None
        self._is_broken = False

    def tracer(self) -> Tracer | None:
        """None where the program does not trace.

        Nobody can have set a provider whose package was never imported, but for the environment's word: so it is not
        imported here for nothing.
        """
        if "opentelemetry.trace" not in sys.modules and _PROVIDER_VARIABLE not in os.environ:
            return None
        if self._is_broken:
            return None
        try:
            return self._current_tracer()
        except Exception as exc:  # noqa: BLE001  (tracing never hurts the call)
            self._is_broken = True  # the environment names a provider that does not load, and never will
            self.note(exc)
            return None

    def _current_tracer(self) -> Tracer | None:
        from opentelemetry import trace

        provider = trace.get_tracer_provider()
        if provider is not self._provider:
            is_nothing = isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider))
            self._tracer = None if is_nothing else provider.get_tracer("freeplay_like", __version__)
            self._provider = provider
        return self._tracer

    def note(self, exc: Exception) -> None:
        """Count a failure of the tracer, and log the first."""
        self.failures += 1
        if self.failures == 1:
            logger.warning("tracing failed, and goes on failing in silence; calls are not affected", exc_info=exc)


tracing: Final = _Tracing()


class CallSpan:
    """The span of one call. No method raises, and all do nothing where the program does not trace.

    `trace_id` (32 hex digits) and `span_id` (16) are None then.
    """

    def __init__(self, span: Span | None = None, redact: Redact | None = None) -> None:
        self._span = span
        self._redact = redact
        self.trace_id: str | None = None
        self.span_id: str | None = None
        context = None if span is None else span.get_span_context()
        if context is not None and context.is_valid:
            self.trace_id = f"{context.trace_id:032x}"
            self.span_id = f"{context.span_id:016x}"

    def marked(self, record: Record) -> Record:
        """The record with the ids of its span."""
        if self.trace_id is None:
            return record
        return attrs.evolve(record, otel_trace_id=self.trace_id, otel_span_id=self.span_id)

    def active(self) -> AbstractContextManager[None]:
        """Makes the span the current one inside a `with`: around opening the call, in the task that opens it."""
        return _INACTIVE if self._span is None else _active(self._span)

    def end(self, record: Record) -> None:
        """The call has ended as the record says. Only the first one counts."""
        span, self._span = self._span, None
        if span is None:
            return
        try:
            try:
                if span.is_recording():
                    self._describe(span, record)
            finally:
                span.end()
        except Exception as exc:  # noqa: BLE001  (tracing never hurts the call)
            tracing.note(exc)

    def _describe(self, span: Span, record: Record) -> None:
        from opentelemetry.trace import StatusCode

        span.set_attributes({**self._contents(record), **response_attributes(record)})
        if record.outcome in FAILED:
            # Without a description: an error's message may quote the conversation. The record has it.
            span.set_status(StatusCode.ERROR)

    def _contents(self, record: Record) -> Attributes:
        """Variables and messages where they are asked for, after the user's hook; a hook that fails lets nothing by."""
        if os.environ.get(CAPTURE_VARIABLE, "").strip().lower() not in _CAPTURES:
            return {}
        try:
            kept = record if self._redact is None else self._redact(record)
        except Exception as exc:  # noqa: BLE001  (a hook that fails must not let contents through, nor fail the call)
            tracing.note(exc)
            return {}
        return content_attributes(kept) if isinstance(kept, Record) else {}


NO_SPAN: Final = CallSpan()


def start_span(record: Record, redact: Redact | None = None) -> CallSpan:
    """Begin the span of a call that is about to be made. Never raises.

    Args:
        record: as it stands before the request leaves.
        redact: the user's hook, which contents pass before they go on a span.
    """
    tracer = tracing.tracer()
    if tracer is None:
        return NO_SPAN
    try:
        from opentelemetry.trace import SpanKind

        span = tracer.start_span(span_name(record), kind=SpanKind.CLIENT, attributes=request_attributes(record))
        return CallSpan(span, redact)
    except Exception as exc:  # noqa: BLE001  (tracing never hurts the call)
        tracing.note(exc)
        return NO_SPAN


@contextmanager
def _active(span: Span) -> Iterator[None]:
    """Puts back by hand what was current, and only where the span still is: never in a context that is not its own."""
    from opentelemetry import context
    from opentelemetry.trace import set_span_in_context

    before = context.get_current()
    ours = set_span_in_context(span, before)
    context.attach(ours)
    try:
        yield
    finally:
        if context.get_current() is ours:
            context.attach(before)
