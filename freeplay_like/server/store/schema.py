"""Bringing a database to the tables that this release uses, also while servers of an older one work on it.

A migration says in `serves_from` from which step on servers may go on while it is run and after; where it says nothing,
older ones may not. What a database keeps of that (`serves_from` in `store_state`) tells an older server whether it may
start, and the servers that run say their step with a lock, so that nothing is changed under one that may not go on.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.engines import failures
from freeplay_like.server.store.engines.database import database_of, upsert
from freeplay_like.server.store.tables import store_state
from freeplay_like.server.store.views import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

logger = logging.getLogger(__name__)

HEAD: Final = "0014"
"""The newest migration; named here, so that an up-to-date file is opened without loading Alembic."""

PATIENCE_S: Final = 60.0
"""How long migrations are tried that others get in the way of."""
PAUSE_S: Final = 0.5

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_FOLDERS: Final = (_MIGRATIONS / "versions",)
_SERVES_FROM: Final = "serves_from"


class DatabaseTooNew(Exception):
    """A newer release wrote this database, and this one may not work on it."""


@attrs.frozen
class Step:
    """A migration, and what it brings in its own words."""

    revision: str
    about: str


def upgrade(engine: sa.Engine) -> tuple[Step, ...]:
    """Run the migrations that are missing, in one transaction: two processes that start together do it once.

    Where that has to wait for others who read or write, it begins again: whoever comes after it would wait too.

    Raises:
        DatabaseTooNew: a newer release wrote it, and this one may not work on it.
        StoreUnavailable: servers run that could not go on.
    """
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            with engine.begin() as connection:
                return _upgrade(connection)
        except sa.exc.OperationalError as exc:
            if not failures.is_in_the_way(exc) or time.monotonic() > until_s:
                raise
            logger.warning("the migration waits: %s", failures.reason_of(exc))
        time.sleep(PAUSE_S)


def _upgrade(connection: sa.Connection) -> tuple[Step, ...]:
    database = database_of(connection)
    database.lock(connection)
    at = _current(connection)
    if at == HEAD:
        return ()
    from alembic import command

    scripts = _scripts(connection)
    steps = _missing(connection, scripts)
    if at is None and database.create(connection):
        command.stamp(_config(connection), "head")
    elif steps:
        serves_from = max(_serves_from(scripts, step) for step in steps)
        _require_none_before(connection, serves_from)
        database.be_brief(connection)
        command.upgrade(_config(connection), "head")
        kept = _kept_serves_from(connection) or 0
        upsert(connection, store_state, {"name": _SERVES_FROM, "value": max(serves_from, kept)})
    return steps


def missing(engine: sa.Engine) -> tuple[Step, ...]:
    """The migrations that a database lacks, in the order in which they would be run.

    Raises:
        DatabaseTooNew: a newer release wrote it, and this one may not work on it.
    """
    with engine.begin() as connection:
        return _missing(connection, _scripts(connection))


def current(connection: sa.Connection) -> str | None:
    """The last migration that was run, None in a file that has no tables of ours."""
    return _current(connection)


def _missing(connection: sa.Connection, scripts: ScriptDirectory) -> tuple[Step, ...]:
    at = _current(connection)
    if at is not None and at not in {script.revision for script in scripts.walk_revisions()}:
        serves_from = _kept_serves_from(connection)
        if serves_from is not None and serves_from <= int(HEAD):
            return ()
        at_least = "" if serves_from is None else f" and may be worked on from {f'{serves_from:04}'!r} on"
        raise DatabaseTooNew(
            f"the database {database_of(connection).name!r} was written by a newer release (it is at migration {at!r}"
            f"{at_least}; this one knows up to {HEAD!r}): install that release, or start with another database"
        )
    found = list(scripts.iterate_revisions("head", at or "base"))
    return tuple(Step(script.revision, (script.doc or "").partition("\n")[0]) for script in reversed(found))


def _serves_from(scripts: ScriptDirectory, step: Step) -> int:
    """From which step on servers may go on while this one is run, and after it."""
    return int(getattr(scripts.get_revision(step.revision).module, _SERVES_FROM, step.revision))


def _kept_serves_from(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(store_state.name):
        return None
    return connection.scalar(sa.select(store_state.c.value).where(store_state.c.name == _SERVES_FROM))


def _require_none_before(connection: sa.Connection, serves_from: int) -> None:
    oldest = database_of(connection).oldest_server(connection)
    if oldest is not None and oldest < serves_from:
        raise StoreUnavailable(
            f"servers of an older release work on the database {database_of(connection).name!r} (they know migrations "
            f"up to {f'{oldest:04}'!r}), and cannot go on after those that are missing: stop them first"
        )


def _scripts(connection: sa.Connection) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config(connection))


def _config(connection: sa.Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, _FOLDERS)).replace("%", "%%"))
    return config


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version = sa.table("alembic_version", sa.column("version_num", sa.String))
    return connection.scalar(sa.select(version.c.version_num))
