"""One process's recording: its journal, its ring in memory, and the thread that delivers both.

A caller's part ends with one write to the journal. The thread reads the journal back, so that memory does not grow
while the backend is away, and adopts what dead processes have left. It is a daemon: a process that ends takes it
along, and what it had not delivered is on disk.

What is kept: all that the kernel has taken, through `kill -9`. Through a power loss: with durability "fsync"
everything; with "process" all but the last second, longer while one request to the backend is under way; with
"memory" nothing at all outlives the process.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Final, Literal

import attrs

from freeplay_like.clock import Clock
from freeplay_like.recording.adoption import Orphanage
from freeplay_like.recording.base import FlushReport
from freeplay_like.recording.courier import Courier
from freeplay_like.recording.folders import Folder, Meta, Position, bytes_in, remove_unfinished, spool_candidates
from freeplay_like.recording.gates import Gate, Tally
from freeplay_like.recording.journal import Journal
from freeplay_like.recording.live import Broadcast, RunningCalls
from freeplay_like.recording.reading import FolderSource
from freeplay_like.recording.redaction import Redactor
from freeplay_like.recording.shelf import Shelf
from freeplay_like.recording.sources import Limits, Ring, Source
from freeplay_like.recording.transport import HttpTransport, Sender, this_process
from freeplay_like.recording.troubles import Troubles

Durability = Literal["process", "fsync", "memory"]

LINGER_S: Final = 0.02
HOUSEKEEPING_S: Final = 30.0
SYNC_S: Final = 1.0
MEASURE_S: Final = 1.0
AFTER_A_DEFECT_S: Final = 1.0


@attrs.frozen(kw_only=True)
class Settings:
    """What a recorder was told."""

    api_base: str
    api_key: str = attrs.field(repr=False)
    clock: Clock
    spool_dir: Path | None = None
    durability: Durability = "process"
    spool_limit_bytes: int = 512 * 1024 * 1024
    ring_limit_bytes: int = 8 * 1024 * 1024
    limits: Limits = attrs.field(factory=Limits)
    timeout_s: float = 10.0
    is_live: bool = False


@attrs.define(eq=False)
class _Wish:
    """Somebody waits for everything that was recorded before; with `is_last` the thread ends after it."""

    deadline_s: float
    is_last: bool = False
    target: Position | None = None
    is_done: threading.Event = attrs.field(factory=threading.Event)


class Delivery:
    """What one process records, from the first frame until it is closed. A forked child makes its own."""

    def __init__(
        self, settings: Settings, redactor: Redactor, troubles: Troubles, running: RunningCalls | None = None
    ) -> None:
        self.settings = settings
        self.troubles = troubles
        self.submitted = Tally()
        self.ring = Ring(settings.ring_limit_bytes)
        self.is_running = False
        self._me = this_process(settings.clock.new_id())
        self._gate = Gate()
        self._is_idle = False
        self._is_asleep = False
        self._queue: queue.SimpleQueue[_Wish | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._redactor = redactor
        self._candidates = () if settings.durability == "memory" else spool_candidates(settings.spool_dir)
        self._shelf = Shelf(self._spool, troubles)
        self._journal: Journal | None = None
        self._own: FolderSource | None = None
        self._open_journal()
        clock = settings.clock
        self._transport = HttpTransport(settings.api_base, settings.api_key, timeout_s=settings.timeout_s, clock=clock)
        self._courier = Courier(
            self._transport,
            clock=clock,
            limits=settings.limits,
            sender=self._sender,
            reject=self._shelf.reject,
            troubles=troubles,
        )
        self._broadcast = Broadcast(running or RunningCalls(clock), self._transport, is_on=settings.is_live)
        self._orphans = Orphanage(settings.api_base, self._candidates, self._source_of)
        self._wishes: list[_Wish] = []
        self._housekeeping_at_s = self._measure_at_s = self._sync_at_s = float("-inf")

    # --- for any thread -----------------------------------------------------------------------------------

    def keep(self, frame: bytes, last_word: bytes | None = None) -> bool:
        """Keep a frame; `last_word` is the JSON in it where it is to be delivered. False where this was closed."""
        if not self._gate.enter():
            return False
        try:
            journal = self._journal
            is_written = journal is not None and journal.append(frame, is_last_word=last_word is not None)
            if last_word is not None:
                self.submitted.add()
                if not is_written:
                    self._keep_in_memory(last_word, journal)
        finally:
            self._gate.leave()
        if self._is_idle and (last_word is not None or self._is_asleep or self._gate.is_quiet):
            self._queue.put(None)
        return True

    def _keep_in_memory(self, data: bytes, journal: Journal | None) -> None:
        self.ring.offer(data)
        if journal is not None:
            reason = f"the spool has reached {journal.limit_bytes} bytes" if journal.is_full else journal.last_error
            self.troubles.note("journal", f"records are kept in memory, for the journal does not take them: {reason}")

    def start(self) -> None:
        """Start the thread, once. Never waits: where another thread is at it, that is enough."""
        if self.is_running or not self._starting.acquire(blocking=False):
            return
        try:
            if not self.is_running:
                threading.Thread(target=self._run, name="freeplay_like-delivery", daemon=True).start()
                self.is_running = True
        except RuntimeError as exc:  # no more threads, or the interpreter is ending: what is on disk stays there
            self.troubles.note("thread", f"records stay on disk for now, for no thread can be started: {exc}")
        finally:
            self._starting.release()

    def flush(self, timeout_s: float) -> FlushReport:
        """Wait until everything kept before is delivered, set aside or refused, and say where things stand."""
        self._wait_for(_Wish(self._courier.now_s() + timeout_s), timeout_s)
        return self.report()

    def stop(self, timeout_s: float) -> FlushReport:
        """Take no more frames, deliver what is left for at most `timeout_s`, and let go of the folder."""
        self._gate.shut()
        self._wait_for(_Wish(self._courier.now_s() + timeout_s, is_last=True), timeout_s)
        return self.report()

    def ask_to_stop(self, timeout_s: float) -> threading.Event:
        """The same, without waiting for it; the event is set when it is done."""
        self._gate.shut()
        wish = _Wish(self._courier.now_s() + timeout_s, is_last=True)
        self._queue.put(wish)
        return wish.is_done

    def _wait_for(self, wish: _Wish, timeout_s: float) -> None:
        self.start()
        self._queue.put(wish)
        if self.is_running:
            wish.is_done.wait(max(0.0, timeout_s))

    def report(self) -> FlushReport:
        """Where the records of this process stand."""
        counts = [self.ring.counts] + ([self._own.counts] if self._own else [])
        sent, rejected = sum(c.sent for c in counts), sum(c.rejected for c in counts)
        dropped = self.ring.dropped.value
        pending = max(0, self.submitted.value - sent - rejected - dropped)
        return FlushReport(
            sent=sent,
            pending=pending,
            spooled=max(0, pending - len(self.ring)) if self._journal else 0,
            dropped=dropped,
            errors=self.troubles.messages(),
        )

    def discard(self) -> None:
        """This one was made in vain; nothing was kept in it."""
        self._gate.shut()
        if self._journal is not None:
            self._journal.close_files()
            self._journal.folder.remove()

    def abandon(self) -> None:
        """In a forked child: close what belongs to the parent, and touch nothing else."""
        if self._journal is not None:
            self._journal.abandon()
        self._orphans.let_go()

    # --- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_last_turn = False
        while not is_last_turn:
            try:
                is_last_turn = self._turn()
                self.troubles.log_new()
            except Exception as exc:  # noqa: BLE001 - a defect here must not end delivery for good
                self.troubles.note("defect", f"delivery met a defect and goes on: {type(exc).__name__}: {exc}")
                self._listen(AFTER_A_DEFECT_S)
        self._let_go()

    def _turn(self) -> bool:
        """Do one thing, or wait for one. True where it was the last."""
        was_quiet, seen = self._gate.is_quiet, self.submitted.value
        self._tidy()
        if self._courier.step(self._sources()):
            self._grant(is_drained=False)
            if not (self._courier.is_busy or self._courier.is_filling or self._wishes):
                self._listen(LINGER_S)  # a busy program's records go together: each request costs its threads time
            return False
        is_drained = not self._courier.is_busy and self._courier.now_s() >= self._courier.pause_until_s
        if is_drained and self._orphans.remove_finished(self._courier.now_s()):
            self._housekeeping_at_s = float("-inf")  # there is room for the next
            return False
        self._grant(is_drained=is_drained)
        if any(wish.is_last for wish in self._wishes) and is_drained and was_quiet:
            return True
        if any(wish.is_last and wish.deadline_s <= self._courier.now_s() for wish in self._wishes):
            return True
        if not (is_drained and not self._wishes and self._broadcast.step(self._courier.now_s())):
            self._rest(seen, is_drained=is_drained)
        return False

    def _sources(self) -> list[Source]:
        own: list[Source] = [self._own] if self._own else []
        return [*own, self.ring, *self._orphans.sources]

    def _rest(self, seen: int, *, is_drained: bool) -> None:
        """Wait until there is something to do. A caller wakes us only while `_is_idle`: with a record, or with
        anything while `_is_asleep`, when nobody looks for calls that run."""
        now_s = self._courier.now_s()
        self._is_asleep = is_drained and self._broadcast.due_s(now_s) == float("inf") and self.settings.is_live
        self._is_idle = is_drained
        try:
            if is_drained and self.submitted.value != seen:
                return
            due_s = self._due_s()
            if is_drained:
                due_s = min(due_s, self._broadcast.due_s(now_s))
            is_woken = self._listen(due_s - self._courier.now_s())
        finally:
            self._is_idle = self._is_asleep = False
        if is_woken and not self._wishes:
            self._listen(LINGER_S)  # a burst goes together

    def _due_s(self) -> float:
        held = [source.next_try_s for source in self._sources()]
        times = [self._housekeeping_at_s, *(time for time in held if time is not None)]
        if self._courier.now_s() < self._courier.pause_until_s:
            times = [self._housekeeping_at_s, self._courier.pause_until_s]
            if self.settings.durability == "process" and self._own is not None:
                times.append(self._sync_at_s)
        return min([*times, *(wish.deadline_s for wish in self._wishes)])

    def _listen(self, timeout_s: float) -> bool:
        """Wait for a wish or a nudge, and take in all that are there. False where the time was up."""
        is_woken = False
        try:
            item = self._queue.get(timeout=max(0.0, timeout_s))
            while True:
                is_woken = True
                if item is not None:
                    self._hear(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return is_woken

    def _hear(self, wish: _Wish) -> None:
        self._wishes.append(wish)
        # Who flushes before anything was recorded waits for what others have left: there is nothing else.
        wish.target = self._journal.end if self._journal and self.submitted.value else None
        self._courier.hurry()
        for source in self._sources():
            source.release_held()

    def _grant(self, *, is_drained: bool) -> None:
        """Let those go on whose wish has come true, or whose time is up."""
        now_s = self._courier.now_s()
        for wish in list(self._wishes):
            if not wish.is_last and (is_drained or wish.deadline_s <= now_s or self._is_reached(wish)):
                self._wishes.remove(wish)
                wish.is_done.set()

    def _is_reached(self, wish: _Wish) -> bool:
        own = self._own
        if len(self.ring) or own is None or wish.target is None:
            return False
        held_until_s = own.next_try_s
        return own.acked >= wish.target and (held_until_s is None or held_until_s > self._courier.now_s())

    # --- tidying up ---------------------------------------------------------------------------------------

    def _tidy(self) -> None:
        self._listen(0)
        self._courier.is_hurried = bool(self._wishes)
        now_s = self._courier.now_s()
        if now_s >= self._housekeeping_at_s:
            self._housekeeping_at_s = now_s + HOUSEKEEPING_S
            self._keep_house(now_s)
        if self._journal is None or self._own is None:
            return
        try:
            self._journal.tend(self._own.acked.number)
            if self._journal.is_full and now_s >= self._measure_at_s:
                self._measure(self._journal)
            if self.settings.durability == "process" and now_s >= self._sync_at_s:
                self._sync_at_s = now_s + SYNC_S
                if self._journal.end > self._own.acked:
                    self._journal.sync()
        except OSError as exc:
            self.troubles.note("tend", f"the journal in {self._journal.folder.path} is in trouble: {exc}")

    def _keep_house(self, now_s: float) -> None:
        for spool in self._candidates:
            remove_unfinished(spool)
        self._orphans.look(now_s)
        if self._journal is None:
            self._open_journal()
        else:
            self._measure(self._journal)

    def _measure(self, journal: Journal) -> None:
        self._measure_at_s = self._courier.now_s() + MEASURE_S
        journal.other_bytes = bytes_in(journal.folder.path.parent) - journal.current.size_bytes

    def _open_journal(self) -> None:
        """Begin a journal, where there is a disk that takes one. Without it records are kept in memory."""
        if not self._candidates:
            return
        me = self._me
        meta = Meta(api_base=self.settings.api_base, host=me.host, pid=me.pid, sdk=me.sdk)
        try:
            journal = Journal.create(
                self._candidates,
                me.sender_id,
                meta,
                limit_bytes=self.settings.spool_limit_bytes,
                is_synced=self.settings.durability == "fsync",
            )
        except OSError as exc:
            self.troubles.note("spool", f"records are kept in memory, for there is no spool folder: {exc}")
            return
        self._own = self._source_of(journal.folder, journal)
        self.ring.on_settled = self._own.forget
        self._journal = journal

    def _source_of(self, folder: Folder, journal: Journal | None = None) -> FolderSource:
        return FolderSource(
            folder, troubles=self.troubles, set_aside=self._shelf.damage, mask=self._redactor.mask, journal=journal
        )

    def _spool(self) -> Path | None:
        if self._journal is not None:
            return self._journal.folder.path.parent
        return self._candidates[0] if self._candidates else None

    def _sender(self) -> Sender:
        unsent = self._own.unsent_bytes if self._own else 0
        return attrs.evolve(self._me, dropped=self.ring.dropped.value, spooled_bytes=unsent)

    # --- the end ------------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        self._orphans.let_go()
        self._transport.close()
        self._save_ring()
        if self._journal is not None and self._own is not None:
            self._close_journal(self._journal, self._own)
        self.troubles.log_new()
        self._listen(0)
        for wish in self._wishes:
            wish.is_done.set()

    def _save_ring(self) -> None:
        """What is still in memory goes to disk after all, or is lost and counted."""
        for pending in self.ring.drain():
            if self._journal is None or not self._journal.append(pending.frame, is_last_word=True):
                self.ring.dropped.add()

    def _close_journal(self, journal: Journal, own: FolderSource) -> None:
        is_done = not self._courier.is_busy and own.acked >= journal.end and own.is_finished
        journal.shut()
        if not (self._gate.is_quiet and journal.is_quiet):
            return  # a thread is still writing: its file stays open, and the lock is held until the process ends
        journal.close_files()
        if is_done:
            journal.folder.remove()
        else:
            journal.folder.release()
