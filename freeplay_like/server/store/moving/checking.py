"""Proving that two databases hold the same: every table, and every block of records, is summed up on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import attrs
import sqlalchemy as sa

from freeplay_like.server.store import schema
from freeplay_like.server.store.engines.database import Database, database_of
from freeplay_like.server.store.moving.rows import Part, Row, Sum, beside_records, blocks, different, rows_of, sum_of
from freeplay_like.server.store.moving.steps import MoveRefused, Step, Tell
from freeplay_like.server.store.records.tables import record

Reading: TypeAlias = tuple[sa.Connection, sa.Connection]
"""Source and target, each at one moment."""


@attrs.frozen(kw_only=True)
class Summed:
    """A table, or a block of its records, that is the same on both sides."""

    table: str
    sum: Sum
    first_seq: int | None = None


@attrs.frozen(kw_only=True)
class Difference:
    """The first row that is not the same; `about` says in what."""

    table: str
    key: str
    about: str


def compare(source: Database, target: Database, tell: Tell) -> Iterator[Summed | Difference]:
    """Every table and block, with its sum or how it differs. Nobody may change either database meanwhile.

    Raises:
        MoveRefused: one of them has not the tables of this release, or a server runs over it.
        DatabaseTooNew: a newer release wrote one of them.
    """
    ours, theirs = source.open(is_writer=False), target.open(is_writer=False)

    @contextmanager
    def reading() -> Iterator[Reading]:
        with ours.begin() as first, theirs.begin() as second:
            yield first, second

    try:
        for engine, database in ((ours, source), (theirs, target)):
            require_tables(engine, database.name)
            require_no_server(engine, database.name)
        yield from compare_all(reading, tell)
    finally:
        ours.dispose()
        theirs.dispose()


def require_tables(engine: sa.Engine, name: str) -> None:
    """Nothing, where a database has the tables of this release.

    Raises:
        MoveRefused: it has not.
        DatabaseTooNew: a newer release wrote it.
    """
    missing = schema.missing(engine)
    with engine.begin() as connection:
        if missing or schema.current(connection) != schema.HEAD:
            raise MoveRefused(f"{name} has not the tables of this release: see `freeplay-like db migrate`")


def require_no_server(engine: sa.Engine, name: str) -> None:
    """Nothing, where no server works on a database that several may share; a data folder has a lock of its own.

    Raises:
        MoveRefused: one does.
    """
    with engine.begin() as connection:
        if database_of(connection).oldest_server(connection) is not None:
            raise MoveRefused(f"a server runs over {name}; stop it first")


def compare_all(
    reading: Callable[[], AbstractContextManager[Reading]],
    tell: Tell,
    mend: Callable[[Sequence[Part]], None] | None = None,
) -> Iterator[Summed | Difference]:
    """As `compare`. `mend` is called with the parts of a block that differs, which is then compared again."""
    with reading() as both:
        last_seq = max(connection.scalar(sa.select(sa.func.max(record.c.seq))) or 0 for connection in both)
    for span, parts in blocks(last_seq):
        found = _compare(reading, parts)
        if mend is not None and any(isinstance(one, Difference) for one in found):
            mend(parts)
            found = _compare(reading, parts)
        yield from found
        tell(Step(doing="compare records", done=min(span.stop, last_seq), total=last_seq))
    tell(Step(doing="compare tables", done=0, total=1))
    yield from _compare(reading, beside_records())


def _compare(
    reading: Callable[[], AbstractContextManager[Reading]], parts: Sequence[Part]
) -> list[Summed | Difference]:
    with reading() as (source, target):
        return [_compare_part(source, target, part) for part in parts]


def _compare_part(source: sa.Connection, target: sa.Connection, part: Part) -> Summed | Difference:
    ours = sum_of(source, part)
    if ours == sum_of(target, part):
        return Summed(table=part.table.name, sum=ours, first_seq=None if part.span is None else part.span.start)
    first, second = next(different(rows_of(source, part), rows_of(target, part), part.key_of))
    row: Any = first if first is not None else second
    return Difference(table=part.table.name, key=repr(part.key_of(row)), about=_about(part, first, second))


def _about(part: Part, ours: Row | None, theirs: Row | None) -> str:
    if ours is None or theirs is None:
        return f"it is not in the {'source' if ours is None else 'target'}"
    names = part.table.columns.keys()
    return "not the same: " + ", ".join(
        name for name, one, other in zip(names, ours, theirs, strict=True) if one != other
    )
