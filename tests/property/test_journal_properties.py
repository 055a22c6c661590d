"""Whatever happens to the files of a dead process, what is not damaged is delivered."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freeplay_like.clock import SystemClock
from freeplay_like.core.records import Amendment
from freeplay_like.core.wire import to_wire
from freeplay_like.recording.folders import Folder, Meta
from freeplay_like.recording.frames import amend_frame, end_frame, progress_frame, start_frame
from freeplay_like.recording.reading import FolderSource
from freeplay_like.recording.sources import Limits
from freeplay_like.recording.troubles import Troubles
from support.sink import make_amendment, make_record, make_start

COUNT = 6
ITEMS = [make_amendment() if index % 3 == 1 else make_record() for index in range(COUNT)]
IDS = [item.amendment_id if isinstance(item, Amendment) else item.record_id for item in ITEMS]
FRAMES = [amend_frame(to_wire(item)) if isinstance(item, Amendment) else end_frame(to_wire(item)) for item in ITEMS]
WHOLE = b"".join(FRAMES)
ENDS = [sum(map(len, FRAMES[: index + 1])) for index in range(COUNT)]
SIZE = len(WHOLE)


def delivered(*segments: bytes) -> list[str]:
    """The ids that come out of a folder with these segments."""
    with tempfile.TemporaryDirectory() as spool:
        folder = Folder.create(Path(spool), SystemClock().new_id(), Meta())
        try:
            for number, data in enumerate(segments, 1):
                folder.segment_path(number).write_bytes(data)
            source = FolderSource(folder, troubles=Troubles(), set_aside=lambda *_: None, mask=lambda data: data)
            found = []
            while window := source.take(Limits(records=2), 0.0):
                found += [pending.head.amendment_id or pending.head.record_id for pending in window.items]
                source.settle(window)
            assert source.is_finished
            return found
        finally:
            folder.release()


def ids(*indexes: int) -> list[str]:
    return [IDS[index] for index in indexes]


@given(at=st.integers(0, SIZE - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_item_at_most(at: int, bit: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= 1 << bit
    hit = next(index for index, end in enumerate(ENDS) if at < end)
    found = delivered(bytes(damaged))
    assert [i for i in found if i != IDS[hit]] == ids(*(i for i in range(COUNT) if i != hit))


@given(at=st.integers(0, SIZE))
def test_a_cut_costs_what_was_cut(at: int) -> None:
    # The line end is a frame's last byte; a frame that lacks only that is whole.
    assert delivered(WHOLE[:at]) == ids(*(index for index, end in enumerate(ENDS) if end - 1 <= at))


@given(garbage=st.binary(max_size=300), between=st.integers(0, COUNT))
def test_garbage_between_frames_costs_nothing(garbage: bytes, between: int) -> None:
    assert delivered(b"".join((*FRAMES[:between], garbage, *FRAMES[between:]))) == ids(*range(COUNT))


@given(garbage=st.binary(max_size=3000), is_first=st.booleans())
def test_a_segment_of_garbage_costs_nothing(garbage: bytes, is_first: bool) -> None:
    segments = (garbage, WHOLE, b"") if is_first else (b"", WHOLE, garbage)
    assert delivered(*segments) == ids(*range(COUNT))


@settings(max_examples=50)
@given(
    pieces=st.lists(st.text(max_size=20), max_size=6),
    cut=st.integers(0, 7),
    order=st.permutations(list(range(3))),
)
def test_a_started_call_is_always_delivered_once(pieces: list[str], cut: int, order: list[int]) -> None:
    """However the frames of calls are interleaved, and wherever the process died after a call's start."""
    calls = [make_record() for _ in order]
    lanes = [
        [
            start_frame(to_wire(make_start(call))),
            *(progress_frame(call.record_id, piece) for piece in pieces),
            end_frame(to_wire(call)),
        ][: max(1, cut)]
        for call in calls
    ]
    frames = [lanes[lane][step] for step in range(len(lanes[0])) for lane in order]
    found = delivered(b"".join(frames[: len(frames) // 2]), b"".join(frames[len(frames) // 2 :]))
    assert sorted(found) == sorted(call.record_id for call in calls)
