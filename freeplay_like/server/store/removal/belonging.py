"""What belongs to what, read off the tables: so that a table which is added later cannot be forgotten by a deletion."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from freeplay_like.server.store.derived import following
from freeplay_like.server.store.tables import metadata, project


def delete_whole(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    """Delete rows and, before them, all rows that point at them; how many of `table` there were."""
    for child, constraint in _references_to(table):
        pairs = [(element.parent, element.column) for element in constraint.elements]
        targets = sa.select(*(target for _, target in pairs)).where(where)
        if len(pairs) == 1:
            points_at_them = pairs[0][0].in_(targets)
        else:
            points_at_them = sa.tuple_(*(column for column, _ in pairs)).in_(targets)
        delete_whole(connection, child, points_at_them)
    return connection.execute(sa.delete(table).where(where)).rowcount


def of_project(table: sa.Table, project_key: int) -> sa.ColumnElement[bool] | None:
    """Which rows of a table are a project's, by its own column or by what it points at; None where none are."""
    if table is project:
        return table.c.key == project_key
    if "project_key" in table.c:
        return table.c.project_key == project_key
    for key in table.foreign_keys:
        target = of_project(key.column.table, project_key)
        if target is not None:
            return key.parent.in_(sa.select(key.column).where(target))
    return None


def tables_with(*columns: str) -> Iterator[sa.Table]:
    """The tables that have all of these columns."""
    for table in metadata.sorted_tables:
        if all(name in table.c for name in columns):
            yield table


def delete_project(connection: sa.Connection, project_key: int) -> None:
    """Delete a project and every row of every table that is its own."""
    following.forget_project(connection, project_key)
    for table in reversed(metadata.sorted_tables):
        where = of_project(table, project_key)
        if where is not None:
            connection.execute(sa.delete(table).where(where))


def _references_to(table: sa.Table) -> Iterator[tuple[sa.Table, sa.ForeignKeyConstraint]]:
    for child in metadata.sorted_tables:
        for constraint in child.foreign_key_constraints:
            if constraint.referred_table is table and child is not table:
                yield child, constraint
