"""Test runs side by side: scores, latency, cost, and the cases one by one, regressions first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import attrs

from freeplay_like.core.run_results import UNANSWERED, CaseChange, Comparison, Result, RunSummary, as_number, compare
from freeplay_like.server.pages.addresses import compare_address
from freeplay_like.server.pages.page import PageProblem
from freeplay_like.server.pages.trials.cases import expected_of
from freeplay_like.server.pages.trials.drawing import Plot, plots
from freeplay_like.server.pages.trials.noise import Verdict, likely_share, said_of, verdict
from freeplay_like.server.pages.trials.versions import VersionName, named
from freeplay_like.server.pages.word_diff import Stretch, only, word_diff
from freeplay_like.server.state import State
from freeplay_like.server.store.trials.run_results import RunCall
from freeplay_like.server.store.trials.test_runs import RunInfo
from freeplay_like.server.store.trials.trials import RunView
from freeplay_like.server.store.views import DatasetCase, Project

Change = Literal["worse", "better", "same", "only"]
Show = Literal["all", "worse", "better", "same", "only"]
SHOWS: Final[tuple[Show, ...]] = ("all", "worse", "better", "same", "only")
CASES_A_PAGE: Final = 25


@attrs.frozen(kw_only=True)
class Number:
    """A number of calls, of which less is better."""

    name: str
    kind: Literal["ms", "usd", "tokens"]
    of: Callable[[Result], float | None]


NUMBERS: Final[Mapping[str, Number]] = {
    "latency_ms": Number(name="latency", kind="ms", of=lambda result: result.latency_ms),
    "cost_nano_usd": Number(name="cost", kind="usd", of=lambda result: result.cost_nano_usd),
    "output_tokens": Number(name="output tokens", kind="tokens", of=lambda result: result.output_tokens),
}
"""What cases can be told apart by beside their scores."""


@attrs.frozen(kw_only=True)
class AskedCases:
    """Which cases are shown: those that went so, of the first run and the one at place `to`, by one score or by all."""

    show: Show = "all"
    to: int = 1
    score: str | None = None
    page: int = 1


@attrs.frozen(kw_only=True)
class Side:
    """A run among others. `label` is the letter it goes by on the page."""

    label: str
    run: RunInfo
    version: VersionName | None
    summary: RunSummary


@attrs.frozen(kw_only=True)
class Step:
    """What became of a measure from the first run to another: in how many cases it got better or worse."""

    difference: float | None
    better: int
    worse: int
    same: int

    @property
    def verdict(self) -> Verdict:
        """Whether that says anything."""
        return verdict(self.better, self.worse)

    @property
    def said(self) -> str:
        """The verdict in words."""
        return said_of(self.better, self.worse)


@attrs.frozen(kw_only=True)
class Measure:
    """A score, or a number of the calls, in each run; `steps` are from the first run to each of the others.

    `key` is what it is asked for by, `kind` says how its values are written; `plots` has how they lie, nothing where
    they are True and False.
    """

    key: str
    name: str
    kind: Literal["share", "number", "ms", "usd", "tokens"]
    means: tuple[float | None, ...]
    halves: tuple[float | None, ...]
    likely: tuple[tuple[float, float] | None, ...]
    steps: tuple[Step, ...]
    plots: tuple[Plot, ...]
    is_lower_better: bool = False


@attrs.frozen(kw_only=True)
class CaseSide:
    """A case in one run: what was answered (`words` against the first run's answer), and what came of it."""

    call: RunCall | None
    words: tuple[Stretch, ...]


@attrs.frozen(kw_only=True)
class ComparedCase:
    """A case in two runs."""

    case: DatasetCase
    change: Change
    differences: Mapping[str, float]
    sides: tuple[CaseSide, CaseSide]

    @property
    def expected(self) -> str:
        """What was expected."""
        return expected_of(self.case.content)


@attrs.frozen(kw_only=True)
class RunsCompared:
    """Two to four runs; the cases are those of the first and of `asked.to`. `lower`: scores of which less is better."""

    project: Project
    sides: tuple[Side, ...]
    measures: tuple[Measure, ...]
    asked: AskedCases
    lower: tuple[str, ...]
    counts: tuple[Mapping[Show, int], ...]
    cases: tuple[ComparedCase, ...]

    kind: Literal["run"] = "run"

    @property
    def swapped_address(self) -> str:
        """The same with the second run first."""
        ids = [side.run.id for side in self.sides]
        return compare_address(self.project.id, "run", ids[1], ids[0], *ids[2:], lower=",".join(self.lower) or None)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that the runs are over."""
        return tuple(dict.fromkeys(side.run.dataset_name for side in self.sides))

    @property
    def asked_name(self) -> str | None:
        """What the cases are told apart by, None for all of it."""
        return next((measure.name for measure in self.measures if measure.key == self.asked.score), None)

    @property
    def is_running(self) -> bool:
        """Whether the server is still at any of them."""
        return any(side.run.execution == "running" for side in self.sides)

    @property
    def has_next(self) -> bool:
        """Whether there are further cases."""
        return self.asked.page * CASES_A_PAGE < self.counts[self.asked.to - 1][self.asked.show]

    def at(self, show: str = "all", to: int | None = None, score: str | None = None, page: int = 1) -> str:
        """The same runs with other cases."""
        return self._at(self.lower, show, to or self.asked.to, score, page)

    def turned(self, name: str) -> str:
        """The same, with less of a score taken for better, or no longer."""
        lower = tuple(each for each in self.lower if each != name) if name in self.lower else (*self.lower, name)
        return self._at(lower, self.asked.show, self.asked.to, None, 1)

    def _at(self, lower: Sequence[str], show: str, to: int, score: str | None, page: int) -> str:
        asked = {
            "lower": ",".join(lower) or None,
            "to": str(to) if to > 1 else None,
            "score": score,
            "show": None if show == "all" else show,
            "page": str(page) if page > 1 else None,
        }
        return compare_address(self.project.id, "run", *(side.run.id for side in self.sides), **asked)


def compare_runs(
    state: State, project: Project, run_ids: Sequence[str], asked: AskedCases, lower: tuple[str, ...]
) -> RunsCompared:
    """Runs side by side.

    Raises:
        PageProblem: there is no such run among them, or no such score.
        RunNotFound: there is no such run.
    """
    if not 1 <= asked.to < len(run_ids):
        raise PageProblem("This address is damaged", f"to={asked.to} is none of the runs.", status=400)
    views = state.store.trials.runs(project, run_ids)
    results = [view.results for view in views]
    found = [compare(results[0], other, lower) for other in results[1:]]
    versions = named(state.store.prompts.summaries(project.id))
    changed = _narrowed(found[asked.to - 1], asked, lower)
    start = (asked.page - 1) * CASES_A_PAGE
    return RunsCompared(
        project=project,
        sides=tuple(
            Side(label=label, run=view.info, version=versions.get(view.info.template_version_id or ""), summary=summary)
            for label, view, summary in zip("ABCD", views, [found[0].before, *(c.after for c in found)], strict=False)
        ),
        measures=_measures(results, found, lower),
        asked=asked,
        lower=lower,
        counts=tuple(_counts(each, asked.score if to == asked.to else None, lower) for to, each in enumerate(found, 1)),
        cases=_cases(state, project, (views[0], views[asked.to]), changed[start : start + CASES_A_PAGE], asked, lower),
    )


def change_of(case: CaseChange, score: str | None, lower: Sequence[str]) -> Change:
    """How a case went from one run to another, by one score or by all: worse in anything is worse."""
    if case.before is None or case.after is None:
        return "only"
    is_lost, is_won = (
        was.outcome not in UNANSWERED and became.outcome in UNANSWERED
        for was, became in ((case.before, case.after), (case.after, case.before))
    )
    number = NUMBERS.get(score or "") if score not in case.differences else None
    if number is not None:
        old, new = number.of(case.before), number.of(case.after)
        steps = [] if old is None or new is None else [old - new]
    else:
        said = case.differences if score is None else {score: case.differences.get(score, 0.0)}
        steps = [-step if name in lower else step for name, step in said.items()]
    if any(step < 0 for step in steps) or (is_lost and score is None):
        return "worse"
    return "better" if any(step > 0 for step in steps) or (is_won and score is None) else "same"


def _counts(found: Comparison, score: str | None, lower: Sequence[str]) -> dict[Show, int]:
    changes = [change_of(case, score, lower) for case in found.cases]
    return {show: len(changes) if show == "all" else changes.count(show) for show in SHOWS}


def _narrowed(found: Comparison, asked: AskedCases, lower: Sequence[str]) -> list[CaseChange]:
    if asked.score is not None and asked.score not in {*found.scores, *NUMBERS}:
        raise PageProblem("This cannot be shown", f"Neither run has a score {asked.score[:100]!r}.", status=400)
    order = ("worse", "better", "only", "same")
    changed = [(change_of(case, asked.score, lower), case) for case in found.cases]
    wanted = [each for each in changed if asked.show in ("all", each[0])]
    return [case for _, case in sorted(wanted, key=lambda each: (order.index(each[0]), -each[1].worst))]


def _cases(
    state: State,
    project: Project,
    views: tuple[RunView, RunView],
    changes: Sequence[CaseChange],
    asked: AskedCases,
    lower: Sequence[str],
) -> tuple[ComparedCase, ...]:
    contents = state.store.trials.cases(project, [case.test_case_id for case in changes])
    calls = [{call.result.record_id: call for call in view.calls} for view in views]
    ids = [side.record_id for case in changes for side in (case.before, case.after) if side is not None]
    answers = state.store.trials.answers(project, ids)

    def side(result: Result | None, known: Mapping[str, RunCall]) -> tuple[RunCall | None, str]:
        call = None if result is None else known[result.record_id]
        return call, "" if call is None else answers.get(call.result.record_id, call.answer)

    shown = []
    for case in changes:
        if case.test_case_id not in contents:  # records may name cases that are none of this project
            continue
        (old, before), (new, after) = side(case.before, calls[0]), side(case.after, calls[1])
        words = word_diff(before, after) if before and after else (Stretch("same", before or after),)
        shown.append(
            ComparedCase(
                case=contents[case.test_case_id],
                change=change_of(case, asked.score, lower),
                differences=case.differences,
                sides=(
                    CaseSide(call=old, words=only(words, "removed")),
                    CaseSide(call=new, words=only(words, "added")),
                ),
            )
        )
    return tuple(shown)


def _measures(
    results: Sequence[tuple[Result, ...]], found: Sequence[Comparison], lower: Sequence[str]
) -> tuple[Measure, ...]:
    names = sorted({name for each in found for name in each.scores})
    scores = [_score(name, results, found, is_lower_better=name in lower) for name in names]
    rest = [_number(key, number, results) for key, number in NUMBERS.items()]
    return (*scores, *(measure for measure in rest if any(mean is not None for mean in measure.means)))


def _score(
    name: str, results: Sequence[tuple[Result, ...]], found: Sequence[Comparison], *, is_lower_better: bool
) -> Measure:
    sums = [found[0].before.scores.get(name), *(each.after.scores.get(name) for each in found)]
    values = [[each.scores[name] for each in run if name in each.scores] for run in results]
    truths = [[value for value in row if isinstance(value, bool)] for row in values]
    is_share = all(len(row) == len(every) for row, every in zip(truths, values, strict=True))
    numbers = [[n for value in row if (n := as_number(value)) is not None] for row in values]
    steps = []
    for each in found:
        change = each.scores.get(name)
        steps.append(
            Step(difference=None, better=0, worse=0, same=0)
            if change is None
            else Step(difference=change.difference, better=change.better, worse=change.worse, same=change.same)
        )
    return Measure(
        key=name,
        name=name,
        kind="share" if is_share else "number",
        means=tuple(None if each is None else each.mean for each in sums),
        halves=tuple(None for _ in sums),
        likely=tuple(likely_share(sum(row), len(row)) for row in truths) if is_share else tuple(None for _ in sums),
        steps=tuple(steps),
        plots=() if is_share else plots(numbers),
        is_lower_better=is_lower_better,
    )


def _number(key: str, number: Number, results: Sequence[tuple[Result, ...]]) -> Measure:
    rows = [{each.test_case_id or each.record_id: number.of(each) for each in run} for run in results]
    known = [{case: number for case, number in row.items() if number is not None} for row in rows]
    means = tuple(sum(row.values()) / len(row) if row else None for row in known)
    steps = []
    for row, mean in zip(known[1:], means[1:], strict=True):
        pairs = [row[case] - known[0][case] for case in row.keys() & known[0].keys()]
        better, worse = sum(step < 0 for step in pairs), sum(step > 0 for step in pairs)
        difference = None if mean is None or means[0] is None else mean - means[0]
        steps.append(Step(difference=difference, better=better, worse=worse, same=len(pairs) - better - worse))
    return Measure(
        key=key,
        name=number.name,
        kind=number.kind,
        means=means,
        halves=tuple(_median(list(row.values())) for row in known),
        likely=tuple(None for _ in known),
        steps=tuple(steps),
        plots=plots([list(row.values()) for row in known]),
        is_lower_better=True,
    )


def _median(numbers: list[float]) -> float | None:
    return sorted(numbers)[(len(numbers) - 1) // 2] if numbers else None
