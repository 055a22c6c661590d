"""Answers that have begun: their bytes, the errors that break them off, and letting go of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeAlias

import attrs

from freeplay_like.clock import SystemClock
from freeplay_like.errors import ProviderError, ProviderTimeout, ProviderUnavailable, StreamCancelled
from freeplay_like.flavors.reading import error_fields, error_for_status, is_retryable

ErrorTable: TypeAlias = tuple[tuple[type[Exception], type[ProviderError] | None], ...]
"""The provider client's errors and ours, most specific first; None: its HTTP status decides."""


class HttpRequest(Protocol):
    """What is used of the HTTP library's own request."""

    extensions: dict[str, object]


class HttpResponse(Protocol):
    """What is used of the HTTP library's own response."""

    is_closed: bool
    is_stream_consumed: bool
    extensions: dict[str, object]

    @property
    def request(self) -> HttpRequest:
        """The request that is being answered."""
        ...


class SyncHttpResponse(HttpResponse, Protocol):
    """The same with its body, as it comes over the wire; who reads it there closes the response afterwards."""

    stream: Iterable[bytes]


class AsyncHttpResponse(HttpResponse, Protocol):
    """The async twin of `SyncHttpResponse`."""

    stream: AsyncIterable[bytes]


class SyncResponse(Protocol):
    """What the clients' `with_streaming_response` gives (the same in both)."""

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, from the headers."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The head of the answer; names are looked up in any case and listed in lower case."""
        ...

    @property
    def http_response(self) -> SyncHttpResponse:
        """The response below it."""
        ...

    def iter_bytes(self) -> Iterator[bytes]:
        """The body, decompressed, as it comes."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class AsyncResponse(Protocol):
    """The async twin of `SyncResponse`."""

    @property
    def http_response(self) -> AsyncHttpResponse:
        """The response below it."""
        ...

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, from the headers."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The head of the answer; names are looked up in any case and listed in lower case."""
        ...

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """The body, decompressed, as it comes."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class SyncOpened(Protocol):
    """Sends the request when it is entered."""

    def __enter__(self) -> SyncResponse: ...


class AsyncOpened(Protocol):
    """The async twin of `SyncOpened`."""

    async def __aenter__(self) -> AsyncResponse: ...


# --- errors -----------------------------------------------------------------------------------------------


@attrs.frozen
class ErrorMap:
    """Turns what a provider's client raises into `ProviderError`, with the table of one flavor."""

    table: ErrorTable
    provider: str
    endpoint: str
    model: str | None

    def translate(self, exc: Exception, request_id: str | None = None) -> ProviderError | None:
        """The error to raise from `exc`, None where the table does not know it."""
        row = next((row for row in self.table if isinstance(exc, row[0])), None)
        if row is None:
            return None
        status = getattr(exc, "status_code", None)
        message, code, kind = error_fields(getattr(exc, "body", None))
        error_type = row[1] or error_for_status(status or 500, code, kind, message=message)
        what = "failed" if status is None else f"answered {status}"
        return error_type(
            f"{self.provider} ({self.endpoint}) {what}: {message or _in_words(exc)}",
            provider=self.provider,
            model=self.model,
            status=status,
            code=code or kind,
            request_id=getattr(exc, "request_id", None) or request_id,
            retryable=is_retryable(error_type, code or kind),
            retry_after_s=_retry_after_s(getattr(getattr(exc, "response", None), "headers", {})),
        )

    def late(self, what: str, request_id: str | None = None) -> ProviderTimeout:
        """The error for a limit of ours that was passed."""
        return ProviderTimeout(
            f"{self.provider} ({self.endpoint}) failed: {what}",
            provider=self.provider,
            model=self.model,
            request_id=request_id,
            retryable=True,
        )


def _in_words(exc: Exception) -> str:
    """The error, and what lies beneath it: the clients say no more than "Connection error."."""
    said = str(exc) or type(exc).__name__
    cause = exc.__cause__
    return said if cause is None else f"{said} ({str(cause) or type(cause).__name__})"


def transport_errors() -> ErrorTable:
    """Errors of the HTTP library that the clients let through in the middle of a body."""
    import httpx2

    return ((httpx2.TimeoutException, ProviderTimeout), (httpx2.HTTPError, ProviderUnavailable))


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `retry-after-ms`, or from `retry-after` as seconds or as a date."""
    in_ms, in_s = _number(headers.get("retry-after-ms")), _number(headers.get("retry-after"))
    if in_ms is not None:
        return in_ms / 1000
    if in_s is not None:
        return in_s
    try:
        at = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, (at - SystemClock().now()).total_seconds()) if at.tzinfo else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


# --- connections ------------------------------------------------------------------------------------------


def read_body_within(response: SyncResponse | AsyncResponse, read_s: float | None) -> None:
    """Let the body be silent for `read_s` at a time, whatever limit held for the head; None is no limit.

    The HTTP library looks its limits up in the request again when the reading of the body begins.
    """
    limits = response.http_response.request.extensions.get("timeout")
    if isinstance(limits, dict):
        limits["read"] = read_s


def _is_read_as_sent(response: SyncResponse | AsyncResponse) -> bool:
    """Whether the bytes on the wire are the body's own, and can be read below the clients' layers.

    Those layers decode and cut to size, each with a generator of its own, at a twelfth of what a chunk costs in all.
    """
    encoding = response.headers.get("content-encoding", "identity")
    return encoding.strip().lower() in ("", "identity") and not response.http_response.is_stream_consumed


class HttpConnection:
    """A `Connection` over a client's streamed response. `owner` closes the client when it goes, and so is held."""

    def __init__(self, response: SyncResponse, errors: ErrorMap, owner: object) -> None:
        self.request_id = response.request_id
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._errors = errors
        self._owner = owner
        is_direct = _is_read_as_sent(response)
        self._body = iter(response.http_response.stream) if is_direct else response.iter_bytes()
        self._is_closed = False
        self._is_reading = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._is_reading = True
        try:
            return next(self._body)
        except StopIteration:
            self._response.close()  # the connection goes back to the pool
            raise
        except Exception as exc:
            self._response.close()
            raise _while_reading(exc, self._errors, self.request_id, is_closed=self._is_closed) from exc
        finally:
            self._is_reading = False

    def close(self) -> None:
        """Close the TCP connection now, if the body was not read to its end."""
        self._is_closed = True
        if self._is_reading:
            # Another thread waits for bytes. Closing the socket under it would not wake it; shutting it down does,
            # and that thread then lets go of the response.
            _shut_down(self._response.http_response)
        else:
            self._response.close()


def _shut_down(response: HttpResponse) -> None:
    stream = response.extensions.get("network_stream")
    get_extra_info = getattr(stream, "get_extra_info", None)
    connection = None if get_extra_info is None else get_extra_info("socket")
    if isinstance(connection, socket.socket) and not response.is_closed:
        try:
            # Not SSLSocket.shutdown, which takes the TLS state away from the thread that reads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
        except OSError:
            return  # it is closed already, which is what was wanted


class AsyncHttpConnection:
    """The async twin of `HttpConnection`. It looks for silence of `read_s` itself, with one timer for all its reads:
    the HTTP library's timer for each read costs a tenth of what a streamed chunk costs in all."""

    def __init__(self, response: AsyncResponse, errors: ErrorMap, owner: object, read_s: float) -> None:
        self.request_id = response.request_id
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._errors = errors
        self._owner = owner
        is_direct = _is_read_as_sent(response)
        self._body = aiter(response.http_response.stream) if is_direct else response.iter_bytes()
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._read_s = read_s
        self._waits_since: float | None = None
        self._closing: asyncio.Task[None] | None = None
        self._look_again(read_s)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._waits_since = self._loop.time()
        try:
            return await anext(self._body)
        except StopAsyncIteration:
            await self._close()  # the connection goes back to the pool
            raise
        except Exception as exc:
            await self._close()
            if self._closing is not None:
                raise self._errors.late(f"its answer was silent for {self._read_s:g} s", self.request_id) from exc
            raise _while_reading(exc, self._errors, self.request_id, is_closed=self._is_closed) from exc
        finally:
            self._waits_since = None

    async def aclose(self) -> None:
        """Close the TCP connection now, if the body was not read to its end."""
        self._is_closed = True
        await self._close()
        if self._waits_since is None and isinstance(self._body, AsyncGenerator):
            await self._body.aclose()

    async def _close(self) -> None:
        self._timer.cancel()
        await self._response.close()

    def _look_again(self, after_s: float) -> None:
        # By its timer the loop holds the connection until it is closed: the garbage collector, finding a dropped stream
        # in a cycle, would end the HTTP library's generators all at once and in each other's way.
        self._timer = self._loop.call_later(after_s, self._look)

    def _look(self) -> None:
        """Close the connection under a reader who has waited for too long."""
        since = self._waits_since
        left_s = self._read_s if since is None else since + self._read_s - self._loop.time()
        if left_s > 0:
            self._look_again(left_s)
        else:
            self._closing = self._loop.create_task(self._response.close())


def _while_reading(exc: Exception, errors: ErrorMap, request_id: str | None, *, is_closed: bool) -> Exception:
    """What to raise from an error in the middle of a body."""
    if is_closed:
        return StreamCancelled("the connection was closed while its answer was being read")
    return errors.translate(exc, request_id) or ProviderUnavailable(
        f"{errors.provider}: reading the answer failed: {exc!r}",
        provider=errors.provider,
        model=errors.model,
        request_id=request_id,
        retryable=True,
    )
