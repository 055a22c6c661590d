"""Records as a file, streamed."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from freeplay_like.server.api.operations import PROJECT, Ask, Query, operation
from freeplay_like.server.exports import FILE_FORMATS, FileFormat, file_of, writer_for
from freeplay_like.server.store.derived.filter_json import from_query

_QUERY: Final = (
    Query("format", "The form of the file.", {"type": "string", "enum": list(FILE_FORMATS), "default": "jsonl"}),
    Query("q", "Only calls of a filter as it is typed: model:gpt-4o latency:>2s."),
    Query("filters", "Only calls of a filter as JSON."),
    Query("from", "Only calls that began at this time or later."),
    Query("to", "Only calls that began before this time."),
)
_MEDIA_TYPES: Final = ("application/x-ndjson", "text/csv", "application/vnd.apache.parquet")


@operation("GET", f"{PROJECT}/export", scope="read", query=_QUERY, media_types=_MEDIA_TYPES)
def export_calls(ask: Ask[None]) -> Response:
    """The calls of a filter that have arrived by now, oldest first, as one file that comes while it is made.

    `jsonl` has a line for each call with all there is of it, `csv` and `parquet` a row with what most people ask for.
    A file that was not made to its end breaks off without the end of the answer: its reader must look for that. Every
    other name in the query is a field that calls are narrowed by (`model=gpt-4o`).
    """
    file_format = _format(ask)
    writer = writer_for(file_format)
    filter = from_query(ask.request.query_params.multi_items(), ignoring={"format"})
    return StreamingResponse(
        file_of(writer, ask.store.exports.calls(ask.project, filter)),
        media_type=writer.media_type,
        headers={"Content-Disposition": f'attachment; filename="calls-{ask.store.now():%Y-%m-%d}.{file_format}"'},
    )


OPERATIONS: Final = (export_calls,)


def _format(ask: Ask[None]) -> FileFormat:
    format = ask.query("format") or "jsonl"
    if format not in FILE_FORMATS:
        raise HTTPException(400, f"'format' is one of {', '.join(FILE_FORMATS)}, not {format[:100]!r}")
    return format
