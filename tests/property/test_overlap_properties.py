from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.overlap import Overlap, joined

TEXT = st.text(alphabet="ab \n.", max_size=30)


@st.composite
def parts_in_pieces(draw: st.DrawFn) -> tuple[str, list[str]]:
    before = draw(TEXT)
    repeated = before[draw(st.integers(min_value=0, max_value=len(before))) :]
    return before, [repeated, *draw(st.lists(TEXT, max_size=5))]


@given(parts_in_pieces(), st.booleans(), st.integers(min_value=0, max_value=3))
def test_any_pieces_give_the_same_text(case: tuple[str, list[str]], is_trimmed: bool, unsent: int) -> None:
    before, pieces = case
    unsent = min(unsent, len(before) - len(before.rstrip()))
    whole = joined(Overlap(before, is_trimmed=is_trimmed, unsent=unsent), before, "".join(pieces))
    overlap = Overlap(before, is_trimmed=is_trimmed, unsent=unsent)
    assert before + "".join(map(overlap.feed, pieces)) + overlap.end() == whole


@given(parts_in_pieces())
def test_only_what_the_text_before_ends_with_is_ever_left_out(case: tuple[str, list[str]]) -> None:
    before, pieces = case
    part = "".join(pieces)
    rest = joined(Overlap(before, is_trimmed=True), before, part)[len(before) :]
    assert part.endswith(rest)
    assert before.endswith(part[: len(part) - len(rest)])
