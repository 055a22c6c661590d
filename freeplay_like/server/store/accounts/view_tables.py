"""The tables of saved views of the list of calls, and of where people stand in them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

saved_view: Final = sa.Table(
    "saved_view",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("period", sa.String(16)),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.String(36)),
    sa.UniqueConstraint("project_key", "name"),
)
"""`query` is a filter as it is typed, `period` a time range that moves along (`24h`). `created_by` is a person's id."""

review_place: Final = sa.Table(
    "review_place",
    metadata,
    sa.Column("view_key", sa.ForeignKey("saved_view.key"), primary_key=True),
    sa.Column("person_id", sa.String(36), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("moved_at", sa.BigInteger, nullable=False),
)
"""How far somebody has read a saved view as a queue: `record.seq` of the last call they were done with."""
