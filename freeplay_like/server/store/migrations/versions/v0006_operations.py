"""Keys that have names and expire, how long a project keeps its records, and which records were deleted lately."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns and the table. Keys that are there go on, without a name or an end."""
    op.add_column("api_key", sa.Column("name", sa.String(length=200), nullable=True))
    op.add_column("api_key", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("api_key", sa.Column("last_used_at", sa.BigInteger(), nullable=True))
    op.add_column("project", sa.Column("retention_days", sa.Integer(), nullable=True))
    op.create_table(
        "deleted_record",
        sa.Column("project_key", sa.BigInteger(), nullable=False),
        sa.Column("record_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_key", "record_sha256", name=op.f("pk_deleted_record")),
    )
    op.create_index(op.f("ix_deleted_record_deleted_at"), "deleted_record", ["deleted_at"])
    state = sa.table("store_state", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    for name in ("wipe_due_at", "last_project_key"):
        op.execute(sa.insert(state).values(name=name, value=0))
