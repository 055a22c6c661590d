"""Addresses of the pages, written in one place so that a link and a route cannot drift apart."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from freeplay_like.server.store.views import CallFilter


def _segment(value: str) -> str:
    return quote(value, safe="")


def project_address(project_id: str, room: str = "calls") -> str:
    """A project's list of calls, or another of its rooms (`templates`)."""
    return f"/projects/{_segment(project_id)}/{room}"


def filter_query(filter: CallFilter) -> dict[str, str]:
    """A filter as the query of an address; what is not set is left out."""
    named = {
        "model": filter.model,
        "outcome": filter.outcome,
        "template": filter.template,
        "text": filter.text,
        "session": filter.session_id,
    }
    return {name: value for name, value in named.items() if value is not None}


def filter_from(query: Mapping[str, str]) -> CallFilter:
    """The filter in the query of an address; blank values say nothing."""
    said = {name: text for name, value in query.items() if (text := value.strip())}
    return CallFilter(
        model=said.get("model"),
        outcome=said.get("outcome"),
        text=said.get("text"),
        template=said.get("template"),
        session_id=said.get("session"),
    )


def calls_address(
    project_id: str, filter: CallFilter | None = None, *, before: str | None = None, after: str | None = None
) -> str:
    """The list of calls, with a filter, older or newer than a cursor."""
    query = filter_query(filter) if filter else {}
    if before is not None:
        query["before"] = before
    if after is not None:
        query["after"] = after
    return project_address(project_id) + (f"?{urlencode(query)}" if query else "")


def tail_address(project_id: str, filter: CallFilter, after_seq: int) -> str:
    """The live tail of a list, from a record on."""
    return f"{project_address(project_id)}/tail?{urlencode({**filter_query(filter), 'after': after_seq})}"


def call_address(project_id: str, record_id: str) -> str:
    """One call."""
    return f"{project_address(project_id)}/{_segment(record_id)}"


def session_address(project_id: str, session_id: str) -> str:
    """One session."""
    return f"{project_address(project_id, 'sessions')}/{_segment(session_id)}"


def version_address(project_id: str, template_id: str, version_id: str) -> str:
    """One version of a template."""
    return f"{project_address(project_id, 'templates')}/{_segment(template_id)}/versions/{_segment(version_id)}"
