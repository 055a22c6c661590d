"""What is different in two texts, word by word. Pure."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Final, Literal

import attrs

WORDS_LIMIT: Final = 4_000
"""Texts with more words than this are compared line by line: the time grows with the square of what is compared."""

_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")
_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")

Change = Literal["same", "removed", "added"]


@attrs.frozen
class Stretch:
    """A piece of text that stands in both (`same`), in the first alone (`removed`) or in the second (`added`)."""

    change: Change
    text: str


def word_diff(first: str, second: str) -> tuple[Stretch, ...]:
    """The way from one text to another: what is `same` or `removed` is the first, what is `same` or `added` the second.

    A change of a whole line is shown as such where the texts are long. Blanks alone between two changes belong to them.
    """
    before, after = _WORDS.findall(first), _WORDS.findall(second)
    if max(len(before), len(after)) > WORDS_LIMIT:
        before, after = _LINES.findall(first), _LINES.findall(second)
    steps = SequenceMatcher(None, before, after, autojunk=len(before) > WORDS_LIMIT).get_opcodes()
    stretches: list[Stretch] = []
    removed = added = ""
    for place, (kind, a, b, c, d) in enumerate(steps):
        first_text, second_text = "".join(before[a:b]), "".join(after[c:d])
        if kind == "equal" and not (first_text.isspace() and 0 < place < len(steps) - 1):
            stretches += [*_changed(removed, added), Stretch("same", first_text)]
            removed = added = ""
        else:
            removed, added = removed + first_text, added + second_text
    return (*stretches, *_changed(removed, added))


def _changed(removed: str, added: str) -> tuple[Stretch, ...]:
    found = Stretch("removed", removed), Stretch("added", added)
    return tuple(stretch for stretch in found if stretch.text)


def only(stretches: tuple[Stretch, ...], change: Change) -> tuple[Stretch, ...]:
    """One side of a difference: what is `same`, and what is `removed` (the first text) or `added` (the second)."""
    return tuple(each for each in stretches if each.change in ("same", change))
