"""A template's text in pieces: what stands for itself, and what is filled in. Pure."""

from __future__ import annotations

import re
from typing import Final

import attrs

from freeplay_like.core.templates import Syntax

_MARKS: Final[dict[Syntax, re.Pattern[str]]] = {
    "mustache": re.compile(r"(\{\{\{.*?\}\}\}|\{\{.*?\}\})", re.DOTALL),
    "fstring": re.compile(r"(\{\{|\}\}|\{[^\W\d]\w*\})"),
}


@attrs.frozen(kw_only=True)
class Piece:
    """A stretch of a template's text; `is_mark` where the text itself is not what the model reads."""

    text: str
    is_mark: bool = False


def pieces_of(text: str, syntax: Syntax) -> tuple[Piece, ...]:
    """The text in pieces. Put together they are the text."""
    marks = _MARKS.get(syntax)
    if marks is None:
        return (Piece(text=text),) if text else ()
    parts = marks.split(text)
    return tuple(Piece(text=part, is_mark=place % 2 == 1) for place, part in enumerate(parts) if part)
