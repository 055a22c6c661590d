"""What a test run came to, and how two of them differ: sums over the results of their cases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import attrs

from freeplay_like.core.records import Feedback, ScoreValue
from freeplay_like.core.wire import to_wire

VALUES_LIMIT: Final = 1_000
"""The most different values of one score that are counted: more are no summary."""

_LARGEST: Final = 1e300
"""Larger numbers are no measure, and their sums would be more than a float holds."""

UNANSWERED: Final = frozenset({"error", "interrupted", "cancelled", "abandoned"})
"""The outcomes that left a case without an answer."""


@attrs.frozen(kw_only=True)
class Result:
    """What a case came to in a run: its last call that ended, or its trace where an agent was tried.

    `scores` and `feedback` are the last word on it. A client of 0.1.6 names no case. `cost_nano_usd` is None where it
    is not known.
    """

    test_case_id: str | None
    record_id: str
    outcome: str
    latency_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None
    scores: Mapping[str, ScoreValue] = attrs.field(factory=dict)
    feedback: Feedback | None = None


@attrs.frozen(kw_only=True)
class Spread:
    """How a measure lies over the results that have it; all None where none has it."""

    count: int
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    total: float | None = None


@attrs.frozen(kw_only=True)
class ScoreSummary:
    """One score over a run.

    `mean` is over the numbers, where True counts as 1 and False as 0; `pass_rate` is the share of True among the
    truth values. `values` counts each value by its text, the most frequent first.
    """

    count: int
    mean: float | None
    pass_rate: float | None
    lowest: float | None
    highest: float | None
    values: Mapping[str, int]


@attrs.frozen(kw_only=True)
class RunSummary:
    """A run, summed up. `feedback` counts thumbs."""

    results: int
    outcomes: Mapping[str, int]
    feedback: Mapping[str, int]
    scores: Mapping[str, ScoreSummary]
    latency_ms: Spread
    input_tokens: Spread
    output_tokens: Spread
    cost_nano_usd: Spread

    @property
    def unanswered(self) -> int:
        """How many results are without an answer."""
        return sum(count for outcome, count in self.outcomes.items() if outcome in UNANSWERED)


@attrs.frozen(kw_only=True)
class ScoreChange:
    """One score in two runs. `difference` is that of the means; the counts are of cases that both runs have."""

    before: ScoreSummary | None
    after: ScoreSummary | None
    difference: float | None
    better: int
    worse: int
    same: int


@attrs.frozen(kw_only=True)
class CaseChange:
    """One case in two runs. `differences` are of its numbers, after less before; `worst` is the largest step for the
    worse, as a share of the score's scale (1 also where there is no answer any more), 0 where nothing got worse."""

    test_case_id: str
    before: Result | None
    after: Result | None
    differences: Mapping[str, float]
    worst: float


@attrs.frozen(kw_only=True)
class Comparison:
    """Two runs. `cases` has those that either run has, regressions first."""

    before: RunSummary
    after: RunSummary
    scores: Mapping[str, ScoreChange]
    cases: tuple[CaseChange, ...]

    @property
    def regressions(self) -> int:
        """How many cases got worse in anything."""
        return sum(case.worst > 0 for case in self.cases)


def summarize(results: Collection[Result]) -> RunSummary:
    """A run, summed up."""
    names = sorted({name for result in results for name in result.scores})
    return RunSummary(
        results=len(results),
        outcomes=_counted(result.outcome for result in results),
        feedback=_counted(result.feedback for result in results if result.feedback is not None),
        scores={name: score_summary([r.scores[name] for r in results if name in r.scores]) for name in names},
        latency_ms=spread(result.latency_ms for result in results),
        input_tokens=spread(result.input_tokens for result in results),
        output_tokens=spread(result.output_tokens for result in results),
        cost_nano_usd=spread(result.cost_nano_usd for result in results),
    )


def compare(before: Collection[Result], after: Collection[Result], lower_is_better: Collection[str] = ()) -> Comparison:
    """Two runs side by side. Of the scores named in `lower_is_better` less is better."""
    first, second = summarize(before), summarize(after)
    names = sorted({*first.scores, *second.scores})
    scales = {name: _scale(name, first, second) * (-1 if name in lower_is_better else 1) for name in names}
    old, new = _by_case(before), _by_case(after)
    changes = [_case_change(case_id, old.get(case_id), new.get(case_id), scales) for case_id in {**old, **new}]
    return Comparison(
        before=first,
        after=second,
        scores={name: _score_change(name, first, second, changes, scales[name]) for name in names},
        cases=tuple(sorted(changes, key=lambda change: -change.worst)),
    )


def spread(values: Iterable[float | None]) -> Spread:
    """How numbers lie; None, and what is no measure, is left out.

    A percentile is the value at that place of the sorted ones.
    """
    known = sorted(value for value in values if value is not None and abs(value) <= _LARGEST)
    if not known:
        return Spread(count=0)
    total = math.fsum(known)
    return Spread(count=len(known), mean=total / len(known), p50=_at(known, 0.5), p95=_at(known, 0.95), total=total)


def score_summary(values: Sequence[ScoreValue]) -> ScoreSummary:
    """One score over a run."""
    numbers = [number for number in map(as_number, values) if number is not None]
    truths = [value for value in values if isinstance(value, bool)]
    return ScoreSummary(
        count=len(values),
        mean=math.fsum(numbers) / len(numbers) if numbers else None,
        pass_rate=sum(truths) / len(truths) if truths else None,
        lowest=min(numbers, default=None),
        highest=max(numbers, default=None),
        values=dict(Counter(map(as_word, values)).most_common(VALUES_LIMIT)),
    )


def as_number(value: ScoreValue) -> float | None:
    """A score as a number, None where it is a text, or too large to be one."""
    if isinstance(value, str):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) <= _LARGEST else None


def as_word(value: ScoreValue) -> str:
    """A score's value as text: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else to_wire(value).decode()


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _at(ordered: Sequence[float], share: float) -> float:
    """The percentile by nearest rank."""
    return float(ordered[max(0, math.ceil(share * len(ordered)) - 1)])


def _by_case(results: Iterable[Result]) -> dict[str, Result]:
    return {result.test_case_id: result for result in results if result.test_case_id is not None}


def _scale(name: str, *runs: RunSummary) -> float:
    """The largest size that a score has in either run, so that scores of 0 to 1 and of 0 to 100 can be put together."""
    ends = [end for run in runs if name in run.scores for end in (run.scores[name].lowest, run.scores[name].highest)]
    return max((abs(end) for end in ends if end is not None), default=1.0) or 1.0


def _case_change(case_id: str, before: Result | None, after: Result | None, scales: Mapping[str, float]) -> CaseChange:
    differences: dict[str, float] = {}
    if before is not None and after is not None:
        for name in before.scores.keys() & after.scores.keys():
            old, new = as_number(before.scores[name]), as_number(after.scores[name])
            if old is not None and new is not None:
                differences[name] = new - old
    worst = max((-difference / scales[name] for name, difference in differences.items()), default=0.0)
    if before is not None and after is not None:
        is_lost = before.outcome not in UNANSWERED and after.outcome in UNANSWERED
        worst = max(worst, 1.0 if is_lost else 0.0)
    return CaseChange(
        test_case_id=case_id,
        before=before,
        after=after,
        differences=dict(sorted(differences.items())),
        worst=max(worst, 0.0),
    )


def _score_change(
    name: str, before: RunSummary, after: RunSummary, changes: Iterable[CaseChange], scale: float
) -> ScoreChange:
    old, new = before.scores.get(name), after.scores.get(name)
    means = (old.mean if old else None), (new.mean if new else None)
    steps = [change.differences[name] * math.copysign(1, scale) for change in changes if name in change.differences]
    return ScoreChange(
        before=old,
        after=new,
        difference=None if means[0] is None or means[1] is None else means[1] - means[0],
        better=sum(step > 0 for step in steps),
        worse=sum(step < 0 for step in steps),
        same=sum(step == 0 for step in steps),
    )
