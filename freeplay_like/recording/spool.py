"""Looking at a spool, and delivering what is in it, without recording anything."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.wire import WireError
from freeplay_like.recording.adoption import Orphanage
from freeplay_like.recording.base import FlushReport
from freeplay_like.recording.courier import Courier
from freeplay_like.recording.folders import (
    Cursor,
    Folder,
    Position,
    destination_of,
    is_owned,
    list_folders,
    read_cursor,
    read_meta,
    segment_numbers,
    segment_path,
)
from freeplay_like.recording.frames import decode_frame, held_by, read_lines
from freeplay_like.recording.reading import FolderSource
from freeplay_like.recording.redaction import Redactor
from freeplay_like.recording.shelf import DAMAGED, REJECTED, Shelf
from freeplay_like.recording.sources import Limits
from freeplay_like.recording.transport import HttpTransport, this_process
from freeplay_like.recording.troubles import Troubles

_PAUSE_S: Final = 0.05


@attrs.frozen(kw_only=True)
class SpoolFolder:
    """What one process has in the spool.

    `pending` are records of ended calls and amendments that were not acknowledged (`amendments` of them amendments),
    `in_flight` calls that have not ended; `oldest_at` is when the oldest of them all began (ISO 8601), None where there
    is none.
    """

    path: Path
    api_base: str
    pid: int
    is_alive: bool
    pending: int
    in_flight: int
    size_bytes: int
    oldest_at: str | None
    amendments: int = 0


@attrs.frozen(kw_only=True)
class SpoolStatus:
    """A spool: its folders, oldest first, and how many records, amendments and bad segments were set aside."""

    folders: tuple[SpoolFolder, ...]
    rejected: int
    damaged: int

    @property
    def pending(self) -> int:
        """What waits for delivery; calls in flight count where their process is dead."""
        return sum(folder.pending + (0 if folder.is_alive else folder.in_flight) for folder in self.folders)


def spool_status(spool: Path) -> SpoolStatus:
    """What is in the spool at that path. Only reads; a spool that does not exist is an empty one."""
    return SpoolStatus(
        folders=tuple(_folder_status(path) for path in list_folders(spool)),
        rejected=_count(spool / REJECTED),
        damaged=_count(spool / DAMAGED),
    )


def _folder_status(path: Path) -> SpoolFolder:
    meta, found = read_meta(path), _Survey()
    for number in segment_numbers(path):
        with contextlib.suppress(OSError), segment_path(path, number).open("rb") as file:  # it may go away under us
            found.size_bytes += os.fstat(file.fileno()).st_size
            found.read(number, file.fileno(), read_cursor(path))
    times = [time for time in (found.oldest_at, *found.open_calls.values()) if time]
    return SpoolFolder(
        path=path,
        api_base=meta.api_base,
        pid=meta.pid,
        is_alive=is_owned(path),
        pending=found.pending,
        in_flight=len(found.open_calls),
        size_bytes=found.size_bytes,
        oldest_at=min(times, default=None),
        amendments=found.amendments,
    )


@attrs.define
class _Survey:
    """What was seen of a folder so far. What cannot be read is not counted."""

    pending: int = 0
    amendments: int = 0
    size_bytes: int = 0
    oldest_at: str | None = None
    open_calls: dict[str, str | None] = attrs.field(factory=dict)

    def read(self, number: int, fd: int, acked: Cursor) -> None:
        """Look through one segment."""
        lanes = acked.lanes
        for line in read_lines(fd, 0, is_closed=True):
            try:
                frame = decode_frame(line.body or b"")
                head = held_by(frame)
            except WireError:
                continue
            if head is not None and frame.k == "start":
                self.open_calls[head.record_id] = head.started_at
            elif head is not None:
                if frame.k == "end":
                    self.open_calls.pop(head.record_id, None)
                if Position(number, line.start) >= lanes.get(head.lane, acked.main):
                    self.pending += 1
                    self.amendments += frame.k == "amend"
                    self.oldest_at = min(self.oldest_at or head.at or "", head.at or "") or None


def _count(path: Path) -> int:
    try:
        return sum(1 for _ in path.iterdir())
    except OSError:
        return 0


def spool_flush(
    spool: Path, api_base: str, api_key: str, *, timeout_s: float = 30.0, clock: Clock | None = None
) -> FlushReport:
    """Deliver what dead processes have left for that backend; returns when nothing is left, or the time is up.

    Folders of living processes are theirs to deliver, and those meant for another backend are left alone.
    `pending` in the report is what still waits for this backend in folders of dead processes.
    """
    flush = _Flush(spool, api_base.rstrip("/"), api_key, clock or SystemClock())
    return flush.run(timeout_s, time.sleep)


class _Flush:
    """Adopts and delivers in the caller's own thread."""

    def __init__(self, spool: Path, api_base: str, api_key: str, clock: Clock) -> None:
        self._spool = spool
        sender_id = clock.new_id()
        self._troubles = Troubles()
        self._shelf = Shelf(lambda: spool, self._troubles)
        self._mask = Redactor(self._troubles, own_key=api_key).mask
        self._transport = HttpTransport(api_base, api_key, timeout_s=10.0, clock=clock)
        self._orphans = Orphanage(api_base, (spool,), self._source_of)
        self._made: list[FolderSource] = []
        self._courier = Courier(
            self._transport,
            clock=clock,
            limits=Limits(),
            sender=lambda: this_process(sender_id),
            reject=self._shelf.reject,
            troubles=self._troubles,
        )
        self._courier.is_hurried = True
        self._api_base = api_base

    def run(self, timeout_s: float, sleep: Callable[[float], None]) -> FlushReport:
        """Deliver until nothing is left or the time is up."""
        deadline_s = self._courier.now_s() + timeout_s
        try:
            self._orphans.look(self._courier.now_s())
            while self._orphans.sources and (now_s := self._courier.now_s()) < deadline_s:
                if self._courier.step(self._orphans.sources):
                    continue
                if self._courier.is_busy or now_s < self._courier.pause_until_s:
                    sleep(min(_PAUSE_S, deadline_s - now_s))
                elif self._orphans.remove_finished(now_s) or not self._orphans.sources:
                    self._orphans.look(now_s)
        finally:
            self._orphans.let_go()
            self._transport.close()
        return self._report()

    def _report(self) -> FlushReport:
        mine = set(list_folders(self._spool, destination_of(self._api_base)))
        left = [folder for folder in spool_status(self._spool).folders if folder.path in mine and not folder.is_alive]
        pending = sum(folder.pending + folder.in_flight for folder in left)
        return FlushReport(
            sent=sum(source.counts.sent for source in self._made),
            pending=pending,
            spooled=pending,
            errors=self._troubles.messages(),
        )

    def _source_of(self, folder: Folder) -> FolderSource:
        source = FolderSource(folder, troubles=self._troubles, set_aside=self._shelf.damage, mask=self._mask)
        self._made.append(source)
        return source
