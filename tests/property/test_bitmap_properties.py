"""Sets and columns of bits answer like sets and lists of numbers."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core import bitmaps
from freeplay_like.core.bitmaps import BLOCK, NUMBER_LIMIT, Column, Comparison

members = st.sets(st.integers(0, BLOCK - 1), max_size=40)
stretches = st.tuples(st.integers(0, BLOCK - 1), st.integers(0, 3_000)).map(
    lambda pair: set(range(pair[0], min(BLOCK, pair[0] + pair[1])))
)
sets = st.lists(members | stretches, max_size=3).map(lambda parts: set[int]().union(*parts))
numbers = st.integers(0, 40) | st.integers(0, NUMBER_LIMIT)
columns = st.dictionaries(st.integers(0, BLOCK - 1), numbers, max_size=30)


@given(sets)
def test_a_set_survives_packing(members: set[int]) -> None:
    mask = bitmaps.unpack(bitmaps.pack(bitmaps.mask_of(members)))
    assert list(bitmaps.members_up(mask)) == sorted(members)
    assert list(bitmaps.members_down(mask)) == sorted(members, reverse=True)


@given(sets, sets)
def test_members_are_put_into_a_packed_set(first: set[int], second: set[int]) -> None:
    grown = bitmaps.with_members(bitmaps.pack(bitmaps.mask_of(first)), second)
    assert bitmaps.unpack(grown) == bitmaps.mask_of(first | second)


@given(st.lists(st.integers(0, BLOCK - 1), unique=True, max_size=60).map(sorted), st.integers(1, 9))
def test_a_set_that_grows_at_its_end_takes_no_more_room_than_its_bits(members: list[int], step: int) -> None:
    packed = bitmaps.pack(0)
    for begin in range(0, len(members), step):
        packed = bitmaps.with_members(packed, members[begin : begin + step])
    assert bitmaps.unpack(packed) == bitmaps.mask_of(members)
    assert len(packed) <= 1 + (max(members, default=-1) + 8) // 8


@given(columns, st.integers(-1, NUMBER_LIMIT) | st.integers(-1, 41), st.sampled_from(["eq", "lt", "gt", "lte", "gte"]))
def test_a_column_compares_like_its_numbers(values: dict[int, int], number: int, op: Comparison) -> None:
    column = Column.unpack(Column.of(values.items()).pack())
    judge = {"eq": "__eq__", "lt": "__lt__", "gt": "__gt__", "lte": "__le__", "gte": "__ge__"}[op]
    expected = {member for member, value in values.items() if getattr(value, judge)(number)}
    assert set(bitmaps.members_up(column.compare(op, number))) == expected


@given(columns, columns)
def test_columns_are_put_together_and_taken_apart(first: dict[int, int], second: dict[int, int]) -> None:
    second = {member: value for member, value in second.items() if member not in first}
    both = Column.of(first.items()) | Column.of(second.items())
    assert both == Column.of({**first, **second}.items())
    assert both.without(bitmaps.mask_of(second)) == Column.of(first.items())
    assert both.sum(bitmaps.mask_of(first)) == sum(first.values())


@given(st.lists(columns, min_size=1, max_size=3), st.floats(0, 1))
def test_the_nearest_rank_is_that_of_the_sorted_numbers(parts: list[dict[int, int]], share: float) -> None:
    ordered = sorted(number for values in parts for number in values.values())
    found = bitmaps.nearest_rank([(bitmaps.FULL, Column.of(values.items())) for values in parts], share)
    assert found == (ordered[max(1, math.ceil(share * len(ordered))) - 1] if ordered else None)
