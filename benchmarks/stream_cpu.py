"""CPU of one streamed chunk: the provider's own client (nothing recorded) beside ours with recording on, by flavor.

The provider is simulated in another process, records go to a real backend in another process. CPU is this process's
own, all threads, so journal and delivery count. Rounds alternate; the ratio is taken pair by pair.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from freeplay_like import (
    AnthropicClaudeChat,
    AnthropicClaudeText,
    AsyncFreeplay,
    AzureOpenAIChat,
    Freeplay,
    OpenAIChat,
    OpenAIResponses,
    OpenAIText,
    PromptTemplate,
    TemplateMessage,
)
from freeplay_like.flavors.base import Flavor
from freeplay_like.testing import StaticPrompts
from peers import backend, simulator

TEMPLATE = PromptTemplate(name="bench", messages=(TemplateMessage(role="user", content="Go on about {{topic}}."),))
VARIABLES = {"topic": "tides"}
PROMPT = "Go on about tides."
MESSAGES = [{"role": "user", "content": PROMPT}]
AZURE_VERSION = "2024-10-21"

Addresses = Mapping[str, str]
Stream = Callable[[Callable[[], None]], Awaitable[None]]
"""Reads one stream to its end, and calls what it is given at each piece of text."""


@attrs.frozen(kw_only=True)
class Contest:
    """A flavor, and what its provider's own client does in its place. `client` makes the sync client or the async one,
    `ask` begins a stream with either, `text` finds the text of an event."""

    flavor: Callable[[Addresses], Flavor]
    client: Callable[[Addresses, bool], Any]
    ask: Callable[[Any, str], Any]
    text: Callable[[Any], str | None]


def openai_client(addresses: Addresses, is_async: bool) -> Any:
    import openai

    return (openai.AsyncOpenAI if is_async else openai.OpenAI)(api_key="k", base_url=addresses["openai_base"])


def azure_client(addresses: Addresses, is_async: bool) -> Any:
    import openai

    kind = openai.AsyncAzureOpenAI if is_async else openai.AzureOpenAI
    return kind(api_key="k", azure_endpoint=addresses["azure_endpoint"], api_version=AZURE_VERSION)


def anthropic_client(addresses: Addresses, is_async: bool) -> Any:
    import anthropic

    kind = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
    return kind(api_key="k", base_url=addresses["anthropic_base"])


def ask_chat(client: Any, model: str) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, stream=True)


def ask_text(client: Any, model: str) -> Any:
    return client.completions.create(model=model, prompt=PROMPT, stream=True)


def ask_response(client: Any, model: str) -> Any:
    return client.responses.create(model=model, input=PROMPT, stream=True)


def ask_message(client: Any, model: str) -> Any:
    return client.messages.create(model=model, messages=MESSAGES, max_tokens=100, stream=True)


def chat_text(event: Any) -> str | None:
    delta = event.choices[0].delta if event.choices else None  # Azure's filter says something without a delta
    return None if delta is None else delta.content


def completion_text(event: Any) -> str | None:
    return event.choices[0].text if event.choices else None


def response_text(event: Any) -> str | None:
    return event.delta if event.type == "response.output_text.delta" else None


def message_text(event: Any) -> str | None:
    return event.delta.text if event.type == "content_block_delta" else None


CONTESTS = {
    "openai_chat": Contest(
        flavor=lambda at: OpenAIChat("k", at["openai_base"]), client=openai_client, ask=ask_chat, text=chat_text
    ),
    "openai_text": Contest(
        flavor=lambda at: OpenAIText("k", at["openai_base"]), client=openai_client, ask=ask_text, text=completion_text
    ),
    "openai_responses": Contest(
        flavor=lambda at: OpenAIResponses("k", at["openai_base"]),
        client=openai_client,
        ask=ask_response,
        text=response_text,
    ),
    "azure_openai_chat": Contest(
        flavor=lambda at: AzureOpenAIChat("k", at["azure_endpoint"], AZURE_VERSION),
        client=azure_client,
        ask=ask_chat,
        text=chat_text,
    ),
    "anthropic_chat": Contest(
        flavor=lambda at: AnthropicClaudeChat("k", at["anthropic_base"]),
        client=anthropic_client,
        ask=ask_message,
        text=message_text,
    ),
    "anthropic_text": Contest(
        flavor=lambda at: AnthropicClaudeText("k", at["anthropic_base"]),
        client=anthropic_client,
        ask=ask_message,
        text=message_text,
    ),
}


@attrs.frozen(kw_only=True)
class Reading:
    """One stream: CPU microseconds a chunk, milliseconds to the first text, chunks seen."""

    cpu_us: float
    first_ms: float
    chunks: int


async def measure(stream: Stream) -> Reading:
    came: list[float] = []
    started, cpu = time.perf_counter(), time.process_time()
    await stream(lambda: came.append(time.perf_counter()))
    used = time.process_time() - cpu
    return Reading(cpu_us=used * 1e6 / len(came), first_ms=(came[0] - started) * 1000, chunks=len(came))


def streams(contest: Contest, peer: Any, fp: Freeplay, project_id: str, model: str) -> tuple[Stream, Stream]:
    """One stream through the provider's own client, and one through ours."""

    async def raw(on_text: Callable[[], None]) -> None:
        for event in contest.ask(peer, model):
            if contest.text(event):
                on_text()

    async def ours(on_text: Callable[[], None]) -> None:
        for chunk in fp.get_completion_stream(project_id, "bench", VARIABLES, model=model):
            if chunk.text:
                on_text()

    return raw, ours


def async_streams(contest: Contest, peer: Any, fp: AsyncFreeplay, project_id: str, model: str) -> tuple[Stream, Stream]:
    """The async twin of `streams`."""

    async def raw(on_text: Callable[[], None]) -> None:
        async for event in await contest.ask(peer, model):
            if contest.text(event):
                on_text()

    async def ours(on_text: Callable[[], None]) -> None:
        async for chunk in await fp.get_completion_stream(project_id, "bench", VARIABLES, model=model):
            if chunk.text:
                on_text()

    return raw, ours


async def compare(name: str, raw: Stream, ours: Stream, chunks: int, rounds: int) -> None:
    """Measure in turn, after one of each to warm up, and print."""
    await measure(raw), await measure(ours)
    pairs = [(await measure(raw), await measure(ours)) for _ in range(rounds)]
    assert all(a.chunks == b.chunks == chunks for a, b in pairs)
    ratios = sorted(b.cpu_us / a.cpu_us for a, b in pairs)
    print(
        f"  {name:24} client {statistics.median(a.cpu_us for a, _ in pairs):6.1f} us/chunk"
        f"   ours, recorded {statistics.median(b.cpu_us for _, b in pairs):6.1f} us/chunk"
        f"   ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        f"   first text {statistics.median(a.first_ms for a, _ in pairs):.2f} / "
        f"{statistics.median(b.first_ms for _, b in pairs):.2f} ms",
        flush=True,
    )


async def run(flavors: list[str], chunks: int, delay_ms: float, rounds: int) -> None:
    model = f"sim:chunks={chunks},delay_ms={delay_ms}" + (",batch=20" if not delay_ms else "")
    print(f"{chunks} chunks a stream, {delay_ms or 'no'} ms between them, {rounds} rounds")
    with simulator() as at, backend() as (api_base, project_id, key):
        for name in flavors:
            contest = CONTESTS[name]
            flavor, prompts = contest.flavor(at), StaticPrompts(TEMPLATE)
            with Freeplay(flavor, key, api_base, prompts=prompts) as fp, contest.client(at, False) as peer:
                await compare(f"{name}, sync", *streams(contest, peer, fp, project_id, model), chunks, rounds)
                assert fp.flush(60).is_complete
            async with (
                AsyncFreeplay(flavor, key, api_base, prompts=prompts) as fp_async,
                contest.client(at, True) as peer,
            ):
                pair = async_streams(contest, peer, fp_async, project_id, model)
                await compare(f"{name}, async", *pair, chunks, rounds)
                assert (await fp_async.flush(60)).is_complete


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flavor", choices=["all", *CONTESTS], default="openai_chat")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    flavors = list(CONTESTS) if arguments.flavor == "all" else [arguments.flavor]
    asyncio.run(run(flavors, chunks=3000, delay_ms=0, rounds=arguments.rounds))
    asyncio.run(run(flavors, chunks=1000, delay_ms=1, rounds=arguments.rounds))


if __name__ == "__main__":
    main()
