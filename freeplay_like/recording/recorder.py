"""The recorder that a client uses: to the journal at once, to the backend as soon as it can."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from pathlib import Path
from typing import Final

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.records import Amendment, Record
from freeplay_like.recording.base import FlushReport, Redact
from freeplay_like.recording.delivery import Delivery, Durability, Settings
from freeplay_like.recording.folders import destination_of, is_owned, list_folders, spool_candidates
from freeplay_like.recording.frames import amend_frame, end_frame, progress_frame, start_frame
from freeplay_like.recording.gates import Tally
from freeplay_like.recording.live import RunningCalls, is_wanted
from freeplay_like.recording.redaction import Redactor
from freeplay_like.recording.sources import RING_BYTES, Limits
from freeplay_like.recording.troubles import Troubles

SHUTDOWN_TIMEOUT_S: Final = 2.0
_NOW: Final = "now"


class JournalRecorder:
    """Keeps records on disk and delivers them to the backend in the background.

    Nothing here raises into, or waits on, a call. A process that is killed loses nothing: its records are delivered
    by the next one that runs, and its unfinished calls arrive as `interrupted`, with their text.

    Args:
        api_base: the address of the backend's API, such as `http://127.0.0.1:8000/api`.
        api_key: the backend's key; it is never written to disk.
        spool_dir: where the journal lives; else `FREEPLAY_LIKE_SPOOL_DIR`, else `freeplay_like/spool` in the user's
            state folder, else a folder of the user's own in the temp folder.
        durability: "process" outlives the process, and a power loss but for the last second; "fsync" outlives both
            and makes the end of each call wait for the disk; "memory" writes nothing.
        spool_limit_bytes: how large the spool may become while the backend is away. Beyond that records are kept in
            memory, at most `memory_limit_bytes`, and beyond that they are dropped, counted and reported.
        redact: a hook that sees each record (when its call starts, and when it ends) before it is written, and what is
            free in an amendment, in the form of a record (see `Redact`). Where it fails or returns None, contents are
            dropped. With a hook the text of a running call is not written.
        timeout_s: how long the backend may take for a connection, and for an answer.
        live: whether calls that run longer than a moment are shown in the backend while they grow; else as
            `FREEPLAY_LIKE_LIVE` says ("0" is no), else they are. With a `redact` hook their text is not.
    """

    def __init__(
        self,
        api_base: str,
        api_key: str,
        *,
        spool_dir: Path | None = None,
        durability: Durability = "process",
        spool_limit_bytes: int = 512 * 1024 * 1024,
        memory_limit_bytes: int = RING_BYTES,
        redact: Redact | None = None,
        clock: Clock | None = None,
        batch_records: int = 500,
        batch_bytes: int = 1024 * 1024,
        timeout_s: float = 10.0,
        live: bool | None = None,
    ) -> None:
        self._settings = Settings(
            api_base=api_base.rstrip("/"),
            api_key=api_key,
            clock=clock or SystemClock(),
            spool_dir=spool_dir,
            durability=durability,
            spool_limit_bytes=spool_limit_bytes,
            ring_limit_bytes=memory_limit_bytes,
            limits=Limits(records=batch_records, record_bytes=batch_bytes),
            timeout_s=timeout_s,
            is_live=is_wanted(live),
        )
        self._redact = redact
        self._slot: dict[str, Delivery] = {}
        self._made: weakref.WeakSet[Delivery] = weakref.WeakSet()
        self._begin()
        _recorders.add(self)
        weakref.finalize(self, _ask_to_stop, self._slot).atexit = False

    def _begin(self) -> None:
        """The state that a forked child must not share with its parent."""
        self._troubles = Troubles()
        self._redactor = Redactor(self._troubles, self._redact, self._settings.api_key)
        self._past = FlushReport()
        self._lost = Tally()
        self._running = RunningCalls(self._settings.clock)

    # --- recording ----------------------------------------------------------------------------------------

    def start(self, record: Record) -> None:
        """A call is about to be made."""
        try:
            data = self._redactor.record_json(record)
            if self._settings.is_live:
                self._running.began(record, data)
            self._keep(start_frame(data))
        except Exception as exc:  # noqa: BLE001 - recording never raises into a call
            self._troubles.note("start", f"the start of call {record.record_id!r} was not recorded: {exc!r}")

    def progress(self, record_id: str, text: str) -> None:
        """Text of a running call has arrived."""
        try:
            if self._redactor.keeps_progress:
                text = self._redactor.progress_text(text)
                self._running.grew(record_id, text)
                self._keep(progress_frame(record_id, text))
        except Exception as exc:  # noqa: BLE001 - recording never raises into a call
            self._troubles.note("progress", f"the text of call {record_id!r} was not recorded yet: {exc!r}")

    def submit(self, record: Record) -> None:
        """A call has ended."""
        self._running.ended(record.record_id)
        try:
            data = self._redactor.record_json(record)
            self._keep(end_frame(data), data)
        except Exception as exc:  # noqa: BLE001 - recording never raises into a call
            self._lost.add()
            self._troubles.note("submit", f"record {record.record_id!r} was lost: {exc!r}")

    def amend(self, amendment: Amendment) -> None:
        """Something was said of a record."""
        try:
            data = self._redactor.amendment_json(amendment)
            self._keep(amend_frame(data), data)
        except Exception as exc:  # noqa: BLE001 - recording never raises into a call
            self._lost.add()
            self._troubles.note("amend", f"what was said of record {amendment.record_id!r} was lost: {exc!r}")

    def _keep(self, frame: bytes, last_word: bytes | None = None) -> None:
        while not self._delivery().keep(frame, last_word):
            # It was closed between the two steps. Whoever closes takes it out of its place first, so the next is new.
            pass

    def _delivery(self) -> Delivery:
        """This process's delivery, made at its first frame. Threads that make one at the same time agree on one."""
        delivery = self._slot.get(_NOW)
        if delivery is None:
            made = Delivery(self._settings, self._redactor, self._troubles, self._running)
            self._made.add(made)
            delivery = self._slot.setdefault(_NOW, made)
            if delivery is made:
                _flush_when_this_child_ends(self)
            else:
                made.discard()
        if not delivery.is_running:
            delivery.start()
        return delivery

    # --- delivering ---------------------------------------------------------------------------------------

    def flush(self, timeout_s: float = 10.0) -> FlushReport:
        """Wait until everything submitted before is stored or set aside, at most `timeout_s`.

        Returns earlier where the backend refuses the key or the project: waiting would not help. What is pending
        then stays where it is. Where nothing was recorded yet, but dead processes have left something for this backend,
        that is what it waits for; it does not count in the report.
        """
        delivery = self._slot.get(_NOW)
        if delivery is None and self._has_orphans():
            delivery = self._delivery()
        return self._told(delivery.flush(timeout_s) if delivery else FlushReport())

    def _has_orphans(self) -> bool:
        """Whether the spool holds what dead processes left for this backend."""
        if self._settings.durability == "memory":
            return False
        destination = destination_of(self._settings.api_base)
        spools = spool_candidates(self._settings.spool_dir)
        return any(not is_owned(path) for spool in spools for path in list_folders(spool, destination))

    def close(self, timeout_s: float = SHUTDOWN_TIMEOUT_S) -> FlushReport:
        """Flush, stop the thread and let go of the folder. What is still pending stays on disk for the next run.

        Safe to call twice, from any thread. A record that is submitted later begins anew.
        """
        delivery = self._slot.pop(_NOW, None)
        if delivery is not None:
            self._past = self._told(delivery.stop(timeout_s), is_final=True)
        return self._told(FlushReport())

    def _told(self, now: FlushReport, *, is_final: bool = False) -> FlushReport:
        """The report of this process: of what was closed before, and of now."""
        past = self._past
        return FlushReport(
            sent=past.sent + now.sent,
            pending=past.pending + now.pending,
            spooled=past.spooled + now.spooled,
            dropped=past.dropped + now.dropped + (0 if is_final else self._lost.value),
            errors=self._troubles.messages(),
        )

    def _forget_parent(self) -> None:
        """In a forked child: leave the parent's files and thread alone, and begin anew."""
        for delivery in list(self._made):
            delivery.abandon()
        self._made = weakref.WeakSet()
        self._slot.clear()
        self._begin()


_recorders: weakref.WeakSet[JournalRecorder] = weakref.WeakSet()
_leaving: weakref.WeakSet[threading.Event] = weakref.WeakSet()
"""Set when the delivery of a recorder that was dropped, not closed, has ended; held by its thread."""


def _ask_to_stop(slot: dict[str, Delivery]) -> None:
    for delivery in slot.values():
        _leaving.add(delivery.ask_to_stop(SHUTDOWN_TIMEOUT_S))


def _close_all() -> None:
    """When the interpreter ends: deliver for a moment; all that is left is on disk."""
    clock = SystemClock()
    deadline_ns = clock.monotonic_ns() + int(SHUTDOWN_TIMEOUT_S * 1e9)
    for recorder in list(_recorders):
        recorder.close(max(0.0, (deadline_ns - clock.monotonic_ns()) / 1e9))
    for has_ended in list(_leaving):
        has_ended.wait(max(0.0, (deadline_ns - clock.monotonic_ns()) / 1e9))


def _after_fork() -> None:
    _leaving.clear()
    for recorder in list(_recorders):
        recorder._forget_parent()


def _flush_when_this_child_ends(recorder: JournalRecorder) -> None:
    """A child of `multiprocessing` ends without `atexit`; it has finalizers of its own."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and sys.modules["multiprocessing"].parent_process() is not None:
        util.Finalize(recorder, _close_all, exitpriority=0)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
