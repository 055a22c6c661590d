from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.server.store import schema
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.prompts.environments import ENVIRONMENTS_LIMIT
from freeplay_like.server.store.prompts.views import (
    Draft,
    EnvironmentInUse,
    EnvironmentMoved,
    EnvironmentNotFound,
    LatestIsNewest,
    MayNotDeploy,
    Mover,
    ReasonNeeded,
    VersionNotFound,
)
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import NameTaken, Project, TooMuch

ANN = Mover(kind="key", id="key-ann", may_deploy=True, reason="it is better")
BOB = Mover(kind="person", id="bob")


def add(store: Store, project: Project, text: str, *environments: str, by: Mover = ANN) -> tuple[str, str]:
    """A version of a template `greeting`: its ids."""
    template = PromptTemplate(name="greeting", messages=(TemplateMessage(role="user", content=text),))
    made = store.prompts.create_version(project, Draft(template=template, environments=environments), by).template
    return made.template_id or "", made.version_id or ""


def test_every_move_is_kept_with_who_made_it_and_why(store: Store, project: Project) -> None:
    first = add(store, project, "one", "prod")
    second = add(store, project, "two", "prod", "dev", by=BOB)
    store.environments.point(project, *second, ["dev"], ANN)
    told = [
        (
            move.environment,
            move.from_version and move.from_version.version_id,
            move.to_version and move.to_version.version,
            move.by.kind,
            move.by.id,
            move.by.reason,
        )
        for move in store.environments.moves(project, first[0], 0, 10)
    ]
    assert told[0] == ("prod", second[1], None, "key", "key-ann", "it is better")
    assert sorted(told[1:3], key=lambda move: move[0]) == [
        ("dev", None, "2", "person", "bob", None),
        ("prod", first[1], "2", "person", "bob", None),
    ]
    assert told[3:] == [("prod", None, "1", "key", "key-ann", "it is better")]
    (newest,) = store.environments.moves(project, first[0], 0, 1)
    assert newest.to_version is None


def test_what_points_there_already_is_not_moved(store: Store, project: Project) -> None:
    ids = add(store, project, "one", "prod")
    add(store, project, "one", "prod")
    store.environments.point(project, *ids, ["prod"], BOB)
    assert len(store.environments.moves(project, ids[0], 0, 10)) == 1


def test_a_protected_environment_moves_for_those_who_may_and_say_why(store: Store, project: Project) -> None:
    first = add(store, project, "one", "prod")
    (prod,) = store.environments.all(project)
    store.environments.change(project, prod.id, ANN, is_protected=True)
    second = add(store, project, "two")
    with pytest.raises(MayNotDeploy, match="'prod' is protected"):
        store.environments.point(project, *second, ["prod"], BOB)
    with pytest.raises(MayNotDeploy):
        store.environments.point(project, *first, [], BOB)
    with pytest.raises(MayNotDeploy):
        store.prompts.put_away(project, first[0], BOB)
    for reason in (None, "", " "):
        with pytest.raises(ReasonNeeded, match="'reason'"):
            store.environments.point(project, *second, ["prod"], Mover(kind="key", may_deploy=True, reason=reason))
    with pytest.raises(MayNotDeploy):
        add(store, project, "three", "prod", by=BOB)
    found = store.prompts.get(project.id, "greeting", "latest")
    assert found is not None
    assert found.template.version == "2", "nothing of a refused request is kept"
    store.environments.point(project, *second, ["prod", "dev"], ANN)
    store.environments.point(project, *second, ["prod"], BOB)  # prod stays where it is
    moved = store.prompts.get(project.id, "greeting", "prod")
    assert moved is not None
    assert moved.template.version == "2"


def test_who_may_not_deploy_cannot_take_the_protection_away(store: Store, project: Project) -> None:
    made = store.environments.create(project, "prod", is_protected=True)
    for change in ({"is_protected": False}, {"name": "production"}):
        with pytest.raises(MayNotDeploy):
            store.environments.change(project, made.id, BOB, **change)
    with pytest.raises(MayNotDeploy):
        store.environments.delete(project, made.id, BOB)
    free = store.environments.create(project, "dev")
    with pytest.raises(MayNotDeploy):
        store.environments.change(project, free.id, BOB, is_protected=True)
    store.environments.delete(project, made.id, ANN)
    assert store.environments.all(project) == (free,)


def test_an_environment_is_renamed_wherever_it_stands(store: Store, project: Project) -> None:
    ids = add(store, project, "one", "stage")
    other = store.projects.create("second")
    add(store, other, "one", "stage")
    (stage,) = store.environments.all(project)
    assert stage.templates == 1
    renamed = store.environments.change(project, stage.id, BOB, name="staging")
    assert (renamed.name, renamed.templates) == ("staging", 1)
    assert store.prompts.get(project.id, "greeting", "staging") is not None
    assert store.prompts.get(project.id, "greeting", "stage") is None
    assert store.environments.moves(project, ids[0], 0, 1)[0].environment == "staging"
    assert store.prompts.get(other.id, "greeting", "stage") is not None


@pytest.mark.parametrize("name", ["prod", "latest"])
def test_a_name_is_given_once(store: Store, project: Project, name: str) -> None:
    store.environments.create(project, "prod")
    dev = store.environments.create(project, "dev")
    with pytest.raises(NameTaken, match=name):
        store.environments.create(project, name)
    with pytest.raises(NameTaken, match=name):
        store.environments.change(project, dev.id, ANN, name=name)


def test_an_environment_that_templates_have_is_not_deleted(store: Store, project: Project) -> None:
    ids = add(store, project, "one", "prod")
    (prod,) = store.environments.all(project)
    with pytest.raises(EnvironmentInUse, match="1 templates have environment 'prod'"):
        store.environments.delete(project, prod.id, ANN)
    store.environments.point(project, *ids, [], BOB)
    store.environments.delete(project, prod.id, ANN)
    assert store.environments.all(project) == ()


def test_another_project_does_not_see_it(store: Store, project: Project) -> None:
    made = store.environments.create(project, "prod")
    other = store.projects.create("second")
    assert store.environments.all(other) == ()
    for ask in (
        lambda: store.environments.get(other, made.id),
        lambda: store.environments.change(other, made.id, ANN, name="x"),
        lambda: store.environments.delete(other, made.id, ANN),
    ):
        with pytest.raises(EnvironmentNotFound):
            ask()


def test_there_are_only_so_many(store: Store, project: Project) -> None:
    add(store, project, "one", *(f"e{number}" for number in range(ENVIRONMENTS_LIMIT)))
    with pytest.raises(TooMuch, match=str(ENVIRONMENTS_LIMIT)):
        store.environments.create(project, "more")
    with pytest.raises(TooMuch):
        add(store, project, "two", "more")


def test_what_was_there_before_environments_were_the_projects_stays(tmp_path: Path) -> None:
    engine = SqliteDatabase(tmp_path / "test.db").open(is_writer=True)
    rows = {
        "project": {"key": 1, "id": "p", "name": "first", "created_at": 0},
        "prompt_template": {"id": "t", "project_key": 1, "name": "greeting", "created_at": 0},
        "prompt_version": {"id": "v", "template_id": "t", "number": 1, "content_sha256": b"", "content": b"{}"},
        "environment": {"template_id": "t", "name": "prod", "version_id": "v", "moved_at": 7},
        "api_key": {"id": "all", "project_key": 1, "secret_sha256": b"", "scopes": "admin ingest prompts read"},
    }
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema._MIGRATIONS))
        command.upgrade(config, "0003")
        for name, row in rows.items():
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            connection.execute(sa.insert(table).values(row | ({"created_at": 0} if "created_at" in table.c else {})))
        fewer = rows["api_key"] | {"id": "few", "scopes": "ingest read", "created_at": 0}
        connection.execute(sa.insert(table).values(fewer))
    engine.dispose()
    store = Store(SqliteDatabase(tmp_path / "test.db"))
    project = store.projects.get("p")
    assert project is not None
    (prod,) = store.environments.all(project)
    assert (prod.name, prod.is_protected, prod.templates) == ("prod", False, 1)
    store.close()
    engine = SqliteDatabase(tmp_path / "test.db").open(is_writer=False)
    with engine.begin() as connection:
        scopes = dict(connection.execute(sa.text("SELECT id, scopes FROM api_key")).all())  # type: ignore[arg-type]
    engine.dispose()
    assert scopes == {"all": "admin deploy ingest prompts read", "few": "ingest read"}


def test_one_environment_is_moved_from_where_it_was_seen(store: Store, project: Project) -> None:
    first = add(store, project, "one", "prod", "dev")
    second = add(store, project, "two")
    store.environments.move(project, first[0], "prod", BOB, goal=second[1], at=first[1])
    versions = {each.version: each.environments for each in store.prompts.find(project, first[0]).versions}
    assert versions == {"2": ("prod",), "1": ("dev",)}
    with pytest.raises(EnvironmentMoved, match="somebody has moved environment 'prod' since"):
        store.environments.move(project, first[0], "prod", BOB, goal=first[1], at=first[1])
    store.environments.move(project, first[0], "prod", BOB, goal=None, at=second[1])
    store.environments.move(project, first[0], "new", BOB, goal=first[1], at=None)
    told = [(move.environment, move.to_version) for move in store.environments.moves(project, first[0], 0, 2)]
    assert [(name, at and at.version) for name, at in told] == [("new", "1"), ("prod", None)]
    assert [each.name for each in store.environments.all(project)] == ["dev", "new", "prod"]


def test_a_move_to_what_is_not_there_or_of_latest_is_refused(store: Store, project: Project) -> None:
    ids = add(store, project, "one", "prod")
    with pytest.raises(VersionNotFound):
        store.environments.move(project, ids[0], "prod", BOB, goal="no-such", at=ids[1])
    with pytest.raises(LatestIsNewest):
        store.environments.move(project, ids[0], "latest", BOB, goal=ids[1], at=None)


def test_a_protected_environment_is_taken_away_by_those_who_may(store: Store, project: Project) -> None:
    ids = add(store, project, "one", "prod")
    (prod,) = store.environments.all(project)
    store.environments.change(project, prod.id, ANN, is_protected=True)
    with pytest.raises(MayNotDeploy):
        store.environments.move(project, ids[0], "prod", BOB, goal=None, at=ids[1])
    store.environments.move(project, ids[0], "prod", ANN, goal=None, at=ids[1])
    assert store.prompts.find(project, ids[0]).versions[0].environments == ()
