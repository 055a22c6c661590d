"""The spool on disk: ownership, interrupted calls, cursors, status, the command line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from freeplay_like.cli.spool import spool as spool_command
from freeplay_like.clock import SystemClock
from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.recording.folders import Folder, Meta, Position, list_folders, spool_candidates
from freeplay_like.recording.frames import (
    Lane,
    amend_frame,
    encode_frame,
    end_frame,
    progress_frame,
    read_lines,
    start_frame,
)
from freeplay_like.recording.journal import Journal
from freeplay_like.recording.reading import FolderSource
from freeplay_like.recording.recorder import JournalRecorder
from freeplay_like.recording.sources import Limits
from freeplay_like.recording.spool import spool_status
from freeplay_like.recording.troubles import Troubles
from support.sink import KEY, PROJECT, make_amendment, make_record, make_start

META = Meta(api_base="http://backend/api", host="here", pid=1, sdk="test")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal.create((tmp_path,), SystemClock().new_id(), META, limit_bytes=1 << 30, is_synced=False)
    yield made
    made.abandon()


def source(folder: Folder, journal: Journal | None = None) -> tuple[FolderSource, list[bytes]]:
    aside: list[bytes] = []
    made = FolderSource(
        folder, troubles=Troubles(), set_aside=lambda _, raw: aside.append(raw), mask=lambda data: data, journal=journal
    )
    return made, aside


def orphaned(journal: Journal) -> Folder:
    """The folder after its process has died."""
    journal.abandon()
    folder = Folder.adopt(journal.folder.path)
    assert folder is not None
    return folder


def write(journal: Journal, *frames: bytes) -> None:
    for frame in frames:
        assert journal.append(frame, is_last_word=False)


def ids(found: FolderSource) -> list[str]:
    taken = []
    while window := found.take(Limits(), 0.0):
        taken += [pending.head.record_id for pending in window.items]
        found.settle(window)
    return taken


def test_a_folder_has_one_owner(journal: Journal) -> None:
    assert Folder.adopt(journal.folder.path) is None
    folder = orphaned(journal)
    assert Folder.adopt(folder.path) is None
    folder.remove()
    assert not folder.path.exists()


def test_only_the_user_can_read_a_spool(journal: Journal) -> None:
    assert journal.folder.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in journal.folder.path.iterdir()} == {0o600}


def test_a_call_of_a_living_process_is_left_alone(journal: Journal) -> None:
    record = make_record()
    write(journal, start_frame(to_wire(make_start(record))))
    found, _ = source(journal.folder, journal)
    assert ids(found) == []
    assert not found.is_finished
    write(journal, end_frame(to_wire(record)))
    assert ids(found) == [record.record_id]
    assert found.is_finished


def test_a_call_of_a_dead_process_is_interrupted_and_has_its_text(journal: Journal) -> None:
    dead, ended = make_record(), make_record()
    write(
        journal,
        start_frame(to_wire(make_start(dead))),
        progress_frame(dead.record_id, "Over "),
        start_frame(to_wire(make_start(ended))),
        progress_frame(ended.record_id, "not this"),
        end_frame(to_wire(ended)),
        progress_frame(dead.record_id, "there \ud83d"),
    )
    found, aside = source(orphaned(journal))
    window = found.take(Limits(), 0.0)
    assert window is not None
    assert [pending.head.record_id for pending in window.items] == [ended.record_id]
    found.settle(window)
    window = found.take(Limits(), 0.0)
    assert window is not None
    record = from_wire(window.items[0].data, Record)
    assert (record.record_id, record.outcome, record.ended_at) == (dead.record_id, "interrupted", None)
    assert record.text == "Over there \ufffd"
    found.settle(window)
    assert (found.take(Limits(), 0.0), found.is_finished, aside) == (None, True, [])


def test_what_was_acknowledged_is_not_delivered_again_after_a_crash(journal: Journal) -> None:
    first, second, running = make_record(), make_record(), make_record()
    write(journal, start_frame(to_wire(make_start(running))), end_frame(to_wire(first)))
    living, _ = source(journal.folder, journal)
    assert ids(living) == [first.record_id]
    write(journal, end_frame(to_wire(second)))
    found, _ = source(orphaned(journal))
    assert ids(found) == [second.record_id, running.record_id]


def test_a_window_that_was_not_settled_is_delivered_again(journal: Journal) -> None:
    record = make_record()
    write(journal, end_frame(to_wire(record)))
    living, _ = source(journal.folder, journal)
    assert living.take(Limits(), 0.0) is not None
    found, _ = source(orphaned(journal))
    assert ids(found) == [record.record_id]


def test_a_cursor_that_is_damaged_costs_only_a_repetition(journal: Journal) -> None:
    record = make_record()
    write(journal, end_frame(to_wire(record)))
    living, _ = source(journal.folder, journal)
    assert ids(living) == [record.record_id]
    cursor = journal.folder.path / "cursor.json"
    cursor.write_bytes(cursor.read_bytes().replace(b'"main":[1', b'"main":[9'))
    found, _ = source(orphaned(journal))
    assert ids(found) == [record.record_id]


def test_segments_are_deleted_when_all_is_acknowledged_and_no_call_in_them_is_open(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freeplay_like.recording.journal.SEGMENT_BYTES", 1)
    running = make_record()
    found, _ = source(journal.folder, journal)
    for number in range(1, 5):
        write(journal, start_frame(to_wire(make_start(running))) if number == 2 else end_frame(to_wire(make_record())))
        journal.tend(found.acked.number)
        ids(found)
    assert journal.folder.segment_numbers() == [2, 4, 5]
    write(journal, end_frame(to_wire(running)))
    journal.tend(found.acked.number)
    assert ids(found) == [running.record_id]
    write(journal, end_frame(to_wire(make_record())))
    ids(found)
    assert journal.folder.segment_numbers() == [6]


def test_a_held_project_lets_others_pass_and_is_caught_up_in_order(journal: Journal) -> None:
    theirs = [make_record(project_id="theirs") for _ in range(3)]
    ours = make_record()
    for record in (theirs[0], ours, theirs[1]):
        write(journal, end_frame(to_wire(record)))
    found, _ = source(journal.folder, journal)
    window = found.take(Limits(), 0.0)
    assert window is not None
    found.hold(window, Lane("theirs", "record"), 30.0)
    found.settle(window)
    write(journal, end_frame(to_wire(theirs[2])))
    assert found.take(Limits(), 1.0) is None
    assert (found.next_try_s, found.is_finished) == (30.0, False)

    adopted, _ = source(orphaned(journal))
    assert ids(adopted) == [record.record_id for record in theirs]
    assert adopted.is_finished


def test_amendments_that_are_held_let_records_pass_and_are_caught_up_in_order(journal: Journal) -> None:
    records, amendments = [make_record() for _ in range(3)], [make_amendment() for _ in range(3)]
    for record, amendment in zip(records[:2], amendments[:2], strict=True):
        write(journal, amend_frame(to_wire(amendment)), end_frame(to_wire(record)))
    found, _ = source(journal.folder, journal)
    window = found.take(Limits(), 0.0)
    assert window is not None
    assert len(window.items) == 4
    found.hold(window, Lane(PROJECT, "amendment"), 30.0)
    found.settle(window)
    write(journal, amend_frame(to_wire(amendments[2])), end_frame(to_wire(records[2])))
    assert ids(found) == [records[2].record_id]
    assert (found.next_try_s, found.is_finished) == (30.0, False)

    adopted, _ = source(orphaned(journal))
    assert ids(adopted) == [amendment.record_id for amendment in amendments]
    assert adopted.is_finished


def test_an_amendment_does_not_end_the_call_it_speaks_of(journal: Journal) -> None:
    record = make_record()
    write(journal, start_frame(to_wire(make_start(record))), amend_frame(to_wire(make_amendment(record.record_id))))
    found, _ = source(orphaned(journal))
    kinds = []
    while window := found.take(Limits(), 0.0):
        kinds += [pending.head.lane.kind for pending in window.items]
        found.settle(window)
    assert (kinds, found.is_finished) == (["amendment", "record"], True)


def test_a_frame_that_holds_something_else_than_it_says_is_set_aside(journal: Journal) -> None:
    write(journal, amend_frame(to_wire(make_record())), end_frame(to_wire(make_amendment())))
    found, aside = source(orphaned(journal))
    assert (ids(found), len(aside)) == ([], 2)


def test_windows_keep_to_their_limits_and_a_large_record_goes_alone(journal: Journal) -> None:
    sizes = [10, 10, 10, 5000, 10]
    write(journal, *(end_frame(to_wire(make_record(metadata={"x": "x" * size}))) for size in sizes))
    found, _ = source(journal.folder, journal)
    counts = []
    while window := found.take(Limits(records=2, record_bytes=3000), 0.0):
        counts.append(len(window.items))
        found.settle(window)
    assert counts == [2, 1, 1, 1]


def test_frames_of_a_later_version_are_passed_over_and_kept(journal: Journal) -> None:
    record = make_record()
    write(journal, encode_frame(b'{"k":"later","x":1}'), end_frame(to_wire(record)))
    found, aside = source(orphaned(journal))
    assert ids(found) == [record.record_id]
    assert len(aside) == 1


def test_a_torn_frame_costs_its_neighbours_nothing(journal: Journal) -> None:
    before, torn, after = make_record(), end_frame(to_wire(make_record())), make_record()
    write(journal, end_frame(to_wire(before)), torn[: len(torn) // 2], end_frame(to_wire(after)))
    found, aside = source(orphaned(journal))
    assert ids(found) == [before.record_id, after.record_id]
    assert aside == [torn[1 : len(torn) // 2]]


def test_a_frame_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    frame = encode_frame(b"{}")
    path.write_bytes(frame + frame[:-1])
    with path.open("rb") as file:
        assert [line.body for line in read_lines(file.fileno(), 0, is_closed=False)] == [b"{}"]
        assert len(list(read_lines(file.fileno(), 0, is_closed=True))) == 2


def test_a_line_without_an_end_is_passed_over_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freeplay_like.recording.frames.MAX_FRAME_BYTES", 1000)
    monkeypatch.setattr("freeplay_like.recording.frames._CHUNK_BYTES", 100)
    path = tmp_path / "segment"
    path.write_bytes(b"x" * 5000 + encode_frame(b"{}"))
    with path.open("rb") as file:
        lines = list(read_lines(file.fileno(), 0, is_closed=True))
    assert [line.body for line in lines if line.body is not None] == [b"{}"]
    assert max(len(line.raw) for line in lines) < 1200
    assert all(a.end <= b.start for a, b in itertools.pairwise(lines))


def test_status_tells_what_waits(journal: Journal) -> None:
    records = [make_record() for _ in range(3)]
    write(journal, start_frame(to_wire(make_start(records[0]))), *(end_frame(to_wire(r)) for r in records[1:]))
    write(journal, amend_frame(to_wire(make_amendment(records[0].record_id))))
    spool = journal.folder.path.parent
    status = spool_status(spool)
    (folder,) = status.folders
    assert (folder.is_alive, folder.pending, folder.in_flight, folder.pid) == (True, 3, 1, 1)
    assert (folder.api_base, folder.amendments, status.pending) == (META.api_base, 1, 3)
    assert folder.oldest_at is not None
    assert folder.oldest_at.startswith(records[0].started_at.isoformat()[:19])
    journal.abandon()
    assert spool_status(spool).pending == 4


def test_a_spool_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert spool_status(tmp_path / "nowhere").folders == ()


def test_the_command_line_shows_and_reports_what_cannot_be_sent(journal: Journal) -> None:
    write(journal, end_frame(to_wire(make_record())))
    spool = str(journal.folder.path.parent)
    shown = CliRunner().invoke(spool_command, ["status", "--spool-dir", spool])
    assert (shown.exit_code, "1 pending" in shown.output, "running" in shown.output) == (0, True, True)
    journal.abandon()
    sent = CliRunner().invoke(
        spool_command,
        ["flush", "--spool-dir", spool, "--api-base", META.api_base, "--timeout", "0"],
        env={"FREEPLAY_LIKE_API_KEY": KEY},
    )
    assert (sent.exit_code, "0 sent, 1 pending" in sent.output) == (1, True)


def test_the_spool_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FREEPLAY_LIKE_SPOOL_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert spool_candidates(None)[0] == tmp_path / "freeplay_like" / "spool"
    assert len(spool_candidates(None)) == 2
    monkeypatch.setenv("FREEPLAY_LIKE_SPOOL_DIR", str(tmp_path / "x"))
    assert spool_candidates(None) == (tmp_path / "x",)
    assert spool_candidates(tmp_path) == (tmp_path,)


def test_records_for_another_backend_are_left_alone(tmp_path: Path) -> None:
    recorder = JournalRecorder("http://127.0.0.1:9/api", KEY, spool_dir=tmp_path)
    recorder.submit(make_record(project_id=PROJECT))
    recorder.close(0)
    (path,) = list_folders(tmp_path)
    assert list(list_folders(tmp_path, "0" * 16)) == []
    assert path.exists()


def test_positions_are_in_the_order_of_writing() -> None:
    assert Position(1, 900) < Position(2, 0) < Position(2, 1)
