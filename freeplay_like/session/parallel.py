"""Many jobs, a few at a time, and every result in its place: for batches of calls.

One job's failure is its result and no more: nothing is tried again here, because a call tries again itself (see
`Retry`). Jobs are taken from their iterable in the caller's own thread or task, each when there is room for it: the
iterable may be a generator over a long file.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from freeplay_like.errors import ConfigurationError

T = TypeVar("T")


def parallel(jobs: Iterable[Callable[[], T]], limit: int = 4) -> list[T | Exception]:
    """Call every job, at most `limit` at a time, in threads; the results in the order of the jobs.

    A job that raises has its exception for a result. A job sees the context variables of the caller. What is not an
    `Exception` (Ctrl-C, `SystemExit`), and whatever the iterable itself raises, comes out at once: no further job is
    begun, and those that run go on to their end behind it.

    Raises:
        ConfigurationError: `limit` is not a whole number from 1.
    """
    _check(limit)
    context = contextvars.copy_context()
    room = threading.Semaphore(limit - 1)  # for the next job beside those that run
    is_over = threading.Event()
    begun: list[Future[T | Exception]] = []

    def run(job: Callable[[], T]) -> T | Exception:
        try:
            return context.copy().run(job)
        except Exception as exc:  # noqa: BLE001  (it is the job's result)
            return exc
        except BaseException:
            is_over.set()
            raise
        finally:
            room.release()

    pool = ThreadPoolExecutor(limit, thread_name_prefix="freeplay_like-parallel")
    try:
        for job in jobs:
            begun.append(pool.submit(run, job))
            room.acquire()
            if is_over.is_set():
                break
        for future in wait(begun, return_when=FIRST_EXCEPTION).done:
            future.result()
        return [future.result() for future in begun]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


async def aparallel(jobs: Iterable[Callable[[], Awaitable[T]]], limit: int = 4) -> list[T | Exception]:
    """The async twin of `parallel`: each job in a task of its own.

    Cancelling it, or whatever else comes out of it, cancels the jobs that run and waits for their end.

    Raises:
        ConfigurationError: `limit` is not a whole number from 1.
    """
    _check(limit)
    room = asyncio.Semaphore(limit - 1)  # for the next job beside those that run
    is_over = asyncio.Event()
    begun: list[asyncio.Task[T | Exception]] = []

    async def run(job: Callable[[], Awaitable[T]]) -> T | Exception:
        try:
            return await job()
        except Exception as exc:  # noqa: BLE001  (it is the job's result)
            return exc
        except BaseException:
            is_over.set()
            raise
        finally:
            room.release()

    try:
        for job in jobs:
            begun.append(asyncio.create_task(run(job)))
            await room.acquire()
            if is_over.is_set():
                break
        return await asyncio.gather(*begun)
    except BaseException:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        raise


def _check(limit: object) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigurationError(f"limit={limit!r}: a whole number from 1, how many jobs run at a time")
