"""The trace that a call belongs to: its spans as OpenTelemetry sent them, each with its bar. Pure."""

from __future__ import annotations

from typing import Final

import attrs

from freeplay_like.server.pages.call.timeline import bar
from freeplay_like.server.store.records.spans import SpanTree

ROWS_LIMIT: Final = 200
"""The most spans that a page shows."""

DEEPEST: Final = 12
"""Deeper spans are not indented any further."""


@attrs.frozen(kw_only=True)
class SpanLine:
    """A span on the page. `depth` is how far it is indented, `record_id` the call it belongs to."""

    name: str
    role: str
    depth: int
    record_id: str | None
    is_here: bool
    started_ms: float
    took_ms: float
    x: float
    width: float


@attrs.frozen(kw_only=True)
class TraceView:
    """The spans of a trace, in the order of their tree; `left_out` counts those that are not shown."""

    trace_id: str
    lines: tuple[SpanLine, ...]
    left_out: int
    has_more: bool


def trace_of(trace_id: str, tree: SpanTree, record_id: str) -> TraceView | None:
    """The trace as the page shows it, None where nothing is known of it."""
    if not tree.spans:
        return None
    begin = min(span.started_at for span in tree.spans)
    total_ms = max((span.ended_at - begin).total_seconds() * 1000 for span in tree.spans)
    lines = []
    for span in tree.spans[:ROWS_LIMIT]:
        started_ms = (span.started_at - begin).total_seconds() * 1000
        took_ms = (span.ended_at - span.started_at).total_seconds() * 1000
        x, width = bar(started_ms, took_ms, total_ms)
        lines.append(
            SpanLine(
                name=span.name,
                role=span.role,
                depth=min(span.depth, DEEPEST),
                record_id=span.record_id,
                is_here=span.record_id == record_id,
                started_ms=started_ms,
                took_ms=took_ms,
                x=x,
                width=width,
            )
        )
    left_out = len(tree.spans) - len(lines)
    return TraceView(trace_id=trace_id, lines=tuple(lines), left_out=left_out, has_more=tree.has_more)
