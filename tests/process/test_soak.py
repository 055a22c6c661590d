"""Long streams, many streams, many calls, many events: nothing is lost, left behind, or grows faster than the text.

Judged by counts and by ratios within one run, never by the clock on the wall.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import requests

from freeplay_like import (
    AnthropicClaudeChat,
    AsyncFreeplay,
    CompletionStream,
    Freeplay,
    OpenAIChat,
    PromptTemplate,
    ProviderDenied,
    Record,
    Retry,
    TemplateMessage,
    Timeout,
)
from freeplay_like.core.wire import from_wire
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts
from support.backend import BackendProcess
from support.waiting import until

PROMPTS = StaticPrompts(
    PromptTemplate(name="talk", messages=(TemplateMessage(role="user", content="Talk of {{topic}}."),))
)
TIDES = {"topic": "tides"}
MIB = 1024 * 1024
PATIENT = Timeout(connect_s=120)
"""A busy machine is not a failed test."""

Addresses = dict[str, str]


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEPLAY_LIKE_SPOOL_DIR", str(tmp_path / "spool"))


def stored(backend: BackendProcess, record_id: str) -> Record:
    answer = requests.get(f"{backend.project_base}/completions/{record_id}", headers=backend.headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return from_wire(answer.content, Record)


# --- a long stream -----------------------------------------------------------------------------------------


def long_stream(fp: Freeplay, project_id: str, chunks: int) -> tuple[CompletionStream, float]:
    """A stream read to its end, and the CPU seconds of this thread that a chunk took."""
    stream = fp.get_completion_stream(project_id, "talk", TIDES, model=f"sim:chunks={chunks},batch=200")
    before_s = time.thread_time()
    seen = sum(1 for chunk in stream if chunk.text)
    assert seen == chunks
    return stream, (time.thread_time() - before_s) / chunks


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_long_stream_takes_time_in_step_with_its_length(
    provider: str, simulator_process: Addresses, backend: BackendProcess
) -> None:
    base = simulator_process[f"{provider}_base"]
    flavor = OpenAIChat("k", base) if provider == "openai" else AnthropicClaudeChat("k", base)
    with Freeplay(flavor, backend.api_key, backend.api_base, prompts=PROMPTS) as fp:
        long_stream(fp, backend.project_id, 1_000)
        short_s = min(long_stream(fp, backend.project_id, 10_000)[1] for _ in range(2))
        stream, long_s = long_stream(fp, backend.project_id, 100_000)
        assert fp.flush(60).is_complete
    assert long_s <= 3 * short_s, "a chunk of a long stream costs what a chunk of a short one does"
    record = stored(backend, stream.record_id)
    assert record.text == "".join(f" tok{i}" for i in range(100_000))
    assert (record.outcome, record.chunk_count) == ("complete", 100_000)
    assert len(record.timeline) <= 512


def test_a_long_stream_holds_little_more_than_its_text(simulator_process: Addresses, backend: BackendProcess) -> None:
    flavor = OpenAIChat("k", simulator_process["openai_base"])
    with Freeplay(flavor, backend.api_key, backend.api_base, prompts=PROMPTS) as fp:
        long_stream(fp, backend.project_id, 1_000)
        tracemalloc.start()
        try:
            long_stream(fp, backend.project_id, 100_000)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert fp.flush(60).is_complete
    assert peak_bytes < 40 * MIB


# --- many streams at once ----------------------------------------------------------------------------------


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as this process may have: a thousand streams are a thousand sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_thousand_streams_at_once_finish_without_loss(
    simulator_process: Addresses, backend: BackendProcess, many_files: None
) -> None:
    streams = 1_000
    flavor = OpenAIChat("k", simulator_process["openai_base"])
    async with AsyncFreeplay(
        flavor, backend.api_key, backend.api_base, prompts=PROMPTS, timeout=PATIENT, retry=Retry(attempts=1)
    ) as fp:
        all_open = asyncio.Barrier(streams)

        async def one(number: int) -> tuple[str, str]:
            model = f"sim:text=answer {number} of a thousand that all came at once,chunks=10"
            stream = await fp.get_completion_stream(backend.project_id, "talk", TIDES, model=model)
            await all_open.wait()
            return stream.record_id, "".join([chunk.text async for chunk in stream])

        seen = await asyncio.gather(*(one(number) for number in range(streams)))
        report = await fp.flush(120)
    assert [text for _, text in seen] == [f"answer {n} of a thousand that all came at once" for n in range(streams)]
    assert (report.sent, report.pending, report.dropped) == (streams, 0, 0)
    assert len({record_id for record_id, _ in seen}) == streams
    for record_id, text in seen:
        record = stored(backend, record_id)
        assert (record.text, record.outcome) == (text, "complete")


PROGRAM = """
import asyncio, sys
from freeplay_like import AsyncFreeplay, OpenAIChat, PromptTemplate, TemplateMessage
from freeplay_like.testing import MemoryRecorder, StaticPrompts

async def main():
    prompts = StaticPrompts(PromptTemplate(name="talk", messages=(TemplateMessage(role="user", content="Talk."),)))
    fp = AsyncFreeplay(OpenAIChat("k", sys.argv[1]), prompts=prompts, recorder=MemoryRecorder(), model="sim:chunks=3")
    streams = await asyncio.gather(*(fp.get_completion_stream("p", "talk", {}) for _ in range(20)))
    for stream in streams:
        await stream.result()

asyncio.run(main())
"""


def test_a_program_that_drops_its_flavor_at_the_end_leaves_no_socket_open(simulator_process: Addresses) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, simulator_process["openai_base"]]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# --- many calls --------------------------------------------------------------------------------------------


@attrs.frozen
class Held:
    """What this process holds: threads, open sockets, streams that are still alive."""

    threads: int
    sockets: int
    streams: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        kinds = [_target(entry) for entry in os.scandir("/proc/self/fd")]
        alive = sum(type(each).__name__ in ("CompletionStream", "AsyncCompletionStream") for each in gc.get_objects())
        return cls(threading.active_count(), sum(kind.startswith("socket:") for kind in kinds), alive)

    def is_within(self, other: Held) -> bool:
        return self.threads <= other.threads and self.sockets <= other.sockets and self.streams <= other.streams


def _target(entry: os.DirEntry[str]) -> str:
    try:
        return os.readlink(entry.path)
    except FileNotFoundError:  # the listing's own
        return ""


def many_calls(fp: Freeplay, project_id: str, calls: int) -> None:
    """Calls that end in turn: drained, whole, refused, left early, dropped."""
    for number in range(calls // 5):
        fp.get_completion_stream(project_id, "talk", TIDES).result()
        fp.get_completion(project_id, "talk", TIDES)
        with pytest.raises(ProviderDenied):
            fp.get_completion_stream(project_id, "talk", TIDES, model="sim:status=401")
        with fp.get_completion_stream(project_id, "talk", TIDES, model="sim:hang_after=2") as stream:
            assert next(stream).text
        dropped = fp.get_completion_stream(project_id, "talk", {"topic": str(number)}, model="sim:hang_after=2")
        assert next(dropped).text
        del stream, dropped


def test_a_thousand_calls_leave_nothing_behind(simulator_process: Addresses, backend: BackendProcess) -> None:
    flavor = OpenAIChat("k", simulator_process["openai_base"])
    with Freeplay(flavor, backend.api_key, backend.api_base, prompts=PROMPTS, model="sim:chunks=3") as fp:
        many_calls(fp, backend.project_id, 50)
        fp.flush(60)
        before = Held.now()
        many_calls(fp, backend.project_id, 1_000)
        until(lambda: Held.now().is_within(before), what=f"no more than {before}")
        report = fp.flush(60)
    assert (report.sent, report.pending, report.dropped) == (1_050, 0, 0)


async def many_async_calls(fp: AsyncFreeplay, project_id: str, calls: int) -> None:
    """The async twin of `many_calls`, ten at a time."""

    async def five() -> None:
        await (await fp.get_completion_stream(project_id, "talk", TIDES)).result()
        await fp.get_completion(project_id, "talk", TIDES)
        with pytest.raises(ProviderDenied):
            await fp.get_completion_stream(project_id, "talk", TIDES, model="sim:status=401")
        async with await fp.get_completion_stream(project_id, "talk", TIDES, model="sim:hang_after=2") as stream:
            assert (await anext(stream)).text
        dropped = await fp.get_completion_stream(project_id, "talk", TIDES, model="sim:hang_after=2")
        assert (await anext(dropped)).text

    for _ in range(calls // 50):
        await asyncio.gather(*(five() for _ in range(10)))


async def test_a_thousand_async_calls_leave_nothing_behind(
    simulator_process: Addresses, backend: BackendProcess
) -> None:
    flavor = OpenAIChat("k", simulator_process["openai_base"])
    async with AsyncFreeplay(flavor, backend.api_key, backend.api_base, prompts=PROMPTS, model="sim:chunks=3") as fp:
        await many_async_calls(fp, backend.project_id, 50)
        await fp.flush(60)
        await asyncio.to_thread(until, lambda: Held.now().streams == 0, what="no stream alive")
        before, tasks = Held.now(), len(asyncio.all_tasks())
        await many_async_calls(fp, backend.project_id, 1_000)
        await asyncio.to_thread(until, lambda: Held.now().is_within(before), what=f"no more than {before}")
        report = await fp.flush(60)
        assert len(asyncio.all_tasks()) <= tasks
    assert (report.sent, report.pending, report.dropped) == (1_050, 0, 0)


# --- many events -------------------------------------------------------------------------------------------


def test_events_kept_with_their_snapshots_hold_little_more_than_the_text() -> None:
    events_kept = 20_000
    fp = Freeplay(
        FakeFlavor([f" tok{i}" for i in range(events_kept)]), prompts=PROMPTS, recorder=MemoryRecorder(), model="m"
    )
    stream = fp.get_completion_stream("p", "talk", TIDES)
    tracemalloc.start()
    try:
        events = [event for event in stream.events() if event.type == "content.delta"]
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(events) == events_kept
    assert events[-1].snapshot == stream.text
    assert events[9].snapshot == "".join(f" tok{i}" for i in range(10))
    in_full_bytes = sum(range(events_kept)) * len(" tok")
    assert held_bytes < in_full_bytes / 20
