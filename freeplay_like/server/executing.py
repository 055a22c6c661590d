"""The threads that carry out test runs: every case of a suite asked once, a few at a time, until all have an answer.

Which runs there are stands in the database, so that a run outlives the server that began it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from freeplay_like.clock import SystemClock
from freeplay_like.core.answer_checks import ANSWER_CHECKS
from freeplay_like.errors import FreeplayError
from freeplay_like.server.state import State
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.trials.executions import LEASE, Job, JobEnd
from freeplay_like.server.store.views import Conflict, DatasetCase, NotFound, Refused, StoreUnavailable

if TYPE_CHECKING:
    from freeplay_like.server.replay import Asked, Replayer
    from freeplay_like.session.streams import CompletionStream

logger = logging.getLogger(__name__)

CASES_AT_ONCE: Final = 4
"""How many cases of a run are asked at a time."""
RUNS_AT_ONCE: Final = 4
"""How many runs a server carries out at a time; the others wait."""
BEAT_S: Final = 2.0
"""How often a server says that it lives, and looks for work that nobody told it of."""
GRACE_S: Final = 3.0
"""How long calls under way may go on after the server was told to stop; then they are broken off, and asked again by
whoever carries the run on."""
_PAGE: Final = 50


class Executor:
    """Carries out the test runs that wait for it."""

    def __init__(self, state: State) -> None:
        self.failures = 0
        self._store = state.store
        self._work = state.work
        self._uses_environment = state.settings.uses_provider_environment
        self._owner = SystemClock().new_id()
        self._stop = threading.Event()
        self._is_failing = False
        self._made: Replayer | None = None
        self._runs: dict[str, _Run] = {}
        self._thread = threading.Thread(target=self._loop, name="freeplay-like-executor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more cases, let calls under way end for a moment, and leave the runs to whoever comes next. Blocks."""
        self._stop.set()
        self._work.set()
        self._thread.join()
        runs = list(self._runs.values())
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
                self._store.executions.release(self._owner)

    @property
    def _replayer(self) -> Replayer:
        """Made when it is first needed: it loads the SDK."""
        if self._made is None:
            from freeplay_like.server.replay import Replayer

            self._made = Replayer(self._store, self._owner, uses_environment=self._uses_environment)
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
                    logger.exception("looking for test runs failed; it is tried again every %g s", BEAT_S)
            else:
                self._is_failing = False
            self._work.wait(BEAT_S)

    def _tick(self) -> None:
        if self._made is not None and (self._runs or self._made.has_calls):
            mine = self._store.executions.renew(self._owner, self._runs, LEASE)
            for run_id, run in self._runs.items():
                if run_id not in mine:
                    run.break_off()  # cancelled, or taken over by another server
        self._runs = {run_id: run for run_id, run in self._runs.items() if run.is_alive}
        self._store.executions.adopt_calls()
        while len(self._runs) < RUNS_AT_ONCE and not self._stop.is_set():
            job = self._store.executions.claim(self._owner, LEASE)
            if job is None:
                return
            self._runs[job.run_id] = _Run(self._store, self._replayer, job, self._owner, self._work.set)


class _Run:
    """One run, in threads of its own."""

    def __init__(self, store: Store, replayer: Replayer, job: Job, owner: str, on_end: Callable[[], None]) -> None:
        self._store = store
        self._replayer = replayer
        self._job = job
        self._owner = owner
        self._on_end = on_end
        self._is_over = threading.Event()
        self._is_broken_off = False
        self._lock = threading.Lock()
        self._streams: set[CompletionStream] = set()
        self._problem: Exception | None = None
        self._cases = self._unasked()
        self._thread = threading.Thread(target=self._carry_out, name="freeplay-like-run", daemon=True)
        self._thread.start()

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
            self._finish("failed", _said_of(self._problem, self._job.run_id))
        elif not self._is_over.is_set():
            self._finish("complete")
        self._on_end()

    def _ask_cases(self) -> None:
        try:
            while not self._is_over.is_set():
                with self._lock:
                    case = next(self._cases, None)
                if case is None:
                    return
                self._ask(case)
        except StoreUnavailable as exc:
            self._is_over.set()  # the lease ends by itself, and the run is taken up again
            logger.warning("test run %s pauses: %s", self._job.run_id, exc)
        except Exception as exc:  # noqa: BLE001  it is what the run's results say
            with self._lock:
                self._problem = self._problem or exc
            self._is_over.set()

    def _ask(self, case: DatasetCase) -> None:
        """Ask one case. A call that failed is no failure of the run: its record says what it was."""
        with contextlib.suppress(FreeplayError):
            stream = self._replayer.open(self._asked(case))
            with self._lock:
                self._streams.add(stream)
            try:
                if self._is_broken_off:
                    stream.close()
                stream.result()
            finally:
                with self._lock:
                    self._streams.discard(stream)

    def _asked(self, case: DatasetCase) -> Asked:
        from freeplay_like.server.replay import Asked

        job, content = self._job, case.content
        if job.template is None:
            raise Conflict("the version of the prompt template that the run tries is gone")
        return Asked(
            project=job.project,
            template=job.template,
            environment=job.environment,
            variables=content.inputs,
            history=content.history or (),
            media=content.media_inputs or {},
            expected=content.output,
            parameters=job.parameters,
            test_run_id=job.run_id,
            test_case_id=case.id,
            checks=frozenset(job.thresholds.keys() & ANSWER_CHECKS.keys()),
            api_key_id=job.created_by,
        )

    def _unasked(self) -> Iterator[DatasetCase]:
        """The cases that are still to be asked, read as they are needed."""
        done = self._store.executions.done_cases(self._job)
        offset = 0
        while cases := self._store.executions.cases(self._job, offset, _PAGE):
            yield from (case for case in cases if case.id not in done)
            offset += len(cases)

    def _finish(self, state: JobEnd, error: str | None = None) -> None:
        try:
            self._store.executions.finish(self._job.run_id, self._owner, state, error)
        except StoreUnavailable as exc:  # the lease ends by itself, and whoever has it next finds nothing left to ask
            logger.warning("the end of test run %s cannot be stored now: %s", self._job.run_id, exc)


def _said_of(problem: Exception, run_id: str) -> str:
    """What a run's results say of what ended it."""
    if isinstance(problem, (Conflict, NotFound, Refused)):
        return str(problem)
    logger.error("test run %s failed", run_id, exc_info=problem)
    return "the server failed to carry out this run; its log says why"
