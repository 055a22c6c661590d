"""JSON that cannot be written to: what a value of ours keeps of a dict or list that somebody else made.

A frozen class is not frozen while a dict hangs in it. These are still dicts and lists, so JSON encoders, `==`, and
the providers' clients take them as they are; they only refuse to change, and so they have a hash.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import NoReturn

from freeplay_like.core.wire import JsonValue


def _refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
    raise TypeError("this is part of a value that does not change; write to a copy of it (copy.deepcopy gives one)")


class FrozenDict(dict[str, object]):
    """A dict that refuses to change; made by `frozen`. `dict(...)`, `|` and `copy.deepcopy` give plain ones."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __copy__(self) -> dict[str, object]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, object]) -> dict[str, object]:
        return {key: copy.deepcopy(value, memo) for key, value in self.items()}

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, object]]]:
        return FrozenDict, (dict(self),)


class FrozenList(list[object]):
    """A list that refuses to change; made by `frozen`. `list(...)`, `+` and `copy.deepcopy` give plain ones."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))

    def __copy__(self) -> list[object]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, object]) -> list[object]:
        return [copy.deepcopy(value, memo) for value in self]

    def __reduce__(self) -> tuple[type[FrozenList], tuple[list[object]]]:
        return FrozenList, (list(self),)


def frozen(value: JsonValue) -> JsonValue:
    """The same value with its dicts and lists copied into ones that refuse to change; tuples become lists."""
    if isinstance(value, (FrozenDict, FrozenList)):
        return value
    if isinstance(value, Mapping):
        return FrozenDict({key: frozen(child) for key, child in value.items()})
    if isinstance(value, (list, tuple)):
        return FrozenList(frozen(child) for child in value)
    return value
