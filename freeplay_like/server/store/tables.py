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
    sa.Column("retention_days", sa.Integer),
)
"""`retention_days` is how long records are kept, None for ever."""

api_key: Final = sa.Table(
    "api_key",
    metadata,
    sa.Column("id", sa.String(8), primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False, index=True),
    sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("scopes", sa.String(100), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
    sa.Column("name", sa.String(200)),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("last_used_at", sa.BigInteger),
)

person: Final = sa.Table(
    "person",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("removed_at", sa.BigInteger),
)
"""Who may look at the pages. One who was removed stays: what they said of calls still names them."""

sign_in_link: Final = sa.Table(
    "sign_in_link",
    metadata,
    sa.Column("token_sha256", sa.LargeBinary(32), primary_key=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger),
    sa.Column("person_key", sa.BigInteger),
)

browser_session: Final = sa.Table(
    "browser_session",
    metadata,
    sa.Column("token_sha256", sa.LargeBinary(32), primary_key=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("person_key", sa.BigInteger, index=True),
)
"""Links and sessions from before people had names have no `person_key`: they are the first administrator's."""

prompt_template: Final = sa.Table(
    "prompt_template",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("put_away_at", sa.BigInteger),
    sa.Column("put_away_name", sa.String(200)),
    sa.UniqueConstraint("project_key", "name"),
)
"""A template that is put away gives up its name: `put_away_name` keeps it, `name` becomes one nobody can ask for."""

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
    sa.Column("put_away_at", sa.BigInteger),
    sa.UniqueConstraint("template_id", "number"),
    sa.UniqueConstraint("template_id", "content_sha256"),
)
"""`content_sha256` is the digest of the content only in the version that comes back for the same content: one that was
put away, or that a newer version repeats, has that of its own id."""

environment: Final = sa.Table(
    "environment",
    metadata,
    sa.Column("template_id", sa.ForeignKey("prompt_template.id"), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("version_id", sa.ForeignKey("prompt_version.id"), nullable=False),
    sa.Column("moved_at", sa.BigInteger, nullable=False),
)
"""Where the environments of a template point."""

project_environment: Final = sa.Table(
    "project_environment",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("is_protected", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_key", "name"),
)

environment_move: Final = sa.Table(
    "environment_move",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("template_id", sa.ForeignKey("prompt_template.id"), nullable=False),
    sa.Column("environment", sa.String(100), nullable=False),
    sa.Column("from_version_id", sa.ForeignKey("prompt_version.id")),
    sa.Column("to_version_id", sa.ForeignKey("prompt_version.id")),
    sa.Column("moved_at", sa.BigInteger, nullable=False),
    sa.Column("by_kind", sa.String(16), nullable=False),
    sa.Column("by_id", sa.String(64)),
    sa.Column("reason", sa.Text),
    sa.Index(None, "template_id", "key"),
)

store_state: Final = sa.Table(
    "store_state",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
"""Numbers the store keeps about itself: `derived_seq` and `indexed_seq`, up to where facets and the text index go;
`checked_at`; `wipe_due_at`, when traces of what was deleted are to be gone from the file, 0 where there are none;
`last_project_key`, the largest number that a deleted project had."""

size_sample: Final = sa.Table(
    "size_sample",
    metadata,
    sa.Column("taken_at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("used_bytes", sa.BigInteger, nullable=False),
)
"""What of the database held something, now and then: how fast it grows."""

deleted_record: Final = sa.Table(
    "deleted_record",
    metadata,
    sa.Column("project_key", sa.BigInteger, primary_key=True),
    sa.Column("record_sha256", sa.LargeBinary(32), primary_key=True),
    sa.Column("deleted_at", sa.BigInteger, nullable=False, index=True),
)
"""Records that were deleted lately, by the hash of their id: one that is sent again late is not stored again."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """An aware time as whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time of whole microseconds since 1970, aware UTC."""
    return _EPOCH + timedelta(microseconds=micros)
