"""A filter as programs send it: Freeplay's JSON, and the query of an address. Pure.

{"field": "cost", "op": "gte", "value": 0.01}
{"and": [..., {"or": [...]}, {"not": {...}}]}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from freeplay_like.core.wire import JsonValue, WireError, from_wire
from freeplay_like.server.store.derived import filter_text
from freeplay_like.server.store.derived.filters import (
    DEPTH_LIMIT,
    EVERYTHING,
    BadFilter,
    Filter,
    all_of,
    any_of,
    check_size,
    find_field,
    not_,
    term,
)

_GROUPS: Final = {"and": all_of, "or": any_of}


def parse(value: JsonValue) -> Filter:
    """The filter of a JSON value; null, `{}` and an empty list are every call, a list means that all must hold.

    Raises:
        BadFilter: what cannot be read; the message names it.
    """
    return check_size(_parse(value, "filters", 0))


def _parse(value: JsonValue, where: str, depth: int) -> Filter:
    if depth > DEPTH_LIMIT:
        raise BadFilter(f"{where}: the filter is more than {DEPTH_LIMIT} levels deep; write it flatter")
    if value is None or value in ({}, []):
        return EVERYTHING
    if isinstance(value, list):
        return all_of(_parse(part, f"{where}[{index}]", depth + 1) for index, part in enumerate(value))
    if not isinstance(value, dict):
        raise BadFilter(f"{where}: a filter is an object like {{'field', 'op', 'value'}}, or a list of such")
    for name, group in _GROUPS.items():
        if name in value:
            parts = value[name]
            if len(value) > 1 or not isinstance(parts, list) or not parts:
                raise BadFilter(f"{where}: {name!r} stands alone, and takes a list of filters that is not empty")
            return group(_parse(part, f"{where}.{name}[{index}]", depth + 1) for index, part in enumerate(parts))
    if "not" in value:
        if len(value) > 1:
            raise BadFilter(f"{where}: 'not' stands alone")
        return not_(_parse(value["not"], f"{where}.not", depth + 1))
    return _comparison(value, where)


def _comparison(value: dict[str, object], where: str) -> Filter:
    name, op = value.get("field"), value.get("op", "eq")
    if not isinstance(name, str) or not isinstance(op, str):
        raise BadFilter(f"{where}: a comparison has a text as 'field' and one as 'op', besides its 'value'")
    unknown = sorted(set(value) - {"field", "op", "value"})
    if unknown:
        raise BadFilter(f"{where}: a comparison has no {unknown[0][:50]!r}; it has 'field', 'op' and 'value'", name)
    if "value" not in value and op != "exists":
        raise BadFilter(f"{where}: the comparison of {name[:100]!r} has no 'value'", name)
    try:
        return _compared(name, op, value.get("value", True))
    except BadFilter as exc:
        raise BadFilter(f"{where}: {exc}", exc.field) from exc


def _compared(name: str, op: str, value: object) -> Filter:
    field, _ = find_field(name)
    if field.kind == "text" and op in ("eq", "ne"):  # a text is never compared whole
        found = term(name, "contains", value)
        return found if op == "eq" else not_(found)
    return term(name, op, value)


def from_query(query: Iterable[tuple[str, str]], *, ignoring: Collection[str] = ()) -> Filter:
    """The filter in the query of an address.

    `q` is a filter as it is typed, `filters` one as JSON, `from` and `to` (not included) bound the time; every other
    name is a field, whose value may have an operator before it (`latency=>2s`). A field that is there more than once
    may have any of its values. Names in `ignoring` are the address's own.

    Raises:
        BadFilter: what cannot be read; the message names it.
    """
    parts: list[Filter] = []
    by_field: dict[str, list[Filter]] = {}
    for name, value in query:
        if name in ignoring or not value.strip():
            continue
        if name == "q":
            parts.append(filter_text.parse(value))
        elif name in ("filter", "filters"):
            parts.append(parse(_json(name, value)))
        elif name in ("from", "to"):
            parts.append(_bound(name, value))
        else:
            by_field.setdefault(name, []).append(filter_text.compare(name, value))
    return check_size(all_of([*parts, *(any_of(each) for each in by_field.values())]))


def _bound(name: str, value: str) -> Filter:
    try:
        return term("started_at", "gte" if name == "from" else "lt", value)
    except BadFilter as exc:
        raise BadFilter(str(exc).replace("started_at", name, 1), name) from exc


def _json(name: str, value: str) -> JsonValue:
    try:
        return from_wire(value, object)
    except WireError as exc:
        raise BadFilter(f"{name}: this is not JSON: {exc}", name) from exc
