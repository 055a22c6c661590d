"""CPU of one streamed chunk: the openai client's own stream (nothing recorded) beside ours with recording on.

The provider is simulated in another process, records go to a real backend in another process. CPU is this process's
own, all threads, so journal and delivery count. Rounds alternate; the ratio is taken pair by pair.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import attrs

from freeplay_like import AsyncFreeplay, Freeplay, OpenAIChat, PromptTemplate, TemplateMessage
from freeplay_like.testing import StaticPrompts
from peers import backend, simulator

TEMPLATE = PromptTemplate(name="bench", messages=(TemplateMessage(role="user", content="Go on about {{topic}}."),))
MESSAGES = [{"role": "user", "content": "Go on about tides."}]


@attrs.frozen(kw_only=True)
class Reading:
    """One stream: CPU microseconds a chunk, milliseconds to the first text, chunks seen."""

    cpu_us: float
    first_ms: float
    chunks: int


async def measure(stream: Callable[[Callable[[], None]], Awaitable[int]]) -> Reading:
    first: list[float] = []
    started, cpu = time.perf_counter(), time.process_time()

    def on_text() -> None:
        if not first:
            first.append((time.perf_counter() - started) * 1000)

    chunks = await stream(on_text)
    return Reading(cpu_us=(time.process_time() - cpu) * 1e6 / chunks, first_ms=first[0], chunks=chunks)


async def run(chunks: int, delay_ms: float, rounds: int) -> None:
    import openai

    model = f"sim:chunks={chunks},delay_ms={delay_ms}" + (",batch=20" if not delay_ms else "")
    with simulator() as base, backend() as (api_base, project_id, key):
        peer, peer_async = openai.OpenAI(api_key="k", base_url=base), openai.AsyncOpenAI(api_key="k", base_url=base)
        flavor = OpenAIChat("k", base)
        fp = Freeplay(flavor, key, api_base, prompts=StaticPrompts(TEMPLATE), model=model)
        fp_async = AsyncFreeplay(flavor, key, api_base, prompts=StaticPrompts(TEMPLATE), model=model)

        async def raw(on_text: Callable[[], None]) -> int:
            seen = 0
            for chunk in peer.chat.completions.create(model=model, messages=MESSAGES, stream=True):  # type: ignore[call-overload]
                if chunk.choices and chunk.choices[0].delta.content:
                    on_text()
                    seen += 1
            return seen

        async def ours(on_text: Callable[[], None]) -> int:
            seen = 0
            for chunk in fp.get_completion_stream(project_id, "bench", {"topic": "tides"}):
                if chunk.text:
                    on_text()
                    seen += 1
            return seen

        async def raw_async(on_text: Callable[[], None]) -> int:
            seen = 0
            stream = await peer_async.chat.completions.create(model=model, messages=MESSAGES, stream=True)  # type: ignore[call-overload]
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    on_text()
                    seen += 1
            return seen

        async def ours_async(on_text: Callable[[], None]) -> int:
            seen = 0
            async for chunk in await fp_async.get_completion_stream(project_id, "bench", {"topic": "tides"}):
                if chunk.text:
                    on_text()
                    seen += 1
            return seen

        print(f"{chunks} chunks a stream, {delay_ms or 'no'} ms between them, {rounds} rounds")
        for name, peer_stream, our_stream in (("sync", raw, ours), ("async", raw_async, ours_async)):
            await measure(peer_stream), await measure(our_stream)
            pairs = [(await measure(peer_stream), await measure(our_stream)) for _ in range(rounds)]
            assert all(a.chunks == b.chunks == chunks for a, b in pairs)
            ratios = sorted(b.cpu_us / a.cpu_us for a, b in pairs)
            print(
                f"  {name:5}  openai {statistics.median(a.cpu_us for a, _ in pairs):6.1f} us/chunk"
                f"   ours, recorded {statistics.median(b.cpu_us for _, b in pairs):6.1f} us/chunk"
                f"   ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
                f"   first text {statistics.median(a.first_ms for a, _ in pairs):.2f} / "
                f"{statistics.median(b.first_ms for _, b in pairs):.2f} ms"
            )
        report = fp.flush(60)
        print(f"  records: {report.sent} sent, {report.pending} pending, {report.dropped} dropped")
        fp.close()
        await fp_async.close()
        peer.close()
        await peer_async.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    asyncio.run(run(chunks=3000, delay_ms=0, rounds=rounds))
    asyncio.run(run(chunks=1000, delay_ms=1, rounds=rounds))


if __name__ == "__main__":
    main()
