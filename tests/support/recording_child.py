"""A program that records, for tests that end it in every way a program can end.

    python recording_child.py <mode> <api base> <spool>

Each id is printed when the recorder has taken it: `started <id>`, `ended <id>`, `amended <id>`.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from freeplay_like.recording.recorder import JournalRecorder
from support.sink import KEY, make_amendment, make_record, make_start

TEXT = "words that have come so far "


def say(word: str, record_id: str) -> None:
    os.write(1, f"{word} {record_id}\n".encode())


def record_one(recorder: JournalRecorder) -> None:
    record = make_record()
    recorder.start(make_start(record))
    recorder.progress(record.record_id, TEXT)
    say("started", record.record_id)
    recorder.submit(record)
    say("ended", record.record_id)
    amendment = make_amendment(record.record_id)
    recorder.amend(amendment)
    say("amended", amendment.amendment_id)


def for_ever(recorder: JournalRecorder) -> None:
    """Four threads record until somebody kills us."""

    def work() -> None:
        while True:
            record_one(recorder)

    for _ in range(4):
        threading.Thread(target=work).start()


def ten(recorder: JournalRecorder) -> None:
    """Ends normally, at once."""
    for _ in range(10):
        record_one(recorder)


def leave(recorder: JournalRecorder) -> None:
    ten(recorder)
    sys.exit(3)


def fail(recorder: JournalRecorder) -> None:
    ten(recorder)
    raise ValueError("nobody catches this")


def vanish(recorder: JournalRecorder) -> None:
    """Ends without atexit."""
    ten(recorder)
    os._exit(0)


def vanish_at_once(recorder: JournalRecorder) -> None:
    """The same, after one record and before anything can be delivered."""
    record = make_record()
    recorder.start(make_start(record))
    recorder.submit(record)
    say("ended", record.record_id)
    os._exit(0)


def small_disk(recorder: JournalRecorder) -> None:
    """No file may grow beyond 16 KB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, resource.RLIM_INFINITY))
    for _ in range(200):
        record_one(recorder)
    report = recorder.flush(20)
    say("sent", str(report.sent))
    say("dropped", str(report.dropped))


def fork(recorder: JournalRecorder) -> None:
    """The parent and three children record, and each is flushed."""
    ten(recorder)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            ten(recorder)
            say("flushed", str(recorder.flush(20).sent))
            os._exit(0)
        children.append(child)
    ten(recorder)
    for child in children:
        os.waitpid(child, 0)


def outlived(recorder: JournalRecorder) -> None:
    """Has a child that does nothing and stays until somebody kills it."""
    recorder.start(make_start(make_record()))
    say("started", "a call")
    child = os.fork()
    if child == 0:
        say("child", str(os.getpid()))
    signal.pause()


def pool(recorder: JournalRecorder) -> None:
    """Children of multiprocessing end without atexit, and without a flush of their own."""
    ten(recorder)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=ten, args=(recorder,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()


MODES: dict[str, Callable[[JournalRecorder], None]] = {
    mode.__name__: mode
    for mode in (for_ever, ten, leave, fail, vanish, vanish_at_once, small_disk, fork, outlived, pool)
}

if __name__ == "__main__":
    MODES[sys.argv[1]](JournalRecorder(sys.argv[2], KEY, spool_dir=Path(sys.argv[3])))
