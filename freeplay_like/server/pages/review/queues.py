"""Queues: calls to review one after another. A queue is a saved view, or any filter."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.reviews import VERDICTS, Review, Verdict, reviews_among
from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import calls_address, queue_address
from freeplay_like.server.pages.call.conversation import Answer, Prompt, answer_of, prompt_of
from freeplay_like.server.pages.calls.listing import Asked, asked_of
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.review.cases import datasets_of
from freeplay_like.server.pages.review.saying import keep_place, said_address
from freeplay_like.server.pages.review.verdict import ReviewView, review_of
from freeplay_like.server.state import State
from freeplay_like.server.store.accounts.saved_views import SavedView
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import Filter, all_of, any_of, not_, term
from freeplay_like.server.store.records.reviews import REVIEWED, Holding, Neighbours, Order, Progress
from freeplay_like.server.store.views import Dataset, Project, StoredCall

ORDERS: Final[tuple[Order, ...]] = ("oldest", "newest")
_HAS_VERDICT: Final = any_of([term(REVIEWED, "eq", verdict) for verdict in VERDICTS])


@attrs.frozen(kw_only=True)
class Queue:
    """Which calls, in which order: those of a saved view, or of the filter in the address."""

    project_id: str
    view: SavedView | None
    asked: Asked
    order: Order

    @property
    def name(self) -> str:
        """What people call it."""
        return self.view.name if self.view is not None else self.asked.query or "All calls"

    @property
    def view_id(self) -> str:
        """The id of the saved view, "" where it is none."""
        return "" if self.view is None else self.view.id

    def address(self, *, at: str | None = None, after: str | None = None, said: str | None = None) -> str:
        """A page of this queue; see `queue_address`."""
        order = None if self.order == "oldest" else self.order
        if self.view is not None:
            return queue_address(self.project_id, self.view.id, order=order, at=at, after=after, said=said)
        which, period = parse(self.asked.query), self.asked.period
        return queue_address(self.project_id, which=which, period=period, order=order, at=at, after=after, said=said)

    def ordered(self, order: Order) -> Queue:
        """The same queue in another order."""
        return attrs.evolve(self, order=order)

    def list_address(self, *further: Filter) -> str:
        """The calls of this queue in the list, those of them for which something further holds."""
        return calls_address(self.project_id, all_of([parse(self.asked.query), *further]), period=self.asked.period)

    @property
    def reviewed_address(self) -> str:
        """Those that have a verdict."""
        return self.list_address(_HAS_VERDICT)

    def reviewed_by_address(self, reviewer: str) -> str:
        """Those that somebody, by name, gave a verdict on."""
        return self.list_address(term("reviewed_by", "eq", reviewer))


@attrs.frozen(kw_only=True)
class JustSaid:
    """The call that was judged before this one, and how."""

    record_id: str
    question: str
    verdict: Verdict


@attrs.frozen(kw_only=True)
class QueueContext:
    """One call of a queue, and what was said of it; None where none is left. `holding`: the datasets that have it."""

    project: Project
    queue: Queue
    reviewer: str
    progress: Progress
    call: StoredCall | None
    review: ReviewView | None
    neighbours: Neighbours
    said: JustSaid | None
    datasets: tuple[Dataset, ...]
    holding: tuple[Holding, ...]

    @property
    def prompt(self) -> Prompt:
        """The messages that were sent."""
        return Prompt() if self.call is None else prompt_of(self.call.record)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What came back."""
        return () if self.call is None else tuple(answer_of(each, is_whole=False) for each in self.call.record.choices)

    @property
    def left(self) -> int:
        """How many calls wait for my verdict."""
        return self.progress.calls - self.progress.mine

    @property
    def mine_address(self) -> str:
        """The calls of the queue that I judged."""
        return self.queue.reviewed_by_address(self.reviewer)

    @property
    def left_address(self) -> str:
        """Those that wait for me."""
        return self.queue.list_address(not_(term("reviewed_by", "eq", self.reviewer)))

    def address_of(self, verdict: Verdict) -> str:
        """Those of which I said that."""
        return self.queue.list_address(term(f"{verdict}_by", "eq", self.reviewer))


def build_queue(state: State, request: Request) -> QueueContext:
    """One call of a queue: `at` names it, else it is the next that I did not judge, beyond `after` where that is given.

    Raises:
        PageProblem: no such project or call, or a place that is none.
        ViewNotFound: no such saved view.
    """
    project, person = project_of(state, request), require_person(request)
    queue = queue_of(state, project, request)
    which = queue.asked.which(state.store.now())
    call = _call(state, project, queue, which, request)
    return QueueContext(
        project=project,
        queue=queue,
        reviewer=person.name,
        progress=state.store.reviews.progress(project, which, person.id),
        call=call,
        review=None if call is None else review_of(call, person.id, state.store.reviews.score_names(project)),
        neighbours=Neighbours(before=None, after=None)
        if call is None
        else state.store.reviews.neighbours(project, which, queue.order, call.row.seq),
        said=_just_said(state, project, person.id, request.query_params.get("said")),
        datasets=datasets_of(state, project),
        holding=() if call is None else state.store.reviews.holding(project, call.row.record_id),
    )


def queue_of(state: State, project: Project, request: Request) -> Queue:
    """The queue that an address names.

    Raises:
        PageProblem: an order or a filter that is none.
        ViewNotFound: no such saved view.
    """
    said = request.query_params.get("order", "oldest")
    order = next((known for known in ORDERS if known == said), None)
    if order is None:
        raise PageProblem(
            "This address is damaged", f"order={said[:100]!r} is none of {', '.join(ORDERS)}.", status=400
        )
    view_id = request.path_params.get("view_id")
    if view_id is None:
        return Queue(project_id=project.id, view=None, asked=asked_of(request), order=order)
    view = state.store.saved_views.get(project, view_id)
    return Queue(project_id=project.id, view=view, asked=Asked(query=view.query, period=view.period), order=order)


def _call(state: State, project: Project, queue: Queue, which: Filter, request: Request) -> StoredCall | None:
    asked, person = request.query_params, require_person(request)
    reviews = state.store.reviews
    if at := asked.get("at"):
        call = state.store.calls.get(project.id, at)
        if call is None:
            raise PageProblem("No such call", f"Project {project.name!r} has no call {at[:100]!r}.")
        return call
    if after := asked.get("after"):
        row = reviews.next_call(project, which, person.id, queue.order, _number(after))
    else:
        place = None if queue.view is None else reviews.place(queue.view, person.id)
        row = None if place is None else reviews.next_call(project, which, person.id, queue.order, place)
        row = row or reviews.next_call(project, which, person.id, queue.order)  # from the start: what was skipped
    return None if row is None else state.store.calls.get(project.id, row.record_id)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise PageProblem("This address is damaged", f"after={text[:100]!r} is not the number of a call.", status=400)
    return int(text)


def _just_said(state: State, project: Project, person_id: str, record_id: str | None) -> JustSaid | None:
    call = state.store.calls.get(project.id, record_id) if record_id else None
    mine = None if call is None else _of(person_id, reviews_among(call.amendments))
    if call is None or mine is None or mine.verdict is None:
        return None
    return JustSaid(record_id=call.row.record_id, question=call.row.first_user, verdict=mine.verdict)


def _of(person_id: str, reviews: tuple[Review, ...]) -> Review | None:
    return next((review for review in reviews if review.reviewer_id == person_id), None)


def skip(sent: Sent) -> Response:
    """Be done with a call without a verdict: the queue goes on behind it, in every browser.

    Raises:
        PageProblem, ViewNotFound: there is no such project or view.
    """
    project = project_of(sent.state, sent.request)
    seq = sent.form.number("seq", "the number of the call", lowest=0, highest=10**18 - 1)
    if seq is not None:
        keep_place(sent, project, seq)
    return then(said_address(sent.form, "next", project, queue_address(project.id)))
