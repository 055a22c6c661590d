"""The tables as PostgreSQL has them, and the partitions of those that grow with every record.

Partitions are ranges of `seq`, that is of arrival: what clocks of senders say does not matter, a number leads straight
to its partition, and the newest calls lie together.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR

from freeplay_like.server.store.engines import postgres_live
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.tables import metadata, store_state

PARTITION: Final = 1 << 22
"""How many numbers a partition has room for: 239 partitions at a thousand million records.

A statement is planned over all of them, so there must not be too many; what is dropped whole is a partition, so they
must not be too large.
"""
AHEAD: Final = 2
"""How many partitions are there at least beyond the one that is being filled."""

PARTITIONED: Final = ("record", "record_body", "record_search")
VACUUMED: Final = (*PARTITIONED, "record_key", "word", "word_search", "amendment", "score", "facet_block")
"""Where something may be left of what was deleted."""

_PARTITIONS: Final = sa.text(
    "SELECT substring(relname FROM '[0-9]+$')::int AS number FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
    "WHERE inhparent = to_regclass('record') ORDER BY number"
)

_PENDING: Final = {"gin_pending_list_limit": 512}
"""KiB that an index of words lets wait to be sorted in: every question reads them, and with 4 MiB that took 20 ms."""

_STATE: Final = ("derived_seq", "indexed_seq", "checked_at", "wipe_due_at", "last_project_key")


def create(connection: sa.Connection) -> None:
    """Make all tables in an empty database, and the first partitions."""
    tables = _tables()
    connection.execute(sa.text("CREATE SEQUENCE record_number AS bigint MINVALUE 0 START 0"))
    connection.execute(sa.text("SELECT nextval('record_number')"))
    tables.create_all(connection, checkfirst=False)
    postgres_live.create(connection)
    connection.execute(sa.insert(store_state), [{"name": name, "value": 0} for name in _STATE])
    make_partitions(connection, 1)


def _tables() -> sa.MetaData:
    made = sa.MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        copy = table.to_metadata(made)
        for column in copy.columns:
            if isinstance(column.type, sa.String):
                # sorted and compared by code points, as SQLite does and as cursors of pages rely on
                column.type = type(column.type)(column.type.length, collation="C")
    for name in (record.name, record_body.name):
        _partition(made.tables[name])
    sa.Index(None, made.tables[record.name].c.project_key, made.tables[record.name].c.record_id)
    sa.Table(
        "record_key",
        made,
        sa.Column("project_key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("record_id", sa.String(64, collation="C"), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    search = sa.Table(
        "record_search",
        made,
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("words", TSVECTOR, nullable=False),
    )
    _partition(search)
    sa.Index(None, search.c.words, postgresql_using="gin", postgresql_with=_PENDING)
    sa.Table(
        "text_slice",
        made,
        sa.Column("first_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "falling_span",
        made,
        sa.Column("first_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    parts = sa.Table(
        "word_search",
        made,
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("threes", ARRAY(sa.Text(collation="C")), nullable=False),
    )
    sa.Index(None, parts.c.threes, postgresql_using="gin", postgresql_with=_PENDING)
    return made


def _partition(table: sa.Table) -> None:
    """Divide a table by its numbers, which come from `record_number`.

    What it refers to is not checked for each record: a check would lock the row of the project each time.
    """
    table.dialect_options["postgresql"]["partition_by"] = "RANGE (seq)"
    table.c.seq.autoincrement = False
    for constraint in [each for each in table.constraints if not isinstance(each, sa.PrimaryKeyConstraint)]:
        table.constraints.remove(constraint)


def resume_numbers(connection: sa.Connection) -> None:
    """Number new rows of all tables but the divided ones after those that are there."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None and table.name not in PARTITIONED:
            sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
            last = sa.func.max(column)
            connection.execute(sa.select(sa.func.setval(sequence, last)).having(last.is_not(None)))


def partitions(connection: sa.Connection) -> list[int]:
    """The numbers of the partitions that are there."""
    return list(connection.scalars(_PARTITIONS))


def part_of(name: str, number: int) -> str:
    """What a partition of a table is called."""
    return f"{name}_{number}"


def make_partitions(connection: sa.Connection, wanted: int) -> int:
    """Make partitions until `wanted` and `AHEAD` more were made; how many had been, whatever becomes of the rest.

    One at a time over all servers. What is being written meanwhile does not wait.
    """
    there = max(partitions(connection), default=-1) + 1
    for number in range(there, wanted + AHEAD):
        for name in PARTITIONED:
            made, low, high = part_of(name, number), number * PARTITION, (number + 1) * PARTITION
            connection.execute(sa.text(f"CREATE TABLE {made} (LIKE {name} INCLUDING ALL)"))
            connection.execute(
                sa.text(f"ALTER TABLE {name} ATTACH PARTITION {made} FOR VALUES FROM ({low}) TO ({high})")
            )
    return there
