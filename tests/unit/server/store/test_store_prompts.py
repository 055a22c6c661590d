from __future__ import annotations

import attrs
import pytest

from freeplay_like.core.templates import HistorySlot, PromptTemplate, TemplateMessage
from freeplay_like.errors import TemplateError
from freeplay_like.server.store.prompts import Draft, LatestIsNewest, VersionNotFound, check_name
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Project, TemplateVersion


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
    store.prompts.set_environments(project, first.template_id or "", first.version_id or "", ["dev"])
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
        store.prompts.set_environments(project, first.template_id or "", first.version_id or "", ["latest"])


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
        store.prompts.set_environments(other, made.template_id or "", made.version_id or "", ["prod"])


def test_near_templates(store: Store, project: Project) -> None:
    create(store, project, a_template(name="support/greeting"), "prod")
    near = store.prompts.near(project.id, "support/greting")
    assert (near.names, near.environments) == (("support/greeting",), ())
    assert store.prompts.near(project.id, "support/greeting").environments == ("prod", "latest")


@pytest.mark.parametrize("name", ["", " ", "/a", "a/", "a//b", "../a", "a\nb", "a\\b", "x" * 201, " a"])
def test_names_that_are_no_plain_paths_are_refused(name: str) -> None:
    with pytest.raises(TemplateError):
        check_name(name)
