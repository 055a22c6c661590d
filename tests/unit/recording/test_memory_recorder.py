from __future__ import annotations

from freeplay_like.recording.base import Recorder
from freeplay_like.recording.memory import MemoryRecorder
from support.sink import make_amendment, make_record, make_start


def test_a_memory_recorder_shows_what_it_was_told() -> None:
    recorder = MemoryRecorder()
    as_seam: Recorder = recorder
    ended, running = make_record(), make_start(make_record())
    as_seam.start(make_start(ended))
    as_seam.start(running)
    as_seam.progress(running.record_id, "a")
    as_seam.progress(running.record_id, "b")
    as_seam.submit(ended)
    said = make_amendment(ended.record_id)
    as_seam.amend(said)
    assert recorder.records == [ended]
    assert recorder.amendments == [said]
    assert recorder.in_flight == [running]
    assert recorder.progressed == {running.record_id: ["a", "b"]}
    assert as_seam.flush().is_complete
    assert as_seam.close().sent == 2
    assert recorder.is_closed
