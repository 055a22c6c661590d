from __future__ import annotations

import asyncio
import contextvars
import itertools
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator

import pytest

from freeplay_like.errors import ConfigurationError
from freeplay_like.session.parallel import aparallel, parallel


class Stop(BaseException):
    """Not an Exception: what a signal handler raises."""


Job = Callable[[], object]
Runner = Callable[[Iterable[Job], int], list[object]]


def in_threads(jobs: Iterable[Job], limit: int) -> list[object]:
    return list(parallel(jobs, limit))


def in_tasks(jobs: Iterable[Job], limit: int) -> list[object]:
    def awaitable(job: Job) -> Callable[[], Awaitable[object]]:
        async def run() -> object:
            await asyncio.to_thread(lambda: None)
            return job()

        return run

    async def main() -> list[object]:
        return list(await aparallel(map(awaitable, jobs), limit))

    return asyncio.run(main())


both = pytest.mark.parametrize("run", [in_threads, in_tasks])


def giving(value: object) -> Job:
    return lambda: value


def raising(error: BaseException) -> Job:
    def job() -> object:
        raise error

    return job


@both
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_results_stand_in_the_order_of_the_jobs(run: Runner, limit: int) -> None:
    assert run(map(giving, range(20)), limit) == list(range(20))


@both
def test_no_jobs_give_no_results(run: Runner) -> None:
    assert run([], 4) == []


@both
def test_a_job_that_fails_stops_no_other(run: Runner) -> None:
    error = ValueError("job 1")
    assert run([giving(0), raising(error), giving(2)], 1) == [0, error, 2]


@both
def test_what_is_not_an_exception_comes_out_and_no_further_job_begins(run: Runner) -> None:
    begun: list[int] = []

    def counted() -> Iterator[Job]:
        for number in itertools.count():
            begun.append(number)
            yield raising(Stop()) if number == 2 else giving(number)

    with pytest.raises(Stop):
        run(counted(), 2)
    assert len(begun) <= 2 + 2


@both
def test_what_the_iterable_raises_comes_out(run: Runner) -> None:
    def broken() -> Iterator[Job]:
        yield giving(1)
        raise LookupError("row 2 of the file")

    with pytest.raises(LookupError, match="row 2"):
        run(broken(), 2)


@both
def test_a_job_is_taken_only_when_there_is_room_for_it(run: Runner) -> None:
    done = threading.Lock()
    taken = finished = 0
    ahead: list[int] = []

    def jobs() -> Iterator[Job]:
        nonlocal taken
        for _ in range(30):
            taken += 1
            with done:
                ahead.append(taken - finished)
            yield finish

    def finish() -> None:
        nonlocal finished
        with done:
            finished += 1

    run(jobs(), 3)
    assert max(ahead) <= 3
    assert finished == 30


@both
def test_a_job_sees_the_context_of_the_caller_and_cannot_change_it(run: Runner) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    def look() -> str:
        seen = variable.get()
        variable.set("changed by a job")
        return seen

    token = variable.set("the caller's")
    try:
        assert run([look, look], 1) == ["the caller's"] * 2
        assert variable.get() == "the caller's"
    finally:
        variable.reset(token)


@both
@pytest.mark.parametrize("limit", [0, -1, True, 1.5, None])
def test_a_limit_that_is_none_is_refused_before_any_job(run: Runner, limit: int) -> None:
    begun: list[int] = []
    with pytest.raises(ConfigurationError, match="limit="):
        run([lambda: begun.append(1)], limit)
    assert begun == []


def test_as_many_threads_as_allowed_run_at_once() -> None:
    barrier = threading.Barrier(3)
    waiting = [lambda: barrier.wait(30) >= 0] * 6
    assert parallel(waiting, 3) == [True] * 6


async def test_as_many_tasks_as_allowed_run_at_once() -> None:
    barrier = asyncio.Barrier(3)

    async def wait() -> bool:
        async with asyncio.timeout(30):
            return await barrier.wait() >= 0

    assert await aparallel([wait] * 6, 3) == [True] * 6


def test_ctrl_c_stops_taking_jobs_and_does_not_wait_for_those_that_run() -> None:
    go_on, finished, taken = threading.Event(), [], []
    caller = threading.get_ident()

    def job() -> None:
        signal.pthread_kill(caller, signal.SIGINT)
        finished.append(go_on.wait(30))

    def jobs() -> Iterator[Job]:
        for number in range(100):
            taken.append(number)
            yield job

    try:
        with pytest.raises(KeyboardInterrupt):
            parallel(jobs(), 1)
        assert (taken, finished) == ([0], [])
    finally:
        go_on.set()


def test_one_that_stops_everything_is_not_kept_waiting_by_the_others() -> None:
    go_on, finished = threading.Event(), []
    try:
        with pytest.raises(Stop):
            parallel([lambda: finished.append(go_on.wait(30)), raising(Stop())], 2)
        assert finished == []
    finally:
        go_on.set()


async def test_cancelling_cancels_the_jobs_that_run() -> None:
    begun, cancelled = asyncio.Event(), []

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    batch = asyncio.create_task(aparallel([wait] * 5, 2))
    await begun.wait()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    assert cancelled in ([1], [1, 1])
