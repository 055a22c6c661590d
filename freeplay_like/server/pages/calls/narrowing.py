"""Making a filter narrower or wider by one value, one range or one stretch of time: what the links of a list do. Pure.

A filter is looked at as the parts that must all hold. Values of one field that were chosen stand in one of these parts,
as a term or as several with `OR` between; values that were ruled out stand each in a part of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from freeplay_like.server.store.derived.filter_text import compare
from freeplay_like.server.store.derived.filters import (
    AllOf,
    AnyOf,
    Filter,
    Not,
    Term,
    all_of,
    any_of,
    find_field,
    not_,
    term,
)

Choice = Literal["in", "out"]
"""Calls that have a value, or those that do not."""


def parts_of(which: Filter) -> tuple[Filter, ...]:
    """What must all hold."""
    return which.parts if isinstance(which, AllOf) else (which,)


def chosen_values(which: Filter, field: str) -> frozenset[str]:
    """The values of a field one of which a call must have."""
    return frozenset(
        str(each.value) for part in parts_of(which) if _is_choice(part, field) for each in _alternatives(part)
    )


def ruled_out_values(which: Filter, field: str) -> frozenset[str]:
    """The values of a field that a call must not have."""
    return frozenset(
        str(part.part.value)
        for part in parts_of(which)
        if isinstance(part, Not) and isinstance(part.part, Term) and _is_value(part.part, field)
    )


def toggled(which: Filter, field: str, value: str, choice: Choice) -> Filter:
    """The filter with one more value chosen (or ruled out), or without it where it was already."""
    own = term(field, "eq", value)
    chosen, ruled_out = chosen_values(which, field), not_(own) in parts_of(which)
    is_there = value in chosen if choice == "in" else ruled_out
    others = [part for part in parts_of(which) if not _is_choice(part, field) and part != not_(own)]
    wanted: list[Filter] = [
        each for part in parts_of(which) if _is_choice(part, field) for each in _alternatives(part) if each != own
    ]
    if choice == "in" and not is_there:
        wanted.append(own)
    if choice == "out" and not is_there:
        others.append(not_(own))
    return all_of([*others, any_of(wanted)] if wanted else others)


def without_choice(which: Filter, field: str) -> Filter:
    """The filter without the values of a field that were chosen: what its other values are counted among."""
    return all_of(part for part in parts_of(which) if not _is_choice(part, field))


def with_range(which: Filter, name: str, lowest: str, highest: str) -> Filter:
    """The filter with another range of a number or a time, as it is typed; "" leaves an end open.

    A stretch of time goes up to before its end, everything else up to its end.

    Raises:
        BadFilter: no such field, or an end that it cannot have.
    """
    field, _ = find_field(name)
    kept = [part for part in parts_of(which) if not _is_bound(part, field.name)]
    ends = ((">=", lowest), ("<" if field.kind == "time" else "<=", highest))
    return all_of([*kept, *(compare(name, f"{sign}{end}") for sign, end in ends if end)])


def with_time(which: Filter, begins_at: datetime, ends_at: datetime) -> Filter:
    """The filter with another stretch of time."""
    return with_range(which, "started_at", begins_at.isoformat(), ends_at.isoformat())


def range_of(which: Filter, name: str) -> tuple[str, str]:
    """The least and the most that a number may be, in the unit of that name; "" where nothing is said."""
    field, scale = find_field(name)
    found = [part for part in parts_of(which) if _is_bound(part, field.name) and isinstance(part, Term)]
    ends = {part.op: part.value for part in found}
    least, most = ends.get("gte", ends.get("gt")), ends.get("lte", ends.get("lt"))
    return (
        f"{least / scale:.10g}" if isinstance(least, float) else "",
        f"{most / scale:.10g}" if isinstance(most, float) else "",
    )


def _alternatives(part: Filter) -> Iterable[Term]:
    found = part.parts if isinstance(part, AnyOf) else (part,)
    return [each for each in found if isinstance(each, Term)]


def _is_choice(part: Filter, field: str) -> bool:
    if isinstance(part, AnyOf):
        return bool(part.parts) and all(isinstance(each, Term) and _is_value(each, field) for each in part.parts)
    return isinstance(part, Term) and _is_value(part, field)


def _is_value(term: Term, field: str) -> bool:
    return term.field == field and term.op == "eq"


def _is_bound(part: Filter, field: str) -> bool:
    return isinstance(part, Term) and part.field == field and part.op in ("gt", "gte", "lt", "lte", "eq")
