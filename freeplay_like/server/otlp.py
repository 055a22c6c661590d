"""OTLP over HTTP: spans from programs that know nothing of us. Answered once they are committed.

Protobuf is answered in protobuf and JSON in JSON, errors too (`google.rpc.Status`), as the protocol wants it. The
package for protobuf is optional: without it JSON is taken, and a protobuf body is told what to install. Metrics and log
records are not kept, and their senders are told so, in a way that does not make them send again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from freeplay_like.core.wire import JsonObject, WireError, to_wire
from freeplay_like.server import http
from freeplay_like.server.auth import Keys, require_scope
from freeplay_like.server.checks import check_record
from freeplay_like.server.compression import decompressed
from freeplay_like.server.spans import otlp_json, otlp_protobuf
from freeplay_like.server.spans.calls import Reading, reading_of
from freeplay_like.server.spans.span import NAME_LIMIT, Span
from freeplay_like.server.spans.unkept import count_json, count_protobuf_logs, count_protobuf_metrics
from freeplay_like.server.state import State
from freeplay_like.server.store.records.spans import SpanDraft
from freeplay_like.server.store.views import ApiKey, Project, StoreBusy, StoreUnavailable

T = TypeVar("T")

logger = logging.getLogger(__name__)

BODY_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""The largest body, as it comes and decompressed."""
KEPT_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""The most JSON that the spans of one request come to: each is kept with the attributes of its resource."""
WAITING_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""The most that may be at work at once; more is refused, to be sent again later."""
RETRY_AFTER_S: Final = 1

TRACES_PATHS: Final = ("/v1/traces", "/api/v0/otel/v1/traces")
METRICS_PATHS: Final = ("/v1/metrics", "/api/v0/otel/v1/metrics")
LOGS_PATHS: Final = ("/v1/logs", "/api/v0/otel/v1/logs")

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_INSTALL: Final = (
    "this server takes OTLP as JSON alone: install its protobuf with `pip install 'freeplay-like[otel]'`, or let the "
    "sender use OTEL_EXPORTER_OTLP_PROTOCOL=http/json"
)
_NO_METRICS: Final = (
    "metrics are not kept here: what is counted is derived from the calls themselves. Send them elsewhere, or set "
    "OTEL_METRICS_EXPORTER=none"
)
_NO_LOGS: Final = (
    "log records are not kept here: let the instrumentation put contents on spans "
    "(OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only), or set OTEL_LOGS_EXPORTER=none"
)


class Otlp:
    """Takes spans for the store."""

    def __init__(self, state: State, keys: Keys) -> None:
        self._state = state
        self._keys = keys
        self._waiting_bytes = 0
        self.unreadable = 0
        """How many spans could not be read."""

    def routes(self) -> list[Route]:
        """Where it listens: where OTLP wants it, and where Freeplay has it."""
        answers: Sequence[tuple[tuple[str, ...], Callable[[Request], Awaitable[Response]]]] = (
            (TRACES_PATHS, self._told(self._take)),
            (METRICS_PATHS, self._told(self._decline(_NO_METRICS, "rejectedDataPoints", count_protobuf_metrics))),
            (LOGS_PATHS, self._told(self._decline(_NO_LOGS, "rejectedLogRecords", count_protobuf_logs))),
        )
        return [Route(path, answer, methods=["POST"]) for paths, answer in answers for path in paths]

    def _told(self, take: Callable[[Request, str], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Answer in the form that was spoken, errors too."""

        async def answer(request: Request) -> Response:
            form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            try:
                return await take(request, form)
            except HTTPException as exc:
                refused = exc
            except StoreBusy as exc:
                refused = HTTPException(429, str(exc), {"Retry-After": str(RETRY_AFTER_S)})
            except StoreUnavailable as exc:
                refused = HTTPException(503, str(exc), {"Retry-After": str(RETRY_AFTER_S)})
            if form == _PROTOBUF:
                status = _field(2, refused.detail.encode())
                return Response(status, refused.status_code, refused.headers, media_type=_PROTOBUF)
            return http.json_error(refused.status_code, refused.detail, refused.headers)

        return answer

    async def _key(self, request: Request) -> ApiKey:
        key = await self._keys.find(request.scope["headers"])
        require_scope(key, "ingest")
        return key

    async def _take(self, request: Request, form: str) -> Response:
        key = await self._key(request)
        body, headers = await _body_of(request, form)
        if self._waiting_bytes and self._waiting_bytes + len(body) > WAITING_LIMIT_BYTES:
            raise StoreBusy(f"{self._waiting_bytes} bytes of spans wait to be stored already; send again later")
        self._waiting_bytes += len(body)
        try:
            refusals = await run_in_threadpool(self._save, body, headers, form, key)
        finally:
            self._waiting_bytes -= len(body)
        self._state.news.announce()
        return _accepted(form, "rejectedSpans", len(refusals), refusals[0] if refusals else "")

    def _save(self, body: bytes, headers: http.RawHeaders, form: str, key: ApiKey) -> Sequence[str]:
        """Keep the spans of a body; answers why each of the others cannot be kept."""
        decoded = _decoded(otlp_protobuf.decode if form == _PROTOBUF else otlp_json.decode, body, headers)
        drafts, size = [], 0
        refusals = list(decoded.refusals)
        for span in decoded.spans:
            draft = self._draft(span, key.project)
            size += len(draft.body)
            if size > KEPT_LIMIT_BYTES:
                refusals.append(f"the spans of the request come to more than {KEPT_LIMIT_BYTES} bytes: send fewer")
            else:
                drafts.append(draft)
        if drafts:
            self._state.store.spans.save(key.project, drafts, api_key_id=key.key_id)
        return refusals

    def _draft(self, span: Span, project: Project) -> SpanDraft:
        reading = self._reading(span, project)
        return SpanDraft(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_id=span.parent_id,
            role=reading.role,
            name=_column(span.name),
            scope=_column(span.scope),
            session_id=reading.session_id,
            started_at=span.started_at,
            ended_at=span.ended_at,
            record=reading.record,
            record_id=reading.record_id,
            body=to_wire(span),
        )

    def _reading(self, span: Span, project: Project) -> Reading:
        """What the span is. One that cannot be read is kept all the same: a better reader can look at it again."""
        try:
            reading = reading_of(span, project.id)
            if reading.record is not None:
                check_record(reading.record, project)
        except Exception:
            self.unreadable += 1
            if self.unreadable == 1:
                logger.exception(
                    "a span of %r could not be read, and is kept as it is; so are others", span.scope[:100]
                )
            return Reading(role="plain")
        return reading

    def _decline(
        self, why: str, name: str, count: Callable[[bytes], int]
    ) -> Callable[[Request, str], Awaitable[Response]]:
        """Take a body that is not kept, and say how much was in it; `count` counts its protobuf form."""

        async def take(request: Request, form: str) -> Response:
            await self._key(request)
            body, headers = await _body_of(request, form)

            def counted() -> int:
                return _decoded(count if form == _PROTOBUF else count_json, body, headers)

            return _accepted(form, name, await run_in_threadpool(counted), why)

        return take


async def _body_of(request: Request, form: str) -> tuple[bytes, http.RawHeaders]:
    """The body as it came, if it can be OTLP at all."""
    if form not in (_PROTOBUF, _JSON):
        raise HTTPException(415, f"content type {form[:100]!r} is not OTLP; send {_PROTOBUF} or {_JSON}")
    headers = request.scope["headers"]
    return await http.read_body(headers, request.receive, BODY_LIMIT_BYTES), headers


def _decoded(decode: Callable[[bytes], T], body: bytes, headers: http.RawHeaders) -> T:
    data = decompressed(body, headers, BODY_LIMIT_BYTES)
    try:
        return decode(data)
    except ImportError as exc:
        raise HTTPException(415, _INSTALL) from exc
    except WireError as exc:
        raise HTTPException(400, f"the body is not what OTLP sends here: {exc}") from exc


def _column(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:NAME_LIMIT]


def _accepted(form: str, name: str, rejected: int, message: str) -> Response:
    """The answer to what was taken, with how much of it was not, and why."""
    if form == _PROTOBUF:
        partial = b""
        if rejected:
            partial = _field(1, b"\x08" + _varint(rejected) + _field(2, message.encode()))
        return Response(partial, media_type=_PROTOBUF)
    said: JsonObject = {"partialSuccess": {name: str(rejected), "errorMessage": message}} if rejected else {}
    return http.json_response(said)


def _field(number: int, data: bytes) -> bytes:
    """A field of bytes in protobuf: two of them are no reason to need the package for an answer."""
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
