from __future__ import annotations

import attrs
import pytest

from freeplay_like.core.templates import HistorySlot, PromptTemplate, TemplateMessage
from freeplay_like.errors import TemplateError
from freeplay_like.server.store.prompts.views import (
    MACHINE,
    Draft,
    LatestIsNewest,
    NewerVersion,
    TemplateNotFound,
    VersionInUse,
    VersionNotFound,
    check_name,
)
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import NameTaken, Project, TemplateVersion


def a_template(text: str = "Hello {{name}}", name: str = "greeting") -> PromptTemplate:
    messages = (TemplateMessage(role="system", content=text), HistorySlot())
    return PromptTemplate(name=name, messages=messages, provider="openai", model="m", parameters={"temperature": 0.5})


def create(store: Store, project: Project, template: PromptTemplate, *environments: str) -> TemplateVersion:
    return store.prompts.create_version(project, Draft(template=template, environments=environments))


def test_a_version_comes_back_as_it_was_written(store: Store, project: Project) -> None:
    template = attrs.evolve(a_template(), description="says hello", tools=[{"name": "t"}], syntax="none")
    made = store.prompts.create_version(project, Draft(template=template, name="first try")).template
    found = store.prompts.get(project.id, "greeting", "latest")
    assert found is not None
    assert found.name == "first try"
    assert attrs.evolve(found.template, environment=None) == made
    assert made.version == "1"
    assert made.description == "says hello"
    assert (made.messages, made.parameters, made.tools) == (template.messages, template.parameters, template.tools)
    assert made.project_id == project.id
    assert made.flavor_name == "openai_chat", "the provider tells the flavor where none is named"


def test_the_same_content_is_the_same_version(store: Store, project: Project) -> None:
    first = create(store, project, a_template("one"))
    second = create(store, project, a_template("two"))
    again = create(store, project, a_template("one"))
    assert again.template.version_id == first.template.version_id
    assert second.template.version == "2"
    assert [version.version for version in store.prompts.summaries(project.id)[0].versions] == ["2", "1"]


def test_environments_point_at_one_version_each(store: Store, project: Project) -> None:
    first = create(store, project, a_template("one"), "prod", "dev").template
    create(store, project, a_template("two"), "dev")
    for environment, version in (("prod", "1"), ("dev", "2"), ("latest", "2")):
        found = store.prompts.get(project.id, "greeting", environment)
        assert found is not None
        assert (found.template.version, found.template.environment) == (version, environment)
    store.environments.point(project, first.template_id or "", first.version_id or "", ["dev"], MACHINE)
    assert store.prompts.get(project.id, "greeting", "prod") is None
    (summary,) = store.prompts.summaries(project.id)
    assert [(version.version, version.environments) for version in summary.versions] == [("2", ()), ("1", ("dev",))]


def test_latest_points_at_nothing_but_the_newest(store: Store, project: Project) -> None:
    first = create(store, project, a_template("one"), "latest").template
    create(store, project, a_template("two"), "latest")
    with pytest.raises(LatestIsNewest, match="newest"):
        create(store, project, a_template("one"), "latest", "prod")
    assert store.prompts.get(project.id, "greeting", "prod") is None, "nothing of a refused request is kept"
    with pytest.raises(LatestIsNewest):
        store.environments.point(project, first.template_id or "", first.version_id or "", ["latest"], MACHINE)


def test_templates_of_an_environment(store: Store, project: Project) -> None:
    create(store, project, a_template("one", "b"), "prod")
    create(store, project, a_template("two", "b"))
    create(store, project, a_template("one", "a"))
    in_prod = store.prompts.in_environment(project.id, "prod")
    assert [(found.template.name, found.template.version) for found in in_prod] == [("b", "1")]
    latest = store.prompts.in_environment(project.id, "latest")
    assert [(found.template.name, found.template.version) for found in latest] == [("a", "1"), ("b", "2")]


def test_another_project_sees_and_moves_nothing(store: Store, project: Project) -> None:
    made = create(store, project, a_template()).template
    other = store.projects.create("second")
    assert store.prompts.get(other.id, "greeting", "latest") is None
    assert store.prompts.get_version(other.id, made.template_id or "", made.version_id or "") is None
    assert store.prompts.summaries(other.id) == store.prompts.in_environment(other.id, "latest") == ()
    with pytest.raises(VersionNotFound):
        store.environments.point(other, made.template_id or "", made.version_id or "", ["prod"], MACHINE)


def test_near_templates(store: Store, project: Project) -> None:
    create(store, project, a_template(name="support/greeting"), "prod")
    near = store.prompts.near(project.id, "support/greting")
    assert (near.names, near.environments) == (("support/greeting",), ())
    assert store.prompts.near(project.id, "support/greeting").environments == ("prod", "latest")


@pytest.mark.parametrize("name", ["", " ", "/a", "a/", "a//b", "../a", "a\nb", "a\\b", "x" * 201, " a"])
def test_names_that_are_no_plain_paths_are_refused(name: str) -> None:
    with pytest.raises(TemplateError):
        check_name(name)


def test_older_content_becomes_the_newest_version_when_that_is_asked_for(store: Store, project: Project) -> None:
    first = create(store, project, a_template("one"))
    create(store, project, a_template("two"))
    renewal = Draft(template=a_template("one"), is_renewal=True)
    third = store.prompts.create_version(project, renewal)
    assert (third.template.version, third.template.messages) == ("3", first.template.messages)
    assert store.prompts.create_version(project, renewal) == third, "the newest says it already"
    assert create(store, project, a_template("one")) == third, "the newer one of two that say the same comes back"
    old = store.prompts.get_version(project.id, first.template.template_id or "", first.template.version_id or "")
    assert old == first


@pytest.mark.parametrize("based_on", ["", "another"])
def test_a_version_that_is_based_on_another_than_the_newest_is_not_made(
    store: Store, project: Project, based_on: str
) -> None:
    newest = create(store, project, a_template("one")).template
    with pytest.raises(NewerVersion, match=newest.version_id or "-"):
        store.prompts.create_version(project, Draft(template=a_template("two"), based_on=based_on))
    right = Draft(template=a_template("two"), based_on=newest.version_id)
    assert store.prompts.create_version(project, right).template.version == "2"


def test_a_template_is_made_described_and_renamed_before_it_has_versions(store: Store, project: Project) -> None:
    made = store.prompts.create(project, "trip", description="plans", template_id="t-1")
    assert (made.template_id, made.name, made.description, made.versions) == ("t-1", "trip", "plans", ())
    assert store.prompts.get(project.id, "trip", "latest") is None
    with pytest.raises(NameTaken, match="'trip'"):
        store.prompts.create(project, "trip", description=None, template_id=None)
    with pytest.raises(NameTaken, match="'t-1'"):
        store.prompts.create(project, "other", description=None, template_id="t-1")
    create(store, project, a_template(name="trip"))
    renamed = store.prompts.change(project, "t-1", name="journey")
    assert (renamed.name, renamed.description) == ("journey", "plans")
    found = store.prompts.get(project.id, "journey", "latest")
    assert found is not None
    assert found.template.name == "journey"
    assert store.prompts.get(project.id, "trip", "latest") is None
    create(store, project, a_template(name="trip"))
    with pytest.raises(NameTaken):
        store.prompts.change(project, "t-1", name="trip")


def test_a_template_that_is_put_away_is_found_by_its_ids_alone_and_leaves_its_name(
    store: Store, project: Project
) -> None:
    old = create(store, project, a_template("one"), "prod").template
    ids = old.template_id or "", old.version_id or ""
    store.prompts.put_away(project, ids[0], MACHINE)
    assert store.prompts.summaries(project.id) == store.prompts.in_environment(project.id, "prod") == ()
    assert store.prompts.in_environment(project.id, "latest") == ()
    assert store.prompts.get(project.id, "greeting", "latest") is None
    kept = store.prompts.get_version(project.id, *ids)
    assert kept is not None
    assert (kept.template.name, kept.template.version) == ("greeting", "1"), "records go on naming it"
    for again in (
        lambda: store.prompts.put_away(project, ids[0], MACHINE),
        lambda: store.prompts.find(project, ids[0]),
        lambda: store.prompts.put_version_away(project, *ids),
    ):
        with pytest.raises((TemplateNotFound, VersionNotFound)):
            again()
    new = create(store, project, a_template("one")).template
    assert new.template_id != ids[0]
    assert new.version == "1"
    store.prompts.put_away(project, new.template_id or "", MACHINE)


def test_a_version_is_put_away_once_nothing_points_at_it_and_its_number_is_not_given_again(
    store: Store, project: Project
) -> None:
    first = create(store, project, a_template("one")).template
    second = create(store, project, a_template("two"), "prod").template
    ids = second.template_id or "", second.version_id or ""
    with pytest.raises(VersionInUse, match="'prod'"):
        store.prompts.put_version_away(project, *ids)
    store.environments.point(project, *ids, [], MACHINE)
    store.prompts.put_version_away(project, *ids)
    assert store.prompts.get_version(project.id, *ids) is None
    latest = store.prompts.get(project.id, "greeting", "latest")
    assert latest is not None
    assert latest.template.version_id == first.version_id
    with pytest.raises(VersionNotFound):
        store.environments.point(project, *ids, ["prod"], MACHINE)
    again = create(store, project, a_template("two")).template
    assert (again.version, again.version_id == second.version_id) == ("3", False)


def test_templates_come_in_pages(store: Store, project: Project) -> None:
    for name in ("c", "a", "b"):
        create(store, project, a_template(name=name))
    assert [template.name for template in store.prompts.page(project.id, 0, 2)] == ["a", "b"]
    assert [template.name for template in store.prompts.page(project.id, 2, 2)] == ["c"]
