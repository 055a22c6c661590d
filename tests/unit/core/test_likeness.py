from __future__ import annotations

import pytest

from freeplay_like.core.completion import Choice
from freeplay_like.core.likeness import WORDS_LIMIT, likeness, said_in
from freeplay_like.core.messages import ToolCall
from support.plain_records import a_record


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("Yes, at seven.", " Yes, at seven.\n", 1.0),
        ("", "", 1.0),
        ("one two three four", "one two five six", 0.5),
        ("yes", "no", 0.0),
        ("yes", "", 0.0),
    ],
)
def test_likeness_is_the_share_of_words_that_are_common(first: str, second: str, expected: float) -> None:
    assert likeness(first, second) == pytest.approx(expected)


def test_only_what_is_the_same_has_a_likeness_of_one() -> None:
    long = "word " * WORDS_LIMIT
    assert likeness("a  b", "a b") < 1, "blanks inside count"
    assert likeness(long + "end", long + "another end") < 1, "so does what is beyond the words that are compared"


def test_tools_that_were_asked_for_are_part_of_what_was_said() -> None:
    call = ToolCall(id="1", name="look_up", arguments='{"city": "Ulm"}')
    record = a_record("p", choices=(Choice(text="A moment.", tool_calls=(call,)),))
    assert said_in(record) == 'A moment.\nlook_up({"city": "Ulm"})'
    assert said_in(a_record("p", choices=())) == ""
