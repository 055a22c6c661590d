"""What can be done with calls that were chosen from the list: those with a mark, or all that the filter finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, TypeAlias, get_args

import attrs
from starlette.responses import HTMLResponse, Response, StreamingResponse

from freeplay_like.server.exports import FileFormat, file_of, writer_for
from freeplay_like.server.pages.addresses import compare_address, queue_address, replay_address, replays_address
from freeplay_like.server.pages.calls.listing import Asked, checked_period
from freeplay_like.server.pages.calls.taken import SkippedCalls, TakenContext
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import project_of, render
from freeplay_like.server.store.derived.filters import TERMS_LIMIT, Filter, any_of, term
from freeplay_like.server.store.trials.test_cases import CASES_LIMIT, DatasetFull
from freeplay_like.server.store.views import Dataset, DatasetDraft, Project, Refused

Deed: TypeAlias = Literal["dataset", "jsonl", "csv", "compare", "replay", "review"]

MOST_COMPARED: Final = 4
_SLICE: Final = 200
_PAGE: Final = 1_000


@attrs.frozen(kw_only=True)
class _Chosen:
    """The calls that somebody chose: those of these ids, as the list has them, or all of a filter where `is_all`."""

    sent: Sent
    project: Project
    ids: tuple[str, ...]
    asked: Asked
    is_all: bool

    @property
    def which(self) -> Filter:
        """As a filter, at this moment."""
        if self.is_all:
            return self.asked.which(self.sent.state.store.now())
        return any_of(term("record", "eq", each) for each in self.ids)

    def few(self, what: str) -> tuple[str, ...]:
        """The ids, where there are as few as fit into an address.

        Raises:
            Refused: there are too many marks.
        """
        if len(self.ids) > TERMS_LIMIT:
            raise Refused(f"{len(self.ids)} calls have a mark; {what} up to {TERMS_LIMIT}, or all that match")
        return self.ids


def take(sent: Sent) -> Response:
    """Do something (`do`) with the calls `id`, or with all that `q` and `period` find where `all` is checked."""
    chosen = _Chosen(
        sent=sent,
        project=project_of(sent.state, sent.request),
        ids=tuple(dict.fromkeys(sent.form.all("id"))),
        asked=Asked(query=sent.form.get("q"), period=checked_period(sent.form.get("period"))),
        is_all=sent.form.has("all"),
    )
    if not chosen.ids and not chosen.is_all:
        raise Refused("no call has a mark: put one into the boxes at the beginning of the rows, and try again")
    return _DEEDS[_deed(sent.form.one_of("do", "what to do", get_args(Deed)))](chosen)


def _deed(said: str) -> Deed:
    return next(deed for deed in _DEEDS if deed == said)


def _compare(chosen: _Chosen) -> Response:
    if chosen.is_all or not 2 <= len(chosen.ids) <= MOST_COMPARED:
        raise Refused(f"2 to {MOST_COMPARED} calls can be compared: give so many a mark")
    return then(compare_address(chosen.project.id, "call", *chosen.ids))


def _replay(chosen: _Chosen) -> Response:
    if chosen.is_all:
        return then(replays_address(chosen.project.id, chosen.asked.filter, period=chosen.asked.period))
    if len(chosen.ids) == 1:
        return then(replay_address(chosen.project.id, chosen.ids[0]))
    return then(replays_address(chosen.project.id, calls=chosen.few("replay")))


def _review(chosen: _Chosen) -> Response:
    if chosen.is_all:
        return then(queue_address(chosen.project.id, which=chosen.asked.filter, period=chosen.asked.period))
    few = any_of(term("record", "eq", each) for each in chosen.few("review"))
    return then(queue_address(chosen.project.id, which=few))


def _export(format: FileFormat) -> Callable[[_Chosen], Response]:
    def deed(chosen: _Chosen) -> Response:
        store, writer = chosen.sent.state.store, writer_for(format)
        return StreamingResponse(
            file_of(writer, store.exports.calls(chosen.project, chosen.which)),
            media_type=writer.media_type,
            headers={
                "Content-Disposition": f'attachment; filename="calls-{store.now():%Y-%m-%d}.{format}"',
                "Cache-Control": "no-store",
            },
        )

    return deed


# --- into a dataset ---------------------------------------------------------------------------------------


def _to_dataset(chosen: _Chosen) -> Response:
    store = chosen.sent.state.store
    ids = tuple(_all_ids(chosen)) if chosen.is_all else chosen.ids[::-1]
    if len(ids) > CASES_LIMIT:
        said = f"more than {CASES_LIMIT:,} calls match, and a dataset holds no more: narrow the list first"
        raise Refused(said)
    into = _dataset(chosen)
    taken, skipped, problem = 0, Counter[str](), None
    try:
        for some in _slices(ids):
            found = store.test_cases.add_from_calls(chosen.project, into.id, some)
            taken += len(found.case_ids)
            skipped.update(each.message for each in found.skipped)
    except DatasetFull as exc:
        problem = f"{exc}."
    filled = store.datasets.get(chosen.project, into.id)
    context = TakenContext(
        project=chosen.project,
        query=chosen.asked.query,
        period=chosen.asked.period,
        dataset=filled,
        added=filled.cases - into.cases,
        known=taken - (filled.cases - into.cases),
        skipped=tuple(SkippedCalls(message=message, calls=calls) for message, calls in skipped.most_common()),
        problem=problem,
    )
    html = render("calls/taken.html", context, person=chosen.sent.person, warning=store.disk.problem)
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})


def _dataset(chosen: _Chosen) -> Dataset:
    """The dataset that was chosen, or the new one that was named."""
    datasets, form = chosen.sent.state.store.datasets, chosen.sent.form
    name = form.get("name")
    if name:
        return datasets.create(chosen.project, DatasetDraft(name=name))
    return datasets.get(chosen.project, form.require("dataset", "the dataset, or the name of a new one,"))


def _all_ids(chosen: _Chosen) -> Iterator[str]:
    """The ids of the calls that match, oldest first; more than a dataset holds, where there are so many."""
    calls, which = chosen.sent.state.store.calls, chosen.which
    cursor: str | None = "0"
    count = 0
    while cursor is not None and count <= CASES_LIMIT:
        page = calls.page(chosen.project.id, which, after=cursor, limit=_PAGE, is_choice=True)
        yield from (row.record_id for row in reversed(page.rows))
        cursor, count = page.newer, count + len(page.rows)


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(ids), _SLICE):
        yield ids[begin : begin + _SLICE]


_DEEDS: Final[dict[Deed, Callable[[_Chosen], Response]]] = {
    "dataset": _to_dataset,
    "jsonl": _export("jsonl"),
    "csv": _export("csv"),
    "compare": _compare,
    "replay": _replay,
    "review": _review,
}
