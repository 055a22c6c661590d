"""Runs that servers carry out: who has them, and what becomes of them when a server dies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import attrs
import pytest

from freeplay_like.clock import SystemClock
from freeplay_like.core.template_messages import TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.accounts.providers import ConnectionDraft, ConnectionNotFound, NotConnected
from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.prompts.templates import Draft
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.trials.executions import NotExecuted
from freeplay_like.server.store.trials.leases import LEASE
from freeplay_like.server.store.trials.test_cases import CaseDraft
from freeplay_like.server.store.trials.test_suites import SuiteDraft, SuiteRunDraft
from freeplay_like.server.store.views import Batch, CaseContent, DatasetDraft, Incoming, Project
from support.plain_records import a_record, an_unsettled

CONNECTION = ConnectionDraft(flavor="openai_chat", base_url="http://127.0.0.1:1/v1", secret="s" * 20, by="k1")


class Clock(SystemClock):
    """The system's clock, put forward by hand."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> Iterator[Store]:
    opened = Store(database, clock=clock)
    yield opened
    opened.close()


def a_suite(store: Store, project: Project, cases: int = 3) -> str:
    dataset = store.datasets.create(project, DatasetDraft(name="questions"))
    contents = [CaseContent(inputs={"question": f"q{number}"}) for number in range(cases)]
    store.test_cases.add(project, dataset.id, [CaseDraft(content=content) for content in contents])
    message = TemplateMessage(role="user", content="{{question}}")
    template = PromptTemplate(name="asked", messages=(message,), flavor_name="openai_chat", model="m")
    made = store.prompts.create_version(project, Draft(template=template)).template
    suite = SuiteDraft(name="nightly", dataset_id=dataset.id, template_id=made.template_id, thresholds={"contains": 1})
    return store.test_suites.create(project, suite).id


def begun(store: Store, project: Project, suite_id: str) -> str:
    run = store.executions.start(project, suite_id, SuiteRunDraft(environment="latest"), "k1", needs_connection=False)
    return run.run_id


def answered(store: Store, project: Project, run_id: str, case_id: str, outcome: str = "complete") -> None:
    value = a_record(project.id, test_run_id=run_id, test_case_id=case_id, outcome=outcome)
    incoming = Incoming(index=0, record=value, body=to_wire(value))
    store.save(Batch(project_key=project.key, records=(incoming,), received_at=store.now()))


def test_a_run_needs_a_connection_that_can_be_called(store: Store, project: Project) -> None:
    suite_id = a_suite(store, project)
    for draft in (None, ConnectionDraft(flavor="openai_chat")):
        if draft is not None:
            store.providers.put(project, draft)
        with pytest.raises(NotConnected, match=f"PUT /api/v2/projects/{project.id}/providers/openai_chat"):
            store.executions.start(project, suite_id, SuiteRunDraft(), None, needs_connection=True)
    assert store.test_runs.page(project, 0, 10) == ()
    store.providers.put(project, CONNECTION)
    run = store.executions.start(project, suite_id, SuiteRunDraft(), None, needs_connection=True)
    assert store.test_runs.get(project, run.run_id).info.execution == "running"


def test_a_job_belongs_to_one_server_until_its_lease_ends(store: Store, project: Project, clock: Clock) -> None:
    run_id = begun(store, project, a_suite(store, project))
    job = store.executions.claim("one", LEASE)
    assert job is not None
    assert (job.run_id, job.project, job.created_by, job.thresholds) == (run_id, project, "k1", {"contains": 1})
    assert job.template is not None
    assert store.executions.claim("two", LEASE) is None
    clock.ahead = LEASE - timedelta(seconds=1)
    assert store.executions.renew("one", [run_id], LEASE) == {run_id}
    clock.ahead = LEASE + timedelta(seconds=1)
    assert store.executions.claim("two", LEASE) is None, "the lease was put off"
    clock.ahead *= 2
    assert store.executions.claim("two", LEASE) == job
    assert store.executions.renew("one", [run_id], LEASE) == frozenset()
    store.executions.finish(run_id, "one", "failed", "too late")
    assert store.test_runs.get(project, run_id).info.execution == "running"
    store.executions.finish(run_id, "two", "failed", "a reason")
    info = store.test_runs.get(project, run_id).info
    assert (info.execution, info.execution_error) == ("failed", "a reason")
    assert store.executions.claim("one", timedelta()) is None


def test_what_a_server_lets_go_of_is_taken_up_at_once(store: Store, project: Project) -> None:
    begun(store, project, a_suite(store, project))
    job = store.executions.claim("one", LEASE)
    store.executions.release("one")
    assert store.executions.claim("two", LEASE) == job


def test_cases_that_were_answered_are_not_asked_again(store: Store, project: Project) -> None:
    begun(store, project, a_suite(store, project, cases=5))
    job = store.executions.claim("one", LEASE)
    assert job is not None
    ids = [case.id for case in store.executions.cases(job, 0, 10)]
    for case_id, outcome in zip(ids, ("complete", "error", "cancelled", "truncated"), strict=False):
        answered(store, project, job.run_id, case_id, outcome)
    assert store.executions.done_cases(job) == {ids[0], ids[1], ids[3]}
    assert [case.id for case in store.executions.cases(job, 1, 2)] == ids[1:3]


def test_a_cancelled_run_is_nobodys(store: Store, project: Project) -> None:
    suite_id = a_suite(store, project)
    run_id = begun(store, project, suite_id)
    assert store.executions.claim("one", LEASE) is not None
    store.executions.cancel(project, suite_id, run_id)
    assert store.executions.renew("one", [run_id], LEASE) == frozenset()
    assert store.test_runs.get(project, run_id).info.execution == "cancelled"
    with pytest.raises(NotExecuted):
        store.executions.cancel(project, suite_id, run_id)


def test_a_call_of_a_dead_server_is_stored_as_interrupted(store: Store, project: Project, clock: Clock) -> None:
    under_way = an_unsettled(a_record(project.id))
    store.executions.begin_call(project, under_way.record_id, to_wire(under_way), "one", LEASE)
    assert store.executions.adopt_calls() == 0
    clock.ahead = LEASE + timedelta(seconds=1)
    store.executions.renew_calls("one", LEASE)
    assert store.executions.adopt_calls() == 0, "its server lives"
    clock.ahead *= 2
    assert (store.executions.adopt_calls(), store.executions.adopt_calls()) == (1, 0)
    stored = store.calls.get(project.id, under_way.record_id)
    assert stored is not None
    assert stored.record == under_way


def test_a_call_that_has_its_record_is_not_stored_over(store: Store, project: Project, clock: Clock) -> None:
    value = a_record(project.id)
    body = to_wire(an_unsettled(value))
    store.executions.begin_call(project, value.record_id, body, "one", LEASE)
    incoming = Incoming(index=0, record=value, body=to_wire(value))
    store.save(Batch(project_key=project.key, records=(incoming,), received_at=store.now()))
    clock.ahead = LEASE * 2
    assert store.executions.adopt_calls() == 1
    stored = store.calls.get(project.id, value.record_id)
    assert stored is not None
    assert stored.record == value


def test_a_connection_keeps_its_secret_at_its_address_alone(store: Store, project: Project) -> None:
    made = store.providers.put(project, CONNECTION)
    assert (made.secret, made.created_by, "ssss" in repr(made)) == ("s" * 20, "k1", False)
    kept = attrs.evolve(CONNECTION, secret=None, keeps_secret=True, by="k2")
    same = store.providers.put(project, kept)
    assert (same.secret, same.created_by, same.changed_by) == ("s" * 20, "k1", "k2")
    assert store.providers.put(project, attrs.evolve(kept, base_url=None)).secret is None
    assert store.providers.all(project) == (store.providers.find(project, "openai_chat"),)
    other = store.projects.create("other")
    assert store.providers.find(other, "openai_chat") is None
    store.providers.delete(project, "openai_chat")
    with pytest.raises(ConnectionNotFound):
        store.providers.delete(project, "openai_chat")


def test_a_deleted_project_takes_its_connections_and_jobs_along(store: Store, project: Project) -> None:
    store.providers.put(project, CONNECTION)
    begun(store, project, a_suite(store, project))
    store.executions.begin_call(project, "r", b"{}", "one", LEASE)
    store.deletion.project(project)
    assert store.executions.claim("one", LEASE) is None
    assert store.executions.adopt_calls() == 0
