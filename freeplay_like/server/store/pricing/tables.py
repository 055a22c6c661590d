"""The tables of prices: those that were applied, those that a team set, and the records that wait for one."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

price: Final = sa.Table(
    "price",
    metadata,
    sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("project_key", sa.ForeignKey("project.key"), index=True),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("matched_model", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("valid_from", sa.BigInteger),
    sa.Column("conditions", sa.Text, nullable=False),
    sa.Column("rates", sa.Text, nullable=False),
)
"""Every price that was ever applied to a record, once; rows are never changed. `key` is made of what the row says, so
whoever prices needs no answer from the database. `project_key` stands where a team set the price itself.

`conditions` and `rates` are JSON (`core.rates.rates_to_json`); `valid_from` is that of the team's price.
"""

model_price: Final = sa.Table(
    "model_price",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("provider", sa.String(200), nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("valid_from", sa.BigInteger, nullable=False),
    sa.Column("rates", sa.Text),
    sa.Column("same_provider", sa.String(200)),
    sa.Column("same_model", sa.String(200)),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_key", "provider", "model", "valid_from"),
)
"""What a team says that a model costs from a day on: by rates of its own (JSON), or like a model of the list."""

price_due: Final = sa.Table(
    "price_due",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
)
"""Records whose price was not looked up yet when they were stored. There is no reference to `record`: what is deleted
meanwhile needs none."""
