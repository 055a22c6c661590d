"""Reviews: what people said of calls in the pages, who agrees with whom, and how far a queue is done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Literal, TypeAlias

import attrs
import sqlalchemy as sa

from freeplay_like.core.bitmaps import BLOCK, mask_of
from freeplay_like.core.records import Amendment
from freeplay_like.core.reviews import VERDICT_SCORE, VERDICTS, Review, Verdict, reviews_among
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.accounts.saved_views import SavedView
from freeplay_like.server.store.accounts.view_tables import review_place
from freeplay_like.server.store.bodies import raw
from freeplay_like.server.store.derived.counting import count_facets, most_common
from freeplay_like.server.store.derived.facet_index import chunks
from freeplay_like.server.store.derived.facets import HAS
from freeplay_like.server.store.derived.filters import SCORE, Filter, all_of, term
from freeplay_like.server.store.derived.lists import find_calls, read_rows
from freeplay_like.server.store.derived.matching import Matcher
from freeplay_like.server.store.derived.verdicts import verdicts
from freeplay_like.server.store.records import amendments
from freeplay_like.server.store.records.tables import amendment, record, score
from freeplay_like.server.store.tables import person, to_micros
from freeplay_like.server.store.trials.tables import dataset, test_case
from freeplay_like.server.store.views import CallRow, NotFound, Project

Order: TypeAlias = Literal["oldest", "newest"]
"""Which calls of a queue come first."""

REVIEWED: Final = SCORE + VERDICT_SCORE
"""The field that verdicts are looked for by."""
SCORE_NAMES_LIMIT: Final = 12
"""The most names of scores that a form offers."""
_VERDICTS: Final[dict[str, Verdict]] = {to_wire(verdict).decode(): verdict for verdict in VERDICTS}
VERDICTS_LIMIT: Final = 20_000
"""The most reviewed calls that are compared at once: the newest."""


@attrs.frozen(kw_only=True)
class Reviewer:
    """Somebody who gave verdicts in a project; `calls` counts the calls they stand on."""

    id: str
    name: str
    calls: int


@attrs.frozen(kw_only=True)
class Judged:
    """A call and the verdicts that stand on it, by the id of the reviewer; `last` is the last, whoever gave it."""

    seq: int
    record_id: str
    template_name: str | None
    template_version: str | None
    verdicts: dict[str, Verdict]
    last: Verdict | None


@attrs.frozen(kw_only=True)
class JudgedCalls:
    """The calls of a filter that were reviewed, the newest first. `is_partial`: there are more than were looked at."""

    calls: tuple[Judged, ...]
    is_partial: bool


@attrs.frozen(kw_only=True)
class Progress:
    """How far the calls of a filter are reviewed: `good` and `bad` count last verdicts, `mine` those with one of mine.

    `is_partial`: looking took too long; the counts are at least these.
    """

    calls: int
    good: int
    bad: int
    mine: int
    is_partial: bool

    @property
    def reviewed(self) -> int:
        """How many have a verdict, whoever gave it."""
        return self.good + self.bad


@attrs.frozen(kw_only=True)
class Neighbours:
    """The calls before and after one in a queue, None at its ends."""

    before: str | None
    after: str | None


@attrs.frozen(kw_only=True)
class Holding:
    """A dataset that has a call as one of its cases."""

    dataset_id: str
    dataset_name: str
    case_id: str


class NoSuchCall(NotFound):
    """There is no such call to review."""


# --- what was said ----------------------------------------------------------------------------------------


def of_calls(connection: sa.Connection, of: Project, record_ids: Sequence[str]) -> dict[str, tuple[Review, ...]]:
    """The reviews that stand on calls, by record id, in the order they were given; a call without any is left out."""
    said: dict[str, list[Amendment]] = defaultdict(list)
    for some in chunks(record_ids):
        rows = connection.execute(
            sa.select(amendment.c.record_id, amendment.c.zstd)
            .where(
                amendment.c.project_key == of.key,
                amendment.c.record_id.in_(some),
                amendment.c.reviewer_id.is_not(None),
            )
            .order_by(amendment.c.made_at, amendment.c.amendment_id)
        )
        for record_id, body in rows:
            said[record_id].append(from_wire(raw(body), Amendment))
    found = {record_id: reviews_among(those) for record_id, those in said.items()}
    return {record_id: reviews for record_id, reviews in found.items() if reviews}


def reviewers(connection: sa.Connection, of: Project) -> tuple[Reviewer, ...]:
    """Who gave verdicts that stand, the busiest first; those who were removed since as well."""
    calls = sa.func.count()
    rows = connection.execute(
        verdicts(of.key, sa.select(amendment.c.reviewer_id, person.c.name, calls))
        .outerjoin(person, person.c.id == amendment.c.reviewer_id)
        .group_by(amendment.c.reviewer_id, person.c.name)
        .order_by(calls.desc(), person.c.name)
    )
    return tuple(Reviewer(id=row.reviewer_id, name=row.name or row.reviewer_id, calls=row[2]) for row in rows)


def score_names(connection: sa.Connection, of: Project) -> tuple[str, ...]:
    """The names of the scores that calls of a project have, the most common first."""
    names = (name for name, _ in most_common(connection, of, HAS, SCORE_NAMES_LIMIT * 4))
    scores = [name[len(SCORE) :] for name in names if name.startswith(SCORE) and name != REVIEWED]
    return tuple(scores[:SCORE_NAMES_LIMIT])


def holding(connection: sa.Connection, of: Project, record_id: str) -> tuple[Holding, ...]:
    """The datasets that have a call as a test case, by their names."""
    rows = connection.execute(
        sa.select(dataset.c.id, dataset.c.name, test_case.c.id)
        .join(test_case, test_case.c.dataset_key == dataset.c.key)
        .where(
            dataset.c.project_key == of.key,
            dataset.c.deleted_at.is_(None),
            test_case.c.source_record_id == record_id,
            test_case.c.deleted_at.is_(None),
        )
        .order_by(dataset.c.name)
    )
    return tuple(Holding(dataset_id=row[0], dataset_name=row[1], case_id=row[2]) for row in rows)


# --- many calls -------------------------------------------------------------------------------------------


def judged(connection: sa.Connection, of: Project, which: Filter, limit: int) -> JudgedCalls:
    """The calls of a filter that have a verdict, the newest first."""
    given, last = _given(connection, of)
    matcher = Matcher(connection, of, all_of([which, term(REVIEWED, "exists")]))
    seqs = list(islice(matcher.seqs(), limit + 1))
    columns = record.c.seq, record.c.record_id, record.c.template_name, record.c.template_version
    found: list[Judged] = []
    for some in chunks(seqs[:limit]):
        rows = connection.execute(sa.select(*columns).where(record.c.seq.in_(some)).order_by(record.c.seq.desc()))
        for row in rows.mappings():
            record_id = row["record_id"]
            found.append(Judged(**row, verdicts=given.get(record_id, {}), last=last.get(record_id)))
    return JudgedCalls(calls=tuple(found), is_partial=matcher.is_partial or len(seqs) > limit)


def _given(connection: sa.Connection, of: Project) -> tuple[dict[str, dict[str, Verdict]], dict[str, Verdict]]:
    """The verdicts that stand on calls, by person; and the last of each call, whoever or whatever gave it."""
    given: dict[str, dict[str, Verdict]] = defaultdict(dict)
    last: dict[str, Verdict] = {}
    is_its = sa.and_(score.c.project_key == amendment.c.project_key, score.c.amendment_id == amendment.c.amendment_id)
    rows = connection.execute(
        sa.select(score.c.record_id, amendment.c.reviewer_id, score.c.value)
        .join(amendment, is_its)
        .where(score.c.project_key == of.key, score.c.name == VERDICT_SCORE)
        .order_by(score.c.made_at, score.c.amendment_id)
    )
    for record_id, reviewer_id, value in rows:
        verdict = _VERDICTS.get(value)
        if verdict is None:
            last.pop(record_id, None)
            continue
        last[record_id] = verdict
        if reviewer_id is not None:
            given[record_id][reviewer_id] = verdict
    return given, last


def progress(connection: sa.Connection, of: Project, which: Filter, person_id: str) -> Progress:
    """How far the calls of a filter are reviewed, by somebody and by anybody."""
    facets = count_facets(connection, of, which, [REVIEWED], limit=len(VERDICTS) + 8)
    counts = {each.value: each.calls for each in facets.fields[REVIEWED]}
    mine = 0
    masks = _mine(connection, of, person_id)
    matcher = Matcher(connection, of, which)
    if masks:
        mine = sum((members & masks.get(stretch.block, 0)).bit_count() for stretch, members in matcher.walk())
    return Progress(
        calls=facets.calls,
        good=counts.get("good", 0),
        bad=counts.get("bad", 0),
        mine=mine,
        is_partial=facets.is_partial or matcher.is_partial,
    )


def _mine(connection: sa.Connection, of: Project, person_id: str) -> dict[int, int]:
    """The calls that somebody gave a verdict on, as sets of bits by block."""
    is_its = sa.and_(record.c.project_key == amendment.c.project_key, record.c.record_id == amendment.c.record_id)
    seqs = connection.scalars(
        verdicts(of.key, sa.select(record.c.seq)).join(record, is_its).where(amendment.c.reviewer_id == person_id)
    )
    places: dict[int, list[int]] = defaultdict(list)
    for seq in seqs:
        places[seq // BLOCK].append(seq % BLOCK)
    return {block: mask_of(those) for block, those in places.items()}


# --- queues -----------------------------------------------------------------------------------------------


def next_call(
    connection: sa.Connection, of: Project, which: Filter, person_id: str, order: Order, beyond: int | None
) -> CallRow | None:
    """The first call of a queue, beyond a number where one is given, that somebody gave no verdict on yet."""
    masks = _mine(connection, of, person_id)
    for seq in _in_order(connection, of, which, order, beyond):
        if not masks.get(seq // BLOCK, 0) >> seq % BLOCK & 1:
            return read_rows(connection, of, [seq])[0]
    return None


def _in_order(connection: sa.Connection, of: Project, which: Filter, order: Order, beyond: int | None) -> Iterator[int]:
    matcher = Matcher(connection, of, which, is_newest_first=order == "newest")
    return matcher.seqs(before=beyond) if order == "newest" else matcher.seqs(after=beyond or 0)


def neighbours(connection: sa.Connection, of: Project, which: Filter, order: Order, seq: int) -> Neighbours:
    """The calls of a queue beside one, whoever reviewed them."""
    older = next((row.record_id for row in find_calls(connection, of, which, 1, before=seq).rows), None)
    newer = next((row.record_id for row in find_calls(connection, of, which, 1, after=seq).rows), None)
    return Neighbours(before=newer, after=older) if order == "newest" else Neighbours(before=older, after=newer)


def place(connection: sa.Connection, of: SavedView, person_id: str) -> int | None:
    """The number of the last call of a saved view that somebody was done with, None where they never began."""
    return connection.scalar(sa.select(review_place.c.seq).where(_is_place(of, person_id)))


def move(connection: sa.Connection, of: SavedView, person_id: str, seq: int, now: datetime) -> None:
    """Remember the last call of a saved view that somebody was done with."""
    values = {"seq": seq, "moved_at": to_micros(now)}
    if not connection.execute(sa.update(review_place).where(_is_place(of, person_id)).values(**values)).rowcount:
        connection.execute(sa.insert(review_place).values(view_key=of.key, person_id=person_id, **values))


def _is_place(of: SavedView, person_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(review_place.c.view_key == of.key, review_place.c.person_id == person_id)


class Reviews(Part):
    """What people said of calls in the pages."""

    def of_calls(self, project: Project, record_ids: Sequence[str]) -> dict[str, tuple[Review, ...]]:
        """The reviews that stand on calls, by record id; calls without any are left out."""
        return self._access.ask(of_calls, project, record_ids)

    def say(self, project: Project, review: Review) -> None:
        """Let a review stand for all that its reviewer said of the call before.

        Raises:
            NoSuchCall: the project has no such call.
            StoreUnavailable: it could not be stored now.
        """
        now, said = self._access.clock.now(), review.amendment(self._access.clock.new_id(), project.id)
        if not self._access.change(lambda connection: amendments.amend(connection, project, said, now)):
            raise NoSuchCall(f"project {project.name!r} has no call {review.record_id!r}")

    def reviewers(self, project: Project) -> tuple[Reviewer, ...]:
        """Who gave verdicts that stand, the busiest first."""
        return self._access.ask(reviewers, project)

    def holding(self, project: Project, record_id: str) -> tuple[Holding, ...]:
        """The datasets that have a call as a test case, by their names."""
        return self._access.ask(holding, project, record_id)

    def score_names(self, project: Project) -> tuple[str, ...]:
        """The names of the scores that calls have, but for the verdict; the most common first."""
        return self._access.ask(score_names, project)

    def judged(self, project: Project, which: Filter, limit: int = VERDICTS_LIMIT) -> JudgedCalls:
        """The calls of a filter that people gave verdicts on, the newest first."""
        return self._access.ask(judged, project, which, limit)

    def progress(self, project: Project, which: Filter, person_id: str) -> Progress:
        """How far the calls of a filter are reviewed."""
        return self._access.ask(progress, project, which, person_id)

    def next_call(
        self, project: Project, which: Filter, person_id: str, order: Order, beyond: int | None = None
    ) -> CallRow | None:
        """The first call of a queue, beyond a number where one is given, that a person gave no verdict on yet."""
        return self._access.ask(next_call, project, which, person_id, order, beyond)

    def place(self, view: SavedView, person_id: str) -> int | None:
        """The number of the last call of a saved view that a person was done with, None where they never began."""
        return self._access.ask(place, view, person_id)

    def move(self, view: SavedView, person_id: str, seq: int) -> None:
        """Remember the last call of a saved view that a person was done with."""
        now = self._access.clock.now()
        self._access.change(lambda connection: move(connection, view, person_id, seq, now))

    def neighbours(self, project: Project, which: Filter, order: Order, seq: int) -> Neighbours:
        """The calls of a queue beside one, whoever reviewed them."""
        return self._access.ask(neighbours, project, which, order, seq)

    def rows(self, project: Project, seqs: Sequence[int]) -> tuple[CallRow, ...]:
        """The rows of calls by their numbers, in that order."""
        return self._access.ask(read_rows, project, seqs)
