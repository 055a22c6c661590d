"""What happens to what was recorded: how long it is kept, deleting it, taking it out.

What cannot be undone is looked at first, on a page that counts what it would take and leads to the list of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from freeplay_like.server.checks import RETENTION_LIMIT_DAYS, TEXT_LIMIT
from freeplay_like.server.pages.addresses import calls_address, session_address, settings_address, where
from freeplay_like.server.pages.forms import Sent, action, then
from freeplay_like.server.pages.page import PageProblem, page, project_of
from freeplay_like.server.pages.settings.common import (
    SettingsContext,
    answer_once,
    common_of,
    require_admin,
    typed,
)
from freeplay_like.server.pages.settings.project import Contents, contents_of
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filters import Filter, any_of, term
from freeplay_like.server.store.removal.deletion import DeletionReport
from freeplay_like.server.store.views import Refused

DAYS: Final = (7, 30, 90, 365)
"""How long calls are often kept."""
WHOLE_LIMIT: Final = 40
"""The most sessions and traces whose calls are counted together: a filter has so many terms."""


@attrs.frozen(kw_only=True)
class DataContext(SettingsContext):
    """The tab. `database_bytes` is what the whole server's file takes."""

    contents: Contents
    days: tuple[int, ...]
    longest_days: int
    database_bytes: int
    api_base: str


@attrs.frozen(kw_only=True)
class RetentionContext(SettingsContext):
    """What another retention would do: delete `calls`, those that began before a moment. `days` None: for ever."""

    days: int | None
    before: datetime | None
    calls: int
    is_partial: bool

    @property
    def calls_address(self) -> str | None:
        """The calls that would be deleted."""
        if self.before is None:
            return None
        return calls_address(self.project.id, term("started_at", "lt", self.before.isoformat()))


@attrs.frozen(kw_only=True)
class What:
    """What is to be deleted: a session, or everything with a value of metadata."""

    session_id: str = ""
    key: str = ""
    value: str = ""

    @property
    def said(self) -> str:
        """In a few words."""
        return f"session {self.session_id}" if self.session_id else f"{self.key} = {self.value}"


@attrs.frozen(kw_only=True)
class DeletionContext(SettingsContext):
    """What a deletion would take: `calls` at least, with whole sessions and traces that have the metadata themselves.

    `phrase` is what has to be typed.
    """

    what: What
    filter: Filter
    calls: int
    is_partial: bool
    sessions: int
    traces: int

    @property
    def phrase(self) -> str:
        """What has to be typed."""
        return phrase_of(self.calls)

    @property
    def list_address(self) -> str:
        """The calls that would be deleted."""
        if self.what.session_id:
            return session_address(self.project.id, self.what.session_id)
        return calls_address(self.project.id, self.filter)


@attrs.frozen(kw_only=True)
class DeletedContext(SettingsContext):
    """What a deletion took."""

    what: What
    report: DeletionReport


def phrase_of(calls: int) -> str:
    """What has to be typed to delete so many calls."""
    return f"delete {calls} call{'' if calls == 1 else 's'}"


def routes(state: State) -> list[BaseRoute]:
    """The tab, what is looked at before something is deleted, and the forms."""
    place = "/projects/{project_id}/settings/data"
    return [
        *page(place, "settings/data.html", _build, state),
        *page(f"{place}/retention", "settings/retention.html", _build_retention, state),
        action(f"{place}/retention", _retain, state, may="admin"),
        *page(f"{place}/delete", "settings/delete.html", _build_deletion, state),
        action(f"{place}/delete", _delete, state, may="admin"),
        action(f"{place}/project", _delete_project, state, may="admin"),
    ]


def _build(state: State, request: Request) -> DataContext:
    common = common_of(state, request, "data")
    return DataContext(
        common=common,
        contents=contents_of(state, common.project),
        days=DAYS,
        longest_days=RETENTION_LIMIT_DAYS,
        database_bytes=state.store.status.now().files.database_bytes,
        api_base=state.settings.api_base,
    )


# --- how long -------------------------------------------------------------------------------------------------


def _build_retention(state: State, request: Request) -> RetentionContext:
    common = common_of(state, request, "data")
    require_admin(request, common)
    text = request.query_params.get("days", "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= RETENTION_LIMIT_DAYS):
        said = f"Calls are kept for 1 to {RETENTION_LIMIT_DAYS} days, or for ever; not for {text[:50]!r}."
        raise PageProblem("This cannot be done", said, status=400)
    if not text:
        return RetentionContext(common=common, days=None, before=None, calls=0, is_partial=False)
    before = state.store.now() - timedelta(days=int(text))
    summary = state.store.statistics.summary(common.project.id, term("started_at", "lt", before.isoformat()))
    return RetentionContext(
        common=common, days=int(text), before=before, calls=summary.calls, is_partial=summary.is_partial
    )


def _retain(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    days = sent.form.number("days", "How many days calls are kept", lowest=1, highest=RETENTION_LIMIT_DAYS)
    sent.state.store.projects.change(project, retention_days=days)
    return then(settings_address(project.id, "data", said="kept"))


# --- somebody's data --------------------------------------------------------------------------------------------


def _what(session_id: str, key: str, value: str) -> What:
    """What somebody wants deleted.

    Raises:
        Refused: nothing that is one session, or one value of metadata.
    """
    what = What(session_id=session_id.strip(), key=key.strip(), value=value.strip())
    if bool(what.session_id) == bool(what.key or what.value):
        raise Refused("say what to delete: one session by its id, or a key of metadata with its value")
    if not what.session_id and not (what.key and what.value):
        raise Refused("metadata are a key and its value, as in user_id and u-1")
    if max(map(len, attrs.astuple(what))) > TEXT_LIMIT:
        raise Refused(f"nothing has an id or a value of more than {TEXT_LIMIT} characters")
    return what


def _build_deletion(state: State, request: Request) -> DeletionContext:
    common = common_of(state, request, "data")
    require_admin(request, common)
    what = _what(*(request.query_params.get(name, "") for name in ("session", "key", "value")))
    sessions: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    if what.session_id:
        which = where(session=what.session_id)
    else:
        whole = state.store.deletion.whole(common.project, {what.key: what.value})
        sessions, traces = whole.session_ids, whole.trace_ids
        terms = [term(f"metadata.{what.key}", "eq", what.value)]
        terms += [term("session", "eq", each) for each in sessions]
        terms += [term("trace", "eq", each) for each in traces]
        which = any_of(terms[:WHOLE_LIMIT])
    summary = state.store.statistics.summary(common.project.id, which)
    return DeletionContext(
        common=common,
        what=what,
        filter=which,
        calls=summary.calls,
        is_partial=summary.is_partial,
        sessions=len(sessions),
        traces=len(traces),
    )


def _delete(sent: Sent) -> Response:
    common, form = common_of(sent.state, sent.request, "data"), sent.form
    what = _what(form.raw("session"), form.raw("key"), form.raw("value"))
    calls = form.number("calls", "The number of calls", lowest=0, highest=10**12)
    typed(form, phrase_of(calls or 0))
    deletion = sent.state.store.deletion
    if what.session_id:
        report = deletion.session(common.project, what.session_id)
    else:
        report = deletion.person(common.project, {what.key: what.value})
    return answer_once(sent, "settings/deleted.html", DeletedContext(common=common, what=what, report=report))


def _delete_project(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    typed(sent.form, project.name)
    sent.state.store.deletion.project(project)
    return then("/projects?deleted=yes")
