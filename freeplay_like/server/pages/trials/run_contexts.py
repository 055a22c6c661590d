"""What the pages of test runs and test suites show."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from freeplay_like.core.answer_checks import ANSWER_CHECKS
from freeplay_like.core.run_results import Result, RunSummary, ScoreSummary
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.pages.addresses import new_run_address, run_address, runs_address
from freeplay_like.server.pages.trials.cases import expected_of
from freeplay_like.server.pages.trials.drawing import Plot, plots
from freeplay_like.server.pages.trials.judging import Judged, Show
from freeplay_like.server.pages.trials.noise import likely_share
from freeplay_like.server.pages.trials.versions import VersionName
from freeplay_like.server.store.trials.run_results import RunCall
from freeplay_like.server.store.trials.test_runs import RunInfo, WhichRuns
from freeplay_like.server.store.trials.test_suites import TestSuite
from freeplay_like.server.store.views import Dataset, DatasetCase, Project, TemplateSummary

CASES_A_PAGE = 50
CHECKS_SAID: Mapping[str, str] = {
    "exact_match": "the answer is what is expected",
    "contains": "what is expected is a part of the answer",
    "json_valid": "the answer is JSON",
}
"""What each check of an answer asks, for people."""


def is_running(run: RunInfo) -> bool:
    """Whether more is to come of it: a server is at it, or a client that has not sent all."""
    return run.execution == "running" or (run.execution is None and not run.is_complete)


@attrs.frozen(kw_only=True)
class ListedRun:
    """A run in a list: with its results summed up, and the name of the version that it tried."""

    info: RunInfo
    summary: RunSummary
    version: VersionName | None

    @property
    def is_running(self) -> bool:
        """Whether more is to come of it."""
        return is_running(self.info)


@attrs.frozen(kw_only=True)
class RunsContext:
    """The test runs of a project, newest first; `which` narrows them, in `of` to the name of what."""

    project: Project
    which: WhichRuns
    of: str | None
    runs: tuple[ListedRun, ...]
    page_number: int
    has_next: bool

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores that any of the runs has."""
        return tuple(sorted({name for run in self.runs for name in run.summary.scores}))

    def at(self, number: int) -> str:
        """Another page of the list."""
        of = {"dataset": self.which.dataset_id, "version": self.which.version_id, "suite": self.which.suite_id}
        return runs_address(self.project.id, page=number, **of)

    @property
    def new_address(self) -> str:
        """Where a run is begun, of what the list is narrowed to."""
        versions = () if self.which.version_id is None else (self.which.version_id,)
        return new_run_address(self.project.id, *versions, dataset=self.which.dataset_id, suite=self.which.suite_id)


@attrs.frozen(kw_only=True)
class NewRunContext:
    """A test run that is about to begin. `connected` are the flavors that the server can call; None: any."""

    project: Project
    datasets: tuple[Dataset, ...]
    templates: tuple[TemplateSummary, ...]
    dataset_id: str | None
    versions: tuple[str, ...]
    name: str
    model: str
    parameters: JsonObject
    thresholds: Mapping[str, float]
    connected: tuple[str, ...] | None

    @property
    def slots(self) -> tuple[str, ...]:
        """The four versions that can be chosen, "" for none."""
        return (*self.versions, "", "", "", "")[:4]

    @property
    def checks(self) -> tuple[tuple[str, str, float | None], ...]:
        """The checks there are: name, what it asks, and the threshold where it is chosen."""
        return tuple((name, CHECKS_SAID[name], self.thresholds.get(name)) for name in ANSWER_CHECKS)

    @property
    def missing(self) -> tuple[str, ...]:
        """The flavors of templates that the server cannot call."""
        if self.connected is None:
            return ()
        flavors = {version.flavor for template in self.templates for version in template.versions if version.flavor}
        return tuple(sorted(flavors - set(self.connected)))


@attrs.frozen(kw_only=True)
class ShownCase:
    """A case of a run: what was to be tried, and what came of it; `call` None: nothing yet."""

    case: DatasetCase
    call: RunCall | None

    @property
    def result(self) -> Result | None:
        """What it came to."""
        return None if self.call is None or not self.call.has_ended else self.call.result

    @property
    def expected(self) -> str:
        """What was expected."""
        return expected_of(self.case.content)


@attrs.frozen(kw_only=True)
class ScoreView:
    """A score of a run: summed up, and how its numbers lie."""

    name: str
    summary: ScoreSummary
    plot: Plot | None

    @property
    def likely(self) -> tuple[float, float] | None:
        """Where the true share of True lies, with 95 % confidence."""
        if self.summary.pass_rate is None:
            return None
        truths = sum(count for value, count in self.summary.values.items() if value in ("true", "false"))
        return likely_share(round(self.summary.pass_rate * truths), truths)


@attrs.frozen(kw_only=True)
class RunContext:
    """A test run: where it stands, what it came to, and a page of its cases, the worst first.

    `counts` says how many cases there are of each kind; `others` are further runs over the same dataset.
    """

    project: Project
    run: RunInfo
    suite: TestSuite | None
    version: VersionName | None
    summary: RunSummary
    scores: tuple[ScoreView, ...]
    judged: tuple[Judged, ...]
    latencies: tuple[float, ...] = attrs.field(repr=False)
    costs: tuple[float, ...] = attrs.field(repr=False)
    show: Show
    counts: Mapping[Show, int]
    cases: tuple[ShownCase, ...]
    page_number: int
    others: tuple[RunInfo, ...]

    @property
    def is_running(self) -> bool:
        """Whether more is to come of it."""
        return is_running(self.run)

    @property
    def is_watched(self) -> bool:
        """Whether the page looks again by itself: a client's run that was left half done is not waited for."""
        return self.run.execution == "running"

    @property
    def latency_plot(self) -> Plot | None:
        """How latencies lie."""
        return next(iter(plots([self.latencies])), None)

    @property
    def cost_plot(self) -> Plot | None:
        """How costs lie."""
        return next(iter(plots([self.costs])), None)

    @property
    def passed(self) -> bool | None:
        """Whether every threshold was reached; None while it runs, or where there is none."""
        if not self.judged or not self.run.is_complete:
            return None
        return all(each.is_reached for each in self.judged)

    @property
    def address(self) -> str:
        """This page."""
        return self.at(self.show, self.page_number)

    def at(self, show: Show, number: int = 1) -> str:
        """The same run with other cases."""
        return run_address(self.project.id, self.run.id, show=None if show == "all" else show, page=number)

    @property
    def has_next(self) -> bool:
        """Whether there are further cases."""
        return self.page_number * CASES_A_PAGE < self.counts[self.show]


@attrs.frozen(kw_only=True)
class ListedSuite:
    """A test suite in a list: its dataset, the template it tries, and its last run with what it came to."""

    suite: TestSuite
    dataset: Dataset
    template: TemplateSummary | None
    last: ListedRun | None
    judged: tuple[Judged, ...]


@attrs.frozen(kw_only=True)
class SuitesContext:
    """The test suites of a project, newest first."""

    project: Project
    suites: tuple[ListedSuite, ...]
    page_number: int
    has_next: bool
