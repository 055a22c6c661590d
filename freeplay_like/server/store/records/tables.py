"""The tables of records, of what was said of them, and of what is derived from them.

The list of calls reads `record` alone, so that table is narrow; the call itself lies compressed in `record_body`.
Rows are listed in the order of `record.seq`. Only what must be seen at once is indexed in the transaction that stores
a record; everything else is derived behind the commits, in the order of `seq` (see `following`).
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

record: Final = sa.Table(
    "record",
    metadata,
    sa.Column("seq", Key, primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("session_id", sa.Text),
    sa.Column("template_name", sa.Text),
    sa.Column("template_version", sa.Text),
    sa.Column("template_version_id", sa.Text),
    sa.Column("environment", sa.Text),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("flavor", sa.Text, nullable=False),
    sa.Column("requested_model", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("latency_ms", sa.Float),
    sa.Column("time_to_first_chunk_ms", sa.Float),
    sa.Column("input_tokens", sa.BigInteger),
    sa.Column("output_tokens", sa.BigInteger),
    sa.Column("is_stream", sa.Boolean, nullable=False),
    sa.Column("first_user", sa.Text, nullable=False),
    sa.Column("first_answer", sa.Text, nullable=False),
    sa.Column("error_type", sa.Text),
    sa.Column("test_run_id", sa.Text),
    sa.Column("test_case_id", sa.Text),
    sa.Column("trace_id", sa.Text),
    sa.Column("parent_id", sa.Text),
    sa.Column("otel_trace_id", sa.Text),
    sa.Column("otel_span_id", sa.Text),
    sa.Column("api_key_id", sa.String(8)),
    sa.Column("cost_nano_usd", sa.BigInteger),
    sa.Column("price_key", sa.BigInteger),
    sa.Column("metadata", sa.Text),
    sa.Column("replay_of", sa.Text),
    sa.UniqueConstraint("project_key", "record_id"),
    sa.Index(None, "project_key", "seq"),
    sa.Index(None, "project_key", "started_at", "seq"),
    sqlite_autoincrement=True,  # a number is never given twice: readers resume by it
)

sa.Index(
    None,
    record.c.project_key,
    record.c.session_id,
    record.c.started_at,
    sqlite_where=record.c.session_id.is_not(None),
    postgresql_where=record.c.session_id.is_not(None),
)
sa.Index(
    None,
    record.c.project_key,
    record.c.test_run_id,
    record.c.test_case_id,
    sqlite_where=record.c.test_run_id.is_not(None),
    postgresql_where=record.c.test_run_id.is_not(None),
)
for _column in (record.c.trace_id, record.c.otel_span_id, record.c.replay_of):
    sa.Index(
        None,
        record.c.project_key,
        _column,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )

record_body: Final = sa.Table(
    "record_body",
    metadata,
    sa.Column("seq", sa.ForeignKey("record.seq"), primary_key=True),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
)

amendment: Final = sa.Table(
    "amendment",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("amendment_id", sa.String(64), primary_key=True),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("feedback", sa.String(16)),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
    sa.Column("reviewer_id", sa.String(36)),
    sa.Index(None, "project_key", "record_id", "made_at"),
)
"""What was said of records afterwards. There is no reference to `record`: it may arrive before its record does.
`reviewer_id` is the person who said it in the pages."""

sa.Index(
    None,
    amendment.c.project_key,
    amendment.c.made_at,
    sqlite_where=amendment.c.reviewer_id.is_not(None),
    postgresql_where=amendment.c.reviewer_id.is_not(None),
)

score: Final = sa.Table(
    "score",
    metadata,
    sa.Column("project_key", sa.BigInteger, primary_key=True),
    sa.Column("amendment_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["project_key", "amendment_id"], ["amendment.project_key", "amendment.amendment_id"]),
    sa.Index(None, "project_key", "record_id", "name"),
)
"""The scores of amendments, each a row, to be counted; `value` is JSON."""

sender: Final = sa.Table(
    "sender",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("sender_id", sa.String(64), primary_key=True),
    sa.Column("host", sa.Text),
    sa.Column("pid", sa.BigInteger),
    sa.Column("sdk", sa.Text),
    sa.Column("dropped", sa.BigInteger, nullable=False),
    sa.Column("spooled_bytes", sa.BigInteger, nullable=False),
    sa.Column("oldest_unsent_at", sa.BigInteger),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
)
