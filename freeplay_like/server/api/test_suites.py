"""Test suites: a dataset, what is tried over it, and what a run has to reach."""

from __future__ import annotations

from typing import Annotated, Final

import attrs
from msgspec import Meta
from starlette.exceptions import HTTPException

from freeplay_like.core.run_results import RunSummary
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.dataset_forms import Done, Name, StoredId, Text
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, operation
from freeplay_like.server.api.run_forms import case_to_wire, statistics_of, status_of, summary_to_wire
from freeplay_like.server.auth import require_scope
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.store.trials.test_runs import RunInfo
from freeplay_like.server.store.trials.test_suites import SuiteDraft, SuiteRunDraft, TestSuite

_SUITES: Final = f"{PROJECT}/test-suites"
_SUITE: Final = f"{_SUITES}/{{suite_id}}"
_RUNS: Final = f"{_SUITE}/runs"
_RUN: Final = f"{_RUNS}/{{run_id}}"


@attrs.frozen(kw_only=True)
class NewSuite:
    """The body that makes a test suite, for a prompt template or for an agent, over a dataset of that kind.

    `thresholds` says by score which mean a run must have at least to pass.
    """

    name: Name
    description: Text | None = None
    test_list_id: StoredId
    prompt_template_id: StoredId | None = None
    agent_id: Annotated[str, Meta(max_length=200)] | None = None
    thresholds: Annotated[dict[Name, float], Meta(max_length=100)] | None = None


@attrs.frozen(kw_only=True)
class NewSuiteRun:
    """The body that starts a run: of the version of an id, or of the one that an environment points at (`latest`)."""

    environment: Annotated[str, Meta(max_length=100)] | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    prompt_template_version_id: StoredId | None = None
    is_sdk: bool = False


@operation("POST", _SUITES, scope="prompts", body=NewSuite, status=201)
def create_test_suite(ask: Ask[NewSuite]) -> JsonObject:
    """A new test suite over a dataset."""
    body = ask.body
    name = body.name.strip()
    if not is_name(name):
        raise HTTPException(400, f"a test suite's {said_of_name(name)}")
    for field in ("description", "agent_id"):
        if "\x00" in (getattr(body, field) or ""):
            raise HTTPException(400, f"{field} holds a NUL character, which no text has")
    draft = SuiteDraft(
        name=name,
        description=body.description or "",
        dataset_id=body.test_list_id,
        template_id=body.prompt_template_id,
        agent_id=body.agent_id,
        thresholds=body.thresholds or {},
    )
    return _to_wire(ask.store.test_suites.create(ask.project, draft))


@operation("GET", _SUITES, scope="read", query=PAGE)
def list_test_suites(ask: Ask[None]) -> JsonObject:
    """The test suites of a project, newest first."""
    page = ask.page()
    return page.answer([_to_wire(each) for each in ask.store.test_suites.page(ask.project, page.offset, page.limit)])


@operation("GET", _SUITE, scope="read")
def get_test_suite(ask: Ask[None]) -> JsonObject:
    """A test suite."""
    return _to_wire(ask.store.test_suites.get(ask.project, ask.path("suite_id")))


@operation("DELETE", _SUITE, scope="prompts", returns=Done)
def delete_test_suite(ask: Ask[None]) -> Done:
    """Delete a test suite; its runs stay, as test runs over its dataset."""
    ask.store.test_suites.delete(ask.project, ask.path("suite_id"))
    return Done(message="the test suite is deleted")


@operation("POST", _RUNS, scope="ingest", body=NewSuiteRun, status=201)
def start_test_suite_run(ask: Ask[NewSuiteRun]) -> JsonObject:
    """Start a run that a client carries out: it asks for the cases, calls for each, and sends records.

    Needs the scope `read` too.
    """
    require_scope(ask.key, "read")
    suite = ask.store.test_suites.get(ask.project, ask.path("suite_id"))
    run = ask.store.test_suites.start(ask.project, suite.id, _run_draft(ask.body))
    return {
        "run_id": run.run_id,
        "suite_id": suite.id,
        "target_type": suite.kind,
        "total_test_cases": run.cases,
        "prompt_template": None if run.version is None else run.version.template.to_wire(),
    }


@operation("POST", f"{_RUNS}/execute", scope="ingest", body=NewSuiteRun, status=201)
def execute_test_suite_run(ask: Ask[NewSuiteRun]) -> JsonObject:
    """Start a run that the server carries out, over the project's provider connection; its results tell how far it is.

    Needs the scope `read` too. 409 where there is no connection for the flavor of the suite's template.
    """
    require_scope(ask.key, "read")
    needs_connection = not ask.state.settings.uses_provider_environment
    suite, draft = ask.path("suite_id"), _run_draft(ask.body)
    run = ask.store.executions.start(ask.project, suite, draft, ask.key.key_id, needs_connection=needs_connection)
    ask.state.work.set()
    return _results(ask, suite, run.run_id)


@operation("POST", f"{_RUN}/cancel", scope="ingest")
def cancel_test_suite_run(ask: Ask[None]) -> JsonObject:
    """Stop a run that the server carries out: its calls under way are broken off, and no more are made.

    Needs the scope `read` too.
    """
    require_scope(ask.key, "read")
    suite, run_id = ask.path("suite_id"), ask.path("run_id")
    ask.store.executions.cancel(ask.project, suite, run_id)
    ask.state.work.set()
    return _results(ask, suite, run_id)


@operation("GET", f"{_RUN}/test-cases", scope="read", query=PAGE)
def list_test_suite_run_cases(ask: Ask[None]) -> JsonObject:
    """The cases of a run of a suite, to be tried."""
    page, run_id = ask.page(), ask.path("run_id")
    suite = ask.store.test_suites.of_run(ask.project, ask.path("suite_id"), run_id)
    _, found = ask.store.test_runs.cases(ask.project, run_id, page.offset, page.limit)
    return page.answer([case_to_wire(tried.case, suite.kind, has_output=True) for tried in found])


@operation("GET", f"{_RUN}/results", scope="read")
def get_test_suite_run_results(ask: Ask[None]) -> JsonObject:
    """Where a run of a suite stands, and whether it passed: `passed` is null while it runs, or with no threshold."""
    return _results(ask, ask.path("suite_id"), ask.path("run_id"))


OPERATIONS: Final = (
    create_test_suite,
    list_test_suites,
    get_test_suite,
    delete_test_suite,
    start_test_suite_run,
    execute_test_suite_run,
    cancel_test_suite_run,
    list_test_suite_run_cases,
    get_test_suite_run_results,
)


def _results(ask: Ask[None] | Ask[NewSuiteRun], suite_id: str, run_id: str) -> JsonObject:
    suite = ask.store.test_suites.of_run(ask.project, suite_id, run_id)
    state = ask.store.test_runs.get(ask.project, run_id)
    judged = {name: _judged(name, least, state.summary) for name, least in suite.thresholds.items()}
    is_judged = bool(judged) and state.info.is_complete
    return {
        "run_id": run_id,
        "suite_id": suite.id,
        "status": status_of(state.info),
        "message": _message(state.info),
        "test_cases": state.info.cases,
        "finished_test_cases": state.info.finished,
        "passed": all(each["passed"] for each in judged.values()) if is_judged else None,
        "eval_results": judged or None,
        "summary_statistics": statistics_of(state.summary),
        "results": summary_to_wire(state.summary),
    }


def _message(run: RunInfo) -> str | None:
    """Why a run that the server carried out has no end that counts."""
    return "the run was cancelled" if run.execution == "cancelled" else run.execution_error


def _judged(name: str, least: float, summary: RunSummary) -> JsonObject:
    """A score against its threshold; one that no answer has does not reach it."""
    score = summary.scores.get(name)
    mean = None if score is None else score.mean
    return {"mean": mean, "threshold": least, "passed": mean is not None and mean >= least}


def _run_draft(body: NewSuiteRun) -> SuiteRunDraft:
    name = None if body.name is None else body.name.strip()
    if name and not is_name(name):
        raise HTTPException(400, f"name: a test run's {said_of_name(name)}")
    return SuiteRunDraft(
        name=name or None, environment=body.environment, template_version_id=body.prompt_template_version_id
    )


def _to_wire(suite: TestSuite) -> JsonObject:
    return {
        "id": suite.id,
        "name": suite.name,
        "description": suite.description,
        "target_type": suite.kind,
        "test_list_id": suite.dataset_id,
        "prompt_template_id": suite.template_id,
        "agent_id": suite.agent_id,
        "thresholds": suite.thresholds,
        "created_at": suite.created_at,
    }
