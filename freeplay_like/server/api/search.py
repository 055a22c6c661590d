"""Looking for completions, sessions and traces, in Freeplay's words."""

from __future__ import annotations

from typing import Final

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, Query, operation
from freeplay_like.server.api.sessions import completion_to_wire, sessions_to_wire
from freeplay_like.server.api.traces import trace_to_wire
from freeplay_like.server.store.derived import filter_json
from freeplay_like.server.store.derived.finding import FoundCall

_CHILDREN: Final = Query(
    "include_children",
    "Whether the calls of each session, or what belongs to each trace, come with it.",
    {"type": "boolean", "default": False},
)


@attrs.frozen(kw_only=True)
class SearchBody:
    """The body of a search. `filters` is a comparison, or several put together; null, or left out, for everything."""

    filters: JsonValue = None


@operation("POST", f"{PROJECT}/search/completions", scope="read", body=SearchBody, query=(*PAGE, _CHILDREN))
def search_completions(ask: Ask[SearchBody]) -> JsonObject:
    """The calls of a filter, the newest first.

    `is_partial`: looking took too long, and there may be more. `is_whole` False: the page holds too much already; ask
    for the call by its id.
    """
    page = ask.page()
    found = ask.store.search.calls(ask.project.id, filter_json.parse(ask.body.filters), page.offset, page.limit)
    return {**page.answer([_call_to_wire(call) for call in found.calls]), "is_partial": found.is_partial}


@operation("POST", f"{PROJECT}/search/sessions", scope="read", body=SearchBody, query=(*PAGE, _CHILDREN))
def search_sessions(ask: Ask[SearchBody]) -> JsonObject:
    """The sessions that hold a call of a filter, the one with the newest such call first."""
    page = ask.page()
    rows = ask.store.sessions.page(ask.project.id, filter_json.parse(ask.body.filters), page.offset, page.limit)
    return page.answer(sessions_to_wire(ask.store, ask.project, rows, has_calls=_is_with_children(ask)))


@operation("POST", f"{PROJECT}/search/traces", scope="read", body=SearchBody, query=(*PAGE, _CHILDREN))
def search_traces(ask: Ask[SearchBody]) -> JsonObject:
    """The traces that hold a call of a filter, the one with the newest such call first."""
    page = ask.page()
    found = ask.store.search.traces(ask.project.id, filter_json.parse(ask.body.filters), page.offset, page.limit)
    traces = [_trace_to_wire(ask, trace_id) for trace_id in found.names]
    return {**page.answer(traces), "is_partial": found.is_partial}


OPERATIONS: Final = (search_completions, search_sessions, search_traces)


def _is_with_children(ask: Ask[SearchBody]) -> bool:
    return (ask.query("include_children") or "").lower() in ("true", "1")


def _call_to_wire(call: FoundCall) -> JsonObject:
    row = call.row
    whole = {"completion_id": row.record_id} if call.sent is None else completion_to_wire(call.sent)
    return {
        **whole,
        "is_whole": call.sent is not None,
        "session_id": row.session_id,
        "latency_ms": row.latency_ms,
        "time_to_first_chunk_ms": row.time_to_first_chunk_ms,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
    }


def _trace_to_wire(ask: Ask[SearchBody], trace_id: str) -> JsonObject:
    whole = ask.store.traces.get(ask.project.id, trace_id)
    if whole is None:
        return {"trace_id": trace_id}
    children: JsonObject = {"completion_ids": whole.record_ids, "trace_ids": whole.child_ids}
    return {**trace_to_wire(whole.trace), **(children if _is_with_children(ask) else {})}
