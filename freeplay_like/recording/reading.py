"""The reading side of a spool folder: the same for our own, which grows while we read, and for a dead process's."""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Callable, Generator, Iterator
from typing import Final

import attrs

from freeplay_like.core.wire import JsonObject, WireError, from_wire, to_wire
from freeplay_like.recording.folders import Cursor, Folder, Position
from freeplay_like.recording.frames import Frame, Head, Lane, Line, decode_frame, head_of, held_by, read_lines
from freeplay_like.recording.journal import Journal
from freeplay_like.recording.sources import Counts, Limits, Pending, Window
from freeplay_like.recording.troubles import Troubles

_OFFSET_BITS: Final = 36  # 64 GB a segment; beside it an eight-digit number fits into 64 bits
_READ_TRIES: Final = 3
_DUE: Final = float("-inf")

SetAside = Callable[[str, bytes], None]
"""Keeps a line that could not be read: a name for where it was, and its bytes."""


@attrs.define(eq=False)
class _Held:
    """A lane that the backend does not take: where it stays behind, and when to try again."""

    at: Position
    until_s: float


class FolderSource:
    """The records and amendments of one folder, oldest first.

    With a `journal` the folder is our own and alive: calls that have started and not ended are left alone. Without
    one its process is dead: after all that has ended, such calls are handed out as interrupted, with their text.
    `mask` is applied to a text that is put together here, where a secret may have been split over frames.
    """

    def __init__(
        self,
        folder: Folder,
        *,
        troubles: Troubles,
        set_aside: SetAside,
        mask: Callable[[bytes], bytes],
        journal: Journal | None = None,
    ) -> None:
        self.folder = folder
        self.counts = Counts()
        cursor = folder.read_cursor()
        self.acked = cursor.main
        self._scan = Position(min(folder.segment_numbers(), default=1), 0)
        self._lanes = {lane: _Held(at, _DUE) for lane, at in cursor.lanes.items()}
        self._lane_end = Position(0, 0)
        self._open: dict[str, array[int]] = {}
        self._journal = journal
        self._troubles = troubles
        self._set_aside = set_aside
        self._mask = mask
        self._read_failures = 0
        self._unreadable: set[int] = set()
        self._pruned_to = 0

    # --- what there is ------------------------------------------------------------------------------------

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left in this folder, so that it can be removed. Only true after a `take` of None."""
        return not (self._open or self._lanes or self._unreadable)

    @property
    def next_try_s(self) -> float | None:
        """When something held is to be tried again."""
        return min((held.until_s for held in self._lanes.values()), default=None)

    @property
    def is_stuck(self) -> bool:
        """Whether some of this folder cannot be delivered now: refused by the backend, or unreadable."""
        return bool(self._lanes or self._unreadable)

    @property
    def unsent_bytes(self) -> int:
        """The size of what comes after the last acknowledged frame."""
        total = -self.acked.offset
        for number in self.folder.segment_numbers():
            if number >= self.acked.number:
                with contextlib.suppress(OSError):  # deleted under us
                    total += self.folder.segment_path(number).stat().st_size
        return max(0, total)

    def release_held(self) -> None:
        """Try what is held at once."""
        for held in self._lanes.values():
            held.until_s = _DUE

    def forget(self, record_id: str) -> None:
        """The call has ended elsewhere (its last frame was kept in memory)."""
        self._open.pop(record_id, None)

    # --- taking -------------------------------------------------------------------------------------------

    def take(self, limits: Limits, now_s: float) -> Window | None:
        """What is next, None where there is nothing now.

        Raises:
            OSError: the folder cannot be read; after a few times the segment is passed over and left as it is.
        """
        window = self._take_lane(limits, now_s) or self._take_ended(limits) or self._take_interrupted(limits)
        if window is None and self.acked < self._scan:
            self._advance()
        return window

    def _take_ended(self, limits: Limits) -> Window | None:
        window = Window()
        with contextlib.closing(self._lines(self._scan)) as lines:
            for at, line in lines:
                pending = self._pending(line, at)
                if pending is not None and at >= self.acked and pending.head.lane not in self._lanes:
                    if not window.has_room(len(pending.data), limits):
                        break
                    window.add(pending)
                self._scan = Position(at.number, line.end)
        return window if window.items else None

    def _take_lane(self, limits: Limits, now_s: float) -> Window | None:
        for lane, held in list(self._lanes.items()):
            if held.until_s > now_s:
                continue
            window = Window(lane=lane)
            self._lane_end = self.acked
            with contextlib.closing(self._lines(held.at)) as lines:
                for at, line in lines:
                    pending = None if at >= self.acked else self._pending(line)
                    if at >= self.acked:
                        break
                    if pending is None or pending.head.lane != lane:
                        continue
                    if not window.has_room(len(pending.data), limits):
                        self._lane_end = at
                        break
                    window.add(pending)
            if window.items:
                return window
            del self._lanes[lane]  # it has caught up with the others
        return None

    def _take_interrupted(self, limits: Limits) -> Window | None:
        if self._journal is not None:
            return None
        window = Window()
        for record_id, places in list(self._open.items()):
            pending = self._interrupted(places)
            if pending is None:
                del self._open[record_id]
            elif pending.head.lane not in self._lanes:
                if not window.has_room(len(pending.data), limits):
                    break
                window.add(pending)
        return window if window.items else None

    # --- after delivery -----------------------------------------------------------------------------------

    def hold(self, window: Window, lane: Lane, until_s: float) -> None:
        """Leave the lane behind, at the place where this window began."""
        window.held.add(lane)
        self._lanes.setdefault(lane, _Held(self.acked, until_s)).until_s = until_s

    def settle(self, window: Window) -> None:
        """Remember that the window was delivered, and delete what is not needed any more."""
        if window.lane is not None and window.lane not in window.held:
            self._lanes[window.lane].at = self._lane_end
        for pending in window.items:
            if pending.head.amendment_id is None and pending.head.lane not in window.held:
                self._open.pop(pending.head.record_id, None)  # an interrupted one has now been told
        self._advance()

    def _advance(self) -> None:
        self.acked = max(self.acked, self._scan)
        try:
            self.folder.write_cursor(Cursor.of(self.acked, {lane: held.at for lane, held in self._lanes.items()}))
            if self._pruned_to < self.acked.number:
                self._prune()
        except OSError as exc:
            self._troubles.note(
                "cursor", f"what was delivered of {self.folder.path} cannot be noted ({exc}); it may be sent twice"
            )

    def _prune(self) -> None:
        """Delete the segments before this one in which no call is open. Those that must stay are looked at again
        with the next segment."""
        keep_from = min([self.acked.number, *(held.at.number for held in self._lanes.values())])
        pinned = {place >> _OFFSET_BITS for places in self._open.values() for place in places}
        for number in self.folder.segment_numbers():
            if number < keep_from and number not in pinned | self._unreadable:
                self.folder.segment_path(number).unlink(missing_ok=True)
        self._pruned_to = self.acked.number

    # --- reading ------------------------------------------------------------------------------------------

    def _lines(self, start: Position) -> Generator[tuple[Position, Line], None, None]:
        for number in self._numbers(start.number):
            # Asked before reading: what comes after the end of a segment that was closed then is nothing.
            is_closed = self._journal is None or self._journal.is_closed(number)
            offset = start.offset if number == start.number else 0
            for line in self._read(number, offset, is_closed=is_closed):
                yield Position(number, line.start), line
            if not is_closed:
                return

    def _numbers(self, first: int) -> list[int]:
        if self._journal is not None:
            return list(range(first, self._journal.current.number + 1))
        return [number for number in self.folder.segment_numbers() if number >= first]

    def _read(self, number: int, offset: int, *, is_closed: bool) -> Iterator[Line]:
        if number in self._unreadable:
            return
        try:
            with self._opened(number) as fd:
                yield from read_lines(fd, offset, is_closed=is_closed)
        except FileNotFoundError:
            return  # pruned, or deleted by somebody: there is nothing in it to send
        except OSError as exc:
            self._read_failures += 1
            if self._read_failures < _READ_TRIES:
                raise
            self._read_failures = 0
            self._unreadable.add(number)
            path = self.folder.segment_path(number)
            self._troubles.note(f"read {path}", f"the segment {path} cannot be read ({exc}); it is left where it is")

    @contextlib.contextmanager
    def _opened(self, number: int) -> Iterator[int]:
        fd = None if self._journal is None else self._journal.read_fd(number)
        if fd is not None:
            yield fd
            return
        fd = os.open(self.folder.segment_path(number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def _pending(self, line: Line, tracked_at: Position | None = None) -> Pending | None:
        """What an end or amend frame holds, None of any other line. With `tracked_at` also remembers which calls are
        open, and sets aside what cannot be read."""
        try:
            frame = None if line.body is None else decode_frame(line.body)
            head = None if frame is None else held_by(frame)
        except WireError:
            frame = head = None
        if tracked_at is not None:
            self._track(tracked_at, line, frame, head)
        if frame is None or head is None or frame.k == "start":
            return None
        return Pending(head=head, data=bytes(frame.r))

    def _track(self, at: Position, line: Line, frame: Frame | None, head: Head | None) -> None:
        if frame is not None and frame.k == "progress":
            self._note_place(frame.id, at)
        elif frame is not None and head is not None and frame.k == "start":
            self._open[head.record_id] = array("Q", [at.number << _OFFSET_BITS | at.offset])
        elif frame is not None and head is not None and frame.k == "end":
            self._open.pop(head.record_id, None)
        elif head is None and at >= self.acked:
            self._set_aside(f"{self.folder.path.name}.{at.number:08d}", line.raw)

    def _note_place(self, record_id: str, at: Position) -> None:
        places = self._open.get(record_id)
        # Of a living call only the segments matter; its text is not read from here.
        if places is not None and (self._journal is None or places[-1] >> _OFFSET_BITS != at.number):
            places.append(at.number << _OFFSET_BITS | at.offset)

    def _interrupted(self, places: array[int]) -> Pending | None:
        """The record of a call that never ended: as it started, with the text that had come. None if unreadable."""
        first, *rest = (self._frame_at(place) for place in places)
        if first is None:
            return None
        text = "".join(frame.text for frame in rest if frame is not None)
        record = bytes(first.r)
        if text:
            values: JsonObject = from_wire(record, dict)
            record = self._mask(to_wire({**values, "choices": [{"index": 0, "text": text}]}))
        return Pending(head=head_of(record), data=record)

    def _frame_at(self, place: int) -> Frame | None:
        number, offset = place >> _OFFSET_BITS, place & ((1 << _OFFSET_BITS) - 1)
        for line in self._read(number, offset, is_closed=True):
            return None if line.body is None else decode_frame(line.body)
        return None
