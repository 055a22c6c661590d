"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables, and SQLite's text index."""
    _projects()
    _people()
    _prompts()
    _records()
    _record_indexes()
    _around_records()
    state = op.create_table(
        "store_state",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_store_state")),
    )
    op.bulk_insert(state, [{"name": "indexed_seq", "value": 0}, {"name": "checked_at", "value": 0}])
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE record_search USING fts5(content, content='', tokenize='trigram')")


def _projects() -> None:
    op.create_table(
        "project",
        sa.Column("key", _Key, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_project")),
        sa.UniqueConstraint("id", name=op.f("uq_project_id")),
        sa.UniqueConstraint("name", name=op.f("uq_project_name")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=8), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scopes", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_api_key_project_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
    )
    op.create_index(op.f("ix_api_key_project_key"), "api_key", ["project_key"])


def _people() -> None:
    op.create_table(
        "sign_in_link",
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_sign_in_link")),
    )
    op.create_table(
        "browser_session",
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_browser_session")),
    )


def _prompts() -> None:
    op.create_table(
        "prompt_template",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_prompt_template_project_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_template")),
        sa.UniqueConstraint("project_key", "name", name=op.f("uq_prompt_template_project_key_name")),
    )
    op.create_table(
        "prompt_version",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("template_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("flavor", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["template_id"], ["prompt_template.id"], name=op.f("fk_prompt_version_template_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_version")),
        sa.UniqueConstraint("template_id", "content_sha256", name=op.f("uq_prompt_version_template_id_content_sha256")),
        sa.UniqueConstraint("template_id", "number", name=op.f("uq_prompt_version_template_id_number")),
    )
    op.create_table(
        "environment",
        sa.Column("template_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version_id", sa.String(length=36), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["template_id"], ["prompt_template.id"], name=op.f("fk_environment_template_id")),
        sa.ForeignKeyConstraint(["version_id"], ["prompt_version.id"], name=op.f("fk_environment_version_id")),
        sa.PrimaryKeyConstraint("template_id", "name", name=op.f("pk_environment")),
    )


def _records() -> None:
    op.create_table(
        "record",
        sa.Column("seq", _Key, nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("template_name", sa.Text(), nullable=True),
        sa.Column("template_version", sa.Text(), nullable=True),
        sa.Column("template_version_id", sa.Text(), nullable=True),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("flavor", sa.Text(), nullable=False),
        sa.Column("requested_model", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=True),
        sa.Column("time_to_first_chunk_ms", sa.Float(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("is_stream", sa.Boolean(), nullable=False),
        sa.Column("first_user", sa.Text(), nullable=False),
        sa.Column("first_answer", sa.Text(), nullable=False),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_record_project_key")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_record")),
        sa.UniqueConstraint("project_key", "record_id", name=op.f("uq_record_project_key_record_id")),
        sqlite_autoincrement=True,
    )


def _record_indexes() -> None:
    op.create_index(op.f("ix_record_project_key_model_seq"), "record", ["project_key", "model", "seq"])
    op.create_index(op.f("ix_record_project_key_outcome_seq"), "record", ["project_key", "outcome", "seq"])
    op.create_index(
        op.f("ix_record_project_key_requested_model_seq"),
        "record",
        ["project_key", "requested_model", "seq"],
        sqlite_where=sa.text("model IS NULL OR model != requested_model"),
        postgresql_where=sa.text("model IS NULL OR model != requested_model"),
    )
    op.create_index(op.f("ix_record_project_key_seq"), "record", ["project_key", "seq"])
    op.create_index(
        op.f("ix_record_project_key_session_id_started_at"),
        "record",
        ["project_key", "session_id", "started_at"],
        sqlite_where=sa.text("session_id IS NOT NULL"),
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_record_project_key_template_name_seq"), "record", ["project_key", "template_name", "seq"])


def _around_records() -> None:
    op.create_table(
        "record_body",
        sa.Column("seq", _Key, nullable=False),
        sa.Column("zstd", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["record.seq"], name=op.f("fk_record_body_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_record_body")),
    )
    op.create_table(
        "call_value",
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=400), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_call_value_project_key")),
        sa.PrimaryKeyConstraint("project_key", "kind", "value", name=op.f("pk_call_value")),
    )
    op.create_table(
        "sender",
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("sender_id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.Column("sdk", sa.Text(), nullable=True),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("spooled_bytes", sa.BigInteger(), nullable=False),
        sa.Column("oldest_unsent_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_sender_project_key")),
        sa.PrimaryKeyConstraint("project_key", "sender_id", name=op.f("pk_sender")),
    )
