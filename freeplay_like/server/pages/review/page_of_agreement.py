"""The page on which two reviewers are compared."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.requests import Request

from freeplay_like.core.reviews import Review, Verdict
from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import PERIODS, calls_address
from freeplay_like.server.pages.calls.listing import Asked, asked_of
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.review.agreement import (
    Agreement,
    VersionAgreement,
    agreement_by_version,
    agreement_of,
)
from freeplay_like.server.pages.review.overview import version_filter
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import Filter, all_of, any_of, term
from freeplay_like.server.store.records.reviews import Judged, Reviewer
from freeplay_like.server.store.views import CallRow, Project

DISAGREEMENTS_LIMIT: Final = 50
"""The most calls that the page shows with both notes; the others are behind a link."""
VERSIONS_LIMIT: Final = 50
"""The most versions that are compared."""


@attrs.frozen(kw_only=True)
class Disagreement:
    """A call on which the two do not agree, and what each says."""

    row: CallRow
    first: Review
    second: Review


@attrs.frozen(kw_only=True)
class AgreementContext:
    """Two reviewers compared. `first` and `second` are None where fewer than two people gave verdicts.

    `is_partial`: only the newest of very many reviewed calls are compared.
    """

    project: Project
    asked: Asked
    reviewers: tuple[Reviewer, ...]
    first: Reviewer | None
    second: Reviewer | None
    agreement: Agreement
    versions: tuple[VersionAgreement, ...]
    disagreements: tuple[Disagreement, ...]
    is_partial: bool

    def cell_address(self, first: Verdict | None, second: Verdict | None, line: VersionAgreement | None = None) -> str:
        """The calls of which the first said that, and the second that; None for whatever they said."""
        further = [] if line is None else [version_filter(line.template, line.version)]
        return self._calls(_said(self.first, first), _said(self.second, second), *further)

    @property
    def periods(self) -> dict[str, str]:
        """The time ranges there are."""
        return PERIODS

    @property
    def agreed_address(self) -> str:
        """The calls on which they agree."""
        return self._calls(any_of([self._both("good", "good"), self._both("bad", "bad")]))

    @property
    def disagreed_address(self) -> str:
        """The calls on which they do not."""
        return self._calls(any_of([self._both("good", "bad"), self._both("bad", "good")]))

    def _both(self, first: Verdict, second: Verdict) -> Filter:
        return all_of([_said(self.first, first), _said(self.second, second)])

    def _calls(self, *further: Filter) -> str:
        return calls_address(self.project.id, all_of([parse(self.asked.query), *further]), period=self.asked.period)


def _said(reviewer: Reviewer | None, verdict: Verdict | None) -> Filter:
    name = "" if reviewer is None else reviewer.name
    return term("reviewed_by" if verdict is None else f"{verdict}_by", "eq", name)


def build_agreement(state: State, request: Request) -> AgreementContext:
    """Two reviewers, `a` and `b`, compared on the calls of `q` and `period` that both judged.

    Raises:
        PageProblem: no such project, a filter that cannot be looked for, or somebody who judged nothing.
    """
    project, asked = project_of(state, request), asked_of(request)
    reviewers = state.store.reviews.reviewers(project)
    first, second = _chosen(reviewers, request)
    judged = state.store.reviews.judged(project, asked.which(state.store.now()))
    ids = (first.id, second.id) if first is not None and second is not None else ("", "")
    calls = [call for call in judged.calls if all(who in call.verdicts for who in ids)]
    return AgreementContext(
        project=project,
        asked=asked,
        reviewers=reviewers,
        first=first,
        second=second,
        agreement=agreement_of(calls, *ids),
        versions=agreement_by_version(calls, *ids)[:VERSIONS_LIMIT],
        disagreements=_disagreements(state, project, calls, *ids),
        is_partial=judged.is_partial,
    )


def _chosen(reviewers: tuple[Reviewer, ...], request: Request) -> tuple[Reviewer | None, Reviewer | None]:
    """The two whom the address names; else who looks at it and the busiest other one."""
    if len(reviewers) < 2:
        return None, None
    known = {reviewer.id: reviewer for reviewer in reviewers}
    mine = known.get(require_person(request).id, reviewers[0])
    first = _named(known, request.query_params.get("a")) or mine
    other = next(reviewer for reviewer in reviewers if reviewer != first)
    return first, _named(known, request.query_params.get("b")) or other


def _named(known: dict[str, Reviewer], person_id: str | None) -> Reviewer | None:
    if not person_id:
        return None
    if person_id not in known:
        raise PageProblem("No such reviewer", f"{person_id[:100]!r} has judged no call of this project.")
    return known[person_id]


def _disagreements(
    state: State, project: Project, calls: list[Judged], first: str, second: str
) -> tuple[Disagreement, ...]:
    apart = [call for call in calls if call.verdicts[first] != call.verdicts[second]][:DISAGREEMENTS_LIMIT]
    rows = state.store.reviews.rows(project, [call.seq for call in apart])
    said = state.store.reviews.of_calls(project, [call.record_id for call in apart])
    found = []
    for row in rows:
        by = {review.reviewer_id: review for review in said.get(row.record_id, ())}
        if first in by and second in by:  # taken back since the verdicts were read
            found.append(Disagreement(row=row, first=by[first], second=by[second]))
    return tuple(found)
