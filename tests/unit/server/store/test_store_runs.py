from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from freeplay_like.clock import SystemClock
from freeplay_like.core.records import Amendment, Record, ScoreValue
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.trials import test_cases
from freeplay_like.server.store.trials.datasets import DatasetChange, DatasetInUse, DatasetNotFound
from freeplay_like.server.store.trials.test_cases import CaseDraft, CaseIdTaken, CaseNotFound, DatasetFull
from freeplay_like.server.store.trials.test_runs import DatasetEmpty, RunNotFound, RunState
from freeplay_like.server.store.trials.test_suites import SuiteDraft, SuiteRunDraft
from freeplay_like.server.store.views import (
    Batch,
    CaseContent,
    Dataset,
    DatasetCase,
    DatasetDraft,
    Incoming,
    IncomingAmendment,
    NameTaken,
    NewRun,
    Project,
    RunDraft,
)
from support.plain_records import a_record, an_unsettled

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def a_dataset(store: Store, project: Project, *inputs: str, name: str = "cities") -> Dataset:
    dataset = store.datasets.create(project, DatasetDraft(name=name))
    add(store, project, dataset, *(CaseContent(inputs={"city": text}) for text in inputs))
    return dataset


def add(store: Store, project: Project, dataset: Dataset, *contents: CaseContent) -> tuple[str, ...]:
    return store.test_cases.add(project, dataset.id, [CaseDraft(content=content) for content in contents])


def cities(cases: tuple[DatasetCase, ...]) -> list[object]:
    return [case.content.inputs["city"] for case in cases]


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
    return store.test_runs.get(project, run.id)


# --- datasets


def test_a_dataset_keeps_its_cases_as_they_were_given(store: Store, project: Project) -> None:
    draft = DatasetDraft(name="cities", description="d", input_names=("city",), support_history=True)
    dataset = store.datasets.create(project, draft)
    contents = [
        CaseContent(inputs={"city": "Lyon", "deep": [{"a": None}]}, output="France", metadata={"n": 1}),
        CaseContent(history=({"role": "user", "content": "hello"},), output_message={"role": "assistant"}),
    ]
    ids = add(store, project, dataset, *contents)
    more = add(store, project, dataset, CaseContent())
    cases = store.test_cases.page(project, dataset.id)
    assert [case.id for case in cases] == [*ids, *more]
    assert [case.content for case in cases] == [*contents, CaseContent()]
    assert store.datasets.page(project, "prompt", 0, 10) == (attrs.evolve(dataset, cases=3),)
    assert store.datasets.page(project, "agent", 0, 10) == ()
    assert (dataset.input_names, dataset.media_input_names, dataset.support_history) == (("city",), (), True)


def test_a_name_is_one_dataset_in_its_project(store: Store, project: Project) -> None:
    a_dataset(store, project)
    with pytest.raises(NameTaken, match="dataset 'cities' already"):
        a_dataset(store, project)
    other = store.projects.create("second")
    theirs = a_dataset(store, other)
    with pytest.raises(DatasetNotFound):
        store.test_cases.page(project, theirs.id)
    with pytest.raises(DatasetNotFound):
        add(store, project, theirs, CaseContent())


def test_datasets_are_listed_newest_first_and_paged(store: Store, project: Project) -> None:
    for name in ("a", "b", "c"):
        a_dataset(store, project, name=name)
    assert [each.name for each in store.datasets.page(project, None, 0, 2)] == ["c", "b"]
    assert [each.name for each in store.datasets.page(project, None, 2, 2)] == ["a"]
    assert [each.name for each in store.datasets.page(project, None, 0, 9, name="b")] == ["b"]


@pytest.mark.parametrize(("limit", "value"), [("CASES_LIMIT", 3), ("SIZE_LIMIT_BYTES", 600)])
def test_a_full_dataset_takes_no_more(
    store: Store, project: Project, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    dataset = a_dataset(store, project, "one", "two")
    monkeypatch.setattr(test_cases, limit, value)
    with pytest.raises(DatasetFull, match=f"'cities' has .* over {value}: begin another one"):
        add(store, project, dataset, *([CaseContent(inputs={"city": "x" * 100})] * 2))
    assert len(store.test_cases.page(project, dataset.id)) == 2


def test_a_case_of_the_senders_own_id_is_there_once(store: Store, project: Project) -> None:
    dataset = a_dataset(store, project)
    ids = [SystemClock().new_id() for _ in range(2)]
    first = CaseDraft(content=CaseContent(inputs={"city": "Lyon"}), id=ids[0])
    second = CaseDraft(content=CaseContent(inputs={"city": "Nice"}), id=ids[1])
    assert store.test_cases.add(project, dataset.id, [first]) == (ids[0],)
    assert store.test_cases.add(project, dataset.id, [first, second, second]) == (ids[0], ids[1], ids[1])
    assert cities(store.test_cases.page(project, dataset.id)) == ["Lyon", "Nice"]
    other = a_dataset(store, project, name="other")
    with pytest.raises(CaseIdTaken, match="taken elsewhere"):
        store.test_cases.add(project, other.id, [first])


def test_a_changed_case_stays_in_its_place_and_a_run_keeps_what_it_used(store: Store, project: Project) -> None:
    dataset = a_dataset(store, project, "Lyon", "Paris", "Nice")
    before = store.test_cases.page(project, dataset.id)
    used = store.test_runs.create(project, RunDraft(dataset_name="cities"))

    def say(city: str, case_id: str) -> DatasetCase:
        content = CaseContent(inputs={"city": city})
        return store.test_cases.change(project, dataset.id, case_id, lambda _: content)

    changed = say("Paris!", before[1].id)
    assert changed.id != before[1].id
    again = say("Paris?", changed.id)
    assert again.id == changed.id  # no run has used this one
    assert say("Paris?", changed.id) == again
    assert cities(store.test_cases.page(project, dataset.id)) == ["Lyon", "Paris?", "Nice"]
    _, tried = store.test_runs.cases(project, used.id, 0, 10)
    assert cities(tuple(each.case for each in tried)) == ["Lyon", "Paris", "Nice"]
    newer = store.test_runs.create(project, RunDraft(dataset_name="cities"))
    assert cities(newer.cases) == ["Lyon", "Paris?", "Nice"]
    with pytest.raises(CaseNotFound, match="no test case"):
        store.test_cases.get(project, dataset.id, before[1].id)


def test_a_deleted_case_is_gone_but_for_the_runs_that_used_it(store: Store, project: Project) -> None:
    dataset = a_dataset(store, project, "Lyon", "Paris")
    run = store.test_runs.create(project, RunDraft(dataset_name="cities"))
    (unused,) = add(store, project, dataset, CaseContent(inputs={"city": "Nice"}))
    with pytest.raises(CaseNotFound, match="'none'"):
        store.test_cases.delete(project, dataset.id, [unused, "none"])
    store.test_cases.delete(project, dataset.id, [unused, run.cases[0].id])
    assert cities(store.test_cases.page(project, dataset.id)) == ["Paris"]
    _, tried = store.test_runs.cases(project, run.id, 0, 10)
    assert cities(tuple(each.case for each in tried)) == ["Lyon", "Paris"]
    lyon = CaseDraft(content=CaseContent(), id=run.cases[0].id)
    store.test_cases.add(project, dataset.id, [lyon])
    assert cities(store.test_cases.page(project, dataset.id)) == ["Lyon", "Paris"]


def test_a_deleted_dataset_leaves_its_name_and_its_runs(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon")
    (dataset,) = store.datasets.page(project, None, 0, 10)
    suite = store.test_suites.create(project, SuiteDraft(name="nightly", dataset_id=dataset.id))
    with pytest.raises(DatasetInUse, match="test suite 'nightly' runs over dataset 'cities'"):
        store.datasets.delete(project, dataset.id)
    store.test_suites.delete(project, suite.id)
    store.datasets.delete(project, dataset.id)
    with pytest.raises(DatasetNotFound, match="no dataset has a name like it"):
        store.datasets.named(project, "cities")
    again = a_dataset(store, project, "Nice")
    assert store.datasets.named(project, "cities").id == again.id
    found = state(store, project, run)
    assert (found.info.dataset_name, found.info.cases) == ("cities", 1)
    store.datasets.delete(project, again.id)
    assert store.datasets.page(project, None, 0, 10) == ()


def test_of_a_dataset_only_what_is_given_changes(store: Store, project: Project) -> None:
    dataset = store.datasets.create(project, DatasetDraft(name="cities", description="d", input_names=("city",)))
    a_dataset(store, project, name="towns")
    changed = store.datasets.change(project, dataset.id, DatasetChange(name="places", support_history=True))
    assert changed == attrs.evolve(dataset, name="places", support_history=True)
    with pytest.raises(NameTaken, match="dataset 'towns' already"):
        store.datasets.change(project, dataset.id, DatasetChange(name="towns"))
    assert store.datasets.change(project, dataset.id, DatasetChange(name="places")) == changed
    with pytest.raises(DatasetNotFound, match="no agent dataset"):
        store.datasets.change(project, dataset.id, DatasetChange(), "agent")


# --- test runs


def test_a_run_has_the_cases_of_the_moment_it_was_made(store: Store, project: Project) -> None:
    dataset = a_dataset(store, project, "Lyon", "Paris")
    run = store.test_runs.create(project, RunDraft(dataset_name="cities", description="first", flavor="openai_chat"))
    add(store, project, dataset, CaseContent())
    assert [case.content.inputs for case in run.cases] == [{"city": "Lyon"}, {"city": "Paris"}]
    found = state(store, project, run)
    info = found.info
    assert (info.name, info.description, info.flavor) == ("cities", "first", "openai_chat")
    assert (info.dataset_id, info.dataset_name, info.kind) == (dataset.id, "cities", "prompt")
    assert (info.cases, info.finished, found.records, found.summary.scores) == (2, 0, 0, {})
    assert store.test_runs.page(project, 0, 10) == (info,)


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
    assert (found.info.cases, found.info.finished, found.records) == (3, 1, 4)
    save(store, project, attrs.evolve(running, outcome="error"))
    assert state(store, project, run).info.finished == 2
    row = store.calls.page(project.id, EVERYTHING).rows[-1]
    assert (row.test_run_id, row.test_case_id) == (run.id, lyon)


def test_records_that_name_no_case_count_up_to_the_number_of_cases(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon", "Paris")
    finished = []
    for _ in range(3):
        save(store, project, a_record(project.id, test_run_id=run.id))
        finished.append(state(store, project, run).info.finished)
    assert finished == [1, 2, 2]


def test_the_last_score_of_a_record_counts(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon", "Paris")
    first, second = (a_record(project.id, test_run_id=run.id, test_case_id=case.id) for case in run.cases)
    outside = a_record(project.id)
    save(store, project, first, scored(first, 2, good=True, tone="warm"), scored(first, 1, good=False, stars=4))
    save(store, project, second, scored(second, good=True, stars=4.5, tone="cold"))
    save(store, project, outside, scored(outside, good=False))
    scores = state(store, project, run).summary.scores
    assert {name: score.values for name, score in scores.items()} == {
        "good": {"true": 2},
        "stars": {"4": 1, "4.5": 1},
        "tone": {"cold": 1, "warm": 1},
    }


def test_a_text_and_a_number_that_read_alike_are_counted_together(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon", "Paris")
    for case, said in zip(run.cases, (4, "4"), strict=True):
        record = a_record(project.id, test_run_id=run.id, test_case_id=case.id)
        save(store, project, record, scored(record, stars=said))
    assert state(store, project, run).summary.scores["stars"].values == {"4": 2}


def test_of_a_case_that_was_tried_again_the_last_call_that_ended_counts(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon")
    case_id = run.cases[0].id
    failed, better, running = (a_record(project.id, test_run_id=run.id, test_case_id=case_id) for _ in range(3))
    save(store, project, attrs.evolve(failed, outcome="error"))
    save(store, project, better, scored(better, good=True))
    save(store, project, an_unsettled(running))
    found = state(store, project, run)
    assert (found.records, found.summary.outcomes, found.summary.unanswered) == (3, {"complete": 1}, 0)
    _, (tried,) = store.test_runs.cases(project, run.id, 0, 10)
    assert [call.result.record_id for call in tried.calls] == [each.record_id for each in (failed, better, running)]
    assert [call.has_ended for call in tried.calls] == [True, True, False]
    assert tried.calls[1].result.scores == {"good": True}


def test_the_last_thumb_of_a_record_counts(store: Store, project: Project) -> None:
    run = a_run(store, project, "Lyon")
    record = a_record(project.id, test_run_id=run.id, test_case_id=run.cases[0].id)
    down, up = (
        attrs.evolve(scored(record, seconds), feedback=thumb) for seconds, thumb in ((1, "negative"), (2, "positive"))
    )
    save(store, project, record, up, down)
    assert state(store, project, run).summary.feedback == {"positive": 1}


def test_two_runs_are_read_together(store: Store, project: Project) -> None:
    first = a_run(store, project, "Lyon")
    second = store.test_runs.create(project, RunDraft(dataset_name="cities", name="second"))
    for run in (first, second):
        save(store, project, a_record(project.id, test_run_id=run.id, test_case_id=run.cases[0].id))
    (info, results), (other, others) = store.test_runs.results(project, [first.id, second.id])
    assert (info.name, other.name) == ("cities", "second")
    assert results[0].test_case_id == others[0].test_case_id
    with pytest.raises(RunNotFound, match="'none'"):
        store.test_runs.results(project, [first.id, "none"])


def test_a_run_of_another_project_is_not_there(store: Store, project: Project) -> None:
    other = store.projects.create("second")
    run = a_run(store, project, "Lyon")
    with pytest.raises(RunNotFound, match="no test run"):
        store.test_runs.get(other, run.id)
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


# --- test suites


def test_a_suite_starts_runs_over_what_its_dataset_has_then(store: Store, project: Project) -> None:
    dataset = a_dataset(store, project, "Lyon")
    suite = store.test_suites.create(project, SuiteDraft(name="nightly", dataset_id=dataset.id, thresholds={"good": 1}))
    assert store.test_suites.page(project, 0, 10) == (suite,)
    add(store, project, dataset, CaseContent(inputs={"city": "Nice"}))
    run = store.test_suites.start(project, suite.id, SuiteRunDraft(name="tonight"))
    assert (run.cases, run.version) == (2, None)
    info = store.test_runs.get(project, run.run_id).info
    assert (info.name, info.suite_id, info.dataset_id) == ("tonight", suite.id, dataset.id)
    assert store.test_suites.of_run(project, suite.id, run.run_id) == suite
    another = store.test_runs.create(project, RunDraft(dataset_name="cities"))
    with pytest.raises(RunNotFound, match="of test suite 'nightly'"):
        store.test_suites.of_run(project, suite.id, another.id)
    store.test_suites.delete(project, suite.id)
    assert store.test_runs.get(project, run.run_id).info.suite_id is None
    store.test_suites.create(project, SuiteDraft(name="again", dataset_id=dataset.id))
    with pytest.raises(NameTaken, match="test suite 'again' already"):
        store.test_suites.create(project, SuiteDraft(name="again", dataset_id=dataset.id))
