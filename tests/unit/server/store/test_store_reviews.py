"""Reviews: which stand, what is found by them, how far a queue is done, and in which order it goes."""

from __future__ import annotations

import attrs
import pytest

from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.core.reviews import Review, Verdict
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.accounts.people import KnownPerson
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.derived.filter_text import parse
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.records.reviews import Judged, Neighbours, NoSuchCall
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, CaseContent, DatasetDraft, Incoming, Project
from support.plain_records import a_record


@pytest.fixture
def ada(store: Store) -> KnownPerson:
    return store.people.create("Ada Lovelace", "reviewer")


@pytest.fixture
def bob(store: Store) -> KnownPerson:
    return store.people.create("Bob", "admin")


@pytest.fixture(params=["derived", "not derived yet"])
def calls(store: Store, project: Project, request: pytest.FixtureRequest) -> list[Record]:
    """Six calls of two versions, of which everything is derived, or nothing."""
    template = TemplateRef(name="shop/answer", version="1")
    records = [
        a_record(project.id, template=attrs.evolve(template, version=str(1 + number % 2))) for number in range(6)
    ]
    incoming = tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=store.now()))
    if request.param == "derived":
        store._writer.run(lambda connection: following.derive_slice(connection, least=1))
    return records


def say(
    store: Store, project: Project, who: KnownPerson, call: Record, verdict: Verdict | None = None, **said: object
) -> None:
    review = Review(
        record_id=call.record_id, reviewer_id=who.id, reviewer=who.name, made_at=store.now(), verdict=verdict
    )
    store.reviews.say(project, attrs.evolve(review, **said))


def found(store: Store, project: Project, query: str) -> list[str]:
    return [row.record_id for row in store.calls.page(project.id, parse(query)).rows]


def test_saying_it_again_replaces_what_a_person_said(
    store: Store, project: Project, ada: KnownPerson, calls: list[Record]
) -> None:
    say(store, project, ada, calls[0], "good", note="Fine.", scores={"accuracy": 4})
    say(store, project, ada, calls[0], "bad", note="No: it is wrong.")
    (review,) = store.reviews.of_calls(project, [call.record_id for call in calls])[calls[0].record_id]
    assert (review.verdict, review.note, review.scores) == ("bad", "No: it is wrong.", {})
    assert found(store, project, "score.review:bad") == [calls[0].record_id]
    assert found(store, project, "score.review:good") == []
    assert found(store, project, "score.accuracy:*") == []
    stored = store.calls.get(project.id, calls[0].record_id)
    assert stored is not None
    assert len(stored.amendments) == 2  # the history stays


def test_a_verdict_that_is_taken_back_uncovers_what_the_other_person_said(
    store: Store, project: Project, ada: KnownPerson, bob: KnownPerson, calls: list[Record]
) -> None:
    say(store, project, ada, calls[0], "good")
    say(store, project, bob, calls[0], "bad")
    assert found(store, project, "score.review:bad") == [calls[0].record_id]
    say(store, project, bob, calls[0])
    assert found(store, project, "score.review:good") == [calls[0].record_id]
    say(store, project, ada, calls[0])
    assert found(store, project, "score.review:*") == []
    assert store.reviews.of_calls(project, [calls[0].record_id]) == {}


def test_calls_are_found_by_who_said_what_of_them(
    store: Store, project: Project, ada: KnownPerson, bob: KnownPerson, calls: list[Record]
) -> None:
    say(store, project, ada, calls[0], "good")
    say(store, project, ada, calls[1], "bad")
    say(store, project, bob, calls[1], "good")
    say(store, project, bob, calls[2], None, note="Hm.")
    assert found(store, project, 'reviewed_by:"Ada Lovelace"') == [calls[1].record_id, calls[0].record_id]
    assert found(store, project, 'bad_by:"Ada Lovelace" good_by:Bob') == [calls[1].record_id]
    assert found(store, project, "reviewed_by:Bob") == [calls[1].record_id]
    assert found(store, project, "reviewed_by:Eve") == []
    store.people.change(ada.id, name="Countess", role="reviewer")
    assert found(store, project, "good_by:Countess") == [calls[0].record_id]
    assert found(store, project, f"good_by:{ada.id}") == [calls[0].record_id]


def test_a_call_that_is_not_there_cannot_be_reviewed(store: Store, project: Project, ada: KnownPerson) -> None:
    with pytest.raises(NoSuchCall, match="first"):
        say(store, project, ada, a_record(project.id), "good")


def test_progress_counts_last_verdicts_and_mine(
    store: Store, project: Project, ada: KnownPerson, bob: KnownPerson, calls: list[Record]
) -> None:
    say(store, project, ada, calls[0], "good")
    say(store, project, ada, calls[1], "good")
    say(store, project, bob, calls[1], "bad")
    say(store, project, bob, calls[2], "bad")
    progress = store.reviews.progress(project, EVERYTHING, ada.id)
    assert (progress.calls, progress.good, progress.bad, progress.mine) == (6, 1, 2, 2)
    assert progress.reviewed == 3
    narrowed = store.reviews.progress(project, parse("version:2"), bob.id)
    assert (narrowed.calls, narrowed.reviewed, narrowed.mine) == (3, 1, 1)


def test_the_judged_calls_hold_each_persons_verdict_and_the_last(
    store: Store, project: Project, ada: KnownPerson, bob: KnownPerson, calls: list[Record]
) -> None:
    say(store, project, ada, calls[0], "good")
    say(store, project, ada, calls[3], "good")
    say(store, project, bob, calls[3], "bad")
    judged = store.reviews.judged(project, EVERYTHING)
    assert [(call.record_id, call.verdicts, call.last) for call in judged.calls] == [
        (calls[3].record_id, {ada.id: "good", bob.id: "bad"}, "bad"),
        (calls[0].record_id, {ada.id: "good"}, "good"),
    ]
    assert not judged.is_partial
    assert [call.template_version for call in judged.calls] == ["2", "1"]
    few = store.reviews.judged(project, EVERYTHING, limit=1)
    assert few.is_partial
    assert [type(call) for call in few.calls] == [Judged]


def test_reviewers_are_those_whose_verdicts_stand_also_when_they_are_gone(
    store: Store, project: Project, ada: KnownPerson, bob: KnownPerson, calls: list[Record]
) -> None:
    for call in calls[:2]:
        say(store, project, ada, call, "good")
    say(store, project, bob, calls[0], "bad")
    store.people.remove(ada.id)
    assert [(one.id, one.name, one.calls) for one in store.reviews.reviewers(project)] == [
        (ada.id, "Ada Lovelace", 2),
        (bob.id, "Bob", 1),
    ]
    say(store, project, bob, calls[0])
    assert [one.name for one in store.reviews.reviewers(project)] == ["Ada Lovelace"]


def test_the_next_call_is_the_first_in_order_without_my_verdict(
    store: Store, project: Project, ada: KnownPerson, bob: KnownPerson, calls: list[Record]
) -> None:
    say(store, project, ada, calls[0], "good")
    say(store, project, ada, calls[5], "good")
    say(store, project, bob, calls[1], "good")
    first = store.reviews.next_call(project, EVERYTHING, ada.id, "oldest")
    assert first is not None
    assert first.record_id == calls[1].record_id
    newest = store.reviews.next_call(project, EVERYTHING, ada.id, "newest")
    assert newest is not None
    assert newest.record_id == calls[4].record_id
    beyond = store.reviews.next_call(project, EVERYTHING, ada.id, "newest", newest.seq)
    assert beyond is not None
    assert beyond.record_id == calls[3].record_id
    assert store.reviews.next_call(project, EVERYTHING, ada.id, "oldest", newest.seq) is None
    assert store.reviews.next_call(project, parse("version:9"), ada.id, "oldest") is None


def test_neighbours_are_those_of_the_order(store: Store, project: Project, calls: list[Record]) -> None:
    rows = {row.record_id: row.seq for row in store.calls.page(project.id, EVERYTHING).rows}
    middle = rows[calls[2].record_id]
    assert store.reviews.neighbours(project, parse("version:1"), "oldest", middle) == Neighbours(
        before=calls[0].record_id, after=calls[4].record_id
    )
    assert store.reviews.neighbours(project, EVERYTHING, "newest", rows[calls[5].record_id]) == Neighbours(
        before=None, after=calls[4].record_id
    )


def test_a_place_in_a_queue_is_kept_for_each_person(
    store: Store, project: Project, ada: KnownPerson, bob: KnownPerson
) -> None:
    view = store.saved_views.create(project, name="Mine", query="", period=None, person_id=ada.id)
    assert store.reviews.place(view, ada.id) is None
    store.reviews.move(view, ada.id, 3)
    store.reviews.move(view, ada.id, 5)
    store.reviews.move(view, bob.id, 2)
    assert (store.reviews.place(view, ada.id), store.reviews.place(view, bob.id)) == (5, 2)


def test_the_names_of_the_teams_scores_are_offered_without_the_verdict(
    store: Store, project: Project, ada: KnownPerson, calls: list[Record]
) -> None:
    say(store, project, ada, calls[0], "good", scores={"accuracy": 4, "tone": "warm"})
    say(store, project, ada, calls[1], "good", scores={"accuracy": 2})
    assert store.reviews.score_names(project) == ("accuracy", "tone")


def test_datasets_that_hold_a_call_are_known(store: Store, project: Project, calls: list[Record]) -> None:
    made = store.datasets.create(project, DatasetDraft(name="regressions"))
    assert store.reviews.holding(project, calls[0].record_id) == ()
    taken = store.test_cases.add_from_calls(project, made.id, [calls[0].record_id])
    (holding,) = store.reviews.holding(project, calls[0].record_id)
    assert (holding.dataset_id, holding.dataset_name, holding.case_id) == (made.id, "regressions", taken.case_ids[0])
    store.test_cases.change(project, made.id, holding.case_id, lambda said: CaseContent(output="In Lyon."))
    store.test_cases.delete(project, made.id, [holding.case_id])
    assert store.reviews.holding(project, calls[0].record_id) == ()
