from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from freeplay_like.clock import SystemClock
from freeplay_like.core.records import Amendment, Record, ScoreValue
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store import datasets
from freeplay_like.server.store.datasets import DatasetFull, DatasetNotFound
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.test_runs import DatasetEmpty
from freeplay_like.server.store.views import (
    Batch,
    CallFilter,
    CaseContent,
    Dataset,
    DatasetDraft,
    Incoming,
    IncomingAmendment,
    NameTaken,
    NewRun,
    Project,
    RunDraft,
    RunState,
)
from support.plain_records import a_record, an_unsettled

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def a_dataset(store: Store, project: Project, *inputs: str, name: str = "cities") -> Dataset:
    dataset = store.datasets.create(project, DatasetDraft(name=name))
    store.datasets.add_cases(project, dataset.id, [CaseContent(inputs={"city": text}) for text in inputs])
    return dataset


def a_run(store: Store, project: Project, *inputs: str) -> NewRun:
    a_dataset(store, project, *inputs)
    return store.test_runs.create(project, RunDraft(dataset_name="cities"))


def save(store: Store, project: Project, record: Record, *amendments: Amendment) -> None:
    store.save(
        Batch(
            project_key=project.key,
            records=(Incoming(index=0, record=record, body=to_wire(record)),),
            amendments=tuple(IncomingAmendment(index=0, amendment=said, body=to_wire(said)) for said in amendments),
            received_at=NOW,
        )
    )


def scored(record: Record, after_s: int = 0, **scores: ScoreValue) -> Amendment:
    return Amendment(
        amendment_id=SystemClock().new_id(),
        record_id=record.record_id,
        project_id=record.project_id,
        made_at=NOW + timedelta(seconds=after_s),
        scores=scores,
    )


def state(store: Store, project: Project, run: NewRun) -> RunState:
    found = store.test_runs.get(project.id, run.id)
    assert found is not None
    return found


# --- datasets


def test_a_dataset_keeps_its_cases_as_they_were_given(store: Store, project: Project) -> None:
    draft = DatasetDraft(name="cities", description="d", input_names=("city",), support_history=True)
    dataset = store.datasets.create(project, draft)
    contents = [
        CaseContent(inputs={"city": "Lyon", "deep": [{"a": None}]}, output="France", metadata={"n": 1}),
        CaseContent(history=({"role": "user", "content": "hello"},), output_message={"role": "assistant"}),
    ]
    ids = store.datasets.add_cases(project, dataset.id, contents)
    more = store.datasets.add_cases(project, dataset.id, [CaseContent()])
    cases = store.datasets.cases(project, dataset.id)
    assert [case.id for case in cases] == [*ids, *more]
    assert [case.content for case in cases] == [*contents, CaseContent()]
    assert store.datasets.page(project.id, 0, 10) == (dataset,)
    assert (dataset.input_names, dataset.media_input_names, dataset.support_history) == (("city",), (), True)


def test_a_name_is_one_dataset_in_its_project(store: Store, project: Project) -> None:
    a_dataset(store, project)
    with pytest.raises(NameTaken, match="dataset 'cities' already"):
        a_dataset(store, project)
    other = store.projects.create("second")
    theirs = a_dataset(store, other)
    with pytest.raises(DatasetNotFound):
        store.datasets.cases(project, theirs.id)
    with pytest.raises(DatasetNotFound):
        store.datasets.add_cases(project, theirs.id, [CaseContent()])


def test_datasets_are_listed_newest_first_and_paged(store: Store, project: Project) -> None:
    for name in ("a", "b", "c"):
        a_dataset(store, project, name=name)
    assert [each.name for each in store.datasets.page(project.id, 0, 2)] == ["c", "b"]
    assert [each.name for each in store.datasets.page(project.id, 2, 2)] == ["a"]


@pytest.mark.parametrize(("limit", "value"), [("CASES_LIMIT", 3), ("SIZE_LIMIT_BYTES", 500)])
def test_a_full_dataset_takes_no_more(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    dataset = a_dataset(store, project, "one", "two")
    monkeypatch.setattr(datasets, limit, value)
    with pytest.raises(DatasetFull, match=f"'cities' has .* over {value}: begin another one"):
        store.datasets.add_cases(project, dataset.id, [CaseContent(inputs={"city": "x" * 100})] * 2)
    assert len(store.datasets.cases(project, dataset.id)) == 2


# --- test runs


def test_a_run_has_the_cases_of_the_moment_it_was_made(store: Store, project: Project) -> None:
    dataset = a_dataset(store, project, "Lyon", "Paris")
    run = store.test_runs.create(project, RunDraft(dataset_name="cities", description="first", flavor="openai_chat"))
    store.datasets.add_cases(project, dataset.id, [CaseContent()])
    assert [case.content.inputs for case in run.cases] == [{"city": "Lyon"}, {"city": "Paris"}]
    found = state(store, project, run)
    assert (found.name, found.description, found.flavor) == ("cities", "first", "openai_chat")
    assert (found.dataset_id, found.dataset_name) == (dataset.id, "cities")
    assert (found.cases, found.finished, found.records, found.scores) == (2, 0, 0, {})


def test_a_run_counts_the_cases_whose_call_has_ended(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon", "Paris", "Nice")
    lyon, paris, _ = (case.id for case in run.cases)
    in_run = a_record(project.id, test_run_id=run.id, test_case_id=lyon)
    save(store, project, in_run)
    save(store, project, a_record(project.id, test_run_id=run.id, test_case_id=lyon))
    running = a_record(project.id, test_run_id=run.id, test_case_id=paris)
    save(store, project, an_unsettled(running))
    save(store, project, a_record(project.id, test_run_id=run.id, test_case_id="made up"))
    save(store, project, a_record(project.id, test_run_id="another", test_case_id=paris))
    found = state(store, project, run)
    assert (found.cases, found.finished, found.records) == (3, 1, 4)
    save(store, project, attrs.evolve(running, outcome="error"))
    assert state(store, project, run).finished == 2
    row = store.calls.page(project.id, CallFilter()).rows[-1]
    assert (row.test_run_id, row.test_case_id) == (run.id, lyon)


def test_records_that_name_no_case_count_up_to_the_number_of_cases(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon", "Paris")
    finished = []
    for _ in range(3):
        save(store, project, a_record(project.id, test_run_id=run.id))
        finished.append(state(store, project, run).finished)
    assert finished == [1, 2, 2]


def test_the_last_score_of_a_record_counts(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon", "Paris")
    first, second = (a_record(project.id, test_run_id=run.id, test_case_id=case.id) for case in run.cases)
    outside = a_record(project.id)
    save(store, project, first, scored(first, 2, good=True, tone="warm"), scored(first, 1, good=False, stars=4))
    save(store, project, second, scored(second, good=True, stars=4.5, tone="cold"))
    save(store, project, outside, scored(outside, good=False))
    assert state(store, project, run).scores == {
        "good": {"true": 2},
        "stars": {"4": 1, "4.5": 1},
        "tone": {"cold": 1, "warm": 1},
    }


def test_a_text_and_a_number_that_read_alike_are_counted_together(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon", "Paris")
    for case, said in zip(run.cases, (4, "4"), strict=True):
        record = a_record(project.id, test_run_id=run.id, test_case_id=case.id)
        save(store, project, record, scored(record, stars=said))
    assert state(store, project, run).scores == {"stars": {"4": 2}}


def test_a_run_of_another_project_is_not_there(store: Store, project: Project) -> None:
    other = store.projects.create("second")
    run = a_run(store, project, "Lyon")
    assert store.test_runs.get(other.id, run.id) is None
    with pytest.raises(DatasetNotFound, match="no dataset 'cities' in project 'second'"):
        store.test_runs.create(other, RunDraft(dataset_name="cities"))
    stranger = a_record(other.id, test_run_id=run.id, test_case_id=run.cases[0].id)
    save(store, other, stranger)
    assert state(store, project, run).records == 0


def test_a_run_over_nothing_is_refused(store: Store, project: Project) -> None:
    a_dataset(store, project)
    with pytest.raises(DatasetEmpty, match="'cities' has no test cases; add some"):
        store.test_runs.create(project, RunDraft(dataset_name="cities"))
    with pytest.raises(DatasetNotFound, match="near names: 'cities'"):
        store.test_runs.create(project, RunDraft(dataset_name="citties"))
