"""What every reader of answers does alike: events out of bytes, whole bodies, and failures told in the body."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.sse import MAX_EVENT_BYTES, SseError, SseEvent, SseParser
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire
from freeplay_like.errors import (
    ContextLengthExceeded,
    ProviderDenied,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResponseError,
    ProviderTimeout,
    ProviderUnavailable,
)
from freeplay_like.flavors.base import Request

T = TypeVar("T")

_SSE_STARTS: Final = (b":", b"data", b"event", b"id", b"retry")
_SHOWN_EVENT: Final = 200
_SHOWN_BODY: Final = 500
_OK: Final = 200
"""The status of every answer that is read here: for any other the connection is not opened."""

NOT_RETRYABLE_CODES: Final = frozenset({"insufficient_quota"})
"""Codes of refusals that come as 429, and that waiting does not help."""

_ERROR_TYPES: Final[dict[str, type[ProviderError]]] = {
    "rate_limit_error": ProviderRateLimited,
    "rate_limit_exceeded": ProviderRateLimited,
    "insufficient_quota": ProviderRateLimited,
    "timeout_error": ProviderTimeout,
    "timeout": ProviderTimeout,
    "server_error": ProviderUnavailable,
    "internal_server_error": ProviderUnavailable,
    "service_unavailable": ProviderUnavailable,
    "api_error": ProviderUnavailable,
    "overloaded_error": ProviderUnavailable,
    "invalid_request_error": ProviderRejected,
    "authentication_error": ProviderDenied,
    "invalid_api_key": ProviderDenied,
    "permission_error": ProviderDenied,
    "billing_error": ProviderRejected,
    "not_found_error": ProviderRejected,
    "request_too_large": ProviderRejected,
    "context_length_exceeded": ContextLengthExceeded,
    "model_context_window_exceeded": ContextLengthExceeded,
    "exceed_context_size_error": ContextLengthExceeded,
    "content_filter": ProviderRejected,
}

_TOO_LONG: Final = (
    "prompt is too long",
    "exceed context limit",
    "maximum context length",
    "exceeds the context window",
)
"""What refusals say that have no code for it: Anthropic's (the first two), vLLM's, OpenAI's."""

_RETRYABLE: Final = (ProviderRateLimited, ProviderTimeout, ProviderUnavailable)


def error_for_status(status: int, *names: str | None, message: str | None = None) -> type[ProviderError]:
    """The error of an HTTP status that is not 2xx; `names` (code and type) and message tell refusals apart."""
    if status == 429:
        return ProviderRateLimited
    if status in (408, 409, 425) or status >= 500:
        return ProviderUnavailable
    if status in (401, 403):
        return ProviderDenied
    return ContextLengthExceeded if _is_too_long(names, message) else ProviderRejected


def _is_too_long(names: Sequence[str | None], message: str | None) -> bool:
    said = (message or "").lower()
    by_name = any(_ERROR_TYPES.get(name or "") is ContextLengthExceeded for name in names)
    return by_name or any(words in said for words in _TOO_LONG)


def is_retryable(kind: type[ProviderError], code: str | None) -> bool:
    """Whether the same request may succeed later."""
    return issubclass(kind, _RETRYABLE) and code not in NOT_RETRYABLE_CODES


def error_fields(body: JsonValue) -> tuple[str | None, str | None, str | None]:
    """Message, code and type out of an error's body: `{"error": {...}}`, `{"error": "text"}`, or the inner object."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, str):
        return inner or None, None, None
    if not isinstance(inner, dict):
        return None, None, None
    message, code, kind = inner.get("message"), inner.get("code"), inner.get("type")
    return (
        message if isinstance(message, str) and message else None,
        str(code) if isinstance(code, (str, int)) and code != "" else None,
        kind if isinstance(kind, str) and kind else None,
    )


class AnswerReader(ABC):
    """A `Reader` of one wire format; subclasses say what an event and what a whole body mean."""

    def __init__(self, request: Request, provider: str) -> None:
        self._provider = provider
        self._model = request.model
        self._is_stream = request.is_stream
        self._parser = SseParser()
        self._body = bytearray()
        self._has_events = False
        self._is_done = False

    @abstractmethod
    def _read_event(self, event: SseEvent) -> Sequence[CompletionChunk]:
        """The chunks of one event that has data and is no error; sets `_is_done` where it is the last."""

    @abstractmethod
    def _read_body(self, body: bytes) -> Sequence[CompletionChunk]:
        """The chunks of an answer that came whole."""

    def feed(self, data: bytes) -> Iterator[CompletionChunk]:
        """The chunks that these bytes complete."""
        if not self._has_events and not (self._is_stream and len(self._body) > MAX_EVENT_BYTES):
            self._body += data
        if not self._is_stream or self._is_done:
            return iter(())
        return self._read_events(self._parser.feed(data))

    def end(self) -> Iterator[CompletionChunk]:
        """The chunks of an answer that came whole, whether or not a stream was asked for.

        A stream that ends early ends without chunks: its finish reason is missing.
        """
        body = bytes(self._body).strip()
        if self._has_events or (self._is_stream and (not body or body.startswith(_SSE_STARTS))):
            return iter(())
        self._is_done = True
        return iter(self._read_body(body))

    def _read_events(self, events: Iterable[SseEvent]) -> Iterator[CompletionChunk]:
        try:
            for event in events:
                if not self._has_events:
                    self._has_events = True
                    self._body.clear()
                if event.event == "error":
                    raise self._failure(event.data)
                if event.data:
                    yield from self._read_event(event)
                if self._is_done:
                    return
        except SseError as exc:
            raise self._unreadable(str(exc)) from exc

    # --- decoding, and what is raised where it fails ---

    def _decoded(self, event: SseEvent, decoder: msgspec.json.Decoder[T]) -> T:
        try:
            return decoder.decode(event.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            shown = event.data[:_SHOWN_EVENT].decode("utf-8", "replace")
            raise self._unreadable(f"an event of the stream cannot be read ({exc}): {shown!r}") from exc

    def _decoded_body(self, body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise self._not_an_answer(body) from exc

    def _not_an_answer(self, body: bytes) -> ProviderResponseError:
        shown = body[: _SHOWN_BODY * 4].decode("utf-8", "replace")[:_SHOWN_BODY]
        return self._unreadable(f"status 2xx with a body that is not an answer: {shown!r}")

    def _unreadable(self, what: str) -> ProviderResponseError:
        return ProviderResponseError(
            f"{self._provider}: {what}", provider=self._provider, model=self._model, status=_OK
        )

    def _failure(self, data: bytes) -> ProviderError:
        """The error that the provider reported in the body of an answer that began well."""
        try:
            body: JsonValue = from_wire(data, object)
        except WireError:
            body = data[:_SHOWN_BODY].decode("utf-8", "replace")
        message, code, kind = error_fields(body)
        by_name = _ERROR_TYPES.get(code or "") or _ERROR_TYPES.get(kind or "")
        if by_name is None and code is not None and code.isdecimal() and 400 <= int(code) < 600:
            by_name = error_for_status(int(code))
        if by_name in (None, ProviderRejected) and _is_too_long((code, kind), message):
            by_name = ContextLengthExceeded
        error_type = by_name or ProviderError
        request_id = body.get("request_id") if isinstance(body, dict) else None
        return error_type(
            f"{self._provider} reported a failure in its answer: {message or 'no message'}",
            provider=self._provider,
            model=self._model,
            code=code or kind,
            request_id=request_id if isinstance(request_id, str) else None,
            retryable=is_retryable(error_type, code or kind),
        )


def count(value: JsonValue) -> int | None:
    """A token count, None where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def part(value: JsonValue, name: str) -> JsonObject:
    """The object under `name`, empty where there is none."""
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}
