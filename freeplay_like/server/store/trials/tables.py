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
    sa.Column("kind", sa.String(8), nullable=False, server_default="prompt"),
    sa.Column("deleted_at", sa.BigInteger),
    sa.Column("deleted_name", sa.String(200)),
    sa.UniqueConstraint("project_key", "name"),
)
"""Datasets, of cases for prompts or for agents. One that a run or a suite points at stays when it is deleted: its name
becomes its id, so that another can be called `deleted_name`."""

test_case: Final = sa.Table(
    "test_case",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("dataset_key", sa.ForeignKey("dataset.key"), nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("place", sa.BigInteger),
    sa.Column("deleted_at", sa.BigInteger),
    sa.Column("source_record_id", sa.String(64), index=True),
)
"""The test cases of datasets. One that a run used never changes under it: what is said of it later is a row of its own
that stands in the same `place` (else a row's own `key`), and the old row is hidden by `deleted_at`."""

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
    sa.Column("suite_key", sa.BigInteger, index=True),
    sa.Column("template_id", sa.String(36)),
    sa.Column("template_version_id", sa.String(36)),
    sa.Column("environment", sa.String(100)),
    sa.Column("parameters", sa.JSON, nullable=False, server_default="{}"),
)
"""Test runs. `template_version_id` is the version that is tried, `parameters` what was set over it, where the run was
made for one. Neither these nor `suite_key` are references: a run outlives its suite and its template."""

test_run_case: Final = sa.Table(
    "test_run_case",
    metadata,
    sa.Column("test_run_key", sa.ForeignKey("test_run.key"), primary_key=True),
    sa.Column("test_case_key", sa.ForeignKey("test_case.key"), primary_key=True),
)
"""The cases a run was made of: its dataset may grow while it runs."""

test_suite: Final = sa.Table(
    "test_suite",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("dataset_key", sa.ForeignKey("dataset.key"), nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("template_id", sa.String(36)),
    sa.Column("agent_id", sa.Text),
    sa.Column("thresholds", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_key", "name"),
)
"""Test suites: a dataset, what is tried over it, and which score has to reach what for a run to pass."""
