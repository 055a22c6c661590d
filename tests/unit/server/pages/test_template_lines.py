from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.server.pages.templates.lines import LINES_LIMIT, Line, as_unified, line_diff


def side(lines: tuple[Line, ...], name: str) -> list[str]:
    """The texts of one side, without what is left out."""
    number = f"{name}_number"
    return ["".join(part.text for part in getattr(line, name)) for line in lines if getattr(line, number)]


def test_texts_that_are_the_same_have_no_difference() -> None:
    assert line_diff("one\ntwo", "one\ntwo") == ()


def test_a_line_that_changed_shows_the_words_that_did() -> None:
    (line,) = line_diff("Be warm and short.", "Be warm and brief.")
    assert line.change == "changed"
    assert [(part.change, part.text) for part in line.before] == [
        ("same", "Be warm and "),
        ("removed", "short"),
        ("same", "."),
    ]
    assert [part.text for part in line.after if part.change == "added"] == ["brief"]


def test_lines_that_came_and_went_have_numbers_on_their_own_side() -> None:
    lines = line_diff("a\nb\nc", "a\nc\nd")
    assert [(line.change, line.before_number, line.after_number) for line in lines] == [
        ("same", 1, 1),
        ("removed", 2, None),
        ("same", 3, 2),
        ("added", None, 3),
    ]


def test_what_is_far_from_every_change_is_left_out_and_counted() -> None:
    before = [f"line {number}" for number in range(20)]
    lines = line_diff("\n".join(before), "\n".join([*before[:10], "new", *before[11:]]))
    assert [line.count for line in lines if line.change == "left_out"] == [7, 6]
    assert side(lines, "before") == before[7:14]


def test_one_under_the_other_first_has_what_was_removed() -> None:
    lines = as_unified(line_diff("a\nold one\nold two\nz", "a\nnew one\nnew two\nz"))
    assert [line.change for line in lines] == ["same", "removed", "removed", "added", "added", "same"]
    assert side(lines, "before") == ["a", "old one", "old two", "z"]
    assert side(lines, "after") == ["a", "new one", "new two", "z"]


def test_long_texts_are_one_change_between_what_is_the_same() -> None:
    before = [str(number) for number in range(LINES_LIMIT + 1)]
    lines = line_diff("\n".join(before), "\n".join([*before[:5], "x", *before[5:-2], "y", *before[-2:]]))
    assert lines[0].change == "left_out"
    assert lines[0].count == 2
    assert lines[-1] == Line(
        change="same",
        before_number=LINES_LIMIT + 1,
        after_number=LINES_LIMIT + 3,
        before=lines[-1].before,
        after=lines[-1].after,
    )


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_both_sides_put_together_are_the_texts(before: list[str], after: list[str]) -> None:
    lines = line_diff("\n".join(before), "\n".join(after))
    kept = [line for line in lines if line.change != "left_out"]
    left = sum(line.count for line in lines)
    for name, text in (("before", "\n".join(before)), ("after", "\n".join(after))):
        told = side(tuple(kept), name)
        numbers = [number for line in kept if (number := getattr(line, f"{name}_number"))]
        assert numbers == sorted(numbers)
        whole = text.split("\n") if text else []
        assert told == [whole[number - 1] for number in numbers]
        assert not lines or len(told) + left == len(whole)
    assert side(as_unified(lines), "before") == side(lines, "before")
    assert side(as_unified(lines), "after") == side(lines, "after")
