"""Addresses of the pages, written in one place so that a link and a route cannot drift apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from freeplay_like.server.store.derived.filter_text import write
from freeplay_like.server.store.derived.filters import EVERYTHING, Filter, all_of, term

__all__ = [
    "agreement_address",
    "call_address",
    "call_deletion_address",
    "calls_address",
    "case_address",
    "compare_address",
    "dataset_address",
    "diff_address",
    "edit_address",
    "figures_address",
    "first_key_address",
    "health_address",
    "health_server_address",
    "live_address",
    "move_address",
    "narrow_address",
    "new_run_address",
    "new_template_address",
    "playground_address",
    "project_address",
    "queue_address",
    "replay_address",
    "replay_cancel_address",
    "replay_result_address",
    "replays_address",
    "review_address",
    "run_address",
    "runs_address",
    "selection_address",
    "session_address",
    "session_deletion_address",
    "session_export_address",
    "sessions_address",
    "settings_address",
    "since",
    "template_address",
    "template_file_address",
    "test_case_address",
    "version_address",
    "views_address",
    "where",
]

PERIODS: Final = {
    "1h": "last hour",
    "24h": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "today": "today (UTC)",
    "yesterday": "yesterday (UTC)",
}
"""Time ranges that move along, as they stand in an address, and as people read them."""


def _segment(value: str) -> str:
    return quote(value, safe="")


def _with(path: str, *query: tuple[str, str | None]) -> str:
    said = [(name, value) for name, value in query if value]
    return f"{path}?{urlencode(said)}" if said else path


def project_address(project_id: str, room: str = "calls") -> str:
    """A room of a project: its `calls`, `sessions`, `templates`, `playground`, `datasets`, `test-runs`, ..."""
    return f"/projects/{_segment(project_id)}/{room}"


def where(**said: str | float) -> Filter:
    """The calls of which all of this holds: `where(template="greeting", outcome="error")`."""
    return all_of(term(name, "eq", value) for name, value in said.items())


def since(moment: datetime, **said: str | float) -> Filter:
    """The calls that began at a moment or later, and of which all of this holds."""
    return all_of([where(**said), term("started_at", "gte", moment.isoformat())])


def calls_address(
    project_id: str,
    which: Filter = EVERYTHING,
    *,
    period: str | None = None,
    before: str | None = None,
    after: str | None = None,
    peek: str | None = None,
) -> str:
    """The list of calls, narrowed; older or newer than a cursor; with a call opened beside it."""
    return _with(
        project_address(project_id),
        ("q", write(which)),
        ("period", period),
        ("before", before),
        ("after", after),
        ("peek", peek),
    )


def tail_address(
    project_id: str,
    which: Filter,
    period: str | None,
    after_seq: int,
    *,
    shown: Sequence[int] = (),
    is_running: bool = False,
) -> str:
    """The live tail of a list, from a record on.

    `shown` are later records that its page shows already, `is_running`: it shows calls that run.
    """
    later = ",".join(map(str, shown)) or None
    place = ("after", str(after_seq)), ("shown", later), ("running", "1" if is_running else None)
    return _with(f"{project_address(project_id)}/tail", ("q", write(which)), ("period", period), *place)


def call_address(project_id: str, record_id: str, **view: str | None) -> str:
    """One call; `view` says what of it is shown, see `pages.call.view`."""
    return _with(f"{project_address(project_id)}/{_segment(record_id)}", *view.items())


def call_deletion_address(project_id: str, record_id: str) -> str:
    """Where somebody confirms that a call is to be deleted."""
    return f"{call_address(project_id, record_id)}/delete"


def figures_address(project_id: str, which: Filter, period: str | None) -> str:
    """The counts and sums of a list, without its rows."""
    return _with(f"{project_address(project_id)}/figures", ("q", write(which)), ("period", period))


def narrow_address(project_id: str) -> str:
    """Leads to a list that is narrowed to a range of a field."""
    return f"{project_address(project_id)}/narrow"


def selection_address(project_id: str) -> str:
    """Where calls that were chosen from a list are sent to."""
    return project_address(project_id, "selection")


def views_address(project_id: str, view_id: str | None = None) -> str:
    """Where a view is saved; or, with its id, deleted."""
    views = project_address(project_id, "views")
    return views if view_id is None else f"{views}/{_segment(view_id)}/delete"


def first_key_address(project_id: str) -> str:
    """The form that makes the key of a project's first program."""
    return project_address(project_id, "first-key")


def health_address(project_id: str, *, period: str | None = None, by: str | None = None) -> str:
    """How the calls go, in a time range; `by` is what the tables are sorted by."""
    return _with(project_address(project_id, "health"), ("period", period), ("by", by))


def health_server_address(project_id: str) -> str:
    """How the server and its senders are: the part of the page that changes all the time."""
    return f"{project_address(project_id, 'health')}/server"


def live_address(project_id: str, record_id: str, after: int = 0) -> str:
    """The text of a call that runs, as events, from a character on."""
    return _with(f"{call_address(project_id, record_id)}/live", ("after", str(after) if after else None))


def sessions_address(project_id: str, which: Filter = EVERYTHING, *, period: str | None = None, offset: int = 0) -> str:
    """The list of sessions that hold a call of a filter, from a place on."""
    path = project_address(project_id, "sessions")
    return _with(path, ("q", write(which)), ("period", period), ("offset", str(offset) if offset else None))


def session_address(project_id: str, session_id: str, offset: int = 0) -> str:
    """One session, from a call on."""
    path = f"{project_address(project_id, 'sessions')}/{_segment(session_id)}"
    return _with(path, ("offset", str(offset) if offset else None))


def session_export_address(project_id: str, session_id: str) -> str:
    """A session as a file: every call of it."""
    return f"{session_address(project_id, session_id)}/export"


def session_deletion_address(project_id: str, session_id: str) -> str:
    """Where somebody confirms that a session is to be deleted."""
    return f"{session_address(project_id, session_id)}/delete"


def template_address(project_id: str, template_id: str) -> str:
    """One template: its newest version."""
    return f"{project_address(project_id, 'templates')}/{_segment(template_id)}"


def version_address(project_id: str, template_id: str, version_id: str) -> str:
    """One version of a template."""
    return f"{template_address(project_id, template_id)}/versions/{_segment(version_id)}"


def new_template_address(project_id: str) -> str:
    """Where a template is written that is not there yet."""
    return f"{project_address(project_id, 'templates')}/new"


def edit_address(project_id: str, template_id: str, version_id: str | None = None) -> str:
    """Where the next version of a template is written, from a version on; the newest without."""
    return _with(f"{template_address(project_id, template_id)}/edit", ("version", version_id))


def diff_address(project_id: str, template_id: str, before: str, after: str, view: str | None = None) -> str:
    """What changed from one version of a template to another; `view` is `sides`, else one under the other."""
    return _with(f"{template_address(project_id, template_id)}/diff", ("from", before), ("to", after), ("view", view))


def move_address(project_id: str, template_id: str, environment: str = "", version_id: str | None = None) -> str:
    """Where somebody confirms that an environment of a template is to point at a version; at nothing without."""
    path = f"{template_address(project_id, template_id)}/move"
    return _with(path, ("environment", environment), ("version", version_id))


def template_file_address(project_id: str, template_id: str, version_id: str) -> str:
    """A version as a file."""
    return f"{version_address(project_id, template_id, version_id)}/file"


def dataset_address(project_id: str, dataset_id: str, *, q: str | None = None, page: int = 1) -> str:
    """One dataset; its cases that hold some text, from a page of them on."""
    path = f"{project_address(project_id, 'datasets')}/{_segment(dataset_id)}"
    return _with(path, ("q", q), ("page", str(page) if page > 1 else None))


def test_case_address(project_id: str, dataset_id: str, case_id: str) -> str:
    """One test case, to be looked at and changed."""
    return f"{dataset_address(project_id, dataset_id)}/cases/{_segment(case_id)}"


def runs_address(project_id: str, *, page: int = 1, **of: str | None) -> str:
    """The test runs, newest first; `of`: the `dataset`, `version` or `suite` they are of."""
    return _with(project_address(project_id, "test-runs"), *of.items(), ("page", str(page) if page > 1 else None))


def new_run_address(project_id: str, *versions: str, **of: str | None) -> str:
    """Where a test run is begun, with some versions chosen; `of`: `dataset`, `suite`, or the `run` it repeats."""
    path = f"{project_address(project_id, 'test-runs')}/new"
    return _with(path, *of.items(), *(("version", each) for each in versions))


def run_address(project_id: str, run_id: str, *, show: str | None = None, page: int = 1) -> str:
    """One test run; only cases that went like that (`failing`, `waiting`, ...), from a page of them on."""
    path = f"{project_address(project_id, 'test-runs')}/{_segment(run_id)}"
    return _with(path, ("show", show), ("page", str(page) if page > 1 else None))


def compare_address(project_id: str, kind: str, *ids: str, **asked: str | None) -> str:
    """Things side by side: `kind` is `call`, `version` or `run`, the first one what the others are compared with.

    `asked`, of runs: which cases to `show`, `to` which run, by which `score`, from which `page` on.
    """
    return _with(project_address(project_id, "compare"), *((kind, each) for each in ids), *asked.items())


def review_address(project_id: str, record_id: str) -> str:
    """Where a review of a call is sent to."""
    return f"{call_address(project_id, record_id)}/review"


def case_address(project_id: str, record_id: str) -> str:
    """The form that makes a test case of a call."""
    return f"{call_address(project_id, record_id)}/case"


def queue_address(
    project_id: str,
    view_id: str | None = None,
    *,
    which: Filter = EVERYTHING,
    period: str | None = None,
    order: str | None = None,
    at: str | None = None,
    after: str | None = None,
    said: str | None = None,
) -> str:
    """Calls to review one after another: those of a saved view, or of a filter, oldest first or in another `order`.

    `at` is the id of a call in it, `after` the number of one to go on behind, `said` the id of the one just done.
    """
    place = {"order": order, "at": at, "after": after, "said": said}
    room = project_address(project_id, "review")
    if view_id is not None:
        return _with(f"{room}/{_segment(view_id)}", *place.items())
    return _with(f"{room}/calls", ("q", write(which)), ("period", period), *place.items())


def agreement_address(
    project_id: str,
    which: Filter = EVERYTHING,
    *,
    period: str | None = None,
    first: str | None = None,
    second: str | None = None,
) -> str:
    """How far two reviewers, by their ids, agree on the calls of a filter."""
    room = project_address(project_id, "review")
    return _with(f"{room}/agreement", ("q", write(which)), ("period", period), ("a", first), ("b", second))


def settings_address(project_id: str, *place: str, **asked: str | None) -> str:
    """Settings of a project: its name alone, or a tab, and what is below it (`keys`, a key's id, `revoke`)."""
    return _with("/".join((project_address(project_id, "settings"), *map(_segment, place))), *asked.items())


def replay_address(project_id: str, record_id: str, *, version: str | None = None) -> str:
    """The form that asks a call again; `version` (`TEMPLATE/VERSION`) is chosen in it already."""
    return _with(f"{call_address(project_id, record_id)}/replay", ("version", version))


def replays_address(
    project_id: str,
    which: Filter | None = None,
    *,
    period: str | None = None,
    calls: Sequence[str] = (),
    dataset: str | None = None,
    offset: int = 0,
) -> str:
    """The form that asks many calls again: those of a filter, of these ids, or that a dataset was made from.

    Without any of these the list of replays, from a place on.
    """
    replays = project_address(project_id, "replays")
    if which is None and not calls and dataset is None:
        return _with(replays, ("offset", str(offset) if offset else None))
    query = "" if which is None else write(which)
    return _with(
        f"{replays}/new", ("q", query), ("period", period), *(("call", each) for each in calls), ("dataset", dataset)
    )


def replay_result_address(project_id: str, replay_id: str, *, offset: int = 0) -> str:
    """What came of a replay, from a place in its calls on."""
    path = f"{project_address(project_id, 'replays')}/{_segment(replay_id)}"
    return _with(path, ("offset", str(offset) if offset else None))


def replay_cancel_address(project_id: str, replay_id: str) -> str:
    """Where a replay is cancelled."""
    return f"{replay_result_address(project_id, replay_id)}/cancel"


def playground_address(
    project_id: str, *, call: str | None = None, version: str | None = None, run: str | None = None
) -> str:
    """The playground: empty, or with the messages of a call, of a version, or of what was run there."""
    return _with(project_address(project_id, "playground"), ("call", call), ("version", version), ("run", run))
