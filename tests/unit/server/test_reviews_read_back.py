"""Reviews as programs read them back, and who may send them."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import attrs
import pytest

from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.reviews import Review
from freeplay_like.core.wire import to_wire
from freeplay_like.server.api.sessions import completion_to_wire
from freeplay_like.server.checks import check_amendment
from freeplay_like.server.exports import file_of, writer_for
from freeplay_like.server.store.records.exports import ExportedCall
from freeplay_like.server.store.views import Project, SentRecord
from support.plain_records import a_record

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
PROJECT = Project(key=1, id="p", name="first", created_at=NOW)


def a_review(record: Record, **said: object) -> Review:
    review = Review(record_id=record.record_id, reviewer_id="ada", reviewer="Ada", made_at=NOW)
    return attrs.evolve(review, **said)


def bodies(record: Record) -> tuple[bytes, ...]:
    """A user's thumb, a review, and the one that replaced it."""
    thumb = Amendment(
        amendment_id="a0",
        record_id=record.record_id,
        project_id="p",
        made_at=NOW,
        feedback="positive",
        comments={"why": "kind"},
    )
    first = a_review(record, verdict="good", scores={"accuracy": 5}).amendment("a1", "p")
    last = a_review(record, verdict="bad", note="Wrong.").amendment("a2", "p")
    return tuple(map(to_wire, (thumb, first, last)))


def test_an_export_has_the_reviews_and_its_table_the_scores_that_stand() -> None:
    record = a_record("p")
    call = ExportedCall(seq=1, body=to_wire(record), amendments=bodies(record), received_at=NOW, cost_nano_usd=None)
    line = json.loads(b"".join(file_of(writer_for("jsonl"), [(call,)])))
    assert [said["reviewer"] for said in line["amendments"][1:]] == ["Ada", "Ada"]
    assert line["amendments"][2]["comments"] == {"note": "Wrong."}
    text = b"".join(file_of(writer_for("csv"), [(call,)])).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert json.loads(row["scores"]) == {"review": "bad"}


def test_freeplays_interface_has_the_scores_that_stand_and_no_note_as_the_customers() -> None:
    record = a_record("p")
    found = completion_to_wire(SentRecord(body=to_wire(record), amendments=bodies(record)))
    assert found["client_evaluation_results"] == [{"name": "review", "value": "bad"}]
    assert found["customer_feedback"] == {"why": "kind", "freeplay_feedback": "positive"}


@pytest.mark.parametrize("said", [{"reviewer_id": "ada"}, {"reviewer": "Ada"}])
def test_programs_cannot_speak_for_a_person(said: dict[str, str]) -> None:
    plain = Amendment(amendment_id="a", record_id="r", project_id="p", made_at=NOW)
    check_amendment(plain, PROJECT)
    with pytest.raises(ValueError, match="in the pages alone"):
        check_amendment(attrs.evolve(plain, **said), PROJECT)
