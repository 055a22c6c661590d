"""The tables of projects, keys, people and prompts. Those of records and of test runs are in files of their own.

Times are whole microseconds since 1970, UTC: every database keeps and sorts those alike.
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

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows by itself only under this name

project: Final = sa.Table(
    "project",
    metadata,
    sa.Column("key", Key, primary_key=True),
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
