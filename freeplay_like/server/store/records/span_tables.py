"""The table of OpenTelemetry's spans: each as it came, and what must be known of it to tell what it belongs to."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

otel_span: Final = sa.Table(
    "otel_span",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("trace_id", sa.String(32), nullable=False),
    sa.Column("span_id", sa.String(16), nullable=False),
    sa.Column("parent_id", sa.String(16)),
    sa.Column("role", sa.String(8), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("model", sa.Text),
    sa.Column("response_id", sa.Text),
    sa.Column("session_id", sa.Text),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger, nullable=False),
    sa.Column("own_record_id", sa.String(64)),
    sa.Column("record_id", sa.String(64)),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("project_key", "trace_id", "span_id"),
    sa.Index(None, "project_key", "span_id"),
    sa.Index(None, "project_key", "received_at"),
)
"""`own_record_id` is the record that a call would make or that our SDK's span names, `record_id` the one it belongs to.

Where they are equal on a call, the record was made from it. There is no reference to `record`: it may arrive later.
"""

for _columns in (
    (otel_span.c.response_id, otel_span.c.started_at),
    (otel_span.c.session_id,),
    (otel_span.c.record_id,),
):
    sa.Index(
        None,
        otel_span.c.project_key,
        *_columns,
        sqlite_where=_columns[0].is_not(None),
        postgresql_where=_columns[0].is_not(None),
    )
