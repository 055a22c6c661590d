"""A span as it came, whichever form it came in, and what is asked of it before it is kept.

Attributes stay the flat list that they are on the wire: a key such as `a.b`, `__proto__` or one of ten thousand dots is
a text to be compared with, and never leads into anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue, to_wire

SPANS_LIMIT: Final = 10_000
"""The most spans of one request."""
ATTRIBUTES_LIMIT: Final = 4_000
"""The most attributes of one span, of its resource, or of one of its events."""
RESOURCE_LIMIT_BYTES: Final = 16 * 1024
EVENTS_LIMIT: Final = 4_000
KEY_LIMIT: Final = 1_000
"""The most characters of an attribute's key."""
DEPTH_LIMIT: Final = 32
"""How deep the value of an attribute may be nested."""
NAME_LIMIT: Final = 1_000
"""The most characters of a span's name that are kept beside the span itself."""

_HEX: Final = re.compile(r"[0-9a-f]+")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS: Final = 2**64 - 1


class BadSpan(ValueError):
    """A span that cannot be kept; the message says why."""


@attrs.frozen(kw_only=True)
class SpanEvent:
    """Something that happened while a span ran; `at_ns` counts nanoseconds since 1970."""

    name: str
    at_ns: int
    attributes: JsonObject


@attrs.frozen(kw_only=True)
class Span:
    """One span. Ids are hex, times nanoseconds since 1970 (`ended_ns` None where it was not said).

    `kind` is OTLP's number (3 is a client's). `resource` holds the attributes of whatever the span came from, `scope`
    names the library that made it.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: int
    started_ns: int
    ended_ns: int | None
    is_error: bool
    status_message: str
    attributes: JsonObject
    events: tuple[SpanEvent, ...]
    resource: JsonObject
    scope: str
    scope_version: str

    @property
    def started_at(self) -> datetime:
        """When it began, in UTC."""
        return moment(self.started_ns)

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, in UTC."""
        return None if self.ended_ns is None else moment(self.ended_ns)


def moment(ns: int) -> datetime:
    """The time of nanoseconds since 1970, as exact as a datetime is."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def checked(span: Span) -> Span:
    """The span.

    Raises:
        BadSpan: its ids, times or size are none that can be kept.
    """
    _check_id("traceId", span.trace_id, 32)
    _check_id("spanId", span.span_id, 16)
    if span.parent_id is not None:
        _check_id("parentSpanId", span.parent_id, 16)
    if not 0 < span.started_ns <= _LAST_NS:
        raise BadSpan(f"startTimeUnixNano is {span.started_ns}; a span began at some time after 1970")
    if span.ended_ns is not None and not 0 < span.ended_ns <= _LAST_NS:
        raise BadSpan(f"endTimeUnixNano is {span.ended_ns}; a span ends at some time after 1970")
    if len(span.events) > EVENTS_LIMIT:
        raise BadSpan(f"it has {len(span.events)} events; at most {EVENTS_LIMIT} are kept")
    for attributes in (span.attributes, *(event.attributes for event in span.events)):
        _check_attributes(attributes)
    return span


def checked_resource(attributes: JsonObject) -> JsonObject:
    """The attributes of a resource, which are kept with each of its spans.

    Raises:
        BadSpan: they are too many for that.
    """
    _check_attributes(attributes)
    size = len(to_wire(attributes))
    if size > RESOURCE_LIMIT_BYTES:
        raise BadSpan(f"the attributes of its resource have {size} bytes; at most {RESOURCE_LIMIT_BYTES} are kept")
    return attributes


def _check_id(name: str, value: str, length: int) -> None:
    if len(value) != length or not _HEX.fullmatch(value) or not value.strip("0"):
        raise BadSpan(f"{name} is {value[:40]!r}; it has {length} hex digits, not all of them 0")


def _check_attributes(attributes: Mapping[str, JsonValue]) -> None:
    if len(attributes) > ATTRIBUTES_LIMIT:
        raise BadSpan(f"it has {len(attributes)} attributes in one place; at most {ATTRIBUTES_LIMIT} are kept")
    longest = max(map(len, attributes), default=0)
    if longest > KEY_LIMIT:
        raise BadSpan(f"the key of an attribute has {longest} characters; at most {KEY_LIMIT} are kept")


@attrs.frozen(kw_only=True)
class Decoded:
    """The spans of a request, and why the others of it cannot be kept."""

    spans: tuple[Span, ...]
    refusals: tuple[str, ...]


def gathered(spans: Iterable[Span | BadSpan]) -> Decoded:
    """The spans that can be kept, at most `SPANS_LIMIT`, and the reasons of the others."""
    kept: list[Span] = []
    refusals: list[str] = []
    for span in spans:
        if isinstance(span, BadSpan):
            refusals.append(str(span))
        elif len(kept) >= SPANS_LIMIT:
            refusals.append(f"the request has more than {SPANS_LIMIT} spans: send fewer at once")
        else:
            kept.append(span)
    return Decoded(spans=tuple(kept), refusals=tuple(refusals))
