"""The recorded bytes, read by our readers and by the providers' own clients."""

import re

import anthropic
import openai
import pytest

from freeplay_like.core.completion import CompletionBuilder
from freeplay_like.errors import ProviderError
from freeplay_like.local.scripts import Script
from freeplay_like.local.simulator import Simulator
from support import wire
from support.wire import CASES, WIRE, Answer, Case, all_cases, read

CLEAN = [case for case in CASES if case.record["error"] is None]


def clean_cases(provider: str, *, is_stream: bool) -> list[Case]:
    return [c for c in CLEAN if c.provider == provider and c.request.is_stream is is_stream]


def flavor(case: Case, simulator: Simulator) -> wire.OpenFlavor:
    base = simulator.openai_base if case.provider == "openai" else simulator.anthropic_base
    return wire.FLAVORS[case.provider]("a key", base, max_retries=0)


def replayed(case: Case, simulator: Simulator) -> None:
    simulator.enqueue(Script(raw=str(case.response_file), split=97))


@all_cases
def test_the_reader_reads_what_the_record_says(case: Case) -> None:
    assert read(case.reader(), [case.response_file.read_bytes()]).as_record() == case.record


@all_cases
def test_the_same_comes_through_the_providers_client(case: Case, simulator: Simulator) -> None:
    replayed(case, simulator)
    connection = flavor(case, simulator).open(case.request)
    assert read(case.reader(), connection).as_record() == case.record
    assert connection.request_id == "req_sim_1"
    assert simulator.requests[0].body == case.request.body


@all_cases
async def test_the_same_comes_through_the_providers_async_client(case: Case, simulator: Simulator) -> None:
    replayed(case, simulator)
    connection = await flavor(case, simulator).aopen(case.request)
    builder, reader, error = CompletionBuilder(), case.reader(), None
    try:
        async for data in connection:
            for chunk in reader.feed(data):
                builder.feed(chunk)
        for chunk in reader.end():
            builder.feed(chunk)
    except ProviderError as exc:
        error = exc
    assert Answer(builder.build(), error).as_record() == case.record
    assert simulator.requests[0].body == case.request.body


@pytest.mark.parametrize("case", clean_cases("openai", is_stream=True), ids=lambda case: case.folder.name)
def test_openais_own_stream_gives_the_same_text_finish_and_usage(case: Case, simulator: Simulator) -> None:
    replayed(case, simulator)
    client = openai.OpenAI(api_key="a key", base_url=simulator.openai_base, max_retries=0)
    texts: dict[int, str] = {}
    finishes: dict[int, str | None] = {}
    tokens = None
    with client.chat.completions.create(**case.request.body) as stream:
        for event in stream:
            for choice in event.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
                finishes[choice.index] = choice.finish_reason or finishes.get(choice.index)
            if event.usage is not None:
                tokens = (event.usage.prompt_tokens, event.usage.completion_tokens)
    client.close()
    record = case.record
    assert texts == {choice["index"]: choice["text"] for choice in record["choices"]}
    assert finishes == {choice["index"]: choice["finish_reason_raw"] for choice in record["choices"]}
    assert tokens == (record["usage"] and (record["usage"]["input_tokens"], record["usage"]["output_tokens"]))


@pytest.mark.parametrize("case", clean_cases("openai", is_stream=False), ids=lambda case: case.folder.name)
def test_openais_own_completion_gives_the_same_text_finish_and_usage(case: Case, simulator: Simulator) -> None:
    replayed(case, simulator)
    client = openai.OpenAI(api_key="a key", base_url=simulator.openai_base, max_retries=0)
    theirs = client.chat.completions.create(**case.request.body)
    client.close()
    ours = case.record
    assert theirs.choices[0].message.content or ours["choices"][0]["text"] == ""
    assert theirs.choices[0].finish_reason == ours["choices"][0]["finish_reason_raw"]
    assert theirs.usage.prompt_tokens == ours["usage"]["input_tokens"]


@pytest.mark.parametrize("case", clean_cases("anthropic", is_stream=True), ids=lambda case: case.folder.name)
def test_anthropics_own_stream_gives_the_same_text_finish_and_usage(case: Case, simulator: Simulator) -> None:
    replayed(case, simulator)
    client = anthropic.Anthropic(api_key="a key", base_url=simulator.anthropic_base, max_retries=0)
    body = {name: value for name, value in case.request.body.items() if name != "stream"}
    with client.messages.stream(**body) as stream:
        theirs = stream.get_final_message()
    client.close()
    ours = case.record
    assert "".join(block.text for block in theirs.content if block.type == "text") == ours["choices"][0]["text"]
    assert [b.id for b in theirs.content if b.type == "tool_use"] == [c["id"] for c in ours["choices"][0]["tool_calls"]]
    assert theirs.stop_reason == ours["choices"][0]["finish_reason_raw"]
    assert theirs.usage.output_tokens == ours["usage"]["output_tokens"]


def test_anthropics_own_message_gives_the_same_text_finish_and_usage(simulator: Simulator) -> None:
    (case,) = clean_cases("anthropic", is_stream=False)
    replayed(case, simulator)
    client = anthropic.Anthropic(api_key="a key", base_url=simulator.anthropic_base, max_retries=0)
    theirs = client.messages.create(**case.request.body)
    client.close()
    assert theirs.content[0].text == case.record["choices"][0]["text"]
    assert theirs.stop_reason == case.record["choices"][0]["finish_reason_raw"]


def test_every_case_says_where_its_bytes_come_from() -> None:
    assert len(CASES) >= 25
    for case in CASES:
        assert re.search(r"[Mm]ade by hand|[Rr]ecorded", (case.folder / "SOURCE.md").read_text()), case.folder


def test_no_fixture_holds_a_key() -> None:
    secrets = re.compile(rb"sk-[A-Za-z0-9_-]{16}|[Bb]earer [A-Za-z0-9]|api[-_]key", re.ASCII)
    files = [path for path in WIRE.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if secrets.search(path.read_bytes())] == []
