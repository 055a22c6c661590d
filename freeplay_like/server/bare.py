"""The addresses of the API that are answered by themselves and not through an `Operation`, for its description."""

from __future__ import annotations

from typing import Annotated, Final

import attrs
import msgspec

from freeplay_like.core.records import Amendment, Record
from freeplay_like.server import otlp
from freeplay_like.server.api.openapi import PATH, Bare
from freeplay_like.server.api.operations import PROJECT
from freeplay_like.server.intake import BODY_LIMIT_BYTES, RECORDS_LIMIT
from freeplay_like.server.store.views import Sender


@attrs.frozen(kw_only=True)
class RecordBatch:
    """Records, and what is said of records. Each is read and judged by itself."""

    records: Annotated[list[Record], msgspec.Meta(max_length=RECORDS_LIMIT)]
    amendments: Annotated[list[Amendment], msgspec.Meta(max_length=RECORDS_LIMIT)] = attrs.field(factory=list)
    sender: Sender | None = None


@attrs.frozen(kw_only=True)
class RejectedRecord:
    """A record that was not stored: its place in the batch, its id if it could be read, and why."""

    index: int
    record_id: str | None
    message: str


@attrs.frozen(kw_only=True)
class RejectedAmendment:
    """An amendment that was not stored; as `RejectedRecord`."""

    index: int
    amendment_id: str | None
    message: str


@attrs.frozen(kw_only=True)
class BatchAnswer:
    """What became of a batch, once it was committed."""

    stored: int
    duplicates: int
    rejected: list[RejectedRecord]
    amendments_stored: int
    amendments_duplicates: int
    amendments_rejected: list[RejectedAmendment]


BARE: Final = (
    Bare(
        method="POST",
        path=f"{PROJECT}/records:batch",
        name="send_records",
        about="Store records and what is said of records, once each by their ids; answered once they are committed.",
        scope="ingest",
        body=RecordBatch,
        returns=BatchAnswer,
        body_limit_bytes=BODY_LIMIT_BYTES,
    ),
    *(
        Bare(
            method="POST",
            path=path,
            name=f"take_{what.replace(' ', '_')}",
            about=about,
            scope="ingest",
            body=dict[str, object],
            returns=dict[str, object],
            body_limit_bytes=otlp.BODY_LIMIT_BYTES,
        )
        for paths, what, about in (
            (otlp.TRACES_PATHS, "spans", "Store OpenTelemetry spans (OTLP, as JSON or protobuf)."),
            (otlp.METRICS_PATHS, "metrics", "OpenTelemetry metrics: not kept; the sender is told so."),
            (otlp.LOGS_PATHS, "log records", "OpenTelemetry log records: not kept; the sender is told so."),
        )
        for path in paths
    ),
    Bare(method="GET", path="/healthz", name="can_take", about="Whether records can be taken.", is_open=True),
    Bare(method="GET", path="/readyz", name="can_show", about="Whether questions are answered.", is_open=True),
    Bare(
        method="GET",
        path="/metrics",
        name="metrics",
        about="Figures for Prometheus.",
        media_types=("text/plain",),
        is_open=True,
    ),
    Bare(method="GET", path=PATH, name="describe", about="This description.", is_open=True),
)
"""All of them."""
