"""What a recorder promises, with real processes, a real disk and a real backend that misbehaves."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from freeplay_like.backend_link import BackendLink, project_path, segment
from freeplay_like.core.messages import Message
from freeplay_like.core.wire import to_wire
from freeplay_like.recording.folders import destination_of
from freeplay_like.recording.recorder import JournalRecorder
from freeplay_like.recording.spool import spool_flush, spool_status
from support.backend import BackendProcess
from support.recording_child import TEXT
from support.sink import KEY, Reply, Request, Sink, make_amendment, make_record, make_start
from support.waiting import until

KILLS = 15
CHILD = Path(__file__).resolve().parents[1] / "support" / "recording_child.py"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@contextmanager
def recording(sink: Sink, spool: Path, **settings: object) -> Iterator[JournalRecorder]:
    recorder = JournalRecorder(sink.base, KEY, spool_dir=spool, **settings)  # type: ignore[arg-type]
    try:
        yield recorder
    finally:
        recorder.close(0)


@contextmanager
def child(mode: str, base: str, spool: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(CHILD), mode, base, str(spool)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def run(mode: str, base: str, spool: Path) -> tuple[dict[str, list[str]], subprocess.CompletedProcess[str]]:
    command = [sys.executable, str(CHILD), mode, base, str(spool)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return said(done.stdout), done


def said(output: str) -> dict[str, list[str]]:
    words: dict[str, list[str]] = {"started": [], "ended": [], "amended": []}
    for line in output.splitlines():
        word, _, value = line.partition(" ")
        words.setdefault(word, []).append(value)
    return words


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def files_in(spool: Path) -> list[Path]:
    return [path for path in spool.rglob("*") if path.is_file()]


# --- a process that ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", range(KILLS))
def test_a_killed_process_loses_nothing(attempt: int, sink: Sink, tmp_path: Path) -> None:
    dice = random.Random(attempt)  # noqa: S311 - picks the instant
    is_backend_up = attempt % 2 == 0
    base = sink.base if is_backend_up else f"http://127.0.0.1:{free_port()}/api"
    with child("for_ever", base, tmp_path) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(dice.randrange(1, 400))]
        process.send_signal(signal.SIGKILL)
        words = said("".join(lines) + process.stdout.read())
    if is_backend_up:
        with recording(sink, tmp_path) as recorder:
            recorder.start(make_start(make_record()))
            until(lambda: len(spool_status(tmp_path).folders) == 1, what="delivery of what the killed process left")
    else:
        rename_destination(tmp_path, sink.base)
        assert spool_flush(tmp_path, sink.base, KEY).is_complete
    for record_id in words["ended"]:
        assert sink.records[record_id]["outcome"] == "complete"
    assert set(sink.amendments) >= set(words["amended"])
    for record_id in set(words["started"]) - set(words["ended"]):  # at most one for each thread
        found = sink.records[record_id]
        assert found["outcome"] == "complete" or found["choices"][0]["text"] == TEXT


def rename_destination(spool: Path, base: str) -> None:
    """The same backend, moved to another port: what it means for a folder is in its name."""
    for path in [path for path in spool.iterdir() if "." in path.name]:
        path.rename(path.with_suffix(f".{destination_of(base)}"))


@pytest.mark.parametrize(("mode", "status"), [("ten", 0), ("leave", 3), ("fail", 1)])
def test_what_a_program_recorded_is_delivered_when_it_ends(mode: str, status: int, sink: Sink, tmp_path: Path) -> None:
    words, done = run(mode, sink.base, tmp_path)
    assert done.returncode == status, done.stderr
    assert sorted(sink.arrivals) == sorted(words["ended"])
    assert sorted(sink.amendment_arrivals) == sorted(words["amended"])
    assert len(words["ended"]) == len(words["amended"]) == 10
    assert files_in(tmp_path) == []


def test_a_program_whose_backend_is_down_ends_in_time_and_keeps_its_records(tmp_path: Path) -> None:
    words, done = run("ten", f"http://127.0.0.1:{free_port()}/api", tmp_path)
    assert done.returncode == 0, done.stderr
    assert spool_status(tmp_path).pending == len(words["ended"]) + len(words["amended"]) == 20


def test_what_a_program_left_that_vanished_is_delivered_by_the_next(sink: Sink, tmp_path: Path) -> None:
    words, _ = run("vanish", sink.base, tmp_path)
    report = spool_flush(tmp_path, sink.base, KEY)
    assert set(sink.records) == set(words["ended"])
    assert set(sink.amendments) == set(words["amended"])
    assert (report.sent, report.pending, files_in(tmp_path)) == (20, 0, [])


def test_a_flush_before_the_first_record_waits_for_what_others_have_left(sink: Sink, tmp_path: Path) -> None:
    words: set[str] = set()
    for _ in range(10):  # more than are adopted at once
        words |= set(run("vanish_at_once", sink.base, tmp_path)[0]["ended"])
    with recording(sink, tmp_path) as recorder:
        report = recorder.flush(30)
        assert set(sink.records) == words
        assert len(words) == 10
        assert (report.sent, report.pending, report.errors) == (0, 0, ())


def test_a_flush_before_the_first_record_begins_nothing_where_nobody_left_anything(sink: Sink, tmp_path: Path) -> None:
    living, idle = (JournalRecorder(sink.base, KEY, spool_dir=tmp_path) for _ in range(2))
    living.submit(make_record())
    assert living.flush().sent == 1
    assert idle.flush().is_complete
    assert len(spool_status(tmp_path).folders) == 1
    living.close()


# --- fork -------------------------------------------------------------------------------------------------


def test_forked_children_deliver_their_own_records_once(sink: Sink, tmp_path: Path) -> None:
    words, done = run("fork", sink.base, tmp_path)
    assert done.returncode == 0, done.stderr
    assert words["flushed"] == ["20"] * 3
    assert len(words["ended"]) == 50
    assert sorted(sink.amendment_arrivals) == sorted(words["amended"])
    assert sorted(sink.arrivals) == sorted(words["ended"])


def test_children_of_multiprocessing_are_flushed_when_they_end(sink: Sink, tmp_path: Path) -> None:
    words, done = run("pool", sink.base, tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(sink.arrivals) == sorted(words["ended"])
    assert len(words["ended"]) == 40


def test_a_killed_parent_leaves_no_lock_behind_in_its_children(tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{free_port()}/api"
    with child("outlived", base, tmp_path) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith("started")
        assert [folder.is_alive for folder in spool_status(tmp_path).folders] == [True]
        grandchild = int(parent.stdout.readline().split()[1])
        try:
            parent.kill()
            parent.wait()
            assert [folder.is_alive for folder in spool_status(tmp_path).folders] == [False]
        finally:
            os.kill(grandchild, signal.SIGKILL)


# --- the backend ------------------------------------------------------------------------------------------


def test_records_wait_for_a_backend_that_is_down(tmp_path: Path) -> None:
    port = free_port()
    recorder = JournalRecorder(f"http://127.0.0.1:{port}/api", KEY, spool_dir=tmp_path)
    ids = [record.record_id for record in (make_record() for _ in range(10)) if recorder.submit(record) is None]
    report = recorder.flush(0.2)
    assert (report.sent, report.pending, report.spooled, report.dropped) == (0, 10, 10, 0)
    assert "did not answer" in report.errors[-1]
    with Sink(port=port) as sink:
        assert recorder.flush().is_complete
        assert sink.arrivals == ids
        recorder.close()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(502),
        Reply(503, {"Retry-After": "0"}),
        Reply(429, {"Retry-After": "0.1"}),
        Reply(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Reply(trick="reset"),
        Reply(trick="half"),
        Reply(trick="not json"),
        Reply(trick="redirect"),
        Reply(trick="drip"),
        Reply(trick="hang"),
    ],
    ids=lambda reply: reply.trick or f"{reply.status} {reply.headers.get('Retry-After', '')}",
)
def test_a_backend_in_trouble_is_asked_again(reply: Reply, tmp_path: Path) -> None:
    with Sink(reply, reply) as sink, recording(sink, tmp_path, timeout_s=0.3) as recorder:
        record = make_record()
        recorder.submit(record)
        report = recorder.flush()
        assert report.is_complete, report
        assert sink.arrivals == [record.record_id] * 3
        assert len(report.errors) == 1


def test_an_answer_that_was_lost_stores_nothing_twice(tmp_path: Path) -> None:
    with Sink(Reply(trick="half", is_stored=True)) as sink, recording(sink, tmp_path) as recorder:
        record = make_record()
        recorder.submit(record)
        assert recorder.flush().sent == 1
        assert sink.arrivals == [record.record_id] * 2
        assert list(sink.records) == [record.record_id]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_records_of_a_refused_project_are_kept_and_others_pass(status: int, tmp_path: Path) -> None:
    refused = {"project-2"}

    def judge(request: Request) -> Reply | None:
        return Reply(status) if any(f"/{project}/" in request.path for project in refused) else None

    with Sink(judge=judge) as sink, recording(sink, tmp_path) as recorder:
        ours, theirs = make_record(), make_record(project_id="project-2")
        for record in (theirs, ours, make_record(), make_record(project_id="project-2")):
            recorder.submit(record)
        report = recorder.flush()
        assert (report.sent, report.pending, report.spooled) == (2, 2, 2)
        assert "project-2" in report.errors[-1]
        assert "API key" in report.errors[-1]
        refused.clear()
        assert recorder.flush().is_complete
        assert len(sink.records) == 4


def test_a_refused_folder_of_a_dead_process_is_given_back(sink: Sink, tmp_path: Path) -> None:
    run("vanish", sink.base, tmp_path)
    sink.judge = lambda request: Reply(403) if request.key == "another key" else None
    assert spool_flush(tmp_path, sink.base, "another key").pending == 20
    assert [folder.is_alive for folder in spool_status(tmp_path).folders] == [False]
    assert spool_flush(tmp_path, sink.base, KEY).is_complete


def test_batches_that_are_too_large_are_divided_and_one_that_stays_so_is_set_aside(tmp_path: Path) -> None:
    giant = make_record(metadata={"size": "x" * 5000})

    def judge(request: Request) -> Reply | None:
        return Reply(413) if request.size_bytes > 4000 else None

    with Sink(judge=judge) as sink, recording(sink, tmp_path) as recorder:
        for record in (*(make_record() for _ in range(20)), giant, *(make_record() for _ in range(20))):
            recorder.submit(record)
        report = recorder.flush()
        assert (report.sent, report.pending) == (40, 0)
        assert giant.record_id in report.errors[-1]
        assert giant.record_id in (tmp_path / "rejected" / f"{giant.record_id}.json").read_text()
        assert sorted(sink.records) == sorted(set(sink.records) - {giant.record_id})


def test_a_record_that_the_backend_rejects_does_not_hold_up_the_rest(sink: Sink, tmp_path: Path) -> None:
    records = [make_record() for _ in range(9)]
    sink.rejects = {records[4].record_id}
    with recording(sink, tmp_path) as recorder:
        for record in records:
            recorder.submit(record)
        report = recorder.close(10)
    assert (report.sent, report.pending, report.dropped) == (8, 0, 0)
    assert "not taken" in report.errors[-1]
    assert [path.stem for path in files_in(tmp_path)] == [records[4].record_id]


@pytest.mark.parametrize("status", [500, 400])
def test_a_record_that_the_backend_trips_over_is_found_and_set_aside(status: int, tmp_path: Path) -> None:
    records = [make_record() for _ in range(9)]
    poison = records[4].record_id

    def judge(request: Request) -> Reply | None:
        return Reply(status) if poison in request.ids else None

    with Sink(judge=judge) as sink, recording(sink, tmp_path) as recorder:
        for record in records:
            recorder.submit(record)
        report = recorder.flush(30)
        assert (report.sent, report.pending) == (8, 0)
        assert poison not in sink.records
        assert (tmp_path / "rejected" / f"{poison}.json").exists()


def test_a_backend_that_fails_everything_sets_nothing_aside(tmp_path: Path) -> None:
    is_well = threading.Event()

    def judge(_: Request) -> Reply | None:
        return None if is_well.is_set() else Reply(500)

    with Sink(judge=judge) as sink, recording(sink, tmp_path) as recorder:
        recorder.submit(make_record())
        sink_probed = sink.wait_for(lambda s: any(not request.ids for request in s.requests))
        assert sink_probed or recorder.flush(20).pending == 1
        is_well.set()
        assert recorder.flush(30).is_complete
        assert not (tmp_path / "rejected").exists()


# --- what is said of a record afterwards ------------------------------------------------------------------


def test_an_amendment_arrives_as_it_was_made_after_the_records_before_it(sink: Sink, tmp_path: Path) -> None:
    record = make_record()
    amendment = make_amendment(
        record.record_id,
        feedback="negative",
        comments={"note": "dull", "stars": 2},
        scores={"is_right": False, "closeness": 0.25, "label": "off"},
        new_messages=(Message(role="assistant", content="Later."),),
    )
    with recording(sink, tmp_path) as recorder:
        recorder.amend(amendment)
        recorder.submit(record)
        report = recorder.flush()
        assert (report.sent, report.pending, report.errors) == (2, 0, ())
        assert sink.amendments == {amendment.amendment_id: json.loads(to_wire(amendment))}
        assert [(request.ids, request.amendment_ids) for request in sink.requests] == [
            ([record.record_id], []),
            ([], [amendment.amendment_id]),
        ]


def test_amendments_wait_for_a_backend_that_is_down_and_are_delivered_by_the_next_process(tmp_path: Path) -> None:
    port = free_port()
    recorder = JournalRecorder(f"http://127.0.0.1:{port}/api", KEY, spool_dir=tmp_path)
    amendments = [make_amendment() for _ in range(5)]
    for amendment in amendments:
        recorder.amend(amendment)
    report = recorder.close(0.2)
    assert (report.sent, report.pending, report.spooled) == (0, 5, 5)
    until(lambda: not spool_status(tmp_path).folders[0].is_alive, what="the end of the thread")
    (folder,) = spool_status(tmp_path).folders
    assert (folder.pending, folder.amendments, folder.in_flight) == (5, 5, 0)
    assert folder.oldest_at is not None
    with Sink(port=port) as sink:
        assert spool_flush(tmp_path, sink.base, KEY).sent == 5
        assert sink.amendment_arrivals == [amendment.amendment_id for amendment in amendments]
    assert files_in(tmp_path) == []


def test_a_backend_that_knows_no_amendments_keeps_no_record_waiting_and_loses_none(tmp_path: Path) -> None:
    with Sink() as sink, recording(sink, tmp_path) as recorder:
        sink.is_old = True
        first = [make_amendment() for _ in range(3)]
        for amendment in first:
            recorder.submit(make_record())
            recorder.amend(amendment)
        report = recorder.flush()
        assert (report.sent, report.pending, report.spooled) == (3, 3, 3)
        assert "knows no amendments; bring the backend up to date" in report.errors[-1]
        recorder.submit(make_record())
        recorder.amend(make_amendment())
        assert (recorder.flush().sent, sink.amendments) == (4, {})
        assert (recorder.close(5).pending, spool_status(tmp_path).pending) == (4, 4)
        sink.is_old = False
        assert spool_flush(tmp_path, sink.base, KEY).is_complete
        assert len(sink.amendments) == 4
        assert len(sink.arrivals) == 4
    assert files_in(tmp_path) == []


def test_an_amendment_that_the_backend_rejects_or_trips_over_is_set_aside_alone(tmp_path: Path) -> None:
    amendments = [make_amendment() for _ in range(9)]
    rejected, poison = amendments[2].amendment_id, amendments[6].amendment_id

    def judge(request: Request) -> Reply | None:
        return Reply(400) if poison in request.amendment_ids else None

    with Sink(judge=judge) as sink, recording(sink, tmp_path) as recorder:
        sink.rejects = {rejected}
        for amendment in amendments:
            recorder.amend(amendment)
        report = recorder.flush(30)
        assert (report.sent, report.pending, report.dropped) == (7, 0, 0)
        assert len(sink.amendments) == 7
    for amendment_id in (rejected, poison):
        kept = json.loads((tmp_path / "rejected" / f"{amendment_id}.json").read_text())
        assert kept["amendment"]["amendment_id"] == amendment_id


def test_amendments_that_are_too_large_together_are_divided(tmp_path: Path) -> None:
    def judge(request: Request) -> Reply | None:
        return Reply(413) if len(request.amendments) > 3 else None

    with Sink(judge=judge) as sink, recording(sink, tmp_path) as recorder:
        amendments = [make_amendment() for _ in range(20)]
        for amendment in amendments:
            recorder.amend(amendment)
        assert recorder.flush().sent == 20
        assert list(sink.amendments) == [amendment.amendment_id for amendment in amendments]


@pytest.mark.parametrize("reply", [Reply(429, {"Retry-After": "0"}), Reply(503), Reply(trick="half", is_stored=True)])
def test_amendments_are_tried_again_and_stored_once(reply: Reply, tmp_path: Path) -> None:
    with Sink(reply) as sink, recording(sink, tmp_path) as recorder:
        amendment = make_amendment()
        recorder.amend(amendment)
        assert recorder.flush().is_complete
        assert sink.amendment_arrivals == [amendment.amendment_id] * 2
        assert list(sink.amendments) == [amendment.amendment_id]


def test_amendments_of_a_refused_project_are_kept(tmp_path: Path) -> None:
    with Sink(judge=lambda _: Reply(403)) as sink, recording(sink, tmp_path) as recorder:
        recorder.submit(make_record())
        recorder.amend(make_amendment())
        report = recorder.flush()
        assert (report.pending, report.spooled) == (2, 2)
        assert {"records", "amendments"} == {error.split(" of project")[0] for error in report.errors}
        sink.judge = None
        assert recorder.flush().is_complete
        assert (len(sink.records), len(sink.amendments)) == (1, 1)


def test_without_a_disk_amendments_go_through_memory(tmp_path: Path) -> None:
    port = free_port()
    recorder = JournalRecorder(f"http://127.0.0.1:{port}/api", KEY, spool_dir=tmp_path, durability="memory")
    record = make_record()
    recorder.submit(record)
    recorder.amend(make_amendment(record.record_id))
    assert recorder.flush(0).pending == 2
    with Sink(port=port) as sink:
        assert recorder.close(10).sent == 2
        assert (len(sink.records), len(sink.amendments)) == (1, 1)


def test_what_is_said_of_a_running_call_does_not_end_it(sink: Sink, tmp_path: Path) -> None:
    record = make_record()
    with recording(sink, tmp_path) as recorder:
        recorder.start(make_start(record))
        recorder.progress(record.record_id, TEXT)
        recorder.amend(make_amendment(record.record_id))
        assert recorder.flush().sent == 1
        assert (folder := spool_status(tmp_path).folders[0]).in_flight == 1
        assert folder.pending == 0
        recorder.close(10)
    assert spool_flush(tmp_path, sink.base, KEY).sent == 1
    assert sink.records[record.record_id]["choices"][0]["text"] == TEXT


def test_the_backend_shows_an_amendment_with_its_record_whichever_came_first(
    backend: BackendProcess, tmp_path: Path
) -> None:
    record = make_record(project_id=backend.project_id)
    amendment = make_amendment(record.record_id, project_id=backend.project_id)
    recorder = JournalRecorder(backend.api_base, backend.api_key, spool_dir=tmp_path)
    recorder.amend(amendment)
    assert recorder.flush().is_complete
    recorder.submit(record)
    report = recorder.close(10)
    assert (report.sent, report.pending, report.errors) == (2, 0, ())
    link = BackendLink(backend.api_base, backend.api_key)
    shown = link.get(f"{project_path(backend.project_id)}/completions/{segment(record.record_id, 'record id')}")
    link.close()
    assert isinstance(shown, dict)
    (found,) = shown["amendments"]
    assert (found["amendment_id"], found["scores"]) == (amendment.amendment_id, amendment.scores)


# --- many threads, no disk, a full disk -------------------------------------------------------------------


def test_eight_threads_lose_and_repeat_nothing(sink: Sink, tmp_path: Path) -> None:
    records = [[make_record() for _ in range(500)] for _ in range(8)]
    with recording(sink, tmp_path) as recorder:

        def work(mine: int) -> None:
            for record in records[mine]:
                recorder.start(make_start(record))
                recorder.submit(record)

        threads = [threading.Thread(target=work, args=(mine,)) for mine in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report = recorder.flush(60)
    assert (report.sent, report.pending, report.dropped, report.errors) == (4000, 0, 0, ())
    assert sorted(sink.arrivals) == sorted(record.record_id for mine in records for record in mine)


def test_closing_while_others_record_loses_nothing(sink: Sink, tmp_path: Path) -> None:
    recorder = JournalRecorder(sink.base, KEY, spool_dir=tmp_path)
    records = [make_record() for _ in range(400)]
    is_done = threading.Event()

    def close_again_and_again() -> None:
        while not is_done.is_set():
            recorder.close(10)

    closer = threading.Thread(target=close_again_and_again)
    closer.start()
    for record in records:
        recorder.submit(record)
    is_done.set()
    closer.join()
    report = recorder.close(10)
    assert (report.sent, report.pending) == (400, 0), report
    assert sorted(sink.arrivals) == sorted(record.record_id for record in records)


def test_without_a_disk_records_go_through_memory(sink: Sink) -> None:
    recorder = JournalRecorder(sink.base, KEY, spool_dir=Path("/dev/null/x"))
    record = make_record()
    recorder.start(make_start(record))
    recorder.progress(record.record_id, "text")
    recorder.submit(record)
    report = recorder.close(10)
    assert (report.sent, report.pending, report.dropped) == (1, 0, 0)
    assert "kept in memory" in report.errors[0]


def test_with_durability_memory_nothing_is_written(sink: Sink, tmp_path: Path) -> None:
    with recording(sink, tmp_path, durability="memory") as recorder:
        recorder.submit(make_record())
        assert recorder.flush().is_complete
        assert list(tmp_path.iterdir()) == []


def test_what_memory_cannot_hold_is_dropped_and_counted_exactly(tmp_path: Path) -> None:
    port = free_port()
    recorder = JournalRecorder(
        f"http://127.0.0.1:{port}/api", KEY, spool_dir=tmp_path, durability="memory", memory_limit_bytes=20_000
    )
    for _ in range(100):
        recorder.submit(make_record())
    report = recorder.flush(0)
    assert report.dropped > 50
    assert report.pending + report.dropped == 100
    with Sink(port=port) as sink:
        assert recorder.flush().sent == len(sink.records) == 100 - report.dropped
        recorder.submit(make_record())
        assert recorder.flush().sent == len(sink.records) == 101 - report.dropped
        recorder.close()


def test_beyond_the_spool_limit_records_go_to_memory(tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}/api"
    recorder = JournalRecorder(base, KEY, spool_dir=tmp_path, spool_limit_bytes=10_000)
    for _ in range(100):
        recorder.submit(make_record())
    report = recorder.flush(0)
    assert report.dropped == 0
    assert report.pending > report.spooled > 0
    assert any("spool has reached 10000 bytes" in error for error in report.errors)
    assert sum(path.stat().st_size for path in files_in(tmp_path)) < 20_000
    with Sink(port=port) as sink:
        assert recorder.flush().is_complete
        assert len(sink.arrivals) == 100
        recorder.close()


def test_files_that_may_not_grow_cost_no_record(sink: Sink, tmp_path: Path) -> None:
    words, done = run("small_disk", sink.base, tmp_path)
    assert done.returncode == 0, done.stderr
    assert words["dropped"] == ["0"]
    assert set(sink.records) == set(words["ended"])
    assert set(sink.amendments) == set(words["amended"])
    assert words["sent"] == ["400"]


def test_a_full_disk_is_used_again_when_it_has_room(tmp_path: Path) -> None:
    with small_tmpfs(tmp_path / "disk") as disk:
        port = free_port()
        recorder = JournalRecorder(f"http://127.0.0.1:{port}/api", KEY, spool_dir=disk)
        recorder.submit(make_record())
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            fill(file)
        for _ in range(20):
            recorder.submit(make_record())
        full = recorder.flush(0)
        assert (full.pending, full.dropped) == (21, 0)
        assert full.spooled < 21
        ballast.unlink()
        recorder.submit(make_record())
        assert recorder.flush(0).spooled == full.spooled + 1
        with Sink(port=port) as sink:
            assert recorder.flush().is_complete
            assert len(sink.records) == 22
            recorder.close()


def fill(file: io.FileIO) -> None:
    while True:
        file.write(b"x" * 4096)


@contextmanager
def small_tmpfs(path: Path) -> Iterator[Path]:
    path.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", path], check=False, capture_output=True
    ).returncode:
        pytest.skip("a small disk needs the right to mount a tmpfs")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_a_spool_that_is_deleted_under_a_running_process_is_made_again(sink: Sink, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    sink.script.extend([Reply(503)] * 2)
    with recording(sink, spool) as recorder:
        recorder.submit(make_record())
        while any(spool.iterdir()):  # the delivery may write into it meanwhile
            shutil.rmtree(spool, ignore_errors=True)
            spool.mkdir(exist_ok=True)
        assert recorder.flush().is_complete
        recorder.submit(make_record())
        report = recorder.flush()
    assert (report.sent, report.pending) == (2, 0), report
