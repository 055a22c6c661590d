"""The pages of test runs, and what can be done there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from freeplay_like.core.run_results import Result, RunSummary, as_number, summarize
from freeplay_like.server.pages.addresses import run_address
from freeplay_like.server.pages.forms import Sent, action, then
from freeplay_like.server.pages.page import PageProblem, page, project_of
from freeplay_like.server.pages.trials.datasets import page_number
from freeplay_like.server.pages.trials.drawing import plots
from freeplay_like.server.pages.trials.judging import SHOWS, Show, judged, shows, worst_first
from freeplay_like.server.pages.trials.new_runs import build_new_run, start_runs
from freeplay_like.server.pages.trials.run_contexts import (
    CASES_A_PAGE,
    ListedRun,
    RunContext,
    RunsContext,
    ScoreView,
    ShownCase,
)
from freeplay_like.server.pages.trials.versions import VersionName, named
from freeplay_like.server.state import State
from freeplay_like.server.store.trials.run_results import RunCall
from freeplay_like.server.store.trials.test_runs import RunInfo, WhichRuns
from freeplay_like.server.store.trials.test_suites import SuiteNotFound, TestSuite
from freeplay_like.server.store.trials.trials import RunView
from freeplay_like.server.store.views import Conflict, Project

RUNS_A_PAGE: Final = 25
OTHERS_SHOWN: Final = 20


def run_routes(state: State) -> list[BaseRoute]:
    """The list of runs, a new one, one of them, and its forms."""
    room = "/projects/{project_id}/test-runs"
    one = f"{room}/{{run_id}}"
    return [
        *page(f"{room}/new", "trials/new_run.html", build_new_run, state),
        action(f"{room}/new", start_runs, state),
        *page(room, "trials/runs.html", build_runs, state),
        action(f"{one}/cancel", _cancel, state),
        *page(one, "trials/run.html", build_run, state),
    ]


def build_runs(state: State, request: Request) -> RunsContext:
    """The test runs: `dataset`, `version` and `suite` narrow them, `page` pages."""
    project, number = project_of(state, request), page_number(request)
    said = {name: request.query_params.get(name) or None for name in ("dataset", "version", "suite")}
    which = WhichRuns(dataset_id=said["dataset"], version_id=said["version"], suite_id=said["suite"])
    versions = named(state.store.prompts.summaries(project.id))
    found = state.store.test_runs.page(project, (number - 1) * RUNS_A_PAGE, RUNS_A_PAGE + 1, which)
    return RunsContext(
        project=project,
        which=which,
        of=_narrowed_to(state, project, which, versions),
        runs=listed(state, project, found[:RUNS_A_PAGE], versions),
        page_number=number,
        has_next=len(found) > RUNS_A_PAGE,
    )


def listed(
    state: State, project: Project, runs: tuple[RunInfo, ...], versions: Mapping[str, VersionName]
) -> tuple[ListedRun, ...]:
    """Runs with what they came to."""
    results = state.store.test_runs.results(project, [run.id for run in runs])
    return tuple(
        ListedRun(info=info, summary=summarize(each), version=versions.get(info.template_version_id or ""))
        for info, each in results
    )


def _narrowed_to(state: State, project: Project, which: WhichRuns, versions: Mapping[str, VersionName]) -> str | None:
    """The name of what a list is narrowed to.

    Raises:
        DatasetNotFound, SuiteNotFound: there is no such thing.
    """
    said = []
    if which.dataset_id is not None:
        said.append(f"dataset {state.store.datasets.get(project, which.dataset_id).name}")
    if which.version_id is not None:
        version = versions.get(which.version_id)
        said.append(f"version {which.version_id if version is None else version.label}")
    if which.suite_id is not None:
        said.append(f"suite {state.store.test_suites.get(project, which.suite_id).name}")
    return ", ".join(said) or None


def build_run(state: State, request: Request) -> RunContext:
    """A test run: `show` says which cases, `page` pages.

    Raises:
        PageProblem: there are no such cases.
        RunNotFound: there is no such run.
    """
    project, number, show = project_of(state, request), page_number(request), _show(request)
    view = state.store.trials.run(project, request.path_params["run_id"])
    run, results = view.info, view.results
    ordered = _ordered(view)
    wanted = [each for each in ordered if shows(_ended(each[1]), show)]
    summary, suite = summarize(results), _suite(state, project, run)
    at = (number - 1) * CASES_A_PAGE
    return RunContext(
        project=project,
        run=run,
        suite=suite,
        version=named(state.store.prompts.summaries(project.id)).get(run.template_version_id or ""),
        summary=summary,
        scores=score_views(summary, results),
        judged=judged(suite.thresholds, summary) if suite else (),
        latencies=tuple(each.latency_ms for each in results if each.latency_ms is not None),
        costs=tuple(float(each.cost_nano_usd) for each in results if each.cost_nano_usd is not None),
        show=show,
        counts={kind: sum(shows(_ended(call), kind) for _, call in ordered) for kind in SHOWS},
        cases=_shown(state, project, wanted[at : at + CASES_A_PAGE]),
        page_number=number,
        others=_others(state, project, run),
    )


def score_views(summary: RunSummary, results: tuple[Result, ...]) -> tuple[ScoreView, ...]:
    """The scores of a run; numbers that are more than True and False are drawn."""
    views = []
    for name, score in summary.scores.items():
        values = [result.scores[name] for result in results if name in result.scores]
        numbers = [n for value in values if not isinstance(value, bool) and (n := as_number(value)) is not None]
        views.append(ScoreView(name=name, summary=score, plot=next(iter(plots([numbers])), None)))
    return tuple(views)


def _show(request: Request) -> Show:
    said = request.query_params.get("show") or "all"
    found = next((show for show in SHOWS if show == said), None)
    if found is None:
        raise PageProblem(
            "This cannot be shown", f"There are no {said[:50]!r} cases, only {', '.join(SHOWS)}.", status=400
        )
    return found


def _ended(call: RunCall | None) -> Result | None:
    return None if call is None or not call.has_ended else call.result


def _ordered(view: RunView) -> list[tuple[str, RunCall | None]]:
    """Every case and the call that counts for it: the worst first, then those that are still to come."""
    last = {(call.result.test_case_id or "", call.has_ended): call for call in view.calls}
    calls = {case_id: call for (case_id, _), call in sorted(last.items(), key=lambda item: item[0][1])}
    members = set(view.case_ids)
    done = [result for result in view.results if result.test_case_id in members]
    first = [(case_id, calls[case_id]) for case_id in (result.test_case_id or "" for result in worst_first(done))]
    seen = {case_id for case_id, _ in first}
    return [*first, *((case_id, calls.get(case_id)) for case_id in view.case_ids if case_id not in seen)]


def _shown(state: State, project: Project, rows: list[tuple[str, RunCall | None]]) -> tuple[ShownCase, ...]:
    cases = state.store.trials.cases(project, [case_id for case_id, _ in rows])
    return tuple(ShownCase(case=cases[case_id], call=call) for case_id, call in rows if case_id in cases)


def _suite(state: State, project: Project, run: RunInfo) -> TestSuite | None:
    """The suite that a run is of, None where it is of none or that was deleted meanwhile."""
    if run.suite_id is None:
        return None
    try:
        return state.store.test_suites.get(project, run.suite_id)
    except SuiteNotFound:
        return None


def _others(state: State, project: Project, run: RunInfo) -> tuple[RunInfo, ...]:
    found = state.store.test_runs.page(project, 0, OTHERS_SHOWN + 1, WhichRuns(dataset_id=run.dataset_id))
    return tuple(other for other in found if other.id != run.id)[:OTHERS_SHOWN]


def _cancel(sent: Sent) -> Response:
    project, run_id = project_of(sent.state, sent.request), sent.request.path_params["run_id"]
    run = sent.state.store.test_runs.get(project, run_id).info
    if run.suite_id is None:
        raise Conflict("no server carries this run out: whoever began it ends it")
    sent.state.store.executions.cancel(project, run.suite_id, run_id)
    sent.state.work.set()
    return then(run_address(project.id, run_id))
