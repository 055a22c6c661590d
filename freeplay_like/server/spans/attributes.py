"""Reading attributes whose names and types nobody vouches for: what is not of the type asked for is not there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire

TEXT_LIMIT: Final = 1_000
"""The most characters of what a call can be found by."""
_COUNT_LIMIT: Final = 2**53
"""No count is larger; and JSON has no exact numbers beyond it."""


@attrs.frozen
class Attributes:
    """The attributes of a span or an event. Each question takes names, and the first that answers it counts."""

    values: Mapping[str, JsonValue]

    def text(self, *names: str) -> str | None:
        """A text that is not empty, as long as it is."""
        return next((v for v in map(self.values.get, names) if isinstance(v, str) and v.strip()), None)

    def label(self, *names: str) -> str | None:
        """A text to find something by: cut at `TEXT_LIMIT`, and without what a database's text cannot hold."""
        found = self.text(*names)
        return None if found is None else found.replace("\0", "\N{REPLACEMENT CHARACTER}")[:TEXT_LIMIT]

    def number(self, *names: str) -> int | float | None:
        """A number."""
        return next((v for v in map(self.values.get, names) if _is_number(v)), None)  # type: ignore[return-value]  # it is one

    def count(self, *names: str) -> int | None:
        """A whole number from 0."""
        found = (v for v in map(self.values.get, names) if _is_number(v) and 0 <= v <= _COUNT_LIMIT)  # type: ignore[operator]  # it is one
        return next((int(v) for v in found), None)  # type: ignore[call-overload]  # it is one

    def flag(self, *names: str) -> bool:
        """Whether one of them is true."""
        return any(self.values.get(name) is True for name in names)

    def texts(self, *names: str) -> list[str]:
        """A list of texts; one text alone is a list of one."""
        for value in map(self.values.get, names):
            if isinstance(value, str) and value:
                return [value]
            if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
                return list(value)
        return []

    def json(self, *names: str) -> JsonValue:
        """A value that came as it is, or as its JSON text; None where it is neither."""
        for value in map(self.values.get, names):
            if isinstance(value, (dict, list)):
                return value
            if isinstance(value, str) and value[:1] in ("{", "[", '"'):
                try:
                    return from_wire(value, object)
                except WireError:
                    continue  # a text that looks like JSON
        return None

    def objects(self, *names: str) -> list[JsonObject]:
        """A list of objects, that came as it is or as its JSON text; an object alone is a list of one."""
        found = self.json(*names)
        items: Sequence[JsonValue] = found if isinstance(found, list) else [found]
        return [dict(item) for item in items if isinstance(item, Mapping)]

    def object(self, *names: str) -> JsonObject:
        """An object, that came as it is or as its JSON text; empty where there is none."""
        found = self.json(*names)
        return dict(found) if isinstance(found, Mapping) else {}

    def under(self, prefix: str) -> Attributes:
        """Those whose names begin so, by the rest of their names."""
        size = len(prefix)
        return Attributes({name[size:]: value for name, value in self.values.items() if name.startswith(prefix)})

    def numbered(self, prefix: str) -> Iterator[Attributes]:
        """Lists that were laid flat, `prefix.0.…`, `prefix.1.…`: the attributes of each item, in their order."""
        items: dict[int, dict[str, JsonValue]] = {}
        for name, value in self.under(f"{prefix}.").values.items():
            number, _, rest = name.partition(".")
            if rest and number.isascii() and number.isdigit() and len(number) <= _INDEX_DIGITS:
                items.setdefault(int(number), {})[rest] = value
        for index in sorted(items):
            yield Attributes(items[index])


_INDEX_DIGITS: Final = 6


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
