from __future__ import annotations

import pytest
import sqlalchemy as sa

from freeplay_like.server.store.accounts.saved_views import VIEWS_LIMIT, SavedView, ViewNotFound
from freeplay_like.server.store.accounts.view_tables import review_place
from freeplay_like.server.store.derived.filters import BadFilter
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import NameTaken, Project, Refused, TooMuch


def create(store: Store, project: Project, name: str, query: str = "", period: str | None = None) -> SavedView:
    return store.saved_views.create(project, name=name, query=query, period=period, person_id="ada")


def test_a_view_comes_back_as_it_was_saved_under_its_name(store: Store, project: Project) -> None:
    slow = create(store, project, "  slow ones ", "latency:>2s", "24h")
    failed = create(store, project, "failed", "outcome:error")
    assert (slow.name, slow.query, slow.period, slow.created_by) == ("slow ones", "latency:>2s", "24h", "ada")
    assert store.saved_views.all(project) == (failed, slow)
    assert store.saved_views.get(project, slow.id) == slow


def test_views_belong_to_their_project(store: Store, project: Project) -> None:
    other = store.projects.create("second")
    mine = create(store, project, "failed", "outcome:error")
    assert create(store, other, "failed").id != mine.id
    with pytest.raises(ViewNotFound):
        store.saved_views.get(other, mine.id)
    with pytest.raises(ViewNotFound):
        store.saved_views.delete(other, mine.id)
    assert store.saved_views.all(project) == (mine,)


def test_a_deleted_view_is_gone_with_the_places_that_people_had_in_it(store: Store, project: Project) -> None:
    view = create(store, project, "failed", "outcome:error")
    place = sa.insert(review_place).values(view_key=view.key, person_id="ada", seq=7, moved_at=1)
    store.saved_views._access.change(lambda connection: connection.execute(place))
    store.saved_views.delete(project, view.id)
    assert store.saved_views.all(project) == ()
    left = sa.select(sa.func.count()).select_from(review_place)
    assert store.saved_views._access.ask(lambda connection: connection.scalar(left)) == 0


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines"])
def test_a_name_that_nobody_could_read_in_a_menu_is_refused(store: Store, project: Project, name: str) -> None:
    with pytest.raises(Refused, match="1 to 100 characters"):
        create(store, project, name)


def test_a_view_is_not_saved_twice_nor_with_a_query_that_is_none(store: Store, project: Project) -> None:
    create(store, project, "failed", "outcome:error")
    with pytest.raises(NameTaken, match="'failed'"):
        create(store, project, "failed")
    with pytest.raises(BadFilter, match="no field 'colour'"):
        create(store, project, "blue", "colour:blue")
    assert [view.name for view in store.saved_views.all(project)] == ["failed"]


def test_there_is_an_end_to_how_many_views_there_are(store: Store, project: Project) -> None:
    for number in range(VIEWS_LIMIT):
        create(store, project, f"view {number}")
    with pytest.raises(TooMuch, match="delete one first"):
        create(store, project, "one more")
