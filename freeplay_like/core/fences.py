"""Fenced code in a model's answer.

A fence is a line: three or more backticks or tildes, indented by at most three spaces (CommonMark 0.31, section 4.5).
Only whole lines are looked at, so nothing within a line of code is ever taken for a fence or for what names one.
"""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath
from typing import Final

import attrs

_OPENING: Final = re.compile(r"(?P<indent> {0,3})(?P<fence>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)", re.DOTALL)
_LANGUAGE_ENDS: Final = re.compile(r"[\s:,{}]")
_WORD_ENDS: Final = re.compile(r"[\s\"'=:,{}()\[\]]+")

_MARKDOWN: Final = frozenset({"markdown", "md", "mdx", "mkd"})
_ALIASES: Final[dict[str, frozenset[str]]] = {
    "py": frozenset({"python", "python3"}),
    "js": frozenset({"javascript", "node"}),
    "ts": frozenset({"typescript"}),
    "rs": frozenset({"rust"}),
    "rb": frozenset({"ruby"}),
    "sh": frozenset({"bash", "shell", "zsh"}),
    "yml": frozenset({"yaml"}),
    "yaml": frozenset({"yml"}),
    "cc": frozenset({"cpp", "c++"}),
    "cpp": frozenset({"c++"}),
    "hpp": frozenset({"cpp", "c++"}),
    "h": frozenset({"c", "cpp", "c++", "objective-c"}),
    "m": frozenset({"objective-c", "objectivec"}),
    "cs": frozenset({"c#", "csharp"}),
    "kt": frozenset({"kotlin"}),
    "txt": frozenset({"text", "plain", "plaintext"}),
}
"""What models call the language of a file, beside the ending of its name."""


@attrs.frozen(kw_only=True)
class CodeBlock:
    """One fenced block.

    `info` is what stands behind the opening fence, `language` its first word in lower case ("" where there is none);
    `code` the lines between the fences with their line ends as they came. Lines are counted from 1: `start_line` is the
    opening fence, `end_line` the closing one, or the last line where the block is not closed.
    """

    info: str
    language: str
    code: str
    start_line: int
    end_line: int
    is_closed: bool


@attrs.frozen
class _Fence:
    """A line that can open a block; without an info string it can close one too."""

    indent: int
    fence: str
    info: str


@attrs.define
class _Open:
    """A block whose end has not come."""

    opening: _Fence
    start_line: int
    nests: bool
    lines: list[str] = attrs.field(factory=list)
    inner: list[str] = attrs.field(factory=list)

    def take(self, line: str) -> bool:
        """Take the next line; True where it closes the block.

        In a block of Markdown, fences with an info string open blocks of its own, which their bare fences close.
        """
        bare = _bare_fence(line)
        if self.inner:
            if bare is not None and _closes(bare, self.inner[-1]):
                self.inner.pop()
        elif bare is not None and _closes(bare, self.opening.fence):
            return True
        opening = _opening(line) if self.nests else None
        if opening is not None and opening.info:
            self.inner.append(opening.fence)
        spaces = len(line) - len(line.lstrip(" "))
        self.lines.append(line[min(spaces, self.opening.indent) :])
        return False

    def block(self, end_line: int, *, is_closed: bool) -> CodeBlock:
        return CodeBlock(
            info=self.opening.info,
            language=_language(self.opening.info),
            code="".join(self.lines),
            start_line=self.start_line,
            end_line=end_line,
            is_closed=is_closed,
        )


def code_blocks(text: str) -> tuple[CodeBlock, ...]:
    """Every fenced block of a text, in order. A block that is not closed goes on to the end of the text."""
    return _blocks(_lines(text), nests=False)


def whole_block(text: str) -> CodeBlock | None:
    """The one block that a text consists of, blank lines around it aside; None where it is, or holds, anything else."""
    blocks = code_blocks(text)
    if len(blocks) != 1:
        return None
    lines = _lines(text)
    outside = lines[: blocks[0].start_line - 1] + lines[blocks[0].end_line :]
    return None if any(line.strip() for line in outside) else blocks[0]


def extract_code(text: str, filename: str | None = None) -> str:
    """The code in an answer that was asked for one file; the text itself where no block is the file.

    Of several blocks it is the one whose info string names `filename`, else the first in the language of its ending,
    else the first. A Markdown file keeps the fences in it: only a block around all of it, or one that calls itself
    Markdown, is taken for the file.
    """
    lines = _lines(text)
    ending = PurePosixPath(filename or "").suffix.removeprefix(".").lower()
    if ending in _MARKDOWN:
        return _markdown_file(lines)
    blocks = _blocks(lines, nests=False)
    if not blocks:
        return text
    names = {ending} | _ALIASES.get(ending, frozenset())
    named = [block for block in blocks if filename and _names(block, filename)]
    spoken = [block for block in blocks if block.language in names and ending]
    return (named or spoken or blocks)[0].code


def json_text(text: str) -> str:
    """What of an answer is to be read as JSON: all of it, or its one block that says so, or that says nothing."""
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        return stripped
    blocks = code_blocks(stripped)
    chosen = [block for block in blocks if block.language == "json"] or [b for b in blocks if not b.language]
    return chosen[0].code if len(chosen) == 1 else stripped


def _markdown_file(lines: list[str]) -> str:
    filled = [index for index, line in enumerate(lines) if line.strip()]
    opening = _opening(lines[filled[0]]) if filled else None
    if opening is not None and len(filled) > 1:
        bare = _bare_fence(lines[filled[-1]])
        ends_there = bare is not None and _closes(bare, opening.fence)
        if ends_there and (_language(opening.info) in _MARKDOWN or _is_one(lines, filled[-1] + 1)):
            return "".join(lines[filled[0] + 1 : filled[-1]])
    blocks = [block for block in _blocks(lines, nests=True) if block.language in _MARKDOWN]
    return blocks[0].code if len(blocks) == 1 else "".join(lines)


def _is_one(lines: list[str], end_line: int) -> bool:
    """Whether a block without a language, blocks within it counted as its own, ends where the text does."""
    blocks = _blocks(lines, nests=True)
    return len(blocks) == 1 and not blocks[0].info and blocks[0].end_line == end_line


def _blocks(lines: list[str], *, nests: bool) -> tuple[CodeBlock, ...]:
    """Every block; where `nests`, blocks of Markdown and of no language may hold blocks."""
    blocks: list[CodeBlock] = []
    current: _Open | None = None
    for number, line in enumerate(lines, start=1):
        if current is not None:
            if current.take(line):
                blocks.append(current.block(number, is_closed=True))
                current = None
            continue
        opening = _opening(line)
        if opening is not None:
            holds = nests and (not opening.info or _language(opening.info) in _MARKDOWN)
            current = _Open(opening, start_line=number, nests=holds)
    if current is not None:
        blocks.append(current.block(len(lines), is_closed=False))
    return tuple(blocks)


def _lines(text: str) -> list[str]:
    """Lines with their ends, as LF, CR or CRLF make them; U+2028 and the like are characters of code."""
    return list(io.StringIO(text, newline=""))


def _opening(line: str) -> _Fence | None:
    match = _OPENING.fullmatch(line.rstrip("\r\n"))
    return match and _Fence(indent=len(match["indent"]), fence=match["fence"], info=match["info"].strip())


def _bare_fence(line: str) -> str | None:
    opening = _opening(line)
    return opening.fence if opening is not None and not opening.info else None


def _closes(fence: str, opening: str) -> bool:
    return fence[0] == opening[0] and len(fence) >= len(opening)


def _language(info: str) -> str:
    first = _LANGUAGE_ENDS.split(info.lstrip("{."), maxsplit=1)[0]
    return "" if "=" in first else first.lower()


def _names(block: CodeBlock, filename: str) -> bool:
    name = PurePosixPath(filename).name
    return any(PurePosixPath(word).name == name for word in _WORD_ENDS.split(block.info) if word)
