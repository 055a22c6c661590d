"""What the index of words leads to is never less than what holds a text, and where it says so, exactly that."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from freeplay_like.server.store.derived.words import LONGEST, Question, folded, words_of

texts = st.text("abA ßK1-_.,\n東京塔ไทยक्षé́é한글", max_size=60) | st.text(max_size=60)
longs = st.text("ab1", min_size=LONGEST, max_size=3 * LONGEST)


@given(texts | longs, texts, st.integers(0, 100), st.integers(1, 60))
@example("Größe STRASSE", "", 6, 7)
@example("未来の東京タワー", "", 3, 2)
def test_every_part_of_a_text_leads_to_it(text: str, other: str, begin: int, length: int) -> None:
    whole = folded(text)
    words = words_of(whole)
    for part in (text[begin : begin + length], other):
        question = Question.of(part)
        leads_to_it = all(any(piece.is_in(word) for word in words) for piece in question.pieces)
        is_in_it = question.text in whole
        assert leads_to_it or not is_in_it
        if question.is_proof:
            assert leads_to_it == is_in_it


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(longs)
def test_no_word_is_too_long_for_the_index(text: str) -> None:
    assert max(map(len, words_of(text))) <= LONGEST
