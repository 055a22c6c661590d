"""The journal: records on disk before anybody waits for the backend.

A frame is one `write(2)` with O_APPEND to the current segment. What the kernel has taken outlives `kill -9`
without an fsync. There is no lock: threads append side by side, and one attribute assignment moves them on to the
next segment.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import attrs

from freeplay_like.recording.folders import Folder, Meta, Position
from freeplay_like.recording.gates import Gate

SEGMENT_BYTES: Final = 8 * 1024 * 1024

_SPACE_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@attrs.define(eq=False)
class Segment:
    """One append-only file. `size_bytes` may lag behind where threads write at once; the file system knows better."""

    number: int
    fd: int
    gate: Gate = attrs.field(factory=Gate)
    size_bytes: int = 0


class Journal:
    """The writing side of one folder.

    `append` is for any thread. Everything else is for the one thread that tidies up (the delivery thread).
    """

    def __init__(self, folder: Folder, *, limit_bytes: int, is_synced: bool) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.other_bytes = 0
        """What the rest of the spool holds: this folder's older segments and other folders, as last measured."""
        self.last_error: OSError | None = None
        self._is_synced = is_synced
        self._synced_bytes: tuple[int, int] = (0, 0)
        self._retired: list[Segment] = []
        self._has_files = True
        self.current = self._open(1)

    @classmethod
    def create(
        cls, candidates: tuple[Path, ...], folder_id: str, meta: Meta, *, limit_bytes: int, is_synced: bool
    ) -> Journal:
        """A journal in the first of the spool folders that takes one.

        Raises:
            OSError: none does; the error is that of the last.
        """
        error = OSError("there is no spool folder to try")
        for spool in candidates:
            folder = None
            try:
                folder = Folder.create(spool, folder_id, meta)
                return cls(folder, limit_bytes=limit_bytes, is_synced=is_synced)
            except OSError as exc:
                error = exc
                if folder is not None:
                    folder.remove()
        raise error

    def _open(self, number: int) -> Segment:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return Segment(number, os.open(self.folder.segment_path(number), flags, 0o600))

    @property
    def is_full(self) -> bool:
        """Whether the spool has reached its limit."""
        return self.other_bytes + self.current.size_bytes >= self.limit_bytes

    def append(self, frame: bytes, *, is_last_word: bool) -> bool:
        """Write a frame. False where it is not on disk; `last_error` says why, unless the spool is full."""
        segment = self.current
        while not segment.gate.enter():
            if segment is self.current:  # shut for good
                return False
            segment = self.current
        try:
            return not self.is_full and self._write(segment, frame, is_last_word=is_last_word)
        finally:
            segment.gate.leave()

    def _write(self, segment: Segment, frame: bytes, *, is_last_word: bool) -> bool:
        try:
            written = os.write(segment.fd, frame)
            segment.size_bytes += written
            if written != len(frame):
                raise OSError(errno.ENOSPC, "the disk took only a part of a frame")
            if self._is_synced and is_last_word:
                os.fsync(segment.fd)
        except OSError as exc:
            self.last_error = exc
            return False
        return True

    @property
    def end(self) -> Position:
        """Where the next frame goes.

        Raises:
            OSError: the segment cannot be asked.
        """
        return Position(self.current.number, os.fstat(self.current.fd).st_size)

    def is_closed(self, number: int) -> bool:
        """Whether nothing will be written to that segment again."""
        if number == self.current.number:
            return self.current.gate.is_quiet
        return all(segment.gate.is_quiet for segment in self._retired if segment.number == number)

    def read_fd(self, number: int) -> int | None:
        """The open file of a segment, which is there even where its name has been deleted; None where it is closed."""
        return next((s.fd for s in (*self._retired, self.current) if s.number == number), None)

    def tend(self, read_up_to: int) -> None:
        """Go to a new segment where the current one is large, broken or deleted, and close those left behind.

        `read_up_to` is the segment that delivery has come to: a deleted one stays open until it is read.

        Raises:
            OSError: there is no new segment to be had; the current one stays.
        """
        for segment in list(self._retired):
            if segment.gate.is_quiet and (segment.number < read_up_to or os.fstat(segment.fd).st_nlink):
                os.close(segment.fd)
                self._retired.remove(segment)
        stat = os.fstat(self.current.fd)
        self.current.size_bytes = stat.st_size
        is_broken = self.last_error is not None and self.last_error.errno not in _SPACE_ERRORS
        if stat.st_nlink == 0:
            self.folder.restore()
        if stat.st_size >= SEGMENT_BYTES or is_broken or stat.st_nlink == 0:
            self._rotate()

    def _rotate(self) -> None:
        self.last_error = None
        old, self.current = self.current, self._open(self.current.number + 1)
        self.other_bytes += old.size_bytes
        old.gate.shut()
        self._retired.append(old)

    def sync(self) -> None:
        """Make what is written safe from a power loss.

        Raises:
            OSError: the disk failed.
        """
        mark = (self.current.number, os.fstat(self.current.fd).st_size)
        if mark != self._synced_bytes:
            for segment in (*self._retired, self.current):
                os.fsync(segment.fd)
            self._synced_bytes = mark

    def shut(self) -> None:
        """Take no more frames."""
        self.current.gate.shut()

    @property
    def is_quiet(self) -> bool:
        """Shut, and no thread is writing."""
        return all(segment.gate.is_quiet for segment in (*self._retired, self.current))

    def close_files(self) -> None:
        """Close the files, once; the folder and its lock stay as they are."""
        if not self._has_files:
            return
        self._has_files = False
        for segment in (*self._retired, self.current):
            os.close(segment.fd)
        self._retired.clear()

    def abandon(self) -> None:
        """Close what a forked child has inherited; the parent goes on with its own."""
        self.close_files()
        self.folder.release()
