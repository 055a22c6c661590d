"""What is derived from records behind the commits: facets, sessions, rollups, and an index of words.

The metadata of a record moves into a column of its own, so that nothing has to open its body for it. All else is
filled by the server behind its work, as if the records had just arrived.
"""

from __future__ import annotations

from typing import Final

import msgspec
import sqlalchemy as sa
from alembic import op

from freeplay_like.server.store.bodies import raw
from freeplay_like.server.store.derived.facets import kept_metadata

revision = "0010"
down_revision = "0009"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SLICE: Final = 500


class _Body(msgspec.Struct):
    metadata: dict[str, object] = {}


def upgrade() -> None:
    """Make the tables, and drop the indexes that facets replace."""
    _facets()
    _sessions_and_rollups()
    _records()
    state = sa.table("store_state", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    op.bulk_insert(state, [{"name": "derived_seq", "value": 0}])
    op.execute(sa.update(state).where(state.c.name == "indexed_seq").values(value=0))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE record_search")
        op.execute(
            "CREATE VIRTUAL TABLE record_search "
            "USING fts5(content, content='', detail='none', columnsize=0, tokenize=\"ascii tokenchars '_'\")"
        )
        op.execute(
            "CREATE VIRTUAL TABLE word_search "
            "USING fts5(content, content='', detail='none', columnsize=0, tokenize='trigram case_sensitive 1')"
        )


def _facets() -> None:
    op.create_table(
        "facet",
        sa.Column("key", _Key, nullable=False),
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("name", sa.String(length=210), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_facet_project_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_facet")),
        sa.UniqueConstraint("project_key", "name", "value", name=op.f("uq_facet_project_key_name_value")),
    )
    op.create_index(op.f("ix_facet_project_key_name_calls"), "facet", ["project_key", "name", "calls"])
    op.create_table(
        "facet_block",
        sa.Column("place", _Key, autoincrement=False, nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_facet_block")),
    )
    op.create_table(
        "word",
        sa.Column("key", _Key, nullable=False),
        sa.Column("text", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_word")),
        sa.UniqueConstraint("text", name=op.f("uq_word_text")),
    )


def _sessions_and_rollups() -> None:
    op.create_table(
        "session_summary",
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("first_started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_session_summary_project_key")),
        sa.PrimaryKeyConstraint("project_key", "session_id", name=op.f("pk_session_summary")),
    )
    op.create_index(op.f("ix_session_summary_project_key_last_seq"), "session_summary", ["project_key", "last_seq"])
    names = ("environment", "template", "version", "provider", "model", "outcome")
    sums = ("calls", "input_tokens", "output_tokens", "priced_calls", "cost_nano_usd")
    op.create_table(
        "rollup",
        sa.Column("project_key", _Key, nullable=False),
        sa.Column("grain_s", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(length=200), nullable=False) for name in names),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.Column("latency", sa.LargeBinary(), nullable=False),
        sa.Column("first_chunk", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_key"], ["project.key"], name=op.f("fk_rollup_project_key")),
        sa.PrimaryKeyConstraint("project_key", "grain_s", "starts_at", *names, name=op.f("pk_rollup")),
        sqlite_with_rowid=False,
    )


def _records() -> None:
    for name in ("model", "outcome", "requested_model", "template_name"):
        op.drop_index(op.f(f"ix_record_project_key_{name}_seq"), table_name="record")
    op.drop_table("call_value")
    op.add_column("record", sa.Column("metadata", sa.Text(), nullable=True))
    _fill_metadata(op.get_bind())


def _fill_metadata(connection: sa.Connection) -> None:
    record = sa.table("record", sa.column("seq", sa.BigInteger), sa.column("metadata", sa.Text))
    body = sa.table("record_body", sa.column("seq", sa.BigInteger), sa.column("zstd", sa.LargeBinary))
    fill = sa.update(record).where(record.c.seq == sa.bindparam("of")).values(metadata=sa.bindparam("kept"))
    last = 0
    while rows := connection.execute(
        sa.select(body.c.seq, body.c.zstd).where(body.c.seq > last).order_by(body.c.seq).limit(_SLICE)
    ).all():
        last = rows[-1].seq
        said = [(seq, kept_metadata(msgspec.json.decode(raw(packed), type=_Body).metadata)) for seq, packed in rows]
        kept = [{"of": seq, "kept": metadata} for seq, metadata in said if metadata is not None]
        if kept:
            connection.execute(fill, kept)
