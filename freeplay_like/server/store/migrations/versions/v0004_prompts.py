"""Templates that can be put away, protected environments, and who moved what when.

Environments that templates have already become the project's. A key that could do everything goes on doing so.
"""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_ALL_BEFORE = "admin ingest prompts read"
_ALL_AFTER = "admin deploy ingest prompts read"


def upgrade() -> None:
    """Add the columns, make the tables, and fill in what is known."""
    op.add_column("prompt_template", sa.Column("description", sa.Text(), nullable=True))
    op.add_column("prompt_template", sa.Column("put_away_at", sa.BigInteger(), nullable=True))
    op.add_column("prompt_template", sa.Column("put_away_name", sa.String(length=200), nullable=True))
    op.add_column("prompt_version", sa.Column("put_away_at", sa.BigInteger(), nullable=True))
    _project_environments()
    _moves()
    keys = sa.table("api_key", sa.column("scopes", sa.String))
    op.execute(sa.update(keys).where(keys.c.scopes == _ALL_BEFORE).values(scopes=_ALL_AFTER))


def _project_environments() -> None:
    made = op.create_table(
        "project_environment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("is_protected", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_project_environment_project_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_environment")),
        sa.UniqueConstraint("project_key", "name", name=op.f("uq_project_environment_project_key_name")),
    )
    templates = sa.table("prompt_template", sa.column("id", sa.String), sa.column("project_key", sa.BigInteger))
    pointers = sa.table(
        "environment",
        sa.column("template_id", sa.String),
        sa.column("name", sa.String),
        sa.column("moved_at", sa.BigInteger),
    )
    known = sa.select(templates.c.project_key, pointers.c.name, sa.func.min(pointers.c.moved_at))
    known = known.join(templates, pointers.c.template_id == templates.c.id)
    rows = [
        {"id": str(uuid.uuid4()), "project_key": key, "name": name, "is_protected": False, "created_at": moved_at}
        for key, name, moved_at in op.get_bind().execute(known.group_by(templates.c.project_key, pointers.c.name))
    ]
    op.bulk_insert(made, rows)


def _moves() -> None:
    op.create_table(
        "environment_move",
        sa.Column("key", _Key, nullable=False),
        sa.Column("template_id", sa.String(length=36), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("from_version_id", sa.String(length=36), nullable=True),
        sa.Column("to_version_id", sa.String(length=36), nullable=True),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.Column("by_kind", sa.String(length=16), nullable=False),
        sa.Column("by_id", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["template_id"], ["prompt_template.id"], name=op.f("fk_environment_move_template_id")),
        sa.ForeignKeyConstraint(
            ["from_version_id"], ["prompt_version.id"], name=op.f("fk_environment_move_from_version_id")
        ),
        sa.ForeignKeyConstraint(
            ["to_version_id"], ["prompt_version.id"], name=op.f("fk_environment_move_to_version_id")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_environment_move")),
    )
    op.create_index(op.f("ix_environment_move_template_id_key"), "environment_move", ["template_id", "key"])
