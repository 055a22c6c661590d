"""Test suites, where test cases came from, and what a test run tries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns; every dataset that is there is one of cases for prompts."""
    op.add_column("dataset", sa.Column("kind", sa.String(length=8), server_default="prompt", nullable=False))
    op.add_column("dataset", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.add_column("dataset", sa.Column("deleted_name", sa.String(length=200), nullable=True))
    op.add_column("test_case", sa.Column("place", sa.BigInteger(), nullable=True))
    op.add_column("test_case", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.add_column("test_case", sa.Column("source_record_id", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_test_case_source_record_id"), "test_case", ["source_record_id"])
    op.add_column("test_run", sa.Column("suite_key", sa.BigInteger(), nullable=True))
    op.add_column("test_run", sa.Column("template_id", sa.String(length=36), nullable=True))
    op.add_column("test_run", sa.Column("template_version_id", sa.String(length=36), nullable=True))
    op.add_column("test_run", sa.Column("environment", sa.String(length=100), nullable=True))
    op.add_column("test_run", sa.Column("parameters", sa.JSON(), server_default="{}", nullable=False))
    op.create_index(op.f("ix_test_run_suite_key"), "test_run", ["suite_key"])
    _suites()


def _suites() -> None:
    op.create_table(
        "test_suite",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("dataset_key", _Key, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("template_id", sa.String(length=36), nullable=True),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("thresholds", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_test_suite_project_key")),
        sa.ForeignKeyConstraint(["dataset_key"], ["dataset.key"], name=op.f("fk_test_suite_dataset_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_test_suite")),
        sa.UniqueConstraint("id", name=op.f("uq_test_suite_id")),
        sa.UniqueConstraint("project_key", "name", name=op.f("uq_test_suite_project_key_name")),
    )
    op.create_index(op.f("ix_test_suite_dataset_key"), "test_suite", ["dataset_key"])
