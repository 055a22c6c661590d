"""Search, sessions and statistics over HTTP, against a real server."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from freeplay_like.clock import SystemClock
from freeplay_like.core.chunks import Usage
from freeplay_like.core.records import Amendment, Record, TemplateRef
from freeplay_like.core.wire import to_wire
from support.backend import BackendProcess
from support.plain_records import a_record

pytestmark = pytest.mark.over("sqlite", "servers")

TIMEOUT_S = 30
TEMPLATE = TemplateRef(name="search-and-statistics", version="2", environment="prod")
BEGAN_AT = datetime(2026, 10, 1, 12, tzinfo=UTC)


def ask(backend: BackendProcess, method: str, path: str, body: object = None, **query: object) -> requests.Response:
    return requests.request(
        method,
        f"{backend.project_base}/{path}",
        data=None if body is None else to_wire(body),
        params=query,
        headers=backend.headers,
        timeout=TIMEOUT_S,
    )


def answer(backend: BackendProcess, method: str, path: str, body: object = None, **query: object) -> Any:
    answered = ask(backend, method, path, body, **query)
    assert answered.status_code == 200, answered.text
    return answered.json()


@pytest.fixture(scope="module")
def records(backend: BackendProcess) -> list[Record]:
    made = [
        a_record(
            backend.project_id,
            answer=f"Antwort {number} 東京タワー",
            template=TEMPLATE,
            session_id=f"search-{number // 2}",
            trace_id=f"search-trace-{number // 4}",
            model="gpt-search",
            metadata={"channel": "web" if number % 2 else "mail"},
            latency_ms=100.0 * (number + 1),
            usage=Usage(input_tokens=10, output_tokens=number),
            started_at=BEGAN_AT + timedelta(minutes=20 * number),
        )
        for number in range(6)
    ]
    said = Amendment(
        amendment_id=SystemClock().new_id(),
        record_id=made[3].record_id,
        project_id=backend.project_id,
        made_at=BEGAN_AT,
        feedback="negative",
        scores={"ok": False},
    )
    answer(backend, "POST", "records:batch", {"records": made, "amendments": [said]})
    return made


def found(backend: BackendProcess, what: str, *filters: object, **query: object) -> list[Any]:
    body = {"filters": {"and": [{"field": "template", "value": TEMPLATE.name}, *filters]}}
    return list(answer(backend, "POST", f"search/{what}", body, **query)["data"])


@pytest.mark.parametrize(
    ("filter", "numbers"),
    [
        ({"field": "model_name", "op": "eq", "value": "gpt-search"}, [5, 4, 3, 2, 1, 0]),
        ({"field": "latency", "op": "gte", "value": 0.5}, [5, 4]),
        ({"field": "latency", "op": "between", "value": [0.2, 0.3]}, [2, 1]),
        ({"field": "custom_metadata.channel", "op": "eq", "value": "web"}, [5, 3, 1]),
        ({"field": "evaluation_results.ok", "op": "eq", "value": False}, [3]),
        ({"field": "customer_feedback", "op": "eq", "value": "negative"}, [3]),
        ({"field": "completion", "op": "contains", "value": "ANTWORT 4"}, [4]),
        ({"field": "text", "op": "contains", "value": "タワー"}, [5, 4, 3, 2, 1, 0]),
        ({"field": "start_time", "op": "lt", "value": BEGAN_AT.timestamp() + 1}, [0]),
        (
            {
                "or": [
                    {"field": "session_id", "value": "search-0"},
                    {"not": {"field": "tokens", "op": "lt", "value": 15}},
                ]
            },
            [5, 1, 0],
        ),
    ],
)
def test_completions_are_found(
    backend: BackendProcess, records: list[Record], filter: object, numbers: list[int]
) -> None:
    calls = found(backend, "completions", filter)
    assert [call["completion_id"] for call in calls] == [records[number].record_id for number in numbers]
    assert calls[0]["prompt_template_name"] == TEMPLATE.name


def test_a_search_has_pages(backend: BackendProcess, records: list[Record]) -> None:
    body = {"filters": {"field": "template", "value": TEMPLATE.name}}
    first = answer(backend, "POST", "search/completions", body, page=1, page_size=4)
    second = answer(backend, "POST", "search/completions", body, page=2, page_size=4)
    assert (first["pagination"]["has_next"], second["pagination"]["has_next"]) == (True, False)
    ids = [call["completion_id"] for call in first["data"] + second["data"]]
    assert ids == [record.record_id for record in reversed(records)]


def test_sessions_and_traces_are_found(backend: BackendProcess, records: list[Record]) -> None:
    sessions = found(backend, "sessions", {"field": "metadata.channel", "value": "web"}, include_children="true")
    assert [session["session_id"] for session in sessions] == ["search-2", "search-1", "search-0"]
    assert [call["completion_id"] for call in sessions[0]["messages"]] == [records[4].record_id, records[5].record_id]
    traces = found(backend, "traces", include_children="true")
    assert [trace["trace_id"] for trace in traces] == ["search-trace-1", "search-trace-0"]
    assert traces[0]["completion_ids"] == [records[4].record_id, records[5].record_id]


def test_facets_are_counted(backend: BackendProcess, records: list[Record]) -> None:
    counted = answer(
        backend, "GET", "statistics/facets", q=f"template:{TEMPLATE.name}", fields="outcome,metadata.channel,feedback"
    )
    assert counted["calls"] == len(records)
    assert counted["facets"]["outcome"] == [{"value": "complete", "calls": 6}]
    assert counted["facets"]["metadata.channel"] == [{"value": "mail", "calls": 3}, {"value": "web", "calls": 3}]
    assert counted["facets"]["feedback"] == [{"value": "negative", "calls": 1}]
    assert "metadata.channel" in {field["value"] for field in counted["open_fields"]}


def test_calls_are_summed_up(backend: BackendProcess, records: list[Record]) -> None:
    summary = answer(backend, "POST", f"completions/statistics/{TEMPLATE.name}", {})
    assert (summary["calls"], summary["errors"]) == (6, 0)
    assert summary["versions"] == [{"value": "2", "calls": 6}]
    latency = summary["numbers"]["latency_ms"]
    assert (latency["count"], latency["average"], latency["p50"], latency["p95"]) == (6, 350.0, 300.0, 600.0)
    in_all = answer(
        backend, "POST", "completions/statistics", {"filters": {"field": "template", "value": TEMPLATE.name}}
    )
    assert in_all["templates"] == [{"value": TEMPLATE.name, "calls": 6}]
    asked = answer(backend, "GET", "statistics/summary", template=TEMPLATE.name, latency=">0.45")
    assert asked["calls"] == 2


@pytest.mark.parametrize("q", ["", "metadata.channel:*"])  # from the sums by the hour, and from the sets of facets
def test_a_chart_has_points_by_the_hour(backend: BackendProcess, records: list[Record], q: str) -> None:
    stretch = {"from": BEGAN_AT.isoformat(), "to": (BEGAN_AT + timedelta(hours=2)).isoformat(), "q": q}
    noon = int(BEGAN_AT.timestamp())

    def points(value: str) -> object:
        chart = answer(backend, "GET", "statistics/chart", **stretch, template=TEMPLATE.name, by="outcome", value=value)
        assert (chart["grain_s"], chart["is_partial"]) == (3_600, False)
        (series,) = chart["series"]
        assert (series["name"], series["calls"]) == ("complete", 6)
        return series["points"]

    assert points("calls") == [[noon, 3], [noon + 3_600, 3]]
    assert points("tokens") == [[noon, 33], [noon + 3_600, 42]]
    assert points("cost") == [[noon, None], [noon + 3_600, None]]
    (_, first), (_, second) = points("p50")  # type: ignore[attr-defined, misc]  # two points
    assert (first, second) == (pytest.approx(200, rel=0.06), pytest.approx(500, rel=0.06))


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "said"),
    [
        ("POST", "search/completions", {"filters": {"field": "x", "value": 1}}, {}, "filters: there is no field 'x'"),
        ("POST", "search/sessions", {"filters": [[[[[[[[[[[[[1]]]]]]]]]]]]]}, {}, "levels deep"),
        ("POST", "search/traces", {"filters": "model"}, {}, "filters: a filter is an object"),
        ("GET", "statistics/facets", None, {"fields": "latency"}, "'fields': 'latency' is not a field of few values"),
        ("GET", "statistics/facets", None, {"colour": "red"}, "there is no field 'colour'"),
        ("GET", "statistics/chart", None, {"value": "luck"}, "'value' is one of calls"),
        ("GET", "statistics/chart", None, {"by": "text"}, "'by' takes a field of few values"),
        ("GET", "statistics/chart", None, {"from": "2026-01-02", "to": "2026-01-01"}, "must be after 'from'"),
        ("GET", "statistics/chart", None, {"from": "1980-01-01", "grain": "hour"}, "points; 1000 can be drawn"),
        ("GET", "statistics/chart", None, {"from": "0001-01-01"}, "charts are drawn from 1971"),
        ("GET", "statistics/summary", None, {"q": '"'}, "never closed"),
    ],
)
def test_what_makes_no_sense_is_refused(
    backend: BackendProcess, method: str, path: str, body: object, query: dict[str, str], said: str
) -> None:
    refused = ask(backend, method, path, body, **query)
    assert refused.status_code == 400, refused.text
    assert said in json.loads(refused.content)["message"]


@pytest.mark.parametrize("text", ["x" * 1_001, "a\0b", " ".join(["x"] * 51)])
def test_a_page_says_that_a_text_cannot_be_looked_for(backend: BackendProcess, text: str) -> None:
    with requests.Session() as person:
        person.get(backend.sign_in_url(), timeout=TIMEOUT_S).raise_for_status()
        page = person.get(f"{backend.url}/projects/{backend.project_id}/calls", params={"q": text}, timeout=TIMEOUT_S)
    assert page.status_code == 400
    assert re.search(r"<p id=\"wrong\" class=\"problem\" role=\"alert\">[^<]+</p>", page.text)
