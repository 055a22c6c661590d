"""Prices, what a team says about them, and the records that wait for one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "price",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_key", _Key, nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("matched_model", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=True),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("rates", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_price_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_price")),
    )
    op.create_index(op.f("ix_price_project_key"), "price", ["project_key"])
    op.create_table(
        "model_price",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("provider", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("rates", sa.Text(), nullable=True),
        sa.Column("same_provider", sa.String(length=200), nullable=True),
        sa.Column("same_model", sa.String(length=200), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_model_price_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_model_price")),
        sa.UniqueConstraint("id", name=op.f("uq_model_price_id")),
        sa.UniqueConstraint(
            "project_key",
            "provider",
            "model",
            "valid_from",
            name=op.f("uq_model_price_project_key_provider_model_valid_from"),
        ),
    )
    op.create_table(
        "price_due",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_price_due")),
    )
