"""How the cases of a run went: which failed, the worst first, and whether its thresholds were reached. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import attrs

from freeplay_like.core.run_results import UNANSWERED, Result, RunSummary, as_number

Show = Literal["all", "failing", "passing", "unanswered", "waiting"]
SHOWS: Final[tuple[Show, ...]] = ("all", "failing", "passing", "unanswered", "waiting")


@attrs.frozen(kw_only=True)
class Judged:
    """A score against the mean that it has to reach; `mean` None: no answer has the score."""

    name: str
    least: float
    mean: float | None

    @property
    def is_reached(self) -> bool:
        """Whether it is as good as it has to be."""
        return self.mean is not None and self.mean >= self.least


def judged(thresholds: Mapping[str, float], summary: RunSummary) -> tuple[Judged, ...]:
    """Every threshold of a suite against a run. One of zero only says that the check is made."""
    return tuple(
        Judged(name=name, least=least, mean=summary.scores[name].mean if name in summary.scores else None)
        for name, least in thresholds.items()
        if least > 0
    )


def is_unanswered(result: Result) -> bool:
    """Whether the case is without an answer."""
    return result.outcome in UNANSWERED


def is_failing(result: Result) -> bool:
    """Whether anything speaks against the answer: there is none, a check said no, or a person did."""
    return is_unanswered(result) or result.feedback == "negative" or False in _truths(result)


def shows(result: Result | None, show: Show) -> bool:
    """Whether a case is among those that are asked for; None: it has no result yet."""
    if show == "all" or result is None:
        return show in ("all", "waiting")
    if show == "unanswered":
        return is_unanswered(result)
    return show == ("failing" if is_failing(result) else "passing")


def worst_first(results: Iterable[Result]) -> list[Result]:
    """No answer, then most checks failed, then the lowest numbers, each as a share of the run's largest."""
    found = list(results)
    largest: dict[str, float] = {}
    for result in found:
        for name, number in _numbers(result).items():
            largest[name] = max(largest.get(name, 0.0), abs(number))

    def goodness(result: Result) -> tuple[bool, int, float]:
        numbers = [number / (largest[name] or 1.0) for name, number in _numbers(result).items()]
        against = _truths(result).count(False) + (result.feedback == "negative")
        return not is_unanswered(result), -against, sum(numbers) / len(numbers) if numbers else 1.0

    return sorted(found, key=goodness)


def _truths(result: Result) -> list[bool]:
    return [value for value in result.scores.values() if isinstance(value, bool)]


def _numbers(result: Result) -> dict[str, float]:
    found = ((name, as_number(value)) for name, value in result.scores.items() if not isinstance(value, bool))
    return {name: number for name, number in found if number is not None}
