from __future__ import annotations

from datetime import UTC, datetime

import pytest

from freeplay_like.server.store.derived import filter_json, filter_text
from freeplay_like.server.store.derived.filters import EVERYTHING, AllOf, AnyOf, BadFilter, Filter, Not, Term

MODEL = Term("model", "eq", "gpt-4o")
SLOW = Term("latency_ms", "gt", 2_000.0)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", EVERYTHING),
        ("model:gpt-4o", MODEL),
        (
            'model:gpt-4o latency:>2s "exact words" -outcome:complete',
            AllOf((MODEL, SLOW, Term("text", "contains", "exact words"), Not(Term("outcome", "eq", "complete")))),
        ),
        ("latency:1s..2.5s", AllOf((Term("latency_ms", "gte", 1_000.0), Term("latency_ms", "lte", 2_500.0)))),
        ("latency_ms:>=250", Term("latency_ms", "gte", 250.0)),
        ("ttft:<250ms", Term("time_to_first_chunk_ms", "lt", 250.0)),
        ("cost:>0.01", Term("cost_usd", "gt", 0.01)),
        ("model:~gpt", Term("model", "contains", "gpt")),
        ("metadata.channel:*", Term("metadata.channel", "exists", True)),
        ('"metadata.user id":"u 1"', Term("metadata.user id", "eq", "u 1")),
        ("env:prod OR env:dev", AnyOf((Term("environment", "eq", "prod"), Term("environment", "eq", "dev")))),
        ("-(refund OR order)", Not(AnyOf((Term("text", "contains", "refund"), Term("text", "contains", "order"))))),
        ("started_at:>=2026-01-31", Term("started_at", "gte", datetime(2026, 1, 31, tzinfo=UTC))),
        ('"http://x"', Term("text", "contains", "http://x")),
        ("12:30 -", AllOf((Term("text", "contains", "12:30"), Term("text", "contains", "-")))),
    ],
)
def test_what_is_typed_is_read_as_it_is_meant(typed: str, meant: Filter) -> None:
    assert filter_text.parse(typed) == meant


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("colour:red", r"no field 'colour'.*there are model, outcome.*metadata\.<key>.*in quotes"),
        ("model:", "model: has no value"),
        ('"open', "quote.*never closed"),
        ("(a", r"'\(' of the filter is never closed"),
        ("a)", r"'\)' too many at character 2"),
        ("latency:fast", "'fast' is no time that something takes; write 250ms or 2s"),
        ("cost:1e999", "cost: '1e999' is beyond what is compared"),
        ("started_at:>yesterday", "'yesterday' is not a time"),
        ("session:~abc", "session cannot be compared with 'contains'; it takes eq"),
        ("model:\0", "holds a character that no text has"),
        (" ".join(["x"] * 51), "51 comparisons; at most 50"),
        ("x" * 4_001, "4001 characters; at most 4000"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_name(typed: str, said: str) -> None:
    with pytest.raises(BadFilter, match=said):
        filter_text.parse(typed)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (None, EVERYTHING),
        ({"field": "cost", "op": "gte", "value": 0.01}, Term("cost_usd", "gte", 0.01)),
        ({"field": "model_name", "op": "ne", "value": "gpt-4o"}, Not(MODEL)),
        ({"field": "latency", "op": "gt", "value": 2}, SLOW),
        (
            {"field": "latency", "op": "between", "value": [1, 2]},
            AllOf((Term("latency_ms", "gte", 1_000.0), Term("latency_ms", "lte", 2_000.0))),
        ),
        (
            {"and": [{"field": "model", "value": "gpt-4o"}, {"not": {"field": "model", "value": "gpt-4o"}}]},
            AllOf((MODEL, Not(MODEL))),
        ),
        ({"or": [{"field": "custom_metadata.n", "value": 3}]}, Term("metadata.n", "eq", "3")),
        ({"field": "evaluation_results.ok", "value": True}, Term("score.ok", "eq", "true")),
        ({"field": "completion", "op": "eq", "value": "Lyon"}, Term("output", "contains", "Lyon")),
        ([{"field": "start_time", "op": "lt", "value": 0}], Term("started_at", "lt", datetime(1970, 1, 1, tzinfo=UTC))),
    ],
)
def test_what_programs_send_is_read_as_it_is_meant(sent: object, meant: Filter) -> None:
    assert filter_json.parse(sent) == meant


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("model", "filters: a filter is an object"),
        ({"field": "colour", "op": "eq", "value": 1}, "filters: there is no field 'colour'"),
        (
            {"and": [{"field": "model", "op": "like", "value": "x"}]},
            r"filters\.and\[0\]: model: there is no operator 'like'",
        ),
        ({"and": []}, "takes a list of filters that is not empty"),
        ({"field": "model"}, "the comparison of 'model' has no 'value'"),
        ({"field": "model", "value": {}}, "is not a text, a number"),
        ({"field": "tokens", "op": "gt", "value": 10**400}, "is not a number"),
        ({"field": "model", "value": 10**400}, "beyond what is compared"),
        ({"field": "start_time", "op": "gt", "value": 1e300}, "is not a time"),
        ({"field": "model", "value": "\ud800"}, "holds a character that no text has"),
        ({"field": "model", "values": [1]}, "has no 'values'"),
    ],
)
def test_json_that_makes_no_sense_is_refused_by_place_and_name(sent: object, said: str) -> None:
    with pytest.raises(BadFilter, match=said):
        filter_json.parse(sent)


def test_a_filter_too_deep_is_refused() -> None:
    sent: object = {"field": "model", "value": "x"}
    for _ in range(100):
        sent = {"not": {"and": [sent]}}
    with pytest.raises(BadFilter, match="more than 10 levels deep"):
        filter_json.parse(sent)


def test_an_address_narrows_by_any_field() -> None:
    query = [
        ("model", "gpt-4o"),
        ("latency", ">2s"),
        ("q", "refund"),
        ("env", "a"),
        ("env", "b"),
        ("page", "3"),
        ("to", ""),
    ]
    assert filter_json.from_query(query, ignoring=("page",)) == AllOf(
        (
            Term("text", "contains", "refund"),
            MODEL,
            SLOW,
            AnyOf((Term("environment", "eq", "a"), Term("environment", "eq", "b"))),
        )
    )


def test_an_address_names_what_it_cannot_read() -> None:
    with pytest.raises(BadFilter, match="no field 'colour'"):
        filter_json.from_query([("colour", "red")])
    with pytest.raises(BadFilter, match="filters: this is not JSON"):
        filter_json.from_query([("filters", "{")])
    with pytest.raises(BadFilter, match="from: 'x' is not a time"):
        filter_json.from_query([("from", "x")])
