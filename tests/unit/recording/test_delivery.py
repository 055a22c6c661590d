"""The thread that delivers, where it meets threads that record."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freeplay_like.clock import SystemClock
from freeplay_like.core.wire import to_wire
from freeplay_like.recording.delivery import Delivery, Settings
from freeplay_like.recording.frames import end_frame, start_frame
from freeplay_like.recording.redaction import Redactor
from freeplay_like.recording.troubles import Troubles
from support.sink import KEY, Sink, make_record, make_start
from support.waiting import until


@pytest.mark.parametrize("is_ended", [True, False], ids=["a record", "the start of a call"])
def test_a_thread_that_is_writing_when_others_close_is_waited_for(is_ended: bool, tmp_path: Path) -> None:
    record, troubles = make_record(), Troubles()
    data = to_wire(record if is_ended else make_start(record))
    inside, go = threading.Event(), threading.Event()
    with Sink() as sink, ThreadPoolExecutor(2) as pool:
        settings = Settings(api_base=sink.base, api_key=KEY, clock=SystemClock(), spool_dir=tmp_path)
        delivery = Delivery(settings, Redactor(troubles), troubles)
        journal = delivery._journal
        assert journal is not None
        append = journal.append

        def slowly(frame: bytes, *, is_last_word: bool) -> bool:
            inside.set()
            assert go.wait(60)
            return append(frame, is_last_word=is_last_word)

        journal.append = slowly  # type: ignore[method-assign]
        frame, last_word = (end_frame(data), data) if is_ended else (start_frame(data), None)
        writing = pool.submit(delivery.keep, frame, last_word)
        assert inside.wait(60)
        closing = pool.submit(delivery.stop, 600)
        until(lambda: delivery._is_idle or closing.done(), what="a thread that has nothing left to do")
        go.set()
        assert writing.result(60)
        report = closing.result(20)  # its next look on its own would be after 30 s
        assert (report.sent, report.pending, report.dropped) == (int(is_ended), 0, 0)
        assert len(sink.records) == int(is_ended)
    assert [path.stat().st_size > 0 for path in tmp_path.rglob("*.seg")] == ([] if is_ended else [True])
