"""The room's first page: the queues there are, and how the calls that were reviewed did."""

from __future__ import annotations

import attrs
from starlette.requests import Request

from freeplay_like.core.reviews import Verdict
from freeplay_like.server.auth import require_person
from freeplay_like.server.pages.addresses import PERIODS, agreement_address, calls_address
from freeplay_like.server.pages.calls.listing import Asked, asked_of
from freeplay_like.server.pages.page import project_of
from freeplay_like.server.pages.review.agreement import VersionVerdicts, verdicts_by_version
from freeplay_like.server.pages.review.queues import Queue
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import Filter, all_of, not_, term
from freeplay_like.server.store.records.reviews import REVIEWED, Progress, Reviewer
from freeplay_like.server.store.views import Project, Refused

VERSIONS_LIMIT = 20
"""The most versions whose verdicts are shown."""


@attrs.frozen(kw_only=True)
class QueueLine:
    """A queue in the list of them. `has_begun`: I was here before. `problem`: why its filter cannot be answered."""

    queue: Queue
    progress: Progress | None
    has_begun: bool = False
    problem: str = ""


@attrs.frozen(kw_only=True)
class ReviewContext:
    """Queues, and figures of the calls of a filter. `versions` holds the most reviewed ones."""

    project: Project
    asked: Asked
    reviewer: str
    progress: Progress
    queues: tuple[QueueLine, ...]
    versions: tuple[VersionVerdicts, ...]
    reviewers: tuple[Reviewer, ...]
    is_partial: bool

    @property
    def everything(self) -> Queue:
        """The calls of the filter as a queue."""
        return Queue(project_id=self.project.id, view=None, asked=self.asked, order="oldest")

    @property
    def periods(self) -> dict[str, str]:
        """The time ranges there are."""
        return PERIODS

    @property
    def agreement_address(self) -> str:
        """How reviewers agree on these calls."""
        return agreement_address(self.project.id, parse(self.asked.query), period=self.asked.period)

    def calls_address(self, *further: Filter) -> str:
        """The calls of the filter, those of them for which something further holds."""
        return calls_address(self.project.id, all_of([parse(self.asked.query), *further]), period=self.asked.period)

    def verdict_address(self, verdict: Verdict, line: VersionVerdicts | None = None) -> str:
        """The calls whose last verdict is this; those of one version."""
        is_verdict = term(REVIEWED, "eq", verdict)
        return (
            self.calls_address(is_verdict)
            if line is None
            else self.calls_address(is_verdict, version_filter(line.template, line.version))
        )

    def reviewer_address(self, reviewer: Reviewer) -> str:
        """The calls of the whole project that somebody reviewed."""
        return calls_address(self.project.id, term("reviewed_by", "eq", reviewer.name))


def version_filter(template: str | None, version: str | None) -> Filter:
    """The calls of a version of a template; those without either, where it is None."""
    parts = (("template", template), ("version", version))
    return all_of(term(name, "eq", value) if value is not None else not_(term(name, "exists")) for name, value in parts)


def build_review(state: State, request: Request) -> ReviewContext:
    """The room's first page; `q` and `period` say of which calls its figures are.

    Raises:
        PageProblem: no such project, or a filter that cannot be looked for.
    """
    project, person, asked = project_of(state, request), require_person(request), asked_of(request)
    which = asked.which(state.store.now())
    judged = state.store.reviews.judged(project, which)
    return ReviewContext(
        project=project,
        asked=asked,
        reviewer=person.name,
        progress=state.store.reviews.progress(project, which, person.id),
        queues=_lines(state, project, person.id),
        versions=verdicts_by_version(judged.calls)[:VERSIONS_LIMIT],
        reviewers=state.store.reviews.reviewers(project),
        is_partial=judged.is_partial,
    )


def _lines(state: State, project: Project, person_id: str) -> tuple[QueueLine, ...]:
    lines = []
    for view in state.store.saved_views.all(project):
        asked = Asked(query=view.query, period=view.period)
        queue = Queue(project_id=project.id, view=view, asked=asked, order="oldest")
        try:
            progress = state.store.reviews.progress(project, asked.which(state.store.now()), person_id)
        except Refused as exc:  # a filter from before a change of the grammar: the others are still of use
            lines.append(QueueLine(queue=queue, progress=None, problem=str(exc)))
            continue
        has_begun = state.store.reviews.place(view, person_id) is not None
        lines.append(QueueLine(queue=queue, progress=progress, has_begun=has_begun))
    return tuple(lines)
