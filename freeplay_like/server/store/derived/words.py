"""Words of a text, for the index: how a text is folded, cut into words, and what of a question can be looked up. Pure.

Whoever looks for a text means a part of it, upper and lower case alike. The index knows whole words; a question is cut
into words in the same way, and only its first and its last can be parts of longer ones. Where that alone does not prove
a hit (several words, signs between them), the text itself is looked at.

Scripts that do not put spaces between words are cut into all pairs of neighbouring characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Literal

import attrs

LONGEST: Final = 40
"""The most characters of a word of the index; a longer one is there in pieces that overlap."""
_STRIDE: Final = 20
"""How far apart such pieces begin: any part of this many characters lies in one of them whole."""

_SPACELESS: Final = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u302f\u3031-\u303c\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uf900-\ufaff\U0001b000-\U0001b2ff\U00020000-\U0003ffff"
)
_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0711\u0730-\u074a"
    "\u0900-\u0dff\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20ff"
)
_RUN: Final = re.compile(f"[\\w{_MARKS}]+")
_PART: Final = re.compile(f"[{_SPACELESS}]+|[^{_SPACELESS}]+")
_IS_SPACELESS: Final = re.compile(f"[{_SPACELESS}]")

Kind = Literal["exact", "prefix", "suffix", "part"]


def folded(text: str) -> str:
    """A text as it is compared: one form of every character, small letters, one space for any blanks."""
    if text.isascii():
        return " ".join(text.lower().replace("\0", " ").split())
    whole = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(whole.replace("\0", " ").split())


def words_of(text: str) -> set[str]:
    """The words of a folded text, as the index has them."""
    words = set(_RUN.findall(text))
    for run in [run for run in words if len(run) > LONGEST or not run.isascii()]:
        words.discard(run)
        for part in _PART.findall(run):
            if _IS_SPACELESS.match(part):
                words.update(_pairs(part))
            elif len(part) <= LONGEST:
                words.add(part)
            else:
                words.update(part[begin : begin + LONGEST] for begin in range(0, len(part) - _STRIDE, _STRIDE))
    return words


def _pairs(run: str) -> Iterable[str]:
    return (run[place : place + 2] for place in range(len(run) - 1)) if len(run) > 1 else (run,)


@attrs.frozen
class Piece:
    """Something to look for among the words: the word itself, or the words that begin with, end in, or hold it."""

    text: str
    kind: Kind

    def is_in(self, word: str) -> bool:
        """Whether a word is one of those."""
        if self.kind == "exact":
            return word == self.text
        if self.kind == "prefix":
            return word.startswith(self.text)
        return word.endswith(self.text) if self.kind == "suffix" else self.text in word


@attrs.frozen
class Question:
    """A text to look for, folded. Every hit has a word for each piece; `is_proof` says that these are all hits."""

    text: str
    pieces: tuple[Piece, ...]
    is_proof: bool

    @classmethod
    def of(cls, text: str) -> Question:
        """The question for a text as somebody wrote it."""
        whole = folded(text)
        pieces: list[Piece] = []
        for run in _RUN.finditer(whole):
            for part in _PART.finditer(run.group()):
                text, begin = part.group(), run.start() + part.start()
                is_spaceless = _IS_SPACELESS.match(text) is not None
                if is_spaceless and len(text) > 1:
                    pieces += [Piece(pair, "exact") for pair in _pairs(text)]
                elif not is_spaceless and len(text) > _STRIDE:
                    pieces.append(Piece(text[:_STRIDE], "part"))
                else:
                    pieces.append(Piece(text, _kind(begin == 0, begin + len(text) == len(whole))))
        return cls(whole, tuple(dict.fromkeys(pieces)), len(pieces) == 1 and pieces[0].text == whole)


def _kind(is_first: bool, is_last: bool) -> Kind:
    if is_first:
        return "part" if is_last else "suffix"
    return "prefix" if is_last else "exact"
