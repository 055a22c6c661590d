"""Provider connections, test runs that the server carries out, and its calls that are under way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "provider_connection",
        sa.Column("key", _Key, nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("flavor", sa.String(length=100), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("api_version", sa.String(length=100), nullable=True),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_provider_connection_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_provider_connection")),
        sa.UniqueConstraint("project_key", "flavor", name=op.f("uq_provider_connection_project_key_flavor")),
    )
    op.create_table(
        "suite_job",
        sa.Column("test_run_key", _Key, autoincrement=False, nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=36), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["test_run_key"], ["test_run.key"], name=op.f("fk_suite_job_test_run_key")),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_suite_job_project_key")),
        sa.PrimaryKeyConstraint("test_run_key", name=op.f("pk_suite_job")),
    )
    op.create_index(op.f("ix_suite_job_project_key"), "suite_job", ["project_key"])
    op.create_index(op.f("ix_suite_job_state_lease_until"), "suite_job", ["state", "lease_until"])
    op.create_table(
        "started_call",
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=36), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("zstd", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_started_call_project_key")),
        sa.PrimaryKeyConstraint("project_key", "record_id", name=op.f("pk_started_call")),
    )
    op.create_index(op.f("ix_started_call_lease_until"), "started_call", ["lease_until"])
