"""Where one part of an answer meets the next: what a model repeats of the end of its own text is left out.

Text goes through piece by piece, so that a stream can be trimmed before it is delivered. At most `WINDOW` characters at
the start of a part are looked at, and held back only as long as they may still turn out to be a repetition.
"""

from __future__ import annotations

from typing import Final

WINDOW: Final = 500
"""The longest repetition that is looked for, in characters."""

MIN_PART_OF_WORD: Final = 4
"""A repetition that ends within a word is one only if it is this long: `the` after `th` may be chance."""


class Overlap:
    """Takes the text of one part, gives what of it is new.

    Args:
        before: the text that the part follows.
        is_trimmed: leave out the longest end of `before` that the part begins with; it must begin where a word does,
            and hold a word.
        unsent: how many characters of white space at the end of `before` the model did not see. Where it writes them
            again, they are left out whether or not repetitions are.
    """

    def __init__(self, before: str, *, is_trimmed: bool = False, unsent: int = 0) -> None:
        self._before = before[-WINDOW - 1 :]
        self._unsent = before[len(before) - unsent :]
        self._is_trimming = is_trimmed and bool(before)
        self._held = ""

    def feed(self, text: str) -> str:
        """What of the part's next text can be delivered now."""
        text = self._without_unsent(text)
        if not self._is_trimming or not text:
            return text
        self._held += text
        # while all that came of the part stands in the text before, it may become a repetition, or a longer one
        return "" if self._held in self._before else self.end()

    def end(self) -> str:
        """What was held back and is new; nothing is held back afterwards."""
        held, self._held = self._held, ""
        if not self._is_trimming:
            return held
        self._is_trimming = False
        return held[self._length(held) :]

    def _without_unsent(self, text: str) -> str:
        """The text without the white space that the caller has already."""
        same = 0
        while same < min(len(text), len(self._unsent)) and text[same] == self._unsent[same]:
            same += 1
        self._unsent = self._unsent[same:] if same == len(text) else ""
        return text[same:]

    def _length(self, part: str) -> int:
        """The length of the longest repetition."""
        for length in range(min(len(part), len(self._before), WINDOW), 0, -1):
            if self._before.endswith(part[:length]) and self._is_repetition(part, length):
                return length
        return 0

    def _is_repetition(self, part: str, length: int) -> bool:
        start = len(self._before) - length
        begins_word = start == 0 or not (self._before[start - 1].isalnum() and part[0].isalnum())
        ends_word = length == len(part) or not (part[length - 1].isalnum() and part[length].isalnum())
        has_word = any(character.isalnum() for character in part[:length])
        return has_word and begins_word and (ends_word or length >= MIN_PART_OF_WORD)


def joined(overlap: Overlap, before: str, part: str) -> str:
    """The text and the part that follows it."""
    return before + overlap.feed(part) + overlap.end()
