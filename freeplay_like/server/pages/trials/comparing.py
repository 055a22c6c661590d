"""Things side by side: two to four calls, versions or test runs, the first one what the others are compared with."""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs
from starlette.requests import Request
from starlette.routing import BaseRoute

from freeplay_like.server.pages.page import PageProblem, page, project_of
from freeplay_like.server.pages.trials.comparing_calls import CallsCompared, compare_calls
from freeplay_like.server.pages.trials.comparing_runs import SHOWS, AskedCases, RunsCompared, compare_runs
from freeplay_like.server.pages.trials.comparing_versions import VersionsCompared, compare_versions
from freeplay_like.server.pages.trials.datasets import page_number
from freeplay_like.server.pages.trials.versions import VersionName, named
from freeplay_like.server.state import State
from freeplay_like.server.store.trials.test_runs import RunInfo
from freeplay_like.server.store.views import Project

AT_ONCE: Final = 4
_OFFERED: Final = 50


@attrs.frozen(kw_only=True)
class NothingCompared:
    """What there is to compare, where less than two things are named."""

    project: Project
    runs: tuple[RunInfo, ...]
    versions: tuple[VersionName, ...]
    chosen: tuple[str, ...]

    kind: str = "nothing"


Compared: TypeAlias = CallsCompared | VersionsCompared | RunsCompared | NothingCompared


def compare_routes(state: State) -> list[BaseRoute]:
    """The page."""
    return [*page("/projects/{project_id}/compare", "trials/compare.html", build_compared, state)]


def build_compared(state: State, request: Request) -> Compared:
    """Things side by side: `call`, `version` or `run`, two to four times.

    Raises:
        PageProblem: there is no such thing, more than four, or things of several kinds.
        RunNotFound: there is no such run.
    """
    project, query = project_of(state, request), request.query_params
    given = {kind: tuple(dict.fromkeys(filter(None, query.getlist(kind)))) for kind in ("call", "version", "run")}
    said = [(kind, ids) for kind, ids in given.items() if ids]
    if len(said) > 1:
        raise PageProblem("This cannot be compared", "Only things of one kind are put side by side.", status=400)
    if not said or len(said[0][1]) < 2:
        runs = state.store.test_runs.page(project, 0, _OFFERED)
        versions = tuple(named(state.store.prompts.summaries(project.id)).values())
        chosen = said[0][1] if said else ()
        return NothingCompared(project=project, runs=runs, versions=versions, chosen=chosen)
    kind, ids = said[0]
    if len(ids) > AT_ONCE:
        raise PageProblem(
            "Too many to compare", f"{len(ids)} are named; {AT_ONCE} have room beside each other.", status=400
        )
    if kind == "call":
        return compare_calls(state, project, ids)
    if kind == "version":
        return compare_versions(state, project, ids)
    lower = tuple(dict.fromkeys(filter(None, query.get("lower", "").split(","))))
    return compare_runs(state, project, ids, _asked(request), lower)


def _asked(request: Request) -> AskedCases:
    query = request.query_params
    show = next((each for each in SHOWS if each == (query.get("show") or "all")), None)
    to = query.get("to") or "1"
    if show is None or to not in ("1", "2", "3"):
        raise PageProblem("This address is damaged", f"show is one of {', '.join(SHOWS)}, to is 1 to 3.", status=400)
    return AskedCases(show=show, to=int(to), score=query.get("score") or None, page=page_number(request))
