"""A filter that was written is read again as the same filter; nothing that is typed is worse than refused."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from freeplay_like.server.store.derived import filter_json, filter_text
from freeplay_like.server.store.derived.filters import (
    OPS,
    AllOf,
    AnyOf,
    BadFilter,
    Filter,
    Not,
    Term,
    check_size,
    plain,
    term,
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
tricky = st.sampled_from(["OR", "-x", "a:b", '"', "\\", "*", ">1", "~", "a b", "(", "1..2", "..", "metadata.x", "'"])
values = texts | tricky
names = st.sampled_from(["model", "outcome", "template", "error"]) | values.map(lambda key: f"metadata.{key}")
moments = st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  they say no zone
numbers = st.floats(-1e14, 1e14, allow_nan=False).map(lambda number: number + 0.0)

terms = st.one_of(
    st.builds(Term, names, st.sampled_from(["eq", "contains", "lt", "gt", "lte", "gte"]), values),
    st.builds(Term, names, st.just("exists"), st.just(True)),
    st.builds(Term, st.sampled_from(["session", "record"]), st.just("eq"), values),
    st.builds(Term, st.sampled_from(["text", "input", "output"]), st.just("contains"), values),
    st.builds(
        Term, st.sampled_from(["latency_ms", "cost_usd", "tokens"]), st.sampled_from(["eq", "lt", "gte"]), numbers
    ),
    st.builds(Term, st.just("started_at"), st.sampled_from(["lt", "gte"]), moments),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    terms,
    lambda parts: (
        st.builds(AllOf, st.lists(parts, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(parts, max_size=3).map(tuple))
        | st.builds(Not, parts)
    ),
    max_leaves=8,
).map(plain)


def is_small(filter: Filter) -> bool:
    try:
        check_size(filter)
    except BadFilter:
        return False
    return True


@given(filters.filter(is_small))
@example(Not(AllOf()))
@example(AnyOf((AllOf(), Term("text", "contains", "x"))))
def test_a_filter_survives_being_written_and_read(filter: Filter) -> None:
    assert filter_text.parse(filter_text.write(filter)) == filter


@example("-" * 3_000 + "x")
@example("(" * 3_000)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text('ab:-"()>=~*. OR\\', max_size=40))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadFilter):
        filter = filter_text.parse(text)
        assert filter_text.parse(filter_text.write(filter)) == plain(filter)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(st.sampled_from(["field", "op", "value", "and", "or", "not", "x"]), parts, max_size=3)
        | st.fixed_dictionaries(
            {"field": st.sampled_from(["model", "latency", "start_time", "text"]), "op": st.sampled_from([*OPS, "ne"])},
            optional={"value": parts},
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_whatever_is_sent_is_read_or_refused(value: object) -> None:
    with contextlib.suppress(BadFilter):
        filter = filter_json.parse(value)
        assert filter_text.parse(filter_text.write(filter)) == plain(filter)


@given(st.sampled_from(["latency_ms", "cost_usd", "tokens"]), numbers)
def test_a_number_that_is_typed_is_the_number_that_is_meant(name: str, number: float) -> None:
    assert filter_text.parse(f"{name}:{number!r}") == term(name, "eq", number)
