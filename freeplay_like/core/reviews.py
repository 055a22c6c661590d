"""What people say of calls in the review pages: a verdict, a note, and scores of the team's own. Pure.

A review is an `Amendment` with a reviewer, and holds all that this person says of the call: the next one replaces it,
and one that says nothing takes it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, TypeAlias

import attrs

from freeplay_like.core.records import Amendment, ScoreValue

Verdict: TypeAlias = Literal["good", "bad"]
"""Whether an answer will do."""

VERDICTS: Final[tuple[Verdict, ...]] = ("good", "bad")
VERDICT_SCORE: Final = "review"
"""The name of the score that a verdict is kept as."""
NOTE_COMMENT: Final = "note"
"""The name of the comment that a note is kept as."""


@attrs.frozen(kw_only=True)
class Review:
    """What one person says of a call. `scores` are of the team's own making; `note` is "" where there is none."""

    record_id: str
    reviewer_id: str
    reviewer: str
    made_at: datetime
    verdict: Verdict | None = None
    note: str = ""
    scores: dict[str, ScoreValue] = attrs.field(factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing (any more)."""
        return self.verdict is None and not self.note and not self.scores

    @property
    def initials(self) -> str:
        """The reviewer in two letters."""
        words = self.reviewer.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()

    def amendment(self, amendment_id: str, project_id: str) -> Amendment:
        """The review as it is kept."""
        verdict: dict[str, ScoreValue] = {} if self.verdict is None else {VERDICT_SCORE: self.verdict}
        return Amendment(
            amendment_id=amendment_id,
            record_id=self.record_id,
            project_id=project_id,
            made_at=self.made_at,
            scores=verdict | self.scores,
            comments={NOTE_COMMENT: self.note} if self.note else {},
            reviewer_id=self.reviewer_id,
            reviewer=self.reviewer,
        )


def review_of(said: Amendment) -> Review | None:
    """What an amendment says as a review; None where it is none."""
    if said.reviewer_id is None:
        return None
    verdict = said.scores.get(VERDICT_SCORE)
    note = said.comments.get(NOTE_COMMENT)
    return Review(
        record_id=said.record_id,
        reviewer_id=said.reviewer_id,
        reviewer=said.reviewer or "",
        made_at=said.made_at,
        verdict=next((known for known in VERDICTS if known == verdict), None),
        note=note if isinstance(note, str) else "",
        scores={name: value for name, value in said.scores.items() if name != VERDICT_SCORE},
    )


def reviews_among(amendments: Iterable[Amendment]) -> tuple[Review, ...]:
    """The reviews that stand, the last of each person, in the order of `amendments`."""
    reviews = (review_of(said) for said in standing(amendments))
    return tuple(review for review in reviews if review is not None and not review.is_empty)


def standing(amendments: Iterable[Amendment]) -> tuple[Amendment, ...]:
    """What was said of calls, without the reviews that the same person replaced."""
    said = tuple(amendments)
    last = {(one.record_id, one.reviewer_id): one for one in said if one.reviewer_id is not None}
    return tuple(one for one in said if one.reviewer_id is None or last[one.record_id, one.reviewer_id] is one)
