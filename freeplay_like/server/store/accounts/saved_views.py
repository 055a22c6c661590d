"""Saved views: filters of the list of calls under a name, for everybody who looks at the project."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.accounts.view_tables import review_place, saved_view
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.views import NameTaken, NotFound, Project, Refused, TooMuch

NAME_LIMIT: Final = 100
VIEWS_LIMIT: Final = 100
"""The most views of one project: they are read in a menu."""


@attrs.frozen(kw_only=True)
class SavedView:
    """A filter with a name: `query` as it is typed, `period` a time range that moves along (`24h`)."""

    key: int
    id: str
    name: str
    query: str
    period: str | None
    created_at: datetime
    created_by: str | None


class ViewNotFound(NotFound):
    """There is no such view in that project."""


def views(connection: sa.Connection, of: Project) -> tuple[SavedView, ...]:
    """The views of a project, by their names."""
    rows = connection.execute(sa.select(saved_view).where(_in(of)).order_by(saved_view.c.name)).mappings()
    return tuple(map(_view, rows))


def get(connection: sa.Connection, of: Project, view_id: str) -> SavedView:
    """A view by its id.

    Raises:
        ViewNotFound: there is none.
    """
    row = connection.execute(sa.select(saved_view).where(_in(of), saved_view.c.id == view_id)).mappings().one_or_none()
    if row is None:
        raise ViewNotFound(f"there is no saved view {view_id[:100]!r} in project {of.name!r}")
    return _view(row)


def create(connection: sa.Connection, of: Project, draft: SavedView) -> SavedView:
    """A new view.

    Raises:
        Refused: the name is empty or too long, or the query is none.
        NameTaken: there is a view of that name.
        TooMuch: there are `VIEWS_LIMIT` of them.
    """
    name = draft.name.strip()
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise Refused(f"a view's name has 1 to {NAME_LIMIT} characters in one line")
    parse(draft.query)
    taken = {known.name for known in views(connection, of)}
    if name in taken:
        raise NameTaken(f"there is a view called {name!r} already; choose another name, or delete that one")
    if len(taken) >= VIEWS_LIMIT:
        raise TooMuch(f"there are {VIEWS_LIMIT} saved views in project {of.name!r}; delete one first")
    connection.execute(
        sa.insert(saved_view).values(
            id=draft.id,
            project_key=of.key,
            name=name,
            query=draft.query,
            period=draft.period,
            created_at=to_micros(draft.created_at),
            created_by=draft.created_by,
        )
    )
    return get(connection, of, draft.id)


def delete(connection: sa.Connection, of: Project, view_id: str) -> None:
    """Forget a view, and how far people have read it.

    Raises:
        ViewNotFound: there is none.
    """
    key = get(connection, of, view_id).key
    connection.execute(sa.delete(review_place).where(review_place.c.view_key == key))
    connection.execute(sa.delete(saved_view).where(saved_view.c.key == key))


def _in(of: Project) -> sa.ColumnElement[bool]:
    return saved_view.c.project_key == of.key


def _view(row: sa.RowMapping) -> SavedView:
    return SavedView(
        key=row["key"],
        id=row["id"],
        name=row["name"],
        query=row["query"],
        period=row["period"],
        created_at=from_micros(row["created_at"]),
        created_by=row["created_by"],
    )


class SavedViews(Part):
    """The saved views of the list of calls."""

    def all(self, project: Project) -> tuple[SavedView, ...]:
        """The views of a project, by their names."""
        return self._access.ask(views, project)

    def get(self, project: Project, view_id: str) -> SavedView:
        """A view by its id.

        Raises:
            ViewNotFound: there is none.
        """
        return self._access.ask(get, project, view_id)

    def create(
        self, project: Project, *, name: str, query: str, period: str | None, person_id: str | None
    ) -> SavedView:
        """A new view; see `create`. `person_id` is who made it."""
        draft = SavedView(
            key=0,
            id=self._access.clock.new_id(),
            name=name,
            query=query,
            period=period,
            created_at=self._access.clock.now(),
            created_by=person_id,
        )
        return self._access.change(lambda connection: create(connection, project, draft))

    def delete(self, project: Project, view_id: str) -> None:
        """Forget a view; see `delete`."""
        self._access.change(lambda connection: delete(connection, project, view_id))
