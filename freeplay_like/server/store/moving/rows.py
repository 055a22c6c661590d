"""The rows of tables as they are compared between two databases: in the order of their keys, a few at a time."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar

import attrs
import msgspec
import sqlalchemy as sa

from freeplay_like.server.store.derived.tables import facet, facet_block, rollup, session_summary, word
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.tables import metadata, size_sample, store_state

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]
"""The values of all columns, in the order of the table."""
Pair: TypeAlias = tuple[Row | None, Row | None]
"""A row of the one database and that of the other with the same key; None where there is none."""

FETCHED: Final = 100
"""How many rows are fetched at once: a body may be large."""
BLOCK: Final = 1 << 14
"""How many numbers of records are summed up together."""

RECORDS: Final = (record, record_body)
_NOT_MOVED: Final = (*RECORDS, facet, facet_block, session_summary, rollup, word, size_sample)

_encode: Final = msgspec.msgpack.Encoder().encode


@attrs.frozen(kw_only=True)
class Part:
    """A table, or those of its rows for which `where` holds."""

    table: sa.Table
    where: sa.ColumnElement[bool] = attrs.field(factory=sa.true, repr=False)
    span: range | None = None

    @property
    def key_of(self) -> Callable[[Row], Any]:
        """Takes the key out of a row."""
        columns = list(self.table.columns)
        return itemgetter(*(columns.index(column) for column in self.table.primary_key))


def beside_records() -> tuple[Part, ...]:
    """All but the records, each table after those that it refers to.

    What is derived from records is made again where they come to: databases lay it out differently, and a fault in it
    does not move along. Sizes, and how far deriving has come, are those of a database itself.
    """
    kept = store_state.c.name == "last_project_key"
    return tuple(
        Part(table=table, where=kept) if table is store_state else Part(table=table)
        for table in metadata.sorted_tables
        if table not in _NOT_MOVED
    )


def blocks(last_seq: int) -> Iterator[tuple[range, tuple[Part, ...]]]:
    """The tables of records, in blocks of numbers up to `last_seq`."""
    for start in range(0, last_seq + 1, BLOCK):
        span = range(start, start + BLOCK)
        yield (
            span,
            tuple(
                Part(table=table, where=table.c.seq.between(span.start, span.stop - 1), span=span) for table in RECORDS
            ),
        )


def rows_of(connection: sa.Connection, part: Part) -> Iterator[Row]:
    """The rows, in the order of their keys."""
    statement = sa.select(part.table).where(part.where).order_by(*part.table.primary_key)
    with connection.execute(statement.execution_options(yield_per=FETCHED)) as found:  # closed, if it is not read out
        yield from _plain(found, part.key_of)


def different(source: Iterable[Row], target: Iterable[Row], key_of: Callable[[Row], Any]) -> Iterator[Pair]:
    """The rows that are not the same in both; each is in the order of its keys."""
    left, right = iter(source), iter(target)
    ours, theirs = next(left, None), next(right, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and key_of(ours) < key_of(theirs)):
            yield ours, None
            ours = next(left, None)
        elif ours is None or key_of(theirs) < key_of(ours):
            yield None, theirs
            theirs = next(right, None)
        else:
            if _encode(ours) != _encode(theirs):
                yield ours, theirs
            ours, theirs = next(left, None), next(right, None)


@attrs.frozen(kw_only=True)
class Sum:
    """How many rows there are, and one SHA-256 over all of them in the order of their keys."""

    rows: int
    sha256: str


def sum_of(connection: sa.Connection, part: Part) -> Sum:
    """The sum over a part."""
    digest, count = hashlib.sha256(), 0
    for row in rows_of(connection, part):
        digest.update(_encode(row))
        count += 1
    return Sum(rows=count, sha256=digest.hexdigest())


def in_batches(values: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """The values, `size` at a time."""
    batch: list[T] = []
    for value in values:
        batch.append(value)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain(found: Iterable[sa.Row[Any]], key_of: Callable[[Row], Any]) -> Iterator[Row]:
    """The rows as every database can keep them, in the order of their keys.

    PostgreSQL has no text with NUL in it (see `engines.postgres`); where it is replaced in a key, the row comes later.
    """
    later: list[tuple[Any, Row]] = []
    for raw in found:
        row: Row = tuple(map(_storable, raw))
        key = key_of(row)
        if key != key_of(raw):
            heapq.heappush(later, (key, row))
            continue
        while later and later[0][0] < key:
            yield heapq.heappop(later)[1]
        yield row
    while later:
        yield heapq.heappop(later)[1]


def _storable(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    return value + 0.0 if isinstance(value, float) else value  # SQLite has no negative zero
