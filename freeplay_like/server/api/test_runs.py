"""Test runs, in Freeplay's words: made over a dataset, looked at while records come in that name them, compared."""

from __future__ import annotations

from typing import Annotated, Final

import attrs
from msgspec import Meta
from starlette.exceptions import HTTPException

from freeplay_like.core.run_results import compare
from freeplay_like.core.wire import JsonObject, to_wire
from freeplay_like.server.api.dataset_forms import StoredId, Text
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, Query, operation
from freeplay_like.server.api.run_forms import (
    case_to_wire,
    comparison_to_wire,
    run_to_wire,
    state_to_wire,
    tried_to_wire,
)
from freeplay_like.server.auth import require_scope
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.store.views import RunDraft

PARAMETERS_LIMIT_BYTES: Final = 64 * 1024

_RUNS: Final = f"{PROJECT}/test-runs"
_RUN: Final = f"{_RUNS}/id/{{test_run_id}}"

_COMPARED: Final = (
    Query("runs", "The ids of two test runs, the earlier one first: `runs=a,b`."),
    Query("lower_is_better", "Names of scores of which less is better, with commas between them."),
    *PAGE,
)


@attrs.frozen(kw_only=True)
class NewTestRun:
    """The body that makes a test run.

    `target_evaluation_ids` is taken and not used: no evaluation runs here. What is tried can be said for people to see:
    the version of a template, how it was found, and what is set over its parameters.
    """

    dataset_name: Annotated[str, Meta(max_length=200)]
    include_outputs: bool = False
    test_run_name: Annotated[str, Meta(max_length=200)] | None = None
    test_run_description: Text | None = None
    flavor_name: Annotated[str, Meta(max_length=200)] | None = None
    target_evaluation_ids: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=1_000)] | None = None
    prompt_template_id: StoredId | None = None
    prompt_template_version_id: StoredId | None = None
    environment: Annotated[str, Meta(max_length=100)] | None = None
    parameters: JsonObject | None = None


@operation("POST", _RUNS, scope="ingest", body=NewTestRun, status=201)
def create_test_run(ask: Ask[NewTestRun]) -> JsonObject:
    """A new test run over a dataset, and the cases to be tried.

    Expected outputs come only where they are asked for. Needs the scope `read` too.
    """
    require_scope(ask.key, "read")  # who makes a run is given what is in the dataset, and sends records
    run = ask.store.test_runs.create(ask.project, _draft(ask.body))
    cases = [case_to_wire(case, run.kind, has_output=ask.body.include_outputs) for case in run.cases]
    is_agent = run.kind == "agent"
    return {
        "test_run_id": run.id,
        "test_cases": None if is_agent else cases,
        "trace_test_cases": cases if is_agent else None,
    }


@operation("GET", _RUNS, scope="read", query=PAGE)
def list_test_runs(ask: Ask[None]) -> JsonObject:
    """The test runs of a project, newest first, without their results."""
    page = ask.page()
    return page.answer([run_to_wire(run) for run in ask.store.test_runs.page(ask.project, page.offset, page.limit)])


@operation("GET", f"{_RUNS}/compare", scope="read", query=_COMPARED)
def compare_test_runs(ask: Ask[None]) -> JsonObject:
    """Two test runs side by side: scores, latency, tokens and cost, and case by case with regressions first.

    A case is the same in both where it has the same id. Differences are those of the second run to the first.
    """
    ids = [each for each in (ask.query("runs") or "").split(",") if each]
    if len(ids) != 2:
        raise HTTPException(400, f"'runs' names {len(ids)} test runs; two can be compared: runs=a,b")
    lower = [name for name in (ask.query("lower_is_better") or "").split(",") if name]
    page = ask.page()
    (before, old), (after, new) = ask.store.test_runs.results(ask.project, ids)
    found = compare(old, new, lower)
    cases = found.cases[page.offset : page.offset + page.size]
    pagination = {"page": page.number, "page_size": page.size, "has_next": len(found.cases) > page.offset + page.size}
    return {**comparison_to_wire((before, after), found, cases), "pagination": pagination}


@operation("GET", _RUN, scope="read")
def get_test_run(ask: Ask[None]) -> JsonObject:
    """Where a test run stands, and what its answers come to."""
    return state_to_wire(ask.store.test_runs.get(ask.project, ask.path("test_run_id")))


@operation("GET", f"{_RUN}/cases", scope="read", query=PAGE)
def list_test_run_cases(ask: Ask[None]) -> JsonObject:
    """The cases of a test run, each with its records and their scores."""
    page, run_id = ask.page(), ask.path("test_run_id")
    kind, found = ask.store.test_runs.cases(ask.project, run_id, page.offset, page.limit)
    return page.answer([tried_to_wire(tried, kind) for tried in found])


OPERATIONS: Final = (create_test_run, list_test_runs, compare_test_runs, get_test_run, list_test_run_cases)


def _draft(body: NewTestRun) -> RunDraft:
    name = None if body.test_run_name is None else body.test_run_name.strip()
    if name and not is_name(name):
        raise HTTPException(400, f"test_run_name: a test run's {said_of_name(name)}")
    for field in ("dataset_name", "test_run_description", "flavor_name", "environment"):
        if "\x00" in (getattr(body, field) or ""):
            raise HTTPException(400, f"{field} holds a NUL character, which no text has")
    parameters = body.parameters or {}
    if len(to_wire(parameters)) > PARAMETERS_LIMIT_BYTES:
        raise HTTPException(400, f"parameters has more than {PARAMETERS_LIMIT_BYTES} bytes of JSON")
    return RunDraft(
        dataset_name=body.dataset_name,
        name=name or None,
        description=body.test_run_description or "",
        flavor=body.flavor_name,
        template_id=body.prompt_template_id,
        template_version_id=body.prompt_template_version_id,
        environment=body.environment,
        parameters=parameters,
    )
