"""The form that asks many calls again, and the list of what was asked again."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.server.pages.addresses import (
    calls_address,
    dataset_address,
    replay_result_address,
    replays_address,
)
from freeplay_like.server.pages.calls.listing import Asked, asked_of
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.replay.options import Options, options_of, require_way, version_place
from freeplay_like.server.pages.replay.reading import json_object
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import Filter, all_of, not_, term, terms_of
from freeplay_like.server.store.trials.replay_views import Change, ItemDraft, Replay, ReplayDraft, ReplaySpec
from freeplay_like.server.store.views import CallRow, Dataset, Project, Refused

USUAL: Final = 50
"""How many calls are asked again unless somebody says so."""
MOST: Final = 1_000
ROWS_A_PAGE: Final = 50
_CASES_A_PAGE: Final = 200


@attrs.frozen(kw_only=True)
class Chosen:
    """The calls that are to be asked again, newest first, at most `MOST`, and how they were chosen.

    `has_more`: there are more than these. `without_call` counts the cases of a dataset that no call stands behind.
    """

    asked: Asked
    call_ids: tuple[str, ...] = ()
    dataset: Dataset | None = None
    rows: tuple[CallRow, ...] = ()
    has_more: bool = False
    without_call: int = 0


@attrs.frozen(kw_only=True)
class ManyContext:
    """Calls that are to be asked again. `counted` are so many of them as are asked unless somebody says otherwise."""

    project: Project
    chosen: Chosen
    options: Options

    @property
    def counted(self) -> tuple[CallRow, ...]:
        """The calls that an estimate is made from."""
        return self.chosen.rows[:USUAL]

    @property
    def priced(self) -> tuple[CallRow, ...]:
        """Those of them whose cost is known."""
        return tuple(row for row in self.counted if row.cost_nano_usd is not None)

    @property
    def cost_nano_usd(self) -> int:
        """What they cost."""
        return sum(row.cost_nano_usd or 0 for row in self.priced)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that they asked, the first ones."""
        return tuple(dict.fromkeys(row.requested_model or row.model or "unknown" for row in self.counted))[:5]

    @property
    def usual(self) -> int:
        """How many are asked unless somebody says otherwise."""
        return min(USUAL, len(self.chosen.rows))

    @property
    def most(self) -> int:
        """How many can be asked."""
        return len(self.chosen.rows)

    @property
    def source(self) -> tuple[str, str] | None:
        """What the calls were chosen by: words and an address."""
        chosen = self.chosen
        if chosen.dataset is not None:
            return f"dataset {chosen.dataset.name}", dataset_address(self.project.id, chosen.dataset.id)
        if chosen.call_ids:
            return None
        words = " ".join(part for part in (chosen.asked.query, chosen.asked.period) if part) or "all calls"
        return words, calls_address(self.project.id, parse(chosen.asked.query), period=chosen.asked.period)


@attrs.frozen(kw_only=True)
class ReplaysContext:
    """The replays of a project, newest first, from a place on."""

    project: Project
    replays: tuple[Replay, ...]
    offset: int
    has_more: bool

    @property
    def newer_address(self) -> str | None:
        """The page before, None on the first."""
        if not self.offset:
            return None
        return replays_address(self.project.id, offset=max(0, self.offset - ROWS_A_PAGE))

    @property
    def older_address(self) -> str | None:
        """The page behind, None on the last."""
        return replays_address(self.project.id, offset=self.offset + ROWS_A_PAGE) if self.has_more else None


def build_many(state: State, request: Request) -> ManyContext:
    """The form for calls that the address names: `q` and `period`, `call` (several), or `dataset`.

    Raises:
        PageProblem: no such project, or a filter that cannot be looked for.
        DatasetNotFound: no such dataset.
    """
    project = project_of(state, request)
    chosen = _chosen(state, project, request)
    own = next((row.flavor for row in chosen.rows), "")
    return ManyContext(project=project, chosen=chosen, options=options_of(state, project, own=own))


def build_replays(state: State, request: Request) -> ReplaysContext:
    """The list of replays."""
    project = project_of(state, request)
    offset = offset_of(request)
    found = state.store.replays.page(project, offset, ROWS_A_PAGE + 1)
    return ReplaysContext(
        project=project, replays=found[:ROWS_A_PAGE], offset=offset, has_more=len(found) > ROWS_A_PAGE
    )


def begin_many(sent: Sent) -> Response:
    """Ask many calls again, as the form says.

    Raises:
        PageProblem, Refused, NobodyToAsk, StoreUnavailable: it was not begun.
    """
    state, form = sent.state, sent.form
    project = project_of(state, sent.request)
    chosen = _chosen(state, project, sent.request)
    limit = form.number("limit", "how many calls", lowest=1, highest=MOST) or USUAL
    rows = chosen.rows[:limit]
    if not rows:
        raise Refused("there is no call to ask again")
    change = Change(
        flavor=form.get("flavor") or None,
        model=form.get("model") or None,
        version=version_place(state, project, form.get("version")),
        parameters=json_object(form.raw("parameters"), "Parameters"),
    )
    for flavor in sorted({change.flavor or row.flavor for row in rows}):
        require_way(state, project, flavor)
    spec = ReplaySpec(
        changes=(change,),
        query=chosen.asked.query,
        period=chosen.asked.period,
        dataset_id=None if chosen.dataset is None else chosen.dataset.id,
    )
    items = tuple(ItemDraft(source_id=row.record_id) for row in rows)
    replay_id = state.store.replays.start(project, ReplayDraft(spec=spec, items=items, is_bulk=True), sent.person.id)
    state.work.set()
    return then(replay_result_address(project.id, replay_id))


def offset_of(request: Request) -> int:
    """The place that an address begins at.

    Raises:
        PageProblem: it is no place.
    """
    text = request.query_params.get("offset", "") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise PageProblem("This address is damaged", f"offset={text[:50]!r} is no place in a list.", status=400)
    return int(text)


def _chosen(state: State, project: Project, request: Request) -> Chosen:
    store, query = state.store, request.query_params
    asked, call_ids, dataset_id = asked_of(request), query.getlist("call"), query.get("dataset", "")
    if dataset_id:
        dataset = store.datasets.get(project, dataset_id)
        sources = _sources(state, project, dataset)
        ids = [source for source in sources if source is not None]
        rows = store.replays.sources(project, ids[:MOST])
        return Chosen(
            asked=asked,
            dataset=dataset,
            rows=rows,
            has_more=len(ids) > MOST,
            without_call=len(sources) - len(ids),
        )
    if call_ids:
        rows = store.replays.sources(project, call_ids[:MOST])
        return Chosen(asked=asked, call_ids=tuple(call_ids[:MOST]), rows=rows, has_more=len(call_ids) > MOST)
    page = store.calls.page(project.id, _originals(asked.which(store.now())), limit=MOST, is_choice=True)
    return Chosen(asked=asked, rows=page.rows, has_more=page.older is not None)


def _originals(which: Filter) -> Filter:
    """The calls of a filter without replays, unless it speaks of them: what they asked again is there itself."""
    if any(each.field in ("is_replay", "replay_of") for each in terms_of(which)):
        return which
    return all_of([which, not_(term("is_replay", "eq", "true"))])


def _sources(state: State, project: Project, dataset: Dataset) -> list[str | None]:
    """The calls that the cases of a dataset were made from, in its order."""
    found: list[str | None] = []
    while len(found) <= MOST:
        cases = state.store.test_cases.page(project, dataset.id, len(found), _CASES_A_PAGE)
        found += [case.source_record_id for case in cases]
        if len(cases) < _CASES_A_PAGE:
            break
    return found
