"""What the pages of sessions show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.pages.addresses import PERIODS, session_address, sessions_address
from freeplay_like.server.pages.call.conversation import Answer, Limits, Turn, answer_of, turns_of
from freeplay_like.server.pages.call.marks import Marks
from freeplay_like.server.pages.sessions.reading import Said, new_of
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import Filter
from freeplay_like.server.store.records.conversations import SessionCall, SessionFigures, SessionPage
from freeplay_like.server.store.records.trace_views import Trace
from freeplay_like.server.store.views import CallRow, Project


@attrs.frozen(kw_only=True)
class SessionsContext:
    """A page of the list of sessions, from `offset` on; `query` and `period` say which calls one must hold."""

    project: Project
    query: str
    period: str | None
    offset: int
    sessions: tuple[SessionFigures, ...]
    has_more: bool
    rows_a_page: int

    @property
    def filter(self) -> Filter:
        """What the query says."""
        return parse(self.query)

    @property
    def periods(self) -> Mapping[str, str]:
        """The time ranges that can be asked for."""
        return PERIODS

    @property
    def older_address(self) -> str | None:
        """The next page, None at the end."""
        return self._page(self.offset + self.rows_a_page) if self.has_more else None

    @property
    def newer_address(self) -> str | None:
        """The page before, None on the first."""
        return self._page(max(0, self.offset - self.rows_a_page)) if self.offset else None

    def _page(self, offset: int) -> str:
        return sessions_address(self.project.id, self.filter, period=self.period, offset=offset)


@attrs.frozen(kw_only=True)
class Exchange:
    """One call as a part of a conversation: what it added, and its answer. `number` counts from 1 in the session.

    `cost_so_far_nano_usd` and `tokens_so_far` are sums over the session up to and with this one.
    """

    number: int
    row: CallRow
    turns: tuple[Turn, ...]
    repeated: int
    is_again: bool
    answer: Answer | None
    answers: int
    added: tuple[Turn, ...]
    error: str | None
    cost_so_far_nano_usd: int
    tokens_so_far: int


@attrs.frozen(kw_only=True)
class Stretch:
    """Calls in a row that belong to one trace; `trace_id` is None where they belong to none."""

    trace_id: str | None
    trace: Trace | None
    exchanges: tuple[Exchange, ...]


@attrs.frozen(kw_only=True)
class SessionContext:
    """A session: its figures, which are over all of it, and a page of its calls, oldest first."""

    project: Project
    session_id: str
    figures: SessionFigures
    metadata: JsonObject
    traces: tuple[Trace, ...]
    page: SessionPage
    calls_a_page: int

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """The conversation."""
        return stretches_of(self.page, {trace.trace_id: trace for trace in self.traces})

    @property
    def later_address(self) -> str | None:
        """The next calls, None at the end."""
        if not self.page.has_more:
            return None
        return session_address(self.project.id, self.session_id, self.page.offset + len(self.page.calls))

    @property
    def earlier_address(self) -> str | None:
        """The calls before, None at the beginning."""
        if not self.page.offset:
            return None
        return session_address(self.project.id, self.session_id, max(0, self.page.offset - self.calls_a_page))


@attrs.frozen(kw_only=True)
class SessionDeletionContext:
    """A session that somebody may want to be gone."""

    project: Project
    figures: SessionFigures


def stretches_of(page: SessionPage, traces: Mapping[str, Trace]) -> tuple[Stretch, ...]:
    """The calls of a page, those in a row that belong to one trace together."""
    stretches: list[Stretch] = []
    for exchange, trace_id in zip(_exchanges(page), (call.record.trace_id for call in page.calls), strict=True):
        if stretches and stretches[-1].trace_id == trace_id:
            last = stretches.pop()
            stretches.append(attrs.evolve(last, exchanges=(*last.exchanges, exchange)))
        else:
            trace = traces.get(trace_id or "")
            stretches.append(Stretch(trace_id=trace_id, trace=trace, exchanges=(exchange,)))
    return tuple(stretches)


def _exchanges(page: SessionPage) -> Sequence[Exchange]:
    said = Said()
    if page.before is not None:
        new_of(said, page.before)
    cost, tokens = page.cost_before_nano_usd, page.tokens_before
    exchanges = []
    for number, call in enumerate(page.calls, page.offset + 1):
        cost += call.row.cost_nano_usd or 0
        tokens += (call.row.input_tokens or 0) + (call.row.output_tokens or 0)
        exchanges.append(_exchange(call, said, number, cost, tokens))
    return exchanges


def _exchange(call: SessionCall, said: Said, number: int, cost_so_far: int, tokens_so_far: int) -> Exchange:
    record = call.record
    new = new_of(said, call)
    limits = Limits.for_page(record, is_whole=False)
    added = [message for amendment in call.amendments for message in amendment.new_messages]
    return Exchange(
        number=number,
        row=call.row,
        turns=tuple(turn for _, turn in turns_of(new.messages, Marks(), limits)),
        repeated=new.repeated,
        is_again=new.is_again,
        answer=answer_of(record.choices[0], added=added, is_whole=False) if record.choices else None,
        answers=len(record.choices),
        added=tuple(turn for _, turn in turns_of(added, Marks(), limits)),
        error=record.error.message if record.error else None,
        cost_so_far_nano_usd=cost_so_far,
        tokens_so_far=tokens_so_far,
    )
