"""Which case of a test run a call belongs to."""

from __future__ import annotations

from freeplay_like.session.test_cases import TestCase, TestCases

SAME = [TestCase(test_case_id=name, variables={"question": "Why?"}) for name in ("first", "second")]
OTHER = TestCase(test_case_id="other", variables={"question": "When?"})


def test_the_very_same_variables_tell_equal_cases_apart() -> None:
    cases = TestCases(test_run_id="r", cases=(*SAME, OTHER))
    assert cases.case_id_for(SAME[1].variables) == "second"
    assert cases.case_id_for({"question": "Why?"}) == "first"
    assert cases.case_id_for({"question": "When?"}) == "other"
    assert cases.case_id_for({"question": "Who?"}) is None


def test_a_case_that_was_chosen_needs_no_match() -> None:
    assert TestCases(test_run_id="r", cases=(OTHER,)).case_id_for({"question": "Who?"}) == "other"
