"""What the verdict form of a call shows."""

from __future__ import annotations

import attrs

from freeplay_like.core.reviews import Review, Verdict, reviews_among
from freeplay_like.server.store.views import StoredCall


@attrs.frozen(kw_only=True)
class ReviewView:
    """What was said of a call: by who looks at it now (None: nothing yet), and by the others.

    `score_names` are names of the team's own scores that the form offers.
    """

    mine: Review | None = None
    others: tuple[Review, ...] = ()
    score_names: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """My verdict."""
        return None if self.mine is None else self.mine.verdict

    @property
    def note(self) -> str:
        """My note."""
        return "" if self.mine is None else self.mine.note

    @property
    def scores(self) -> tuple[tuple[str, str], ...]:
        """The scores that the form asks for, by name, each with what I gave."""
        given = {} if self.mine is None else {name: written(value) for name, value in self.mine.scores.items()}
        return tuple((given | {name: given.get(name, "") for name in self.score_names}).items())

    @property
    def everybody(self) -> tuple[Review, ...]:
        """All reviews that stand."""
        return self.others if self.mine is None else (*self.others, self.mine)


def review_of(call: StoredCall, person_id: str, score_names: tuple[str, ...] = ()) -> ReviewView:
    """What was said of a call, as this person sees it."""
    reviews = reviews_among(call.amendments)
    return ReviewView(
        mine=next((review for review in reviews if review.reviewer_id == person_id), None),
        others=tuple(review for review in reviews if review.reviewer_id != person_id),
        score_names=score_names,
    )


def written(value: bool | float | str) -> str:
    """A score as it stands in a field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
