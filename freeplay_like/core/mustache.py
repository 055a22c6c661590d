"""A small mustache: variables, dotted names, sections, inverted sections, comments. Nothing else, on purpose.

The language is that of mustache(5) with three differences. Nothing is HTML-escaped: a prompt is not a page. A name
that is found nowhere is an error, not the empty text: half a prompt costs money and answers something else. Partials,
changes of delimiters, inheritance and lambdas do not exist: they read files or run code.

One thing is added, because delimiters cannot be changed: `{{"{{"}}` writes the text between the quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, NoReturn, TypeAlias

import attrs

from freeplay_like.core.interpolation import (
    MISSING,
    STEP_CHARACTERS,
    Rendering,
    SyntaxProblem,
    is_a,
    is_list,
    is_mapping,
    member,
    problem_with,
)

MAX_DEPTH: Final = 32
"""How deep sections may nest."""

_NAME: Final = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*|\.")
_LITERAL: Final = re.compile(r'\{\{[ \t]*"([^"\r\n]*)"[ \t]*\}\}')
_REST_OF_LINE: Final = re.compile(r"[ \t]*(?:\r?\n|\Z)")
_BRACES: Final = re.compile(r"\{{2,}|\{\Z")
_REFUSED: Final = {
    ">": "partials ({{>...}}) are not supported; put the text into the template",
    "=": 'a change of delimiters ({{=...=}}) is not supported; write braces as text with {{"{{"}}',
    "<": "parents ({{<...}}) are not supported; put the text into the template",
    "$": "blocks ({{$...}}) are not supported; put the text into the template",
}

_Kind = Literal["variable", "literal", "comment", "section", "inverted", "close"]
_SIGILS: Final[dict[str, _Kind]] = {
    "&": "variable",
    "{": "variable",
    "!": "comment",
    "#": "section",
    "^": "inverted",
    "/": "close",
}


@attrs.frozen
class Variable:
    """`{{name}}`. `path` is empty for `{{.}}`, the value at hand."""

    name: str
    path: tuple[str, ...]


@attrs.frozen
class Section:
    """`{{#name}}...{{/name}}`, or `{{^name}}...{{/name}}` where it is inverted."""

    name: str
    path: tuple[str, ...]
    is_inverted: bool
    children: tuple[Node, ...]


Node: TypeAlias = str | Variable | Section
"""A part of a parsed template; text is itself."""


@attrs.frozen
class Mustache:
    """A parsed text.

    `required` are the names that are written outside every section, so that a rendering without them always fails;
    `optional` those that a section asks for or that stand inside one, where a list's items may answer. Both hold
    the first part of a dotted name, in order of appearance.
    """

    nodes: tuple[Node, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]

    def render(self, data: object, rendering: Rendering) -> str:
        """The text with `data` filled in; names that are found nowhere are noted in `rendering`.

        Raises:
            ValueProblem: a value is not data.
            LimitProblem: too long.
        """
        written: list[str] = []
        _write(self.nodes, [data], rendering, written)
        return "".join(written)


def escape(text: str) -> str:
    """The mustache source that renders as `text`."""
    return _BRACES.sub(lambda braces: f'{{{{"{braces[0]}"}}}}', text)


def parse(text: str) -> Mustache:
    """Parse a text.

    Raises:
        SyntaxProblem: says what was expected, and where.
    """
    return _Parser(text).parse()


# --- rendering --------------------------------------------------------------------------------------------


def _write(nodes: Sequence[Node], stack: list[object], rendering: Rendering, written: list[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            rendering.spend(len(node))
            written.append(node)
            continue
        rendering.spend(STEP_CHARACTERS)
        value = _look_up(stack, node.path)
        if isinstance(node, Variable):
            written.append(rendering.miss(node.name) if value is MISSING else rendering.text(value, node.name))
            continue
        frames = _frames(value, node.name)
        if node.is_inverted:
            if not frames:
                _write(node.children, stack, rendering, written)
            continue
        for frame in frames:
            rendering.spend(STEP_CHARACTERS)
            stack.append(frame)
            _write(node.children, stack, rendering, written)
            stack.pop()


def _look_up(stack: Sequence[object], path: tuple[str, ...]) -> object:
    """The first part is looked for from the innermost frame outwards; the others inside what was found."""
    if not path:
        return stack[-1]
    for frame in reversed(stack):
        value = member(frame, path[0])
        if value is not MISSING:
            break
    else:
        return MISSING
    for part in path[1:]:
        value = member(value, part)
    return value


def _frames(value: object, name: str) -> Sequence[object]:
    """The values a section is rendered with, one after the other: none where its value is false, zero or empty."""
    if value is MISSING or value is None:
        return ()
    if is_list(value):
        return value
    if is_mapping(value):
        return (value,) if len(value) else ()
    if is_a(value, str) or is_a(value, int) or is_a(value, float):
        return (value,) if value else ()
    raise problem_with(value, name)


# --- parsing ----------------------------------------------------------------------------------------------


@attrs.frozen
class _Tag:
    kind: _Kind
    name: str
    start: int
    end: int


@attrs.define
class _Open:
    """A section that waits for its end; the outermost one, without a tag, is the text itself."""

    tag: _Tag | None
    nodes: list[Node] = attrs.field(factory=list)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open = [_Open(None)]
        self._required: dict[str, None] = {}
        self._optional: dict[str, None] = {}

    def parse(self) -> Mustache:
        position = 0
        while (start := self._text.find("{{", position)) >= 0:
            tag = self._tag(start)
            text_end, next_position = self._standalone(tag, position) or (tag.start, tag.end)
            self._add(self._text[position:text_end])
            self._take(tag)
            position = next_position
        self._add(self._text[position:])
        unfinished = self._open[-1].tag
        if unfinished is not None:
            raise SyntaxProblem(
                f"section {unfinished.name!r} is never closed; expected {{{{/{unfinished.name}}}}}", unfinished.start
            )
        optional = tuple(name for name in self._optional if name not in self._required)
        return Mustache(tuple(self._open[0].nodes), tuple(self._required), optional)

    def _add(self, node: Node) -> None:
        if node:
            self._open[-1].nodes.append(node)

    def _tag(self, start: int) -> _Tag:
        literal = _LITERAL.match(self._text, start)
        if literal:
            return _Tag("literal", literal[1], start, literal.end())
        sigil = self._text[start + 2 : start + 3]
        if sigil in _REFUSED:
            raise SyntaxProblem(_REFUSED[sigil], start)
        kind = _SIGILS.get(sigil, "variable")
        closing = "}}}" if sigil == "{" else "}}"
        content_start = start + 2 + (sigil in _SIGILS)
        content_end = self._text.find(closing, content_start)
        if content_end < 0:
            raise SyntaxProblem(
                f'a tag is never closed; expected {closing} (braces as text are written {{{{"{{{{"}}}})', start
            )
        name = self._text[content_start:content_end].strip()
        if kind != "comment" and not _NAME.fullmatch(name):
            self._refuse_name(name, start)
        return _Tag(kind, name, start, content_end + len(closing))

    def _refuse_name(self, name: str, start: int) -> NoReturn:
        shown = name if len(name) <= 40 else name[:40] + "..."
        raise SyntaxProblem(
            f"{shown!r} is not a name; expected letters, digits, '_' or '-', with dots between parts "
            '(braces as text are written {{"{{"}})',
            start,
        )

    def _standalone(self, tag: _Tag, position: int) -> tuple[int, int] | None:
        """Where a tag that writes nothing has its line for itself: the line's start, and that of the next line."""
        if tag.kind in ("variable", "literal"):
            return None
        newline = self._text.rfind("\n", position, tag.start)
        line_start = position if newline < 0 else newline + 1
        if newline < 0 and position > 0 and self._text[position - 1] != "\n":
            return None
        if self._text[line_start : tag.start].strip(" \t"):
            return None
        rest = _REST_OF_LINE.match(self._text, tag.end)
        return (line_start, rest.end()) if rest else None

    def _take(self, tag: _Tag) -> None:
        if tag.kind == "literal":
            self._add(tag.name)
        elif tag.kind == "variable":
            self._note(tag.name)
            self._add(Variable(tag.name, _path(tag.name)))
        elif tag.kind in ("section", "inverted"):
            if len(self._open) > MAX_DEPTH:
                raise SyntaxProblem(f"sections nest deeper than {MAX_DEPTH}; expected fewer", tag.start)
            self._note(tag.name, is_section=True)
            self._open.append(_Open(tag))
        elif tag.kind == "close":
            self._close(tag)

    def _close(self, tag: _Tag) -> None:
        opened = self._open[-1].tag
        if opened is None:
            raise SyntaxProblem(f"{{{{/{tag.name}}}}} closes nothing; no section is open here", tag.start)
        if opened.name != tag.name:
            raise SyntaxProblem(f"expected {{{{/{opened.name}}}}}, found {{{{/{tag.name}}}}}", tag.start)
        children = tuple(self._open.pop().nodes)
        self._add(Section(opened.name, _path(opened.name), opened.kind == "inverted", children))

    def _note(self, name: str, *, is_section: bool = False) -> None:
        if name != ".":
            is_optional = is_section or len(self._open) > 1
            (self._optional if is_optional else self._required)[name.partition(".")[0]] = None


def _path(name: str) -> tuple[str, ...]:
    return () if name == "." else tuple(name.split("."))
