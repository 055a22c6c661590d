"""The tables of what is derived from records behind the commits (see `following`).

All of them can be made again from `record`, `record_body` and `amendment`; none is written by the transaction that
stores a record.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

facet: Final = sa.Table(
    "facet",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("name", sa.String(210), nullable=False),
    sa.Column("value", sa.String(200), nullable=False),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_key", "name", "value"),
    sa.Index(None, "project_key", "name", "calls"),
)
"""Every value that calls of a project have in some field, and how many of them."""

facet_block: Final = sa.Table(
    "facet_block",
    metadata,
    sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("members", sa.LargeBinary, nullable=False),
)
"""Which calls those are: a set of bits for every `bitmaps.BLOCK` records, where `place` says whose and which ones."""

session_summary: Final = sa.Table(
    "session_summary",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("first_started_at", sa.BigInteger, nullable=False),
    sa.Column("last_started_at", sa.BigInteger, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Index(None, "project_key", "last_seq"),
)

rollup: Final = sa.Table(
    "rollup",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("grain_s", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("environment", sa.String(200), primary_key=True),
    sa.Column("template", sa.String(200), primary_key=True),
    sa.Column("version", sa.String(200), primary_key=True),
    sa.Column("provider", sa.String(200), primary_key=True),
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("outcome", sa.String(200), primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("priced_calls", sa.BigInteger, nullable=False),
    sa.Column("cost_nano_usd", sa.BigInteger, nullable=False),
    sa.Column("latency", sa.LargeBinary, nullable=False),
    sa.Column("first_chunk", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""Sums over the calls that began in an hour or a day (`grain_s`) and are alike; "" stands for none."""

word: Final = sa.Table(
    "word",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("text", sa.String(64), nullable=False, unique=True),
)
"""Every word of the text index. Parts of words are looked for here, and then the words in the calls."""
