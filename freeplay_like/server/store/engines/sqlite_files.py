"""What only SQLite knows of its files: their sizes, whole copies, and how what was deleted leaves no trace in them.

A deletion frees pages and leaves what stood on them. Three things take the traces away: deleting with
`secure_delete`, which writes zeros over what is freed; merging the text index to its end, for until then it holds the
deleted words and a mark that they are gone; and filling the pages that were free before with zeros.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.engines.database import Sizes

TEXT_INDEXES: Final = ("record_search", "word_search")
"""The text indexes, which hold deleted words until they are merged."""
MERGE_PAGES: Final = 500
"""How much of the text index one slice merges: some 50 ms."""
WIPE_PAGES: Final = 1_024
"""How many free pages one slice fills with zeros."""


class DatabaseDamaged(Exception):
    """A database file that fails SQLite's own check; the message is what it said."""


def file_sizes(connection: sa.Connection, path: Path) -> Sizes:
    """The sizes of a database's files."""
    page_bytes = _pragma(connection, "page_size")
    log = path.with_name(f"{path.name}-wal")
    return Sizes(
        database_bytes=_pragma(connection, "page_count") * page_bytes,
        log_bytes=log.stat().st_size if log.exists() else 0,
        free_bytes=_pragma(connection, "freelist_count") * page_bytes,
    )


@contextlib.contextmanager
def wiping(connection: sa.Connection) -> Iterator[None]:
    """Within it, what is deleted is overwritten with zeros."""
    connection.exec_driver_sql("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA secure_delete=FAST")


def begin_merge(connection: sa.Connection, index: str) -> None:
    """Set all of a text index to be merged; `merge_slice` then does it."""
    _merge(connection, index, -MERGE_PAGES)


def merge_slice(connection: sa.Connection, index: str) -> bool:
    """Merge a part of a text index; True where more is left. With the last part, no deleted word is left in it."""
    before = _changes(connection)
    with wiping(connection):
        _merge(connection, index, MERGE_PAGES)
    return _changes(connection) - before >= 2  # SQLite's own sign that there was something to merge


def fill_free_pages(connection: sa.Connection) -> bool:
    """Write zeros on some of the free pages, which are kept out of use until `give_back`; True where more are left."""
    free = _pragma(connection, "freelist_count")
    if free == 0:
        return False
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS wipe (zeros BLOB)")
    size_bytes = _filling(_pragma(connection, "page_size"), min(free, WIPE_PAGES) - 1)
    connection.exec_driver_sql("INSERT INTO wipe VALUES (zeroblob(?))", (size_bytes,))
    return _pragma(connection, "freelist_count") > 0


def _filling(page_bytes: int, pages: int) -> int:
    """The size of a value that lies on so many pages of its own and fills each: the rest of one that is not full keeps
    what stood there.

    Source: "Cell Payload Overflow Pages" in https://www.sqlite.org/fileformat2.html (read 2026-11). What does not fill
    whole pages lies beside the other values of the table, on pages that SQLite clears before it uses them.
    """
    if pages == 0:
        return page_bytes * 3 // 4
    least_beside = (page_bytes - 12) * 32 // 255 - 23
    return pages * (page_bytes - 4) + least_beside + 100


def give_back(connection: sa.Connection) -> None:
    """Make the pages that were filled with zeros free again."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS wipe")


def empty_log(engine: sa.Engine) -> bool:
    """Bring the write-ahead log into the database and cut it to nothing; False where a reader is in the way."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        (is_busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy
    finally:
        connection.close()


def copy_whole(source: Path, target: Path) -> None:
    """A copy of a database at one moment, checked, on the disk, and there as a whole or not at all.

    Whoever writes to the source meanwhile does not wait. The copy has no free pages, and so nothing that was deleted.

    Raises:
        DatabaseDamaged: the copy is not sound.
        sqlite3.Error: it could not be made.
        OSError: it could not be written.
    """
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(fresh),))
        fresh.chmod(0o600)
        check_whole(fresh)
        sync(fresh)
        fresh.replace(target)
        sync(target.parent)
    finally:
        fresh.unlink(missing_ok=True)


def open_as_it_is(path: Path) -> sa.Engine:
    """An engine that only reads, and changes nothing of a file: not even how it is written."""
    address = sa.URL.create("sqlite", database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    return sa.create_engine(address, poolclass=sa.NullPool)


def check_whole(path: Path) -> None:
    """Nothing where a database file is sound.

    Raises:
        DatabaseDamaged: it is not.
    """
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
        except sqlite3.DatabaseError as exc:
            raise DatabaseDamaged(f"{str(path)!r} is no sound database: {exc}") from exc
    if found != ["ok"]:
        raise DatabaseDamaged(f"{str(path)!r} is damaged: {'; '.join(found)}")


def compact(path: Path) -> None:
    """Write a database anew, without free pages. Nobody else may have it open."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _merge(connection: sa.Connection, index: str, pages: int) -> None:
    table = sa.table(index, sa.column(index), sa.column("rank"))
    connection.execute(sa.insert(table).values({index: "merge", "rank": pages}))


def _changes(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())


def _pragma(connection: sa.Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
