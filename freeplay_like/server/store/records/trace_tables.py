"""The tables of traces, and of what is said of sessions."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

trace: Final = sa.Table(
    "trace",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("trace_id", sa.String(64), nullable=False),
    sa.Column("session_id", sa.Text),
    sa.Column("parent_id", sa.Text),
    sa.Column("kind", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("agent_name", sa.Text),
    sa.Column("test_run_id", sa.Text),
    sa.Column("test_case_id", sa.Text),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("project_key", "trace_id"),
    sa.Index(None, "project_key", "session_id", "started_at"),
)
"""A trace is made by whoever speaks of it first, and everybody adds to it; what is large lies compressed.

There is no reference to what it belongs to: a trace may arrive before its parent, and after its calls.
"""

for _column in (trace.c.parent_id, trace.c.test_run_id):
    sa.Index(
        None,
        trace.c.project_key,
        _column,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )

session_metadata: Final = sa.Table(
    "session_metadata",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)
"""What was said of a session itself, as JSON; it goes before what its records say."""
