"""Making the rows of a table at the target like those at the source, whatever refers to what.

First, from the last table to the first, what the source lacks goes, and rows that give up a name let go of it. Then,
from the first to the last, rows are changed and added. So no name is taken twice, and nothing refers to what is not
there; and whoever breaks it off at any point can begin again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import sqlalchemy as sa

from freeplay_like.server.store.derived import following
from freeplay_like.server.store.moving.rows import Pair, Row, in_batches
from freeplay_like.server.store.records.tables import amendment, score
from freeplay_like.server.store.removal.belonging import delete_whole
from freeplay_like.server.store.tables import project, store_state

CHANGED: Final = 500
"""How many rows are changed in one transaction."""

Changing = Callable[[], AbstractContextManager[sa.Connection]]
"""Opens a transaction in which the target is changed."""


def clear(table: sa.Table, pairs: Iterable[Pair], changing: Changing) -> int:
    """Take out what the source lacks or has refer to something else, and the names of rows that have another one there.

    Answers how many rows differ.
    """
    count = 0
    for batch in in_batches(pairs, CHANGED):
        count += len(batch)
        gone = [theirs for ours, theirs in batch if ours is None and theirs is not None]
        both = [(ours, theirs) for ours, theirs in batch if ours is not None and theirs is not None]
        moved = [theirs for ours, theirs in both if _picked(table, ours, _refers) != _picked(table, theirs, _refers)]
        renamed = [theirs for ours, theirs in both if _picked(table, ours, _names) != _picked(table, theirs, _names)]
        with changing() as connection, _following(connection, table, gone):
            if table is project:
                for row in gone:
                    following.forget_project(connection, _values(table, row)["key"])
            if gone:
                wipe_soon(connection)
                connection.execute(sa.delete(table).where(*_is_one(table)), [_key(table, row) for row in gone])
            if renamed:
                unnamed = [_key(table, row) | _unnamed(table) for row in renamed]
                connection.execute(sa.update(table).where(*_is_one(table)), unnamed)
            for row in moved:
                delete_whole(connection, table, sa.and_(*_is_one(table)).params(_key(table, row)))
    return count


def wipe_soon(connection: sa.Connection) -> None:
    """Have the first server over the target take out the traces of what was deleted there."""
    connection.execute(sa.update(store_state).where(store_state.c.name == "wipe_due_at").values(value=1))


def fill(table: sa.Table, pairs: Iterable[Pair], changing: Changing) -> None:
    """Change and add rows, so that all are as at the source."""
    for batch in in_batches(pairs, CHANGED):
        changed = [ours for ours, theirs in batch if ours is not None and theirs is not None]
        new = [ours for ours, theirs in batch if ours is not None and theirs is None]
        before = [theirs for _, theirs in batch if theirs is not None]
        with changing() as connection, _following(connection, table, [*before, *changed, *new]):
            if changed:
                values = [_key(table, row) | _values(table, row) for row in changed]
                connection.execute(sa.update(table).where(*_is_one(table)), values)
            if new:
                connection.execute(sa.insert(table), [_values(table, row) for row in new])


@contextmanager
def _following(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> Iterator[None]:
    """Keep what is derived right while rows of a table are changed that it is derived from."""
    if table in (amendment, score):
        columns = list(table.columns)
        of, called = columns.index(table.c.project_key), columns.index(table.c.record_id)
        with following.amending(connection, {(row[of], row[called]) for row in rows}):
            yield
        return
    yield


def _is_one(table: sa.Table) -> list[sa.ColumnElement[bool]]:
    return [column == sa.bindparam(f"of_{column.name}") for column in table.primary_key]


def _key(table: sa.Table, row: Row) -> dict[str, Any]:
    values = _values(table, row)
    return {f"of_{column.name}": values[column.name] for column in table.primary_key}


def _values(table: sa.Table, row: Row) -> dict[str, Any]:
    return dict(zip(table.columns.keys(), row, strict=True))


def _picked(table: sa.Table, row: Row, wanted: Callable[[sa.Table, sa.Column[Any]], bool]) -> list[object]:
    return [value for column, value in zip(table.columns, row, strict=True) if wanted(table, column)]


def _refers(table: sa.Table, column: sa.Column[Any]) -> bool:
    return bool(column.foreign_keys)


def _names(table: sa.Table, column: sa.Column[Any]) -> bool:
    """Whether a column is a text that no two rows may have in common, or not together with other columns."""
    return (
        isinstance(column.type, sa.String | sa.LargeBinary)
        and not column.foreign_keys
        and not column.primary_key
        and any(column.name in each.columns for each in table.constraints if isinstance(each, sa.UniqueConstraint))
    )


def _unnamed(table: sa.Table) -> dict[str, object]:
    """Names that no row has."""
    return {column.name: _nonce(column) for column in table.columns if _names(table, column)}


def _nonce(column: sa.Column[Any]) -> object:
    if isinstance(column.type, sa.LargeBinary):
        return secrets.token_bytes(32)
    return secrets.token_hex(16)[: getattr(column.type, "length", None)]
