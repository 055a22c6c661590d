"""What every template syntax shares: how a value is looked up, how it becomes text, and how much may be written.

Values come from callers, and often from their users, so a value is data and nothing else: it is never called, no
attribute of it is read (its type is asked, not the value), and the text it becomes is never scanned again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, TypeGuard, TypeVar

import attrs

from freeplay_like.core.wire import JsonValue

MAX_TEXT_CHARACTERS: Final = 1_000_000
"""The longest text of one message of a template."""

MAX_OUTPUT_CHARACTERS: Final = 4_000_000
"""The most that one rendering writes over all messages; see `STEP_CHARACTERS`."""

STEP_CHARACTERS: Final = 16
"""What a value or a turn of a section costs beside its text: lists of lists can take for ever to write nothing."""

MAX_VALUE_DEPTH: Final = 32
"""How deep lists and mappings may nest in a value that is written as JSON."""

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

T = TypeVar("T")


class SyntaxProblem(Exception):
    """The text does not parse at `offset` (characters from 0); the message says what was expected."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class ValueProblem(Exception):
    """The value of `variable` cannot be written; the message is the whole sentence."""

    def __init__(self, message: str, variable: str) -> None:
        super().__init__(message)
        self.variable = variable


class LimitProblem(Exception):
    """A text or an output is larger than allowed."""


@attrs.frozen
class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()
"""What a lookup finds where there is nothing: None is a value, this is none."""


def is_a(value: object, kind: type[T]) -> TypeGuard[T]:
    """Like isinstance, without reading the value's `__class__`."""
    return type(value) is kind or issubclass(type(value), kind)


def is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether names can be looked up in it."""
    kind = type(value)
    return kind is dict or (kind not in _SCALARS and issubclass(kind, Mapping))


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Whether it is a sequence of values; text and bytes are not."""
    kind = type(value)
    return kind is list or (
        kind not in _SCALARS
        and issubclass(kind, Sequence)
        and not issubclass(kind, (str, bytes, bytearray, memoryview))
    )


def member(container: object, key: str) -> object:
    """What `key` names inside a mapping, or inside a sequence where it is an index; else `MISSING`."""
    if is_mapping(container):
        return container.get(key, MISSING)
    if is_list(container) and key.isascii() and key.isdigit() and len(key) <= 9 and int(key) < len(container):
        return container[int(key)]
    return MISSING


def problem_with(value: object, name: str) -> ValueProblem:
    """The refusal of a value that is not data."""
    what = "is None" if value is None else f"is or holds a value of type {type(value).__name__}"
    return ValueProblem(f"variable {name!r} {what}; give text, a number, a bool, or a list or dict of them", name)


def check_length(text: str) -> None:
    """Refuse a text that is too long to parse.

    Raises:
        LimitProblem: says how long it is.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise LimitProblem(f"the text has {len(text):,} characters; the limit is {MAX_TEXT_CHARACTERS:,}")


@attrs.define
class Rendering:
    """One rendering of a template: what it may still write, and the names that it did not find."""

    characters_left: int = MAX_OUTPUT_CHARACTERS
    missing: dict[str, None] = attrs.field(factory=dict)

    def spend(self, characters: int) -> None:
        """Take from what may be written.

        Raises:
            LimitProblem: nothing is left.
        """
        self.characters_left -= characters
        if self.characters_left < 0:
            raise LimitProblem(
                f"rendering would write more than {MAX_OUTPUT_CHARACTERS:,} characters; give shorter values or lists"
            )

    def miss(self, name: str) -> str:
        """Note a name that was found nowhere; the empty text stands in for it until the error is raised."""
        self.missing[name] = None
        return ""

    def text(self, value: JsonValue, name: str) -> str:
        """The text of a value: text as it is, numbers and bools as Python prints them, lists and dicts as compact JSON.

        Bools are `True` and `False`, as Freeplay's own clients write them, so that a moved template reads the same;
        inside JSON they are JSON's.

        Raises:
            ValueProblem: None, or a value that is not data.
            LimitProblem: too long.
        """
        if is_mapping(value) or is_list(value):
            return self._json(value, name)
        if value is None:
            raise problem_with(value, name)
        text = _scalar_text(value, name)
        self.spend(len(text))
        return text

    def _json(self, value: JsonValue, name: str) -> str:
        plain = self._plain(value, name, 0)
        try:
            return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except ValueError as exc:
            raise ValueProblem(f"variable {name!r} cannot be written as JSON: {exc}", name) from exc

    def _plain(self, value: JsonValue, name: str, depth: int) -> JsonValue:
        """The same value in lists and dicts of the standard library's, its size spent."""
        self.spend(STEP_CHARACTERS)
        if depth > MAX_VALUE_DEPTH:
            raise ValueProblem(f"variable {name!r} nests deeper than {MAX_VALUE_DEPTH} lists or dicts", name)
        if is_mapping(value):
            return {
                self._key(key, name): self._plain(child, name, depth + 1) for key, child in dict(value.items()).items()
            }
        if is_list(value):
            return [self._plain(child, name, depth + 1) for child in value]
        if is_a(value, str):
            self.spend(len(value))
            return str.__str__(value)
        if value is None or is_a(value, bool):
            return value
        if is_a(value, int):
            return int.__int__(value)
        if is_a(value, float):
            return float.__float__(value)
        raise problem_with(value, name)

    def _key(self, key: object, name: str) -> str:
        text = _scalar_text(key, name)
        self.spend(len(text))
        return text


def _scalar_text(value: object, name: str) -> str:
    if is_a(value, str):
        return str.__str__(value)
    if is_a(value, bool):
        return "True" if value else "False"
    if is_a(value, float):
        return float.__repr__(value)
    if is_a(value, int):
        try:
            return int.__repr__(value)
        except ValueError as exc:  # more digits than Python converts
            raise ValueProblem(f"variable {name!r} is a number too long to write: {exc}", name) from exc
    raise problem_with(value, name)
