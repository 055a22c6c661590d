"""Bringing a database file to the tables that this release uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.engines.database import database_of

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0014"
"""The newest migration; named here, so that an up-to-date file is opened without loading Alembic."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class DatabaseTooNew(Exception):
    """A newer release wrote this database; this one does not know its tables."""


@attrs.frozen
class Step:
    """A migration, and what it brings in its own words."""

    revision: str
    about: str


def upgrade(engine: sa.Engine) -> tuple[Step, ...]:
    """Run the migrations that are missing, in one transaction: two processes that start together do it once.

    Raises:
        DatabaseTooNew: the file's last migration is none of ours.
    """
    with engine.begin() as connection:
        database_of(connection).lock(connection)
        at = _current(connection)
        if at == HEAD:
            return ()
        from alembic import command

        steps = _missing(connection)
        if at is None and database_of(connection).create(connection):
            command.stamp(_config(connection), "head")
            return steps
        command.upgrade(_config(connection), "head")
        return steps


def missing(engine: sa.Engine) -> tuple[Step, ...]:
    """The migrations that a database lacks, in the order in which they would be run.

    Raises:
        DatabaseTooNew: its last migration is none of ours.
    """
    with engine.begin() as connection:
        return _missing(connection)


def current(connection: sa.Connection) -> str | None:
    """The last migration that was run, None in a file that has no tables of ours."""
    return _current(connection)


def _missing(connection: sa.Connection) -> tuple[Step, ...]:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config(connection))
    at = _current(connection)
    if at is not None and at not in {script.revision for script in scripts.walk_revisions()}:
        raise DatabaseTooNew(
            f"the database {database_of(connection).name!r} was written by a newer release (migration {at!r}; "
            f"this one knows up to {HEAD!r}): install that release, or start with another --data folder"
        )
    found = list(scripts.iterate_revisions("head", at or "base"))
    return tuple(Step(script.revision, (script.doc or "").partition("\n")[0]) for script in reversed(found))


def _config(connection: sa.Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version = sa.table("alembic_version", sa.column("version_num", sa.String))
    return connection.scalar(sa.select(version.c.version_num))
