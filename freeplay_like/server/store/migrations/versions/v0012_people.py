"""People with names, what they said of calls, saved views of the list, and where somebody stands in one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the columns that point at people.

    Browsers that are signed in stay so: their session is the first administrator's, as everybody's was until now.
    """
    op.create_table(
        "person",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_person")),
        sa.UniqueConstraint("id", name=op.f("uq_person_id")),
    )
    op.add_column("sign_in_link", sa.Column("person_key", sa.BigInteger(), nullable=True))
    op.add_column("browser_session", sa.Column("person_key", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_browser_session_person_key"), "browser_session", ["person_key"])
    op.add_column("amendment", sa.Column("reviewer_id", sa.String(length=36), nullable=True))
    is_review = sa.text("reviewer_id IS NOT NULL")
    op.create_index(
        op.f("ix_amendment_project_key_made_at"),
        "amendment",
        ["project_key", "made_at"],
        sqlite_where=is_review,
        postgresql_where=is_review,
    )
    op.create_table(
        "saved_view",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("period", sa.String(length=16), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_saved_view_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_saved_view")),
        sa.UniqueConstraint("id", name=op.f("uq_saved_view_id")),
        sa.UniqueConstraint("project_key", "name", name=op.f("uq_saved_view_project_key_name")),
    )
    op.create_table(
        "review_place",
        sa.Column("view_key", _Key, nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["view_key"], ["saved_view.key"], name=op.f("fk_review_place_view_key")),
        sa.PrimaryKeyConstraint("view_key", "person_id", name=op.f("pk_review_place")),
    )
