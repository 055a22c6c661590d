"""What the list of calls shows."""

from __future__ import annotations

import attrs

from freeplay_like.core.records import Feedback
from freeplay_like.core.reviews import Review
from freeplay_like.server.pages.addresses import PERIODS, calls_address, figures_address, tail_address
from freeplay_like.server.pages.calls.figures import Figures
from freeplay_like.server.pages.calls.histogram import Drawn, drawn
from freeplay_like.server.pages.calls.narrowing import Choice, range_of, toggled, with_range, with_time
from freeplay_like.server.store.accounts.saved_views import SavedView
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import EVERYTHING, FIELDS, Field, Filter
from freeplay_like.server.store.derived.timeline import Bar
from freeplay_like.server.store.views import CallPage, CallRow, Dataset, Project


@attrs.frozen(kw_only=True)
class Marks:
    """What was said of a call: a user's last thumb, and the reviews that stand."""

    feedback: Feedback | None
    reviews: tuple[Review, ...]


@attrs.frozen(kw_only=True)
class RowsContext:
    """Rows to put on top of a list, newest first, and the calls that run now."""

    project: Project
    rows: tuple[CallRow, ...]
    marks: dict[str, Marks]
    running: tuple[str, ...]


@attrs.frozen(kw_only=True)
class _Narrowed:
    """A list that a query and a time range narrow, and the addresses of lists that are narrowed differently."""

    project: Project
    query: str
    period: str | None

    @property
    def filter(self) -> Filter:
        """What the query says."""
        return parse(self.query)

    @property
    def periods(self) -> dict[str, str]:
        """The time ranges that can be chosen."""
        return PERIODS

    @property
    def fields(self) -> tuple[Field, ...]:
        """What calls can be found by."""
        return tuple(FIELDS.values())

    def of_view(self, view: SavedView) -> str:
        """The list of a saved view."""
        return calls_address(self.project.id, parse(view.query), period=view.period)

    @property
    def is_filtered(self) -> bool:
        """True where some filter is set."""
        return bool(self.query or self.period)

    @property
    def address(self) -> str:
        """The first page with this filter."""
        return self.to(self.filter)

    def to(self, which: Filter) -> str:
        """The list of another filter, in the same time range."""
        return calls_address(self.project.id, which, period=self.period)

    def toggled(self, field: str, value: str, choice: Choice) -> str:
        """The list with one more value chosen or ruled out, or without it where it was."""
        return self.to(toggled(self.filter, field, value, choice))

    def ranged(self, name: str, lowest: str, highest: str = "") -> str:
        """The list of calls whose number is in this range; "" leaves an end open."""
        return self.to(with_range(self.filter, name, lowest, highest))

    def slower(self, name: str, ms: float) -> str:
        """The list of calls that took at least so long."""
        return self.ranged(name, f"{ms:.10g}ms")

    def range_of(self, name: str) -> tuple[str, str]:
        """The range of a number that the query speaks of, as it is typed."""
        return range_of(self.filter, name)

    def at(self, bar: Bar) -> str:
        """The list of the calls of one bar; it takes the place of any other time range."""
        return calls_address(self.project.id, with_time(self.filter, bar.starts_at, bar.ends_at))

    @property
    def figures_address(self) -> str:
        """Where the counts and sums of this list come from."""
        return figures_address(self.project.id, self.filter, self.period)


@attrs.frozen(kw_only=True)
class CallsContext(_Narrowed):
    """A page of the list of calls.

    `marks` are by record id. `figures` is None where they come later, on their own. `seen_seq` is the record
    from which the live tail goes on: none can appear any more before it, unless on an older page. `is_first_page` is
    False where the page was reached by a cursor; such a page does not move. `peek` is the call that is open beside the
    list.
    """

    page: CallPage
    marks: dict[str, Marks]
    views: tuple[SavedView, ...]
    figures: Figures | None
    running: tuple[str, ...]
    seen_seq: int
    is_first_page: bool
    peek: str | None
    datasets: tuple[Dataset, ...]
    base_url: str

    @property
    def problem(self) -> None:
        """Nothing is wrong with the query."""

    @property
    def is_new(self) -> bool:
        """True where the project has no calls at all."""
        return self.seen_seq == 0 and not self.page.rows

    @property
    def rows(self) -> tuple[CallRow, ...]:
        """The calls of this page."""
        return self.page.rows

    @property
    def bars(self) -> tuple[Drawn, ...]:
        """The calls over their time, as they are drawn."""
        return () if self.figures is None else drawn(self.figures.timeline)

    @property
    def older_address(self) -> str | None:
        """The next older page, None at the end."""
        if not self.page.older:
            return None
        return calls_address(self.project.id, self.filter, period=self.period, before=self.page.older)

    @property
    def newer_address(self) -> str | None:
        """The next newer page, None on the first."""
        if self.is_first_page or not self.page.newer:
            return None
        return calls_address(self.project.id, self.filter, period=self.period, after=self.page.newer)

    @property
    def tail_address(self) -> str:
        """Where new rows come from."""
        shown = [row.seq for row in self.rows if row.seq > self.seen_seq]
        return tail_address(
            self.project.id, self.filter, self.period, self.seen_seq, shown=shown, is_running=bool(self.running)
        )


@attrs.frozen(kw_only=True)
class FiguresContext(_Narrowed):
    """The counts and sums of a list, without its rows."""

    figures: Figures

    @property
    def bars(self) -> tuple[Drawn, ...]:
        """The calls over their time, as they are drawn."""
        return drawn(self.figures.timeline)


@attrs.frozen(kw_only=True)
class WrongContext(_Narrowed):
    """A query that cannot be looked for, and what is wrong with it."""

    problem: str
    views: tuple[SavedView, ...]

    @property
    def filter(self) -> Filter:
        """Every call: the query says nothing that can be kept."""
        return EVERYTHING
