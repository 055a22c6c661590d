"""The tables. Times are whole microseconds since 1970, UTC: every database keeps and sorts those alike.

The list of calls reads `record` alone, so that table is narrow; the call itself lies compressed in `record_body`.
Rows are listed in the order of `record.seq`, hence it ends every index.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows by itself only under this name

project: Final = sa.Table(
    "project",
    metadata,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

api_key: Final = sa.Table(
    "api_key",
    metadata,
    sa.Column("id", sa.String(8), primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False, index=True),
    sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("scopes", sa.String(100), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

sign_in_link: Final = sa.Table(
    "sign_in_link",
    metadata,
    sa.Column("token_sha256", sa.LargeBinary(32), primary_key=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger),
)

browser_session: Final = sa.Table(
    "browser_session",
    metadata,
    sa.Column("token_sha256", sa.LargeBinary(32), primary_key=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

prompt_template: Final = sa.Table(
    "prompt_template",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_key", "name"),
)

prompt_version: Final = sa.Table(
    "prompt_version",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("template_id", sa.ForeignKey("prompt_template.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("content_sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("provider", sa.Text),
    sa.Column("flavor", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("template_id", "number"),
    sa.UniqueConstraint("template_id", "content_sha256"),
)

environment: Final = sa.Table(
    "environment",
    metadata,
    sa.Column("template_id", sa.ForeignKey("prompt_template.id"), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("version_id", sa.ForeignKey("prompt_version.id"), nullable=False),
    sa.Column("moved_at", sa.BigInteger, nullable=False),
)

record: Final = sa.Table(
    "record",
    metadata,
    sa.Column("seq", _Key, primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("session_id", sa.Text),
    sa.Column("template_name", sa.Text),
    sa.Column("template_version", sa.Text),
    sa.Column("template_version_id", sa.Text),
    sa.Column("environment", sa.Text),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("flavor", sa.Text, nullable=False),
    sa.Column("requested_model", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("latency_ms", sa.Float),
    sa.Column("time_to_first_chunk_ms", sa.Float),
    sa.Column("input_tokens", sa.BigInteger),
    sa.Column("output_tokens", sa.BigInteger),
    sa.Column("is_stream", sa.Boolean, nullable=False),
    sa.Column("first_user", sa.Text, nullable=False),
    sa.Column("first_answer", sa.Text, nullable=False),
    sa.Column("error_type", sa.Text),
    sa.Column("test_run_id", sa.Text),
    sa.Column("test_case_id", sa.Text),
    sa.UniqueConstraint("project_key", "record_id"),
    sa.Index(None, "project_key", "seq"),
    sa.Index(None, "project_key", "model", "seq"),
    sa.Index(None, "project_key", "outcome", "seq"),
    sa.Index(None, "project_key", "template_name", "seq"),
    sqlite_autoincrement=True,  # a number is never given twice: readers resume by it
)

asked_differently: Final[sa.ColumnElement[bool]] = sa.or_(
    record.c.model.is_(None), record.c.model != record.c.requested_model
)
"""The calls for which the name asked for tells something that the name which answered does not."""

sa.Index(
    None,
    record.c.project_key,
    record.c.requested_model,
    record.c.seq,
    sqlite_where=asked_differently,
    postgresql_where=asked_differently,
)
sa.Index(
    None,
    record.c.project_key,
    record.c.session_id,
    record.c.started_at,
    sqlite_where=record.c.session_id.is_not(None),
    postgresql_where=record.c.session_id.is_not(None),
)
sa.Index(
    None,
    record.c.project_key,
    record.c.test_run_id,
    record.c.test_case_id,
    sqlite_where=record.c.test_run_id.is_not(None),
    postgresql_where=record.c.test_run_id.is_not(None),
)

record_body: Final = sa.Table(
    "record_body",
    metadata,
    sa.Column("seq", sa.ForeignKey("record.seq"), primary_key=True),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
)

amendment: Final = sa.Table(
    "amendment",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("amendment_id", sa.String(64), primary_key=True),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("feedback", sa.String(16)),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
    sa.Index(None, "project_key", "record_id", "made_at"),
)
"""What was said of records afterwards. There is no reference to `record`: it may arrive before its record does."""

score: Final = sa.Table(
    "score",
    metadata,
    sa.Column("project_key", sa.BigInteger, primary_key=True),
    sa.Column("amendment_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["project_key", "amendment_id"], ["amendment.project_key", "amendment.amendment_id"]),
    sa.Index(None, "project_key", "record_id", "name"),
)
"""The scores of amendments, each a row, to be counted; `value` is JSON."""

call_value: Final = sa.Table(
    "call_value",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("value", sa.String(400), primary_key=True),
)
"""What the filters offer: every model, outcome and template that a project's calls ever had."""

dataset: Final = sa.Table(
    "dataset",
    metadata,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("input_names", sa.JSON, nullable=False),
    sa.Column("media_input_names", sa.JSON, nullable=False),
    sa.Column("support_history", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_key", "name"),
)

test_case: Final = sa.Table(
    "test_case",
    metadata,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("dataset_key", sa.ForeignKey("dataset.key"), nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
"""The test cases of datasets, in the order of `key`. One never changes: test runs point at it."""

test_run: Final = sa.Table(
    "test_run",
    metadata,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False, index=True),
    sa.Column("dataset_key", sa.ForeignKey("dataset.key"), nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("flavor", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

test_run_case: Final = sa.Table(
    "test_run_case",
    metadata,
    sa.Column("test_run_key", sa.ForeignKey("test_run.key"), primary_key=True),
    sa.Column("test_case_key", sa.ForeignKey("test_case.key"), primary_key=True),
)
"""The cases a run was made of: its dataset may grow while it runs."""

sender: Final = sa.Table(
    "sender",
    metadata,
    sa.Column("project_key", sa.ForeignKey("project.key"), primary_key=True),
    sa.Column("sender_id", sa.String(64), primary_key=True),
    sa.Column("host", sa.Text),
    sa.Column("pid", sa.BigInteger),
    sa.Column("sdk", sa.Text),
    sa.Column("dropped", sa.BigInteger, nullable=False),
    sa.Column("spooled_bytes", sa.BigInteger, nullable=False),
    sa.Column("oldest_unsent_at", sa.BigInteger),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
)

store_state: Final = sa.Table(
    "store_state",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
"""Numbers the store keeps about itself: `indexed_seq`, up to where the text index goes; `checked_at`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """An aware time as whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time of whole microseconds since 1970, aware UTC."""
    return _EPOCH + timedelta(microseconds=micros)
