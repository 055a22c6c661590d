"""The threads that carry out jobs, a test run or a replay: every case asked once, a few at a time, until all are done.

Which jobs there are stands in the database, so that a job outlives the server that began it. Where they are fetched,
and what is asked, is up to the desks.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from freeplay_like.clock import SystemClock
from freeplay_like.errors import FreeplayError
from freeplay_like.server.asking import Asked
from freeplay_like.server.desks import Desk, Work, desks_of
from freeplay_like.server.state import State
from freeplay_like.server.store.trials.leases import LEASE, JobEnd
from freeplay_like.server.store.views import Conflict, NotFound, Refused, StoreUnavailable

if TYPE_CHECKING:
    from freeplay_like.server.replay import Replayer
    from freeplay_like.session.streams import CompletionStream

logger = logging.getLogger(__name__)

CASES_AT_ONCE: Final = 4
"""How many cases of a job are asked at a time."""
BEAT_S: Final = 2.0
"""How often a server says that it lives, and looks for work that nobody told it of."""
GRACE_S: Final = 3.0
"""How long calls under way may go on after the server was told to stop; then they are broken off, and asked again by
whoever carries the job on."""


class Executor:
    """Carries out the jobs that wait for it."""

    def __init__(self, state: State) -> None:
        self.failures = 0
        self._store = state.store
        self._live = state.live
        self._work = state.work
        self._uses_environment = state.settings.uses_provider_environment
        self._owner = SystemClock().new_id()
        self._desks = desks_of(state.store, self._owner)
        self._stop = threading.Event()
        self._is_failing = False
        self._made: Replayer | None = None
        self._runs: dict[Desk, list[_Run]] = {desk: [] for desk in self._desks}
        self._thread = threading.Thread(target=self._loop, name="freeplay-like-executor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more cases, let calls under way end for a moment, and leave the jobs to whoever comes next. Blocks."""
        self._stop.set()
        self._work.wake()
        self._thread.join()
        runs = [run for theirs in self._runs.values() for run in theirs]
        for run in runs:
            run.stop_asking()
        deadline = time.monotonic() + GRACE_S
        for run in runs:
            run.wait(deadline - time.monotonic())
        for run in runs:
            run.break_off()
        for run in runs:
            run.wait(GRACE_S)
        if self._made is not None:
            self._made.close()
        if runs:
            with contextlib.suppress(StoreUnavailable):  # then the leases end by themselves
                for desk in self._desks:
                    desk.release()
            self._work.set()  # others go on at once

    @property
    def _replayer(self) -> Replayer:
        """Made when it is first needed: it loads the SDK."""
        if self._made is None:
            from freeplay_like.server.replay import Replayer

            self._made = Replayer(self._store, self._owner, self._live, uses_environment=self._uses_environment)
        return self._made

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._work.clear()
            try:
                self._tick()
            except Exception:
                self.failures += 1
                if not self._is_failing:  # said once, until it goes well again
                    self._is_failing = True
                    logger.exception("looking for jobs failed; it is tried again every %g s", BEAT_S)
            else:
                self._is_failing = False
            self._work.wait(BEAT_S)

    def _tick(self) -> None:
        if self._made is not None and self._made.has_calls:
            self._made.keep_seen()
            self._store.executions.renew_calls(self._owner, LEASE)
        for desk, runs in self._runs.items():
            mine = desk.renew([run.id for run in runs]) if runs else frozenset()
            for run in runs:
                if run.id not in mine:
                    run.break_off()  # cancelled, or taken over by another server
            runs[:] = [run for run in runs if run.is_alive]
        self._store.executions.adopt_calls()
        for desk, runs in self._runs.items():
            self._take_work(desk, runs)

    def _take_work(self, desk: Desk, runs: list[_Run]) -> None:
        while len(runs) < desk.at_once and not self._stop.is_set():
            work = desk.claim()
            if work is None:
                return
            runs.append(_Run(self._replayer, work, self._work.wake))


class _Run:
    """One job, in threads of its own."""

    def __init__(self, replayer: Replayer, work: Work, on_end: Callable[[], None]) -> None:
        self._replayer = replayer
        self._work = work
        self._on_end = on_end
        self._is_over = threading.Event()
        self._is_broken_off = False
        self._lock = threading.Lock()
        self._streams: set[CompletionStream] = set()
        self._problem: Exception | None = None
        self._cases = work.cases()
        self._thread = threading.Thread(target=self._carry_out, name="freeplay-like-run", daemon=True)
        self._thread.start()

    @property
    def id(self) -> str:
        """The id of the job."""
        return self._work.id

    @property
    def is_alive(self) -> bool:
        """Whether there is anything left to do, or under way."""
        return self._thread.is_alive()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._thread.join(max(0.0, timeout_s))

    def stop_asking(self) -> None:
        """Begin no further calls."""
        self._is_over.set()

    def break_off(self) -> None:
        """Begin no further calls, and end those under way: each is recorded as cancelled."""
        self._is_over.set()
        with self._lock:
            self._is_broken_off = True
            streams = list(self._streams)
        for stream in streams:
            stream.close()

    def _carry_out(self) -> None:
        workers = [
            threading.Thread(target=self._ask_cases, name="freeplay-like-case", daemon=True)
            for _ in range(CASES_AT_ONCE)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if self._problem is not None:
            self._finish("failed", _said_of(self._problem, self._work.name))
        elif not self._is_over.is_set():
            self._finish("complete")
        self._on_end()

    def _ask_cases(self) -> None:
        try:
            while not self._is_over.is_set():
                with self._lock:
                    asked = next(self._cases, None)
                if asked is None:
                    return
                self._ask(asked)
                self._work.on_asked(asked)
        except StoreUnavailable as exc:
            self._is_over.set()  # the lease ends by itself, and the run is taken up again
            logger.warning("%s pauses: %s", self._work.name, exc)
        except Exception as exc:  # noqa: BLE001  it is what the job's results say
            with self._lock:
                self._problem = self._problem or exc
            self._is_over.set()

    def _ask(self, asked: Asked) -> None:
        """Ask one case. A call that failed is no failure of the job: its record says what it was."""
        with contextlib.suppress(FreeplayError):
            stream = self._replayer.open(asked)
            with self._lock:
                self._streams.add(stream)
            try:
                if self._is_broken_off:
                    stream.close()
                stream.result()
            finally:
                with self._lock:
                    self._streams.discard(stream)

    def _finish(self, state: JobEnd, error: str | None = None) -> None:
        try:
            self._work.finish(state, error)
        except StoreUnavailable as exc:  # the lease ends by itself, and whoever has it next finds nothing left to ask
            logger.warning("the end of %s cannot be stored now: %s", self._work.name, exc)


def _said_of(problem: Exception, name: str) -> str:
    """What a job's results say of what ended it."""
    if isinstance(problem, (Conflict, NotFound, Refused)):
        return str(problem)
    logger.error("%s failed", name, exc_info=problem)
    return "the server failed to carry this out; its log says why"
