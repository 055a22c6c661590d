"""Where a benchmark's store lies: in a folder, in a PostgreSQL that is there, or in one that is started for it."""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs
import psutil
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME, SqliteDatabase
from support.postgres import Cluster

CLI: Final = (sys.executable, "-m", "freeplay_like.cli")
POSTGRES: Final = {
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "random_page_cost": "1.1",
    "max_wal_size": "8GB",
    "max_connections": "200",
}
"""Settings of a PostgreSQL that is taken seriously; the others are its own. It waits for the disk with each commit."""


_SQLITE_SIZES: Final = sa.text(
    "SELECT name, pgsize AS size FROM dbstat WHERE aggregate = 1 ORDER BY size DESC LIMIT 16"
)
_POSTGRES_SIZES: Final = sa.text(
    "SELECT coalesce(pg_partition_root(oid), oid)::regclass::text AS name, "
    "sum(CASE relkind WHEN 'r' THEN pg_table_size(oid) ELSE pg_relation_size(oid) END)::bigint AS size "
    "FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace "
    "GROUP BY 1 ORDER BY size DESC LIMIT 16"
)
"""Tables with what lies beside their rows, and indexes; partitions are added up."""


@attrs.frozen
class Place:
    """A store's database, and the options by which commands find it."""

    database: Database
    options: tuple[str, ...]

    @classmethod
    def in_folder(cls, folder: Path) -> Place:
        """A file in a folder, which is made where it is not there yet."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(SqliteDatabase(folder / DATABASE_NAME), ("--data", str(folder)))

    @classmethod
    def at(cls, url: str) -> Place:
        """A PostgreSQL."""
        from freeplay_like.server.store.engines.postgres import PostgresDatabase

        return cls(PostgresDatabase(url), ("--database-url", url))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one moment."""
        engine = self.database.open(is_writer=False)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def disk(self) -> dict[str, int]:
        """Bytes, in all and of the largest tables and indexes."""
        with self.reading() as connection:
            sizes = self.database.sizes(connection)
            is_sqlite = connection.dialect.name == "sqlite"
            largest = connection.execute(_SQLITE_SIZES if is_sqlite else _POSTGRES_SIZES).all()
        return {"in all": sizes.database_bytes + sizes.log_bytes, **{name: int(size) for name, size in largest}}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the store's place be said."""
    places = parser.add_mutually_exclusive_group()
    places.add_argument("--keep", type=Path, help="a folder for an SQLite store, kept and used again")
    places.add_argument("--database-url", help="a PostgreSQL database, kept and used again")
    places.add_argument("--postgres", action="store_true", help="a PostgreSQL started for this, and removed again")


@contextmanager
def place_of(asked: argparse.Namespace) -> Iterator[Place]:
    """The place that was said; an SQLite store that is removed again where none was."""
    if asked.database_url is not None:
        yield Place.at(asked.database_url)
    elif asked.postgres:
        with Cluster(fsync=True, settings=POSTGRES) as cluster:
            yield Place.at(cluster.create_database("bench"))
    elif asked.keep is not None:
        yield Place.in_folder(asked.keep)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            yield Place.in_folder(Path(temporary) / "data")


def project_in(place: Place) -> dict[str, str]:
    """What `freeplay-like init` says of the project of benchmarks, made where it is not there yet."""
    command = [*CLI, "init", *place.options, "--project", "bench", "--json"]
    made: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return made


@contextmanager
def serving(place: Place) -> Iterator[tuple[str, psutil.Process, float]]:
    """The server over a store: its address, its process, and the seconds to its first answer."""
    began = time.perf_counter()
    command = [*CLI, "serve", *place.options, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = urlsplit(json.loads(process.stdout.readline())["url"]).netloc
            with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
                connection.request("GET", "/healthz")
                assert connection.getresponse().status == 200, "the server started, and is not well"
            yield address, psutil.Process(process.pid), time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
