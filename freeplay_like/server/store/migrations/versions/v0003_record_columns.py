"""What a record costs, where it belongs, and which key and which span it came with.

Records that are stored already get no cost until they are priced again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns, and the order of time."""
    for name, kind in (
        ("trace_id", sa.Text()),
        ("parent_id", sa.Text()),
        ("otel_trace_id", sa.Text()),
        ("otel_span_id", sa.Text()),
        ("api_key_id", sa.String(length=8)),
        ("cost_nano_usd", sa.BigInteger()),
        ("price_key", sa.BigInteger()),
    ):
        op.add_column("record", sa.Column(name, kind, nullable=True))
    op.create_index(op.f("ix_record_project_key_started_at_seq"), "record", ["project_key", "started_at", "seq"])
    for name in ("trace_id", "otel_span_id"):
        op.create_index(
            op.f(f"ix_record_project_key_{name}"),
            "record",
            ["project_key", name],
            sqlite_where=sa.text(f"{name} IS NOT NULL"),
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
