from __future__ import annotations

import itertools

import attrs
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.server.spans.calls import Role
from freeplay_like.server.spans.nesting import Node, owners

TRACE = "t" * 32


def a_span(name: str, *, inside: str | None = None, role: Role = "call", **changes: object) -> Node:
    node = Node(
        trace_id=TRACE,
        span_id=name,
        parent_id=inside,
        role=role,
        scope=name,
        model="gpt-x",
        response_id=None,
        started_at=10,
        ended_at=20,
        record_id=f"record of {name}" if role == "call" else None,
    )
    return attrs.evolve(node, **changes)


def belongings(*nodes: Node, recorded: dict[str, str] | None = None) -> dict[str, str]:
    """What each call belongs to, by its name; asked in every order."""
    places = {(TRACE, span_id): record_id for span_id, record_id in (recorded or {}).items()}
    answers = [owners(order, places) for order in itertools.permutations(nodes)]
    assert all(answer == answers[0] for answer in answers)
    return {span_id: record_id for (_, span_id), record_id in answers[0].items()}


def test_a_call_alone_has_its_own_record() -> None:
    assert belongings(a_span("a"), a_span("root", role="plain")) == {"a": "record of a"}


def test_of_calls_inside_one_another_the_outermost_counts() -> None:
    found = belongings(a_span("a"), a_span("http", inside="a", role="plain"), a_span("b", inside="http"))
    assert found == {"a": "record of a", "b": "record of a"}


def test_a_call_that_began_after_the_one_it_is_said_to_lie_in_had_ended_is_another() -> None:
    found = belongings(a_span("a"), a_span("b", inside="a", started_at=21, ended_at=22))
    assert found == {"a": "record of a", "b": "record of b"}


def test_what_a_tool_asks_a_model_is_another_call() -> None:
    found = belongings(a_span("a"), a_span("tool", inside="a", role="step"), a_span("b", inside="tool"))
    assert found == {"a": "record of a", "b": "record of b"}


def test_a_call_inside_our_sdks_span_belongs_to_its_record() -> None:
    ours = a_span("sdk", role="own", record_id="kept")
    assert belongings(ours, a_span("a", inside="sdk"), a_span("b", inside="a")) == {"a": "kept", "b": "kept"}


def test_a_call_inside_a_span_that_our_sdk_recorded_and_nobody_sent_belongs_to_its_record() -> None:
    assert belongings(a_span("a", inside="sdk"), recorded={"sdk": "kept"}) == {"a": "kept"}


def test_two_libraries_beside_one_another_saw_one_call_and_the_first_counts() -> None:
    first = a_span("a", inside="root", response_id="r1")
    second = a_span("b", inside="root", response_id="r1", started_at=11)
    assert belongings(first, second) == {"a": "record of a", "b": "record of a"}


def test_of_two_beside_one_another_the_one_that_our_sdk_recorded_counts() -> None:
    first, second = a_span("a", inside="root"), a_span("b", inside="root", started_at=11)
    assert belongings(first, second, recorded={"b": "kept"}) == {"a": "kept", "b": "kept"}


def test_a_failed_call_that_two_libraries_saw_is_told_by_its_model() -> None:
    first, second = a_span("a", inside="root"), a_span("b", inside="root", started_at=11, ended_at=19)
    assert belongings(first, second)["b"] == "record of a"
    assert belongings(first, attrs.evolve(second, model="another"))["b"] == "record of b"


def test_calls_of_one_library_are_different_calls_even_where_the_server_repeats_its_response_id() -> None:
    first = a_span("a", inside="root", response_id="r", scope="one")
    second = a_span("b", inside="root", response_id="r", scope="one", started_at=11)
    assert belongings(first, second) == {"a": "record of a", "b": "record of b"}


def test_calls_one_after_the_other_are_different_calls() -> None:
    first = a_span("a", inside="root", response_id="r")
    second = a_span("b", inside="root", response_id="r", started_at=30, ended_at=40)
    assert belongings(first, second)["b"] == "record of b"


def test_one_call_in_two_traces_is_told_by_its_response_id() -> None:
    first = a_span("a", response_id="r1")
    second = a_span("b", response_id="r1", trace_id="u" * 32, started_at=11)
    found = owners([second, first], {})
    assert set(found.values()) == {"record of a"}


def test_what_lies_in_the_twin_of_a_call_belongs_to_that_call() -> None:
    first = a_span("a", inside="root", response_id="r1")
    second = a_span("b", inside="root", response_id="r1", started_at=11)
    assert belongings(first, second, a_span("c", inside="b"))["c"] == "record of a"


def test_spans_that_lie_in_one_another_in_a_circle_each_count_for_themselves() -> None:
    found = belongings(a_span("a", inside="b"), a_span("b", inside="a"), a_span("c", inside="a"))
    assert found == {"a": "record of a", "b": "record of b", "c": "record of a"}


def test_a_call_ten_thousand_spans_deep_is_answered() -> None:
    chain = [a_span("0")] + [a_span(str(n), inside=str(n - 1)) for n in range(1, 10_000)]
    assert set(owners(chain, {}).values()) == {"record of 0"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["call", "own", "step", "plain"]),
            st.integers(0, 8),
            st.integers(1, 5),
            st.sampled_from(["one", "two", "three"]),
            st.sampled_from([None, "r1", "r2"]),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_makes_no_difference(shapes: list[tuple[Role, int, int, str, str | None]], random) -> None:
    nodes = [
        a_span(
            str(index),
            inside=str(parent),
            role=role,
            scope=scope,
            response_id=response_id,
            started_at=start,
            ended_at=start + 2,
            record_id=None if role in ("step", "plain") else f"record of {index}",
        )
        for index, (role, parent, start, scope, response_id) in enumerate(shapes)
    ]
    expected = owners(nodes, {})
    assert set(expected) == {node.place for node in nodes if node.role == "call"}
    made = {node.record_id for node in nodes if node.record_id is not None}
    assert set(expected.values()) <= made
    random.shuffle(nodes)
    assert owners(nodes, {}) == expected
