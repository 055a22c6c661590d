"""A filter as people type it: `model:gpt-4o latency:>2s "exact words" -outcome:complete`. Reading and writing. Pure.

- `word` and `"several words"` are looked for in the texts of a call
- `field:value`, `field:~part`, `field:>value` (also `>=`, `<`, `<=`), `field:low..high`, `field:*` for any value
- `-` before any of these turns it round; all must hold, unless `OR` stands between; parentheses group
- a field or a value in quotes is taken as it is; `\\"` is a quote in it
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import attrs

from freeplay_like.server.store.derived.filters import (
    DEPTH_LIMIT,
    AllOf,
    AnyOf,
    BadFilter,
    Filter,
    Not,
    Term,
    all_of,
    any_of,
    check_size,
    find_field,
    not_,
    term,
)

TEXT_LIMIT: Final = 4_000
"""The most characters of a filter."""

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NAME: Final = re.compile(r"[^\W\d][\w.\-]*(?=:)")
_WORD: Final = re.compile(r'[^\s()"]+')
_OPERATOR: Final = re.compile(r">=|<=|>|<|~")
_DURATION: Final = re.compile(r"(-?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?)(ms|s|m|min|h)?")
_PLAIN: Final = re.compile(r"(?![-*~<>:])(?!OR\Z)[^\s()\":\\]+")
"""What needs no quotes, as a word or as a value."""

_OPS: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "~": "contains", "": "eq"}
_SIGNS: Final = {op: sign for sign, op in _OPS.items()}
_UNITS_MS: Final = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0, "min": 60_000.0, "h": 3_600_000.0}


def parse(text: str) -> Filter:
    """The filter that somebody typed; nothing typed is every call.

    Raises:
        BadFilter: what cannot be read; the message names it.
    """
    if len(text) > TEXT_LIMIT:
        raise BadFilter(f"the filter has {len(text)} characters; at most {TEXT_LIMIT} are read")
    parser = _Parser(text)
    filter = parser.either(0)
    parser.skip_blanks()
    if parser.place < len(text):
        raise BadFilter(f"there is a ')' too many at character {parser.place + 1} of the filter")
    return check_size(filter)


@attrs.define
class _Parser:
    text: str
    place: int = 0

    def skip_blanks(self) -> None:
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1

    def either(self, depth: int) -> Filter:
        """What stands between `OR`s."""
        if depth > DEPTH_LIMIT:
            raise BadFilter(f"the filter has more than {DEPTH_LIMIT} parentheses in one another")
        parts = [self._together(depth)]
        while self._take_or():
            parts.append(self._together(depth))
        return any_of(parts)

    def _take_or(self) -> bool:
        self.skip_blanks()
        found = _WORD.match(self.text, self.place)
        if found is None or found.group() != "OR":
            return False
        self.place = found.end()
        return True

    def _together(self, depth: int) -> Filter:
        parts: list[Filter] = []
        while True:
            self.skip_blanks()
            if self.place >= len(self.text) or self.text[self.place] == ")":
                return all_of(parts)
            found = _WORD.match(self.text, self.place)
            if found is not None and found.group() == "OR":
                return all_of(parts)
            parts.append(self._one(depth))

    def _one(self, depth: int) -> Filter:
        is_turned = False
        while self.text[self.place] == "-" and self.text[self.place + 1 : self.place + 2].strip():
            self.place += 1
            is_turned = not is_turned
        found = self._bare(depth)
        return not_(found) if is_turned else found

    def _bare(self, depth: int) -> Filter:
        if self.text[self.place] == "(":
            self.place += 1
            inside = self.either(depth + 1)
            self.skip_blanks()
            if self.text[self.place : self.place + 1] != ")":
                raise BadFilter("a '(' of the filter is never closed")
            self.place += 1
            return inside
        if self.text[self.place] == '"':
            quoted = self._quoted()
            return self._field(quoted) if self._at_colon() else term("text", "contains", quoted)
        name = _NAME.match(self.text, self.place)
        if name is not None:
            self.place = name.end()
            return self._field(name.group())
        return term("text", "contains", self._word())

    def _at_colon(self) -> bool:
        return self.text[self.place : self.place + 1] == ":"

    def _quoted(self) -> str:
        found = _QUOTED.match(self.text, self.place)
        if found is None:
            raise BadFilter('a quote (") of the filter is never closed')
        self.place = found.end()
        return re.sub(r"\\(.)", r"\1", found.group(1), flags=re.DOTALL)

    def _word(self) -> str:
        found = _WORD.match(self.text, self.place)
        if found is None:
            raise BadFilter(f"nothing stands at character {self.place + 1} of the filter, where a value should")
        self.place = found.end()
        return found.group()

    def _field(self, name: str) -> Filter:
        try:
            find_field(name)
        except BadFilter as exc:
            raise BadFilter(f'{exc}. To look for the words themselves, write "{name}:..." in quotes', name) from exc
        self.place += 1
        operator = _OPERATOR.match(self.text, self.place)
        sign = operator.group() if operator is not None else ""
        self.place += len(sign)
        if self.text[self.place : self.place + 1] == '"':
            value, is_quoted = self._quoted(), True
        elif self.place < len(self.text) and _WORD.match(self.text, self.place):
            value, is_quoted = self._word(), False
        else:
            raise BadFilter(f"{name}: has no value", name)
        return _meant(name, sign, value, is_quoted=is_quoted)


def compare(name: str, value: str) -> Filter:
    """A comparison whose value may have an operator before it, be a range, or `*`.

    Raises:
        BadFilter: no such field, or a value it cannot have.
    """
    operator = _OPERATOR.match(value)
    sign = operator.group() if operator is not None and find_field(name)[0].kind != "text" else ""
    return _meant(name, sign, value[len(sign) :], is_quoted=False)


def _meant(name: str, sign: str, value: str, *, is_quoted: bool) -> Filter:
    field, _ = find_field(name)
    if field.kind == "text":
        return term(name, "contains", value)
    if value == "*" and not sign and not is_quoted:
        return term(name, "exists")
    low, dots, high = value.partition("..")
    if dots and not sign and not is_quoted and field.kind in ("number", "time"):
        return all_of([_compared(name, "gte", low), _compared(name, "lte", high)])
    return _compared(name, _OPS[sign], value)


def _compared(name: str, op: str, value: str) -> Filter:
    field, _ = find_field(name)
    if field.unit != "ms":
        return term(name, op, value)
    found = _DURATION.fullmatch(value)
    if found is None:
        raise BadFilter(f"{name}: {value[:60]!r} is no time that something takes; write 250ms or 2s", name)
    number, unit = found.groups()
    return term(name, op, number) if unit is None else _in_ms(field.name, op, number, _UNITS_MS[unit])


def _in_ms(name: str, op: str, number: str, unit_ms: float) -> Filter:
    try:
        return term(name, op, float(number) * unit_ms)
    except ValueError as exc:
        raise BadFilter(f"{name}: {number[:60]!r} is not a number", name) from exc


def write(filter: Filter) -> str:
    """A plain filter (see `filters.plain`) as it would be typed: `parse` gives the same filter again."""
    if isinstance(filter, AllOf):
        return " ".join(_atom(part) for part in filter.parts)
    if isinstance(filter, AnyOf):
        return " OR ".join(_atom(part) for part in filter.parts)
    return _atom(filter)


def _atom(filter: Filter) -> str:
    if isinstance(filter, Not):
        return f"-{_atom(filter.part)}"
    if isinstance(filter, Term):
        return _term(filter)
    return f"({write(filter)})"


def _term(term: Term) -> str:
    if term.field == "text":
        return _word(str(term.value))
    field = term.field if _is_name(term.field) else _in_quotes(term.field)
    if term.op == "exists":
        return f"{field}:*"
    kind = find_field(term.field)[0].kind
    if kind == "text":
        return f"{field}:{_word(str(term.value))}"
    return f"{field}:{_SIGNS[term.op]}{_value(term)}"


def _is_name(name: str) -> bool:
    found = _NAME.match(f"{name}:")
    return found is not None and found.end() == len(name)


def _value(term: Term) -> str:
    if isinstance(term.value, datetime):
        return term.value.isoformat()
    if isinstance(term.value, float):
        if not term.field.endswith("_ms"):
            return _shortest(term.value)
        is_seconds = term.value >= 1_000 and (term.value / 1_000).is_integer()
        return f"{_shortest(term.value / 1_000)}s" if is_seconds else f"{_shortest(term.value)}ms"
    return _word(str(term.value))


def _shortest(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else _in_quotes(text)


def _in_quotes(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
