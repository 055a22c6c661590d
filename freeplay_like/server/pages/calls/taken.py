"""What a dataset took of the calls that were chosen."""

from __future__ import annotations

import attrs

from freeplay_like.server.pages.addresses import calls_address
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.views import Dataset, Project


@attrs.frozen(kw_only=True)
class SkippedCalls:
    """Calls that are no test cases, and why."""

    message: str
    calls: int


@attrs.frozen(kw_only=True)
class TakenContext:
    """What became of calls in a dataset: `known` were in it already. `problem` is why not all of them were taken."""

    project: Project
    query: str
    period: str | None
    dataset: Dataset
    added: int
    known: int
    skipped: tuple[SkippedCalls, ...]
    problem: str | None

    @property
    def list_address(self) -> str:
        """The list that they were chosen from."""
        return calls_address(self.project.id, parse(self.query), period=self.period)
