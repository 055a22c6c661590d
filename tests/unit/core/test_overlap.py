from __future__ import annotations

import pytest

from freeplay_like.core.overlap import WINDOW, Overlap, joined


@pytest.mark.parametrize(
    ("before", "part", "whole"),
    [
        ("one two ", "two three", "one two three"),
        ("a list of the elephan", "elephants", "a list of the elephants"),
        ("it ends here.", " It goes on.", "it ends here. It goes on."),
        ("the bee", "ed", "the beeed"),  # the end of a word is not a repetition of the beginning of one
        ("plan a", "and b", "plan aand b"),
        ("wait...", "...and see", "wait......and see"),
        ("a line\n", "\nthe next", "a line\n\nthe next"),
        ("def f():\n    return 1\n", "    return 1\n\n\ndef g(): ...", "def f():\n    return 1\n\n\ndef g(): ..."),
        ("one", "one", "one"),
        ("", "one", "one"),
        ("one", "", "one"),
    ],
)
def test_what_repeats_the_end_of_the_text_before_is_left_out(before: str, part: str, whole: str) -> None:
    assert joined(Overlap(before, is_trimmed=True), before, part) == whole


def test_nothing_is_left_out_unless_it_is_asked_for() -> None:
    assert joined(Overlap("one two "), "one two ", "two three") == "one two two three"


def test_text_is_given_as_soon_as_it_cannot_be_a_repetition() -> None:
    overlap = Overlap("one two ", is_trimmed=True)
    assert overlap.feed("tw") == ""
    assert overlap.feed("elve") == "twelve"
    assert overlap.feed("two ") == "two "
    assert overlap.end() == ""


def test_a_part_that_may_still_be_a_repetition_is_given_at_its_end() -> None:
    overlap = Overlap("one two ", is_trimmed=True)
    assert overlap.feed("o") == ""
    assert overlap.end() == "o"
    assert overlap.end() == ""


def test_a_repetition_longer_than_the_window_is_kept() -> None:
    text = "".join(f"{number} " for number in range(WINDOW))
    assert joined(Overlap(text, is_trimmed=True), text, text) == text + text


def test_white_space_that_the_model_did_not_see_and_writes_again_is_left_out() -> None:
    assert joined(Overlap("one \n", unsent=2), "one \n", " \n two") == "one \n two"
    assert joined(Overlap("one \n", unsent=2), "one \n", " two") == "one \ntwo"
    assert joined(Overlap("one \n", unsent=2), "one \n", "two") == "one \ntwo"
