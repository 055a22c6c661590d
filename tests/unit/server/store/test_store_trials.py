"""Trials: versions tried over a dataset all at once or not at all, and a run read back with its cases."""

from __future__ import annotations

import pytest

from freeplay_like.core.template_messages import TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.accounts.providers import ConnectionDraft, NotConnected
from freeplay_like.server.store.prompts.templates import Draft
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.trials.executions import NotExecutable
from freeplay_like.server.store.trials.test_cases import CaseDraft
from freeplay_like.server.store.trials.test_runs import DatasetEmpty, WhichRuns
from freeplay_like.server.store.trials.trials import TrialDraft
from freeplay_like.server.store.views import Batch, CaseContent, DatasetDraft, Incoming, Project, RunDraft
from support.plain_records import a_record, an_unsettled


def a_version(
    store: Store, project: Project, text: str = "{{q}}", flavor: str | None = "openai_chat"
) -> tuple[str, str]:
    message = TemplateMessage(role="user", content=text)
    template = PromptTemplate(name="asked", messages=(message,), flavor_name=flavor, model="m")
    made = store.prompts.create_version(project, Draft(template=template)).template
    return made.template_id or "", made.version_id or ""


def a_dataset(store: Store, project: Project, cases: int = 2, name: str = "questions") -> str:
    dataset = store.datasets.create(project, DatasetDraft(name=name))
    drafts = [CaseDraft(content=CaseContent(inputs={"q": f"q{number}"})) for number in range(cases)]
    store.test_cases.add(project, dataset.id, drafts)
    return dataset.id


def connect(store: Store, project: Project) -> None:
    draft = ConnectionDraft(flavor="openai_chat", base_url="http://127.0.0.1:1/v1", secret="s" * 20, by="k1")
    store.providers.put(project, draft)


def test_each_version_gets_a_run_of_one_suite_that_the_next_trial_shares(store: Store, project: Project) -> None:
    connect(store, project)
    versions = a_version(store, project), a_version(store, project, "Please: {{q}}")
    draft = TrialDraft(
        dataset_id=a_dataset(store, project),
        versions=versions,
        parameters={"temperature": 0.1},
        thresholds={"contains": 0.8},
    )
    first = store.trials.start(project, draft, needs_connection=True)
    again = store.trials.start(project, draft, needs_connection=True)
    infos = [store.test_runs.get(project, run_id).info for run_id in (*first, *again)]
    assert [info.template_version_id for info in infos] == [versions[0][1], versions[1][1]] * 2
    assert {info.name for info in infos} == {"asked@1 over questions", "asked@2 over questions"}
    assert all(info.parameters == {"temperature": 0.1} and info.execution == "running" for info in infos)
    assert len({info.suite_id for info in infos}) == 1
    suite = store.test_suites.get(project, infos[0].suite_id or "")
    assert (suite.name, suite.thresholds) == ("asked over questions (contains)", {"contains": 0.8})
    assert [run.id for run in store.test_runs.page(project, 0, 9, WhichRuns(suite_id=suite.id))] == [
        *again[::-1],
        *first[::-1],
    ]
    assert len(store.test_runs.page(project, 0, 9, WhichRuns(version_id=versions[0][1]))) == 2


def test_other_thresholds_are_another_suite_with_a_name_of_its_own(store: Store, project: Project) -> None:
    connect(store, project)
    dataset, version = a_dataset(store, project), a_version(store, project)
    for least in (0.8, 0.9):
        draft = TrialDraft(dataset_id=dataset, versions=(version,), thresholds={"contains": least}, name="mine")
        (run_id,) = store.trials.start(project, draft, needs_connection=True)
        assert store.test_runs.get(project, run_id).info.name == "mine"
    names = {suite.name for suite in store.test_suites.page(project, 0, 9)}
    assert names == {"asked over questions (contains)", "asked over questions (contains) 2"}


@pytest.mark.parametrize("problem", ["no connection", "no flavor", "no cases"])
def test_where_one_run_cannot_begin_none_does(store: Store, project: Project, problem: str) -> None:
    good = a_version(store, project)
    bad = a_version(store, project, "bad {{q}}", None if problem == "no flavor" else "anthropic_chat")
    connect(store, project)
    dataset = a_dataset(store, project, cases=0 if problem == "no cases" else 1)
    draft = TrialDraft(dataset_id=dataset, versions=(good, bad))
    expected = {"no connection": NotConnected, "no flavor": NotExecutable, "no cases": DatasetEmpty}[problem]
    with pytest.raises(expected):
        store.trials.start(project, draft, needs_connection=True)
    assert store.test_runs.page(project, 0, 9) == ()
    assert store.test_suites.page(project, 0, 9) == ()


def test_a_run_is_read_with_its_cases_in_order_and_with_whole_answers(store: Store, project: Project) -> None:
    dataset = a_dataset(store, project, 3)
    made = store.test_runs.create(project, RunDraft(dataset_name="questions"))
    ids = [case.id for case in made.cases]
    done = a_record(project.id, answer="long " * 200, test_run_id=made.id, test_case_id=ids[1])
    begun = an_unsettled(a_record(project.id, test_run_id=made.id, test_case_id=ids[2]))
    records = tuple(Incoming(index=n, record=r, body=to_wire(r)) for n, r in enumerate((done, begun)))
    store.save(Batch(project_key=project.key, records=records, received_at=store.now()))
    store.test_cases.delete(project, dataset, [ids[1]])
    view = store.trials.run(project, made.id)
    assert list(view.case_ids) == ids
    assert [result.test_case_id for result in view.results] == [ids[1]]
    assert [call.has_ended for call in view.calls] == [True, False]
    assert store.trials.answers(project, [done.record_id, "none"]) == {done.record_id: "long " * 200}
    assert list(store.trials.cases(project, [ids[1], "none"])) == [ids[1]]
    assert {name: run.id for name, run in store.trials.last_runs(project, [dataset, "none"]).items()} == {
        dataset: made.id
    }


def test_another_projects_cases_and_answers_are_not_told(store: Store, project: Project) -> None:
    other = store.projects.create("second")
    a_dataset(store, other)
    made = store.test_runs.create(other, RunDraft(dataset_name="questions"))
    said = a_record(other.id, test_run_id=made.id, test_case_id=made.cases[0].id)
    record = Incoming(index=0, record=said, body=to_wire(said))
    store.save(Batch(project_key=other.key, records=(record,), received_at=store.now()))
    assert store.trials.cases(project, [made.cases[0].id]) == {}
    assert store.trials.answers(project, [said.record_id]) == {}
    assert list(store.trials.answers(other, [said.record_id])) == [said.record_id]
