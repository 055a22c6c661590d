"""Which call a call asks again, and the replays that servers carry out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the column of records."""
    op.add_column("record", sa.Column("replay_of", sa.Text(), nullable=True))
    is_replay = sa.text("replay_of IS NOT NULL")
    op.create_index(
        op.f("ix_record_project_key_replay_of"),
        "record",
        ["project_key", "replay_of"],
        sqlite_where=is_replay,
        postgresql_where=is_replay,
    )
    op.create_table(
        "replay_job",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("is_bulk", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=36), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=36), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("zstd", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_replay_job_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_replay_job")),
        sa.UniqueConstraint("id", name=op.f("uq_replay_job_id")),
    )
    op.create_index(op.f("ix_replay_job_project_key"), "replay_job", ["project_key"])
    op.create_index(op.f("ix_replay_job_state_lease_until"), "replay_job", ["state", "lease_until"])
    op.create_table(
        "replay_item",
        sa.Column("job_key", _Key, nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("choice", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.String(length=64), nullable=True),
        sa.Column("record_id", sa.String(length=64), nullable=True),
        sa.Column("likeness", sa.Float(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_key"], ["replay_job.key"], name=op.f("fk_replay_item_job_key")),
        sa.PrimaryKeyConstraint("job_key", "place", name=op.f("pk_replay_item")),
    )
    op.create_index(op.f("ix_replay_item_source_id"), "replay_item", ["source_id"])
    op.create_index(op.f("ix_replay_item_record_id"), "replay_item", ["record_id"])
