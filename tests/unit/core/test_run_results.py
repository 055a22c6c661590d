from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.run_results import Result, as_number, compare, score_summary, spread, summarize


def a_result(case_id: str | None = "c1", **changes: object) -> Result:
    return attrs.evolve(Result(test_case_id=case_id, record_id=f"r-{case_id}", outcome="complete"), **changes)


def test_a_run_is_summed_up_over_what_its_results_have() -> None:
    results = [
        a_result("c1", latency_ms=10.0, input_tokens=3, cost_nano_usd=5, scores={"good": True, "grade": 4}),
        a_result("c2", latency_ms=30.0, feedback="negative", scores={"good": False, "grade": 5}),
        a_result("c3", outcome="error", scores={"tone": "warm"}),
    ]
    run = summarize(results)
    assert (run.results, run.outcomes, run.feedback) == (3, {"complete": 2, "error": 1}, {"negative": 1})
    assert run.unanswered == 1
    assert (run.latency_ms.count, run.latency_ms.mean, run.latency_ms.total) == (2, 20.0, 40.0)
    assert (run.cost_nano_usd.count, run.cost_nano_usd.total, run.output_tokens.total) == (1, 5, None)
    assert list(run.scores) == ["good", "grade", "tone"]
    assert (run.scores["good"].pass_rate, run.scores["good"].mean) == (0.5, 0.5)
    assert (run.scores["grade"].mean, run.scores["grade"].pass_rate, run.scores["grade"].highest) == (4.5, None, 5)
    assert (run.scores["tone"].mean, run.scores["tone"].values) == (None, {"warm": 1})


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert attrs.astuple(spread([None])) == (0, None, None, None, None)
    hundred = spread(float(number) for number in range(1, 101))
    assert (hundred.p50, hundred.p95, hundred.mean) == (50, 95, 50.5)
    assert (spread([7]).p50, spread([7]).p95) == (7, 7)


@pytest.mark.parametrize(
    ("value", "number"), [(True, 1), (0.5, 0.5), ("good", None), (10**400, None), (1e301, None), (float("nan"), None)]
)
def test_a_score_counts_as_a_number_where_it_is_one(value: bool | float | str, number: float | None) -> None:
    assert as_number(value) == number
    assert score_summary([value]).mean == number


def test_two_runs_are_compared_case_by_case_with_regressions_first() -> None:
    before = [
        a_result("same", scores={"good": True}),
        a_result("worse", scores={"good": True, "grade": 5}),
        a_result("better", scores={"good": False}),
        a_result("gone", scores={"good": True}),
    ]
    after = [
        a_result("same", scores={"good": True}),
        a_result("worse", scores={"good": True, "grade": 4}),
        a_result("better", scores={"good": True}),
        a_result("new", scores={"good": True}),
    ]
    found = compare(before, after)
    assert found.cases[0].test_case_id == "worse"
    assert found.cases[0].differences == {"good": 0, "grade": -1}
    assert found.cases[0].worst == pytest.approx(0.2)
    assert found.regressions == 1
    good = found.scores["good"]
    assert (good.better, good.worse, good.same, good.difference) == (1, 0, 2, 0.25)
    assert {case.test_case_id for case in found.cases} == {"same", "worse", "better", "gone", "new"}
    lost = next(case for case in found.cases if case.test_case_id == "gone")
    assert (lost.after, lost.differences, lost.worst) == (None, {}, 0)


def test_of_some_scores_less_is_better() -> None:
    before, after = [a_result(scores={"insults": 3})], [a_result(scores={"insults": 1})]
    found = compare(before, after, lower_is_better=["insults"])
    assert (found.regressions, found.scores["insults"].better, found.scores["insults"].difference) == (0, 1, -2)
    assert compare(after, before, lower_is_better=["insults"]).regressions == 1


def test_a_case_that_has_no_answer_any_more_is_the_worst() -> None:
    before = [a_result("a", scores={"grade": 5}), a_result("b")]
    after = [a_result("a", scores={"grade": 4}), a_result("b", outcome="error")]
    assert [case.test_case_id for case in compare(before, after).cases] == ["b", "a"]
    assert compare(after, before).regressions == 0


scores = st.dictionaries(
    st.sampled_from("abc"), st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=2)
)
runs = st.dictionaries(st.sampled_from("wxyz"), scores).map(
    lambda cases: [a_result(case_id, scores=said) for case_id, said in cases.items()]
)


@given(runs, runs)
def test_a_comparison_is_the_other_way_round_from_the_other_side(before: list[Result], after: list[Result]) -> None:
    forth, back = compare(before, after), compare(after, before)
    assert forth.scores.keys() == back.scores.keys()
    for name, change in forth.scores.items():
        assert (change.better, change.worse, change.same) == (
            back.scores[name].worse,
            back.scores[name].better,
            back.scores[name].same,
        )
    assert len(forth.cases) == len({result.test_case_id for result in [*before, *after]})
    assert list(forth.cases) == sorted(forth.cases, key=lambda case: -case.worst)
    assert compare(before, before).regressions == 0
