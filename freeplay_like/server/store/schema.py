"""Bringing a database file to the tables that this release uses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

HEAD: Final = "0010"
"""The newest migration; named here, so that an up-to-date file is opened without loading Alembic."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class DatabaseTooNew(Exception):
    """A newer release wrote this database; this one does not know its tables."""


def upgrade(engine: sa.Engine) -> None:
    """Run the migrations that are missing, in one transaction: two processes that start together do it once.

    Raises:
        DatabaseTooNew: the file's last migration is none of ours.
    """
    with engine.begin() as connection:
        current = _current(connection)
        if current == HEAD:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if current is not None and current not in known:
            raise DatabaseTooNew(
                f"the database {engine.url.database!r} was written by a newer release (migration {current!r}; "
                f"this one knows up to {HEAD!r}): install that release, or start with another --data folder"
            )
        command.upgrade(config, "head")


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version = sa.table("alembic_version", sa.column("version_num", sa.String))
    return connection.scalar(sa.select(version.c.version_num))
