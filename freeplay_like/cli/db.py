"""`freeplay-like db`: the database file of a data folder."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import click
import sqlalchemy as sa

from freeplay_like.cli.data_folder import (
    alone,
    database_at,
    existing_database,
    make_folder,
    require_existing,
    told,
)
from freeplay_like.cli.database_options import database_options
from freeplay_like.cli.db_copy import copy
from freeplay_like.errors import ConfigurationError
from freeplay_like.server.store import schema
from freeplay_like.server.store.engines import sqlite_files
from freeplay_like.server.store.engines.database import OPTION, Database
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import metadata

_INSTEAD: Final = {
    "backup": "pg_dump, or base backups with the log of changes (pg_basebackup)",
    "restore": "pg_restore into an empty database",
    "vacuum": "its autovacuum, which goes on by itself",
}
"""What is used over PostgreSQL."""


@attrs.frozen(kw_only=True)
class DatabaseInfo:
    """What is in a database. `path` is its name where it is no file, `migration` the last one that was run, `missing`
    how many it lacks."""

    path: str
    migration: str | None
    missing: int
    database_bytes: int
    free_bytes: int
    log_bytes: int
    rows: dict[str, int]


@click.group()
def db() -> None:
    """The database: its tables, copies of it, its size."""


db.add_command(copy)


@db.command()
@database_options
@click.option("--check", "is_check", is_flag=True, help="Only show what is missing; exits with 1 where anything is.")
def migrate(data: Path | None, database_url: str | None, *, is_check: bool) -> None:
    """Bring the tables to this release, and show the steps. `serve` does the same when it starts.

    A copy made before with `db backup` is the way back: an older release does not open a newer one's file.
    """
    if data is not None:
        existing_database(data)
    database = database_at(data, database_url)
    with told(database.name), _opened(database.open(is_writer=True)) as engine:
        steps = schema.missing(engine)
        for step in steps:
            click.echo(f"{step.revision}  {step.about}")
        if not steps:
            click.echo(f"nothing is missing (migration {schema.HEAD})")
        elif is_check:
            raise SystemExit(1)
        else:
            schema.upgrade(engine)
            click.echo(f"{len(steps)} done")


@db.command()
@database_options
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", "is_forced", is_flag=True, help="Replace a file that is there.")
def backup(data: Path | None, database_url: str | None, target: Path, *, is_forced: bool) -> None:
    """Write a whole copy to a file, also while a server takes records, and check it.

    The copy is of one moment, has everything that was stored when the command began, and is there whole or not at
    all. It holds the hashes of keys, not the keys.
    """
    source = existing_database(_folder(data, database_url))
    if target.exists() and not is_forced:
        raise ConfigurationError(f"{str(target)!r} is there already; choose another name, or add --force")
    newest = _newest_seq(source)
    with told(str(source)):
        sqlite_files.copy_whole(source, target)
    if _newest_seq(target) < newest:
        raise ConfigurationError(
            f"{str(target)!r} lacks records that were there when the copy began; do not rely on it"
        )
    click.echo(f"{target}: {target.stat().st_size} bytes, sound, {_rows(target, record)} records")


@db.command()
@database_options
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", "is_forced", is_flag=True, help="Replace the database that is there.")
def restore(data: Path | None, database_url: str | None, source: Path, *, is_forced: bool) -> None:
    """Put a copy made by `db backup` into a data folder over which no server runs."""
    data = _folder(data, database_url)
    make_folder(data)
    target = data / DATABASE_NAME
    with alone(data), told(str(source)):
        if target.exists() and not is_forced:
            raise ConfigurationError(f"there is a database in {str(data)!r} already; add --force to replace it")
        sqlite_files.check_whole(source)
        with _opened(_as_it_is(source)) as engine:
            with engine.begin() as connection:
                if schema.current(connection) is None:
                    raise ConfigurationError(f"{str(source)!r} is no database of this program; see `db backup`")
            missing = schema.missing(engine)
        fresh = target.with_name(f".{target.name}.new")
        try:
            shutil.copyfile(source, fresh)
            fresh.chmod(0o600)
            sqlite_files.sync(fresh)
            for side in ("-wal", "-shm"):  # of the file that goes: they would be taken for the new one's
                target.with_name(f"{target.name}{side}").unlink(missing_ok=True)
            fresh.replace(target)
            sqlite_files.sync(data)
        finally:
            fresh.unlink(missing_ok=True)
    older = f"; `serve` will run {len(missing)} migrations" if missing else ""
    click.echo(f"{target}: {_rows(target, record)} records{older}")


@db.command()
@database_options
def vacuum(data: Path | None, database_url: str | None) -> None:
    """Write the database anew, without what is free in it. No server may run over the folder meanwhile.

    It needs as much room again while it runs. What was deleted is in no page of the file afterwards.
    """
    data = _folder(data, database_url)
    path = existing_database(data)
    before = path.stat().st_size
    with alone(data), told(str(path)):
        sqlite_files.compact(path)
    click.echo(f"{path}: {before} bytes before, {path.stat().st_size} now")


@db.command()
@database_options
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def info(data: Path | None, database_url: str | None, *, is_json: bool) -> None:
    """Show what is in the database, and what it takes."""
    found = _info(require_existing(data, database_url), data)
    if is_json:
        click.echo(json.dumps(attrs.asdict(found)))
        return
    behind = f", {found.missing} missing" if found.missing else ""
    click.echo(f"{found.path}  (migration {found.migration}{behind})")
    click.echo(f"{found.database_bytes} bytes, {found.free_bytes} of them free; log {found.log_bytes} bytes")
    for name, count in found.rows.items():
        click.echo(f"{count:>12}  {name}")


def _folder(data: Path | None, database_url: str | None) -> Path:
    """The folder of a command that works on files."""
    database_at(data, database_url)
    if data is None:
        command = click.get_current_context().info_name or ""
        raise ConfigurationError(f"`db {command}` is for a data folder; over PostgreSQL use {_INSTEAD[command]}")
    return data


def _info(database: Database, data: Path | None) -> DatabaseInfo:
    engine = database.open(is_writer=False) if data is None else _as_it_is(data / DATABASE_NAME)
    with told(database.name), _opened(engine):
        missing = schema.missing(engine)
        with engine.begin() as connection:
            there = set(sa.inspect(connection).get_table_names())
            tables = [table for name, table in sorted(metadata.tables.items()) if name in there]
            sizes = database.sizes(connection)
            return DatabaseInfo(
                path=database.name,
                migration=schema.current(connection),
                missing=len(missing),
                database_bytes=sizes.database_bytes,
                free_bytes=sizes.free_bytes,
                log_bytes=sizes.log_bytes,
                rows={table.name: _count(connection, table) for table in tables},
            )


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _as_it_is(path: Path) -> sa.Engine:
    """A file, opened in a way that changes nothing of it."""
    return sqlite_files.open_as_it_is(path).execution_options(**{OPTION: SqliteDatabase(path)})


@contextlib.contextmanager
def _opened(engine: sa.Engine) -> Iterator[sa.Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


def _newest_seq(path: Path) -> int:
    return _scalar(path, sa.select(sa.func.max(record.c.seq)))


def _rows(path: Path, table: sa.Table) -> int:
    return _scalar(path, sa.select(sa.func.count()).select_from(table))


def _scalar(path: Path, statement: sa.Select[int]) -> int:
    with _opened(sqlite_files.open_as_it_is(path)) as engine, told(str(path)), engine.begin() as connection:
        return connection.scalar(statement) or 0
