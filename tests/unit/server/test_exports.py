from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from freeplay_like.core.chunks import Usage
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment, Record, TemplateRef
from freeplay_like.core.wire import to_wire
from freeplay_like.server.exports import COLUMNS, FILE_FORMATS, FileFormat, file_of, writer_for
from freeplay_like.server.store.derived.filter_json import from_query
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.records import exports
from freeplay_like.server.store.records.exports import ExportedCall
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Refused
from support.plain_records import a_record

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)


def exported(record: Record, *said: Amendment, body: bytes | None = None) -> ExportedCall:
    return ExportedCall(
        seq=1,
        body=body or to_wire(record),
        amendments=tuple(map(to_wire, said)),
        received_at=NOW,
        cost_nano_usd=1_500_000,
    )


def table(*calls: ExportedCall) -> list[dict[str, str]]:
    data = b"".join(file_of(writer_for("csv"), [tuple(calls)]))
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def said_of(record: Record, **what: object) -> Amendment:
    plain = Amendment(
        amendment_id=f"a-{len(what)}", record_id=record.record_id, project_id=record.project_id, made_at=NOW
    )
    return attrs.evolve(plain, **what)


def test_a_line_of_json_has_the_record_as_it_was_sent_and_what_the_server_knows() -> None:
    record = a_record("p", metadata={"a": "b"})
    call = exported(record, said_of(record, feedback="positive"))
    (line,) = b"".join(file_of(writer_for("jsonl"), [(call,)])).splitlines()
    found = json.loads(line)
    assert (found["record_id"], found["metadata"], found["cost_usd"]) == (record.record_id, {"a": "b"}, 0.0015)
    assert found["received_at"] == "2026-11-21T18:00:00Z"
    assert [each["feedback"] for each in found["amendments"]] == ["positive"]


def test_a_body_that_was_sent_over_many_lines_is_one_line_and_cannot_pass_for_ours() -> None:
    record = a_record("p")
    body = json.dumps({**json.loads(to_wire(record)), "cost_usd": "free", "x": "a\nb\u2028"}, indent=2).encode() + b"\n"
    data = b"".join(file_of(writer_for("jsonl"), [(exported(record, body=body), exported(record))]))
    assert data.count(b"\n") == 2
    found = json.loads(data.split(b"\n")[0])
    assert (found["cost_usd"], found["x"]) == (0.0015, "a\nb\u2028")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1", "\uff1d1", "\uff0b1"])
def test_a_text_that_a_spreadsheet_would_run_is_marked_as_text(text: str) -> None:
    (row,) = table(exported(a_record("p", answer=text, question="fine", session_id=text)))
    assert (row["answer"], row["session_id"], row["question"]) == (f"'{text}", f"'{text}", "fine")


def test_numbers_are_not_marked_and_nothing_is_an_empty_cell() -> None:
    record = a_record("p", latency_ms=-1.5, usage=Usage(input_tokens=3, output_tokens=None))
    (row,) = table(exported(record))
    assert (row["latency_ms"], row["input_tokens"], row["output_tokens"], row["cost_usd"]) == (
        "-1.5",
        "3",
        "",
        "0.0015",
    )
    assert (row["template"], row["metadata"], row["feedback"], row["scores"]) == ("", "", "", "")


def test_a_row_says_what_most_people_ask_for() -> None:
    record = a_record(
        "p",
        template=TemplateRef(name="trip", version="3", environment="prod"),
        variables={"city": "Lyon"},
        messages=(Message(role="user", content="first"), Message(role="user", content='last, "quoted"\r\nline')),
    )
    scored = said_of(record, scores={"accuracy": 0.5}), said_of(record, scores={"accuracy": 1}, feedback="negative")
    (row,) = table(exported(record, *scored))
    assert (row["template"], row["version"], row["environment"]) == ("trip", "3", "prod")
    assert row["question"] == 'last, "quoted"\r\nline'
    assert json.loads(row["variables"]) == {"city": "Lyon"}
    assert (row["feedback"], json.loads(row["scores"])) == ("negative", {"accuracy": 1})
    assert list(row) == [column.name for column in COLUMNS]


def test_parquet_has_the_same_rows_with_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    records = [a_record("p", answer="=1", usage=Usage(input_tokens=i)) for i in range(5)]
    target = tmp_path / "calls.parquet"
    slices = [tuple(map(exported, records[:3])), tuple(map(exported, records[3:]))]
    target.write_bytes(b"".join(file_of(writer_for("parquet"), slices)))
    found = pyarrow.read_table(target).to_pylist()
    assert [row["record_id"] for row in found] == [each.record_id for each in records]
    assert [row["input_tokens"] for row in found] == [0, 1, 2, 3, 4]
    assert found[0]["answer"] == "=1"
    assert found[0]["started_at"] == records[0].started_at
    assert pyarrow.ParquetFile(target).num_row_groups == 2


def test_without_pyarrow_parquet_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Refused, match=r"pip install 'freeplay-like\[parquet\]'"):
        writer_for("parquet")


@pytest.mark.parametrize("form", [each for each in FILE_FORMATS if each != "parquet"])
def test_a_file_of_no_calls_is_a_file(form: FileFormat) -> None:
    data = b"".join(file_of(writer_for(form), []))
    assert data.decode("utf-8-sig").strip() == ("" if form == "jsonl" else ",".join(each.name for each in COLUMNS))


def test_slices_are_bounded_and_together_have_every_call_once_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "SLICE_CALLS", 7)
    monkeypatch.setattr(exports, "SLICE_BYTES", 2_000)
    store = Store(SqliteDatabase(tmp_path / "filled.db"))
    try:
        project, other = store.projects.create("p"), store.projects.create("other")
        records = [a_record(project.id, answer="x" * (i * 37 % 3000), session_id=f"s{i % 3}") for i in range(50)]
        for of, batch in ((project, records), (other, [a_record(other.id)])):
            incoming = tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(batch))
            store.save(Batch(project_key=of.key, records=incoming, received_at=NOW))
        slices = list(store.exports.calls(project, EVERYTHING))
        assert max(map(len, slices)) <= 7
        ids = [json.loads(call.body)["record_id"] for found in slices for call in found]
        assert ids == [each.record_id for each in records]
        some = store.exports.calls(project, from_query([("session", "s1")]))
        wanted = [each.record_id for each in records if each.session_id == "s1"]
        assert [json.loads(call.body)["record_id"] for found in some for call in found] == wanted
    finally:
        store.close()
