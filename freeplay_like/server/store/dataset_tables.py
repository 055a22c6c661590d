"""The tables of datasets, test runs and test suites."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

dataset: Final = sa.Table(
    "dataset",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("input_names", sa.JSON, nullable=False),
    sa.Column("media_input_names", sa.JSON, nullable=False),
    sa.Column("support_history", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_key", "name"),
)

test_case: Final = sa.Table(
    "test_case",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("dataset_key", sa.ForeignKey("dataset.key"), nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
"""The test cases of datasets, in the order of `key`. One never changes: test runs point at it."""

test_run: Final = sa.Table(
    "test_run",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False, index=True),
    sa.Column("dataset_key", sa.ForeignKey("dataset.key"), nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("flavor", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

test_run_case: Final = sa.Table(
    "test_run_case",
    metadata,
    sa.Column("test_run_key", sa.ForeignKey("test_run.key"), primary_key=True),
    sa.Column("test_case_key", sa.ForeignKey("test_case.key"), primary_key=True),
)
"""The cases a run was made of: its dataset may grow while it runs."""
