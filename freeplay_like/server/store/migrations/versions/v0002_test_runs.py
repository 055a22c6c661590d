"""What is said of records afterwards, datasets and test runs.

Records that are stored already get no test run: none could be made before these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the columns by which a record names its test run."""
    op.add_column("record", sa.Column("test_run_id", sa.Text(), nullable=True))
    op.add_column("record", sa.Column("test_case_id", sa.Text(), nullable=True))
    op.create_index(
        op.f("ix_record_project_key_test_run_id_test_case_id"),
        "record",
        ["project_key", "test_run_id", "test_case_id"],
        sqlite_where=sa.text("test_run_id IS NOT NULL"),
        postgresql_where=sa.text("test_run_id IS NOT NULL"),
    )
    _amendments()
    _datasets()
    _test_runs()


def _amendments() -> None:
    op.create_table(
        "amendment",
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("amendment_id", sa.String(length=64), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("feedback", sa.String(length=16), nullable=True),
        sa.Column("zstd", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_amendment_project_key")),
        sa.PrimaryKeyConstraint("project_key", "amendment_id", name=op.f("pk_amendment")),
    )
    op.create_index(
        op.f("ix_amendment_project_key_record_id_made_at"), "amendment", ["project_key", "record_id", "made_at"]
    )
    op.create_table(
        "score",
        sa.Column("project_key", sa.BigInteger(), nullable=False),
        sa.Column("amendment_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_key", "amendment_id"],
            ["amendment.project_key", "amendment.amendment_id"],
            name=op.f("fk_score_project_key_amendment_id"),
        ),
        sa.PrimaryKeyConstraint("project_key", "amendment_id", "name", name=op.f("pk_score")),
    )
    op.create_index(op.f("ix_score_project_key_record_id_name"), "score", ["project_key", "record_id", "name"])


def _datasets() -> None:
    op.create_table(
        "dataset",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("input_names", sa.JSON(), nullable=False),
        sa.Column("media_input_names", sa.JSON(), nullable=False),
        sa.Column("support_history", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_dataset_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_dataset")),
        sa.UniqueConstraint("id", name=op.f("uq_dataset_id")),
        sa.UniqueConstraint("project_key", "name", name=op.f("uq_dataset_project_key_name")),
    )
    op.create_table(
        "test_case",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("dataset_key", _Key, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("zstd", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_key"], ["dataset.key"], name=op.f("fk_test_case_dataset_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_test_case")),
        sa.UniqueConstraint("id", name=op.f("uq_test_case_id")),
    )
    op.create_index(op.f("ix_test_case_dataset_key"), "test_case", ["dataset_key"])


def _test_runs() -> None:
    op.create_table(
        "test_run",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("dataset_key", _Key, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("flavor", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_test_run_project_key")),
        sa.ForeignKeyConstraint(["dataset_key"], ["dataset.key"], name=op.f("fk_test_run_dataset_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_test_run")),
        sa.UniqueConstraint("id", name=op.f("uq_test_run_id")),
    )
    op.create_index(op.f("ix_test_run_dataset_key"), "test_run", ["dataset_key"])
    op.create_index(op.f("ix_test_run_project_key"), "test_run", ["project_key"])
    op.create_table(
        "test_run_case",
        sa.Column("test_run_key", _Key, nullable=False),
        sa.Column("test_case_key", _Key, nullable=False),
        sa.ForeignKeyConstraint(["test_run_key"], ["test_run.key"], name=op.f("fk_test_run_case_test_run_key")),
        sa.ForeignKeyConstraint(["test_case_key"], ["test_case.key"], name=op.f("fk_test_run_case_test_case_key")),
        sa.PrimaryKeyConstraint("test_run_key", "test_case_key", name=op.f("pk_test_run_case")),
    )
