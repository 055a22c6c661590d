from __future__ import annotations

import pytest

from freeplay_like.cli.scorers import Scorer, ScorerFailed, load_scorers
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.session.test_cases import TestCase


def said(function: object, text: str = "Lyon", expected: str | None = "Lyon") -> dict[str, object]:
    case = TestCase(test_case_id="c", variables={}, expected=expected)
    return Scorer(name="mine", function=function).scores(case, CompletionResponse(content=text, is_complete=True))


@pytest.mark.parametrize(
    ("name", "text", "expected", "score"),
    [
        ("exact_match", " Lyon\n", "Lyon", True),
        ("exact_match", "lyon", "Lyon", False),
        ("contains", "It is LYON.", "Lyon", True),
        ("contains", "It is Nice.", "Lyon", False),
        ("json_valid", '{"a": 1}', None, True),
        ("json_valid", "{a}", None, False),
        ("json_valid", "[" * 100_000, None, False),
    ],
)
def test_the_scorers_that_come_along(name: str, text: str, expected: str | None, score: bool) -> None:
    (scorer,) = load_scorers([name])
    case = TestCase(test_case_id="c", variables={}, expected=expected)
    assert scorer.scores(case, CompletionResponse(content=text, is_complete=True)) == {name: score}


def test_where_nothing_is_expected_there_is_nothing_to_match() -> None:
    case = TestCase(test_case_id="c", variables={})
    response = CompletionResponse(content="Lyon", is_complete=True)
    assert [scorer.scores(case, response) for scorer in load_scorers(["exact_match", "contains"])] == [{}, {}]


def test_a_scorer_may_say_one_score_several_or_none() -> None:
    assert said(lambda case, response: 0.5) == {"mine": 0.5}
    assert said(lambda case, response: {"a": True, "b": "warm"}) == {"a": True, "b": "warm"}
    assert said(lambda case, response: None) == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], r"'mine' said 'mine': \[1\]"),
        ({"a": None}, "'a': None"),
        ({"x" * 201: 1}, "a name has 1 to 200"),
        ({1: 1}, "named a score 1"),
        ("x" * 1_001, "a text of 1001 characters"),
        (float("nan"), "nan, which is no number"),
    ],
)
def test_what_is_no_score_is_refused(value: object, message: str) -> None:
    with pytest.raises(ScorerFailed, match=message):
        said(lambda case, response: value)


def test_a_scorer_that_raises_is_named() -> None:
    def breaks(case: TestCase, response: CompletionResponse) -> bool:
        raise KeyError("tone")

    with pytest.raises(ScorerFailed, match="scorer 'mine' failed: KeyError: 'tone'"):
        said(breaks)
