"""What a test run shows: its progress, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from freeplay_like.cli.demo_screen import printable
from freeplay_like.cli.run_backend import KnownRun, RunResults, RunScore
from freeplay_like.cli.test_runner import Failure
from freeplay_like.core.run_results import Spread
from freeplay_like.core.wire import JsonObject

FAILURES_SHOWN: Final = 10
_PLAIN_STEPS: Final = 10
"""Where there is no terminal, progress is told in this many lines."""


@attrs.frozen(kw_only=True)
class Threshold:
    """The least mean that a score must have."""

    name: str
    least: float


@attrs.frozen(kw_only=True)
class Judged:
    """A score against its threshold; one that no answer has does not reach it."""

    name: str
    least: float
    mean: float | None
    passed: bool


@attrs.frozen(kw_only=True)
class Report:
    """What `--json` prints. `answered_before` counts the cases that a run which is resumed did not ask again."""

    test_run_id: str
    project_id: str
    name: str
    dataset: str
    template: str
    version: str | None
    status: str
    cases: int
    answered_before: int
    failures: tuple[Failure, ...]
    thresholds: tuple[Judged, ...]
    results: RunResults
    comparison: JsonObject | None = None

    @property
    def is_good(self) -> bool:
        """Whether every case was answered and every threshold reached."""
        return not self.failures and all(judged.passed for judged in self.thresholds)


def judged(thresholds: Sequence[Threshold], run: KnownRun) -> tuple[Judged, ...]:
    """The thresholds against what a run came to."""
    return tuple(_judged(threshold, run.results.scores.get(threshold.name)) for threshold in thresholds)


def _judged(threshold: Threshold, score: RunScore | None) -> Judged:
    mean = None if score is None else score.mean
    passed = mean is not None and mean >= threshold.least
    return Judged(name=threshold.name, least=threshold.least, mean=mean, passed=passed)


class RunProgress:
    """How many cases are done: a bar in a terminal, else a line now and then; always on standard error."""

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._total = total
        self._done = 0
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        if self._console.is_terminal and self._total:
            columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("asking", total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """One more case is done."""
        before, self._done = self._done, self._done + 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        elif self._done * _PLAIN_STEPS // self._total > before * _PLAIN_STEPS // self._total:
            self._console.out(f"{self._done} of {self._total} cases")


def show(report: Report, *, to_stderr: bool) -> None:
    """Print what a run came to."""
    console = Console(stderr=to_stderr, highlight=False, soft_wrap=True)
    for line in _lines(report):
        console.out(printable(line))


def _lines(report: Report) -> list[str]:
    results = report.results
    version = f" v{report.version}" if report.version else ""
    lines = [
        f"test run {report.test_run_id}: {report.template}{version} over {report.dataset}",
        f"cases     {report.cases}" + (f", {report.answered_before} answered before" * bool(report.answered_before)),
        f"outcomes  {', '.join(f'{word} {count}' for word, count in results.outcomes.items()) or 'none'}",
        *_score_lines(results.scores),
        f"latency   {_ms(results.latency_ms.p50)} in the middle, {_ms(results.latency_ms.p95)} at 95 %",
        f"tokens    {_whole(results.input_tokens)} in, {_whole(results.output_tokens)} out",
        f"cost      {_cost(results)}",
    ]
    for judged in report.thresholds:
        mean = "no answer has it" if judged.mean is None else f"{judged.mean:.4g}"
        lines.append(f"{'reached ' if judged.passed else 'MISSED  '}  {judged.name}: {mean}, at least {judged.least:g}")
    lines += [f"FAILED    case {failure.test_case_id}: {failure.error}" for failure in report.failures[:FAILURES_SHOWN]]
    if len(report.failures) > FAILURES_SHOWN:
        lines.append(f"FAILED    and {len(report.failures) - FAILURES_SHOWN} more")
    return lines + ([] if report.comparison is None else _compared(report.comparison))


def _score_lines(scores: Mapping[str, RunScore]) -> list[str]:
    return [
        f"score     {name}: "
        + (f"{score.count} words" if score.mean is None else f"{score.mean:.4g} over {score.count}")
        for name, score in scores.items()
    ]


def _compared(comparison: JsonObject) -> list[str]:
    scores, cases = comparison.get("scores"), comparison.get("cases")
    lines = ["compared with the earlier run:"]
    for name, change in scores.items() if isinstance(scores, dict) else ():
        said = "in one of them alone" if change["difference"] is None else f"{change['difference']:+.4g}"
        lines.append(f"  {name}: {said}; better {change['better']}, worse {change['worse']}, same {change['same']}")
    differences = comparison.get("differences")
    for name, spread in differences.items() if isinstance(differences, dict) else ():
        if spread["mean"] is not None:
            lines.append(f"  {name}: {spread['mean']:+.4g} a case")
    worse = [case["test_case_id"] for case in cases if case["is_regression"]] if isinstance(cases, list) else []
    lines += [f"  worse: case {case_id}" for case_id in worse[:FAILURES_SHOWN]]
    return lines


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} ms"


def _whole(spread: Spread) -> str:
    return "unknown" if spread.total is None else f"{spread.total:.0f}"


def _cost(results: RunResults) -> str:
    cost = results.cost_usd
    if cost.total is None:
        return "unknown"
    left_out = results.results - cost.count
    return f"${cost.total:.6f}" + (f" ({left_out} of unknown cost not counted)" if left_out else "")
