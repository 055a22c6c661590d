"""Spans of OpenTelemetry, as they came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "otel_span",
        sa.Column("key", _Key, nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("span_id", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.String(length=16), nullable=True),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("response_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("own_record_id", sa.String(length=64), nullable=True),
        sa.Column("record_id", sa.String(length=64), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("zstd", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_otel_span_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_otel_span")),
        sa.UniqueConstraint(
            "project_key", "trace_id", "span_id", name=op.f("uq_otel_span_project_key_trace_id_span_id")
        ),
    )
    for name in ("span_id", "received_at"):
        op.create_index(op.f(f"ix_otel_span_project_key_{name}"), "otel_span", ["project_key", name])
    for columns in (["response_id", "started_at"], ["session_id"], ["record_id"]):
        op.create_index(
            op.f(f"ix_otel_span_project_key_{'_'.join(columns)}"),
            "otel_span",
            ["project_key", *columns],
            sqlite_where=sa.text(f"{columns[0]} IS NOT NULL"),
            postgresql_where=sa.text(f"{columns[0]} IS NOT NULL"),
        )
