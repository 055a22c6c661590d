"""What people say of calls, and what of it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from freeplay_like.core.records import Amendment
from freeplay_like.core.reviews import Review, review_of, reviews_among, standing

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def a_review(who: str, after_s: int = 0, *, record: str = "r", **said: object) -> Review:
    made_at = NOW + timedelta(seconds=after_s)
    return Review(record_id=record, reviewer_id=who, reviewer=who.title(), made_at=made_at, **said)  # type: ignore[arg-type]


def kept(*reviews: Review) -> list[Amendment]:
    return [review.amendment(f"a{number}", "p") for number, review in enumerate(reviews)]


def test_a_review_is_kept_as_an_amendment_and_read_from_it() -> None:
    review = a_review("ada", verdict="bad", note="It is wrong.", scores={"accuracy": 2, "polite": True})
    said = review.amendment("a", "p")
    assert said.scores == {"review": "bad", "accuracy": 2, "polite": True}
    assert said.comments == {"note": "It is wrong."}
    assert (said.reviewer_id, said.reviewer) == ("ada", "Ada")
    assert review_of(said) == review


def test_an_amendment_that_nobody_signed_is_no_review() -> None:
    said = Amendment(amendment_id="a", record_id="r", project_id="p", made_at=NOW, scores={"review": "good"})
    assert review_of(said) is None
    assert reviews_among([said]) == ()
    assert standing([said]) == (said,)


def test_the_last_review_of_each_person_stands() -> None:
    first, other = a_review("ada", verdict="good", note="fine"), a_review("bob", 1, verdict="bad")
    last = a_review("ada", 2, verdict="bad")
    assert reviews_among(kept(first, other, last)) == (other, last)


def test_a_review_that_says_nothing_takes_the_one_before_back() -> None:
    said = kept(a_review("ada", verdict="good"), a_review("ada", 1))
    assert reviews_among(said) == ()
    assert standing(said) == (said[1],)


def test_people_are_told_apart_call_by_call() -> None:
    reviews = a_review("ada", record="r1", verdict="good"), a_review("ada", record="r2", verdict="bad")
    assert reviews_among(kept(*reviews)) == reviews


@pytest.mark.parametrize(
    ("name", "initials"), [("Ada Lovelace", "AL"), ("ada", "A"), ("Jean le Rond d'Alembert", "JD"), ("李小龍", "李")]
)
def test_initials_are_the_first_letters_of_the_first_and_the_last_word(name: str, initials: str) -> None:
    assert Review(record_id="r", reviewer_id="1", reviewer=name, made_at=NOW).initials == initials
