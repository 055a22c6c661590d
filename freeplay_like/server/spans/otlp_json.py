"""Spans out of the JSON form of OTLP: ids are hex, 64-bit numbers are text or numbers, unknown fields are left out."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from typing import Final

import msgspec

from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
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

_KINDS: Final = {
    "SPAN_KIND_INTERNAL": 1,
    "SPAN_KIND_SERVER": 2,
    "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4,
    "SPAN_KIND_CONSUMER": 5,
}
_ERRORS: Final = (2, "STATUS_CODE_ERROR")
_LONGEST_NUMBER: Final = 20
"""How many characters a 64-bit number can have."""


class _Wire(msgspec.Struct, rename="camel"):
    pass


class _Array(_Wire):
    values: list[_Value] = []


class _Pairs(_Wire):
    values: list[_Pair] = []


class _Value(_Wire):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None


class _Pair(_Wire):
    key: str = ""
    value: _Value | None = None


class _Event(_Wire):
    time_unix_nano: int | str = 0
    name: str = ""
    attributes: list[_Pair] = []


class _Status(_Wire):
    code: int | str = 0
    message: str = ""


class _Span(_Wire):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: int | str = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_Pair] = []
    events: list[_Event] = []
    status: _Status | None = None


class _Scope(_Wire):
    name: str = ""
    version: str = ""


class _ScopeSpans(_Wire):
    scope: _Scope | None = None
    spans: list[_Span] = []


class _Resource(_Wire):
    attributes: list[_Pair] = []


class _ResourceSpans(_Wire):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] = []


class _Request(_Wire):
    resource_spans: list[_ResourceSpans] = []


def decode(body: bytes) -> Decoded:
    """The spans of an `ExportTraceServiceRequest`.

    Raises:
        WireError: the body is none.
    """
    return gathered(_spans(_request(body)))


def _request(body: bytes) -> _Request:
    try:
        return from_wire(body, _Request)
    except WireError as exc:
        problem = exc
    if b"\\ud" in body.lower():  # half an emoji, which a model can emit and JavaScript writes as an escape
        with contextlib.suppress(ValueError, RecursionError):
            return from_wire(to_wire(json.loads(body)), _Request)
    raise problem


def _spans(request: _Request) -> Iterator[Span | BadSpan]:
    for resource_spans in request.resource_spans:
        resource: JsonObject | BadSpan
        try:
            wire_attributes = resource_spans.resource.attributes if resource_spans.resource else []
            resource = checked_resource(_attributes(wire_attributes))
        except BadSpan as exc:
            resource = exc
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope or _Scope()
            for wire in scope_spans.spans:
                yield resource if isinstance(resource, BadSpan) else _span(wire, scope, resource)


def _span(wire: _Span, scope: _Scope, resource: JsonObject) -> Span | BadSpan:
    try:
        status = wire.status or _Status()
        ended_ns = _whole("endTimeUnixNano", wire.end_time_unix_nano)
        return checked(
            Span(
                trace_id=wire.trace_id.lower(),
                span_id=wire.span_id.lower(),
                parent_id=wire.parent_span_id.lower() if wire.parent_span_id.strip("0") else None,
                name=wire.name,
                kind=wire.kind if isinstance(wire.kind, int) else _KINDS.get(wire.kind, 0),
                started_ns=_whole("startTimeUnixNano", wire.start_time_unix_nano),
                ended_ns=ended_ns or None,
                is_error=status.code in _ERRORS,
                status_message=status.message,
                attributes=_attributes(wire.attributes),
                events=tuple(
                    SpanEvent(
                        name=event.name,
                        at_ns=_whole("timeUnixNano", event.time_unix_nano),
                        attributes=_attributes(event.attributes),
                    )
                    for event in wire.events
                ),
                resource=resource,
                scope=scope.name,
                scope_version=scope.version,
            )
        )
    except BadSpan as exc:
        return exc


def _attributes(pairs: list[_Pair]) -> JsonObject:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: _Value | None, depth: int = 0) -> JsonValue:
    if depth > DEPTH_LIMIT:
        raise BadSpan(f"an attribute is nested deeper than {DEPTH_LIMIT}")
    if value is None:
        return None
    if value.array_value is not None:
        return [_value(item, depth + 1) for item in value.array_value.values]
    if value.kvlist_value is not None:
        return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values}
    if value.int_value is not None:
        return _whole("intValue", value.int_value)
    if value.double_value is not None:
        return _double(value.double_value)
    return next((v for v in (value.string_value, value.bool_value, value.bytes_value) if v is not None), None)


def _whole(name: str, value: int | str) -> int:
    """A 64-bit number."""
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(value) <= _LONGEST_NUMBER):
            raise BadSpan(f"{name} is {value[:40]!r}; it is a whole number")
        value = int(value)
    if not -(2**63) <= value < 2**64:
        raise BadSpan(f"{name} does not fit into 64 bits")
    return value


def _double(value: float | str) -> JsonValue:
    """A number; the text of one that JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value
