"""The calls of a project in numbers: charts, counts by field, sums and quantiles."""

from __future__ import annotations

from collections.abc import Sequence

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.derived.charts import Chart, ChartAsk, draw
from freeplay_like.server.store.derived.counting import Facets, Summary, count_facets, summarise
from freeplay_like.server.store.derived.filters import Filter
from freeplay_like.server.store.derived.timeline import NOTHING, Timeline, timeline


class Statistics(Part):
    """Questions about many calls at once. Each is answered exactly, or says that it is not."""

    def chart(self, project_id: str, ask: ChartAsk) -> Chart:
        """Calls over time."""
        nothing = Chart(span=ask.span, series=(), is_partial=False)
        return self._access.ask_list_of(project_id, draw, nothing, ask)

    def facets(
        self, project_id: str, filter: Filter, names: Sequence[str], limit: int = 30, open_limit: int = 0
    ) -> Facets:
        """The values of some fields among the calls of a filter, the most common first.

        `open_limit`: so many of the open fields (metadata and scores) that most calls have are counted too.
        """
        nothing = Facets(calls=0, fields={name: () for name in names}, open_fields=(), is_partial=False)
        return self._access.ask_list_of(project_id, count_facets, nothing, filter, names, limit, open_limit)

    def timeline(self, project_id: str, filter: Filter) -> Timeline:
        """The calls of a filter over their time, in a few dozen bars."""
        return self._access.ask_list_of(project_id, timeline, NOTHING, filter, self._access.clock.now())

    def summary(self, project_id: str, filter: Filter) -> Summary:
        """How many calls a filter finds, and how their numbers are spread."""
        nothing = Summary(calls=0, errors=0, numbers={}, is_partial=False)
        return self._access.ask_list_of(project_id, summarise, nothing, filter)
