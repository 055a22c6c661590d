"""Spans out of the protobuf form of OTLP. Its package is optional, and imported here when the first body comes."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from freeplay_like.core.wire import JsonObject, JsonValue, WireError
from freeplay_like.server.spans.span import (
    DEPTH_LIMIT,
    BadSpan,
    Decoded,
    Span,
    SpanEvent,
    checked,
    checked_resource,
    gathered,
)

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan


def decode(body: bytes) -> Decoded:
    """The spans of an `ExportTraceServiceRequest`.

    Raises:
        ImportError: `opentelemetry-proto` is not installed.
        WireError: the body is none.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as exc:
        raise WireError(str(exc)) from exc
    return gathered(_spans(request))


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span | BadSpan]:
    for resource_spans in request.resource_spans:
        resource: JsonObject | BadSpan
        try:
            resource = checked_resource(_attributes(resource_spans.resource.attributes))
        except BadSpan as exc:
            resource = exc
        for scope_spans in resource_spans.scope_spans:
            for wire in scope_spans.spans:
                yield resource if isinstance(resource, BadSpan) else _span(wire, scope_spans.scope, resource)


def _span(wire: WireSpan, scope: InstrumentationScope, resource: JsonObject) -> Span | BadSpan:
    try:
        return checked(
            Span(
                trace_id=wire.trace_id.hex(),
                span_id=wire.span_id.hex(),
                parent_id=wire.parent_span_id.hex() if any(wire.parent_span_id) else None,
                name=wire.name,
                kind=int(wire.kind),
                started_ns=wire.start_time_unix_nano,
                ended_ns=wire.end_time_unix_nano or None,
                is_error=wire.status.code == wire.status.STATUS_CODE_ERROR,
                status_message=wire.status.message,
                attributes=_attributes(wire.attributes),
                events=tuple(
                    SpanEvent(name=event.name, at_ns=event.time_unix_nano, attributes=_attributes(event.attributes))
                    for event in wire.events
                ),
                resource=resource,
                scope=scope.name,
                scope_version=scope.version,
            )
        )
    except BadSpan as exc:
        return exc


def _attributes(pairs: Iterable[KeyValue]) -> JsonObject:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue, depth: int = 0) -> JsonValue:
    if depth > DEPTH_LIMIT:
        raise BadSpan(f"an attribute is nested deeper than {DEPTH_LIMIT}")
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":  # JSON has no number for some
            return value.double_value if math.isfinite(value.double_value) else str(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value":
            return [_value(item, depth + 1) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values}
    return None
