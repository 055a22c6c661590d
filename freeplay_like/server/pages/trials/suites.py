"""The pages of test suites: what is tried again and again, and what a run has to reach."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from freeplay_like.server.pages.addresses import project_address
from freeplay_like.server.pages.forms import Sent, action, then
from freeplay_like.server.pages.page import page, project_of
from freeplay_like.server.pages.trials.datasets import page_number
from freeplay_like.server.pages.trials.judging import judged
from freeplay_like.server.pages.trials.run_contexts import ListedSuite, SuitesContext
from freeplay_like.server.pages.trials.runs import listed
from freeplay_like.server.pages.trials.versions import named
from freeplay_like.server.state import State
from freeplay_like.server.store.trials.test_runs import WhichRuns
from freeplay_like.server.store.trials.test_suites import TestSuite
from freeplay_like.server.store.views import Project, TemplateSummary

SUITES_A_PAGE: Final = 25


def suite_routes(state: State) -> list[BaseRoute]:
    """The list of suites, and the form that deletes one."""
    room = "/projects/{project_id}/test-suites"
    return [
        *page(room, "trials/suites.html", build_suites, state),
        action(f"{room}/{{suite_id}}/delete", _delete, state),
    ]


def build_suites(state: State, request: Request) -> SuitesContext:
    """The test suites of a project, each with its last run."""
    project, number = project_of(state, request), page_number(request)
    found = state.store.test_suites.page(project, (number - 1) * SUITES_A_PAGE, SUITES_A_PAGE + 1)
    templates = state.store.prompts.summaries(project.id)
    return SuitesContext(
        project=project,
        suites=tuple(_listed(state, project, suite, templates) for suite in found[:SUITES_A_PAGE]),
        page_number=number,
        has_next=len(found) > SUITES_A_PAGE,
    )


def _listed(state: State, project: Project, suite: TestSuite, templates: tuple[TemplateSummary, ...]) -> ListedSuite:
    last = state.store.test_runs.page(project, 0, 1, WhichRuns(suite_id=suite.id))
    run = next(iter(listed(state, project, last, named(templates))), None)
    return ListedSuite(
        suite=suite,
        dataset=state.store.datasets.get(project, suite.dataset_id),
        template=next((each for each in templates if each.template_id == suite.template_id), None),
        last=run,
        judged=() if run is None else judged(suite.thresholds, run.summary),
    )


def _delete(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    sent.state.store.test_suites.delete(project, sent.request.path_params["suite_id"])
    return then(project_address(project.id, "test-suites"))
