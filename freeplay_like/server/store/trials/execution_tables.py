"""The tables of what the server calls by itself: whom it may ask, the runs it carries out, its calls under way."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

provider_connection: Final = sa.Table(
    "provider_connection",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("flavor", sa.String(100), nullable=False),
    sa.Column("base_url", sa.Text),
    sa.Column("api_version", sa.String(100)),
    sa.Column("secret", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.String(64)),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.Column("changed_by", sa.String(64)),
    sa.UniqueConstraint("project_key", "flavor"),
)
"""How the server reaches the provider of a flavor. `base_url` is null where it is the provider's own. `secret` is the
provider's key, in clear: whoever calls with a key has to have it. `created_by`, `changed_by` are ids of API keys."""

suite_job: Final = sa.Table(
    "suite_job",
    metadata,
    sa.Column("test_run_key", sa.ForeignKey("test_run.key"), primary_key=True, autoincrement=False),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(36)),
    sa.Column("lease_until", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.String(64)),
    sa.Column("ended_at", sa.BigInteger),
    sa.Index(None, "state", "lease_until"),
)
"""The test runs that servers carry out. A running one belongs to the server `owner` until `lease_until`, which that
server puts off again and again; then another may take it over."""

started_call: Final = sa.Table(
    "started_call",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("record_id", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(36), nullable=False),
    sa.Column("lease_until", sa.BigInteger, nullable=False, index=True),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
)
"""Calls of servers that are under way, each with the record that is kept of it if its server dies."""
