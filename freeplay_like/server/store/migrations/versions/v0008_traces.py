"""Traces, and what is said of sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "trace",
        sa.Column("key", _Key, nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("trace_id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("agent_name", sa.Text(), nullable=True),
        sa.Column("test_run_id", sa.Text(), nullable=True),
        sa.Column("test_case_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("zstd", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_trace_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_trace")),
        sa.UniqueConstraint("project_key", "trace_id", name=op.f("uq_trace_project_key_trace_id")),
    )
    columns = ["project_key", "session_id", "started_at"]
    op.create_index(op.f("ix_trace_project_key_session_id_started_at"), "trace", columns)
    for name in ("parent_id", "test_run_id"):
        op.create_index(
            op.f(f"ix_trace_project_key_{name}"),
            "trace",
            ["project_key", name],
            sqlite_where=sa.text(f"{name} IS NOT NULL"),
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    op.create_table(
        "session_metadata",
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_session_metadata_project_key")),
        sa.PrimaryKeyConstraint("project_key", "session_id", name=op.f("pk_session_metadata")),
    )
