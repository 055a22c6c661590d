"""What is different in two texts, word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.server.pages.word_diff import Stretch, only, word_diff

texts = st.text(alphabet="ab \n.,é字", max_size=60)


@given(texts, texts)
def test_both_texts_can_be_read_off_a_difference(first: str, second: str) -> None:
    found = word_diff(first, second)
    assert "".join(each.text for each in only(found, "removed")) == first
    assert "".join(each.text for each in only(found, "added")) == second


def test_words_are_compared_whole() -> None:
    assert word_diff("Hello big world.", "Hello small world.") == (
        Stretch("same", "Hello "),
        Stretch("removed", "big"),
        Stretch("added", "small"),
        Stretch("same", " world."),
    )


def test_long_texts_are_compared_by_lines() -> None:
    lines = [f"{n} one two three four five\n" for n in range(2_000)]
    found = word_diff("".join(lines), "".join([*lines[:1_000], "new\n", *lines[1_001:]]))
    assert [(each.change, each.text) for each in found if each.change != "same"] == [
        ("removed", lines[1_000]),
        ("added", "new\n"),
    ]
