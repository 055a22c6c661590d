"""What is different in two texts, line by line, and word by word in lines that changed. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Final, Literal

import attrs

from freeplay_like.server.pages.word_diff import Stretch, only, word_diff

LINES_LIMIT: Final = 3_000
"""Of texts with more lines, what lies between the first and the last difference is shown as one change."""
CONTEXT_LINES: Final = 3
"""How many lines that are the same stand around a change."""

LineChange = Literal["same", "removed", "added", "changed", "left_out"]


@attrs.frozen(kw_only=True)
class Line:
    """A line of both texts, or of one; numbers are counted from 1.

    `changed` lines have both sides. `left_out` stands for as many lines that are the same as `count` says.
    """

    change: LineChange
    before_number: int | None = None
    after_number: int | None = None
    before: tuple[Stretch, ...] = ()
    after: tuple[Stretch, ...] = ()
    count: int = 0


def line_diff(before: str, after: str) -> tuple[Line, ...]:
    """The way from one text to another, with what is the same left out, but for a few lines around each change.

    Lines that come in place of others are `changed` in pairs. Nothing where the texts are the same.
    """
    if before == after:
        return ()
    old, new = _lines(before), _lines(after)
    found: list[Line] = []
    for tag, a, b, c, d in _opcodes(old, new):
        if tag == "equal":
            found += [_same(old[a + step], a + step + 1, c + step + 1) for step in range(b - a)]
            continue
        paired = min(b - a, d - c)
        found += [_changed(old[a + step], new[c + step], a + step + 1, c + step + 1) for step in range(paired)]
        found += [_removed(old[place], place + 1) for place in range(a + paired, b)]
        found += [_added(new[place], place + 1) for place in range(c + paired, d)]
    return _shortened(found)


def as_unified(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The lines one under the other: of each run of changes first what was removed, then what was added."""
    ordered: list[Line] = []
    added: list[Line] = []
    for line in lines:
        if line.change in ("same", "left_out"):
            ordered += [*added, line]
            added = []
            continue
        if line.change in ("changed", "removed"):
            ordered.append(attrs.evolve(line, change="removed", after_number=None, after=()))
        if line.change in ("changed", "added"):
            added.append(attrs.evolve(line, change="added", before_number=None, before=()))
    return (*ordered, *added)


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def _opcodes(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    if max(len(old), len(new)) <= LINES_LIMIT:
        return list(SequenceMatcher(None, old, new, autojunk=False).get_opcodes())
    shortest, head = min(len(old), len(new)), 0
    while head < shortest and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shortest - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    a, b = len(old) - tail, len(new) - tail
    return [("equal", 0, head, 0, head), ("replace", head, a, head, b), ("equal", a, len(old), b, len(new))]


def _same(text: str, before_number: int, after_number: int) -> Line:
    stretch = (Stretch("same", text),)
    return Line(change="same", before_number=before_number, after_number=after_number, before=stretch, after=stretch)


def _changed(old: str, new: str, before_number: int, after_number: int) -> Line:
    stretches = word_diff(old, new)
    return Line(
        change="changed",
        before_number=before_number,
        after_number=after_number,
        before=only(stretches, "removed"),
        after=only(stretches, "added"),
    )


def _removed(text: str, number: int) -> Line:
    return Line(change="removed", before_number=number, before=(Stretch("removed", text),))


def _added(text: str, number: int) -> Line:
    return Line(change="added", after_number=number, after=(Stretch("added", text),))


def _shortened(lines: list[Line]) -> tuple[Line, ...]:
    """Without the lines that are far from every change."""
    near: set[int] = set()
    for place, line in enumerate(lines):
        if line.change != "same":
            near.update(range(place - CONTEXT_LINES, place + CONTEXT_LINES + 1))
    kept: list[Line] = []
    for place, line in enumerate(lines):
        if place in near:
            kept.append(line)
        elif kept and kept[-1].change == "left_out":
            kept[-1] = attrs.evolve(kept[-1], count=kept[-1].count + 1)
        else:
            kept.append(Line(change="left_out", count=1))
    return tuple(kept)
