"""The recorded bytes, read by our readers and by the providers' own clients."""

import re
from collections.abc import Iterator
from contextlib import closing

import anthropic
import openai
import pytest

from freeplay_like.core.completion import CompletionBuilder
from freeplay_like.errors import ProviderError
from freeplay_like.local.scripts import Script
from freeplay_like.local.simulator import Simulator
from support.wire import API_VERSION, CASES, FLAVORS, WIRE, Answer, Case, all_cases, flavor_of, of_cases, read

CLEAN = [case for case in CASES if case.record["error"] is None]
STREAMED = [case for case in CASES if case.request.is_stream]


def clean_cases(*providers: str, is_stream: bool) -> list[Case]:
    return [c for c in CLEAN if c.provider in providers and c.request.is_stream is is_stream]


def replayed(case: Case, simulator: Simulator) -> None:
    simulator.enqueue(Script(raw=str(case.response_file), split=97))


@all_cases
def test_the_reader_reads_what_the_record_says(case: Case) -> None:
    assert read(case.reader(), [case.response_file.read_bytes()]).as_record() == case.record


@all_cases
def test_the_same_comes_through_the_providers_client(case: Case, simulator: Simulator) -> None:
    replayed(case, simulator)
    connection = flavor_of(case.provider, simulator).open(case.request)
    assert read(case.reader(), connection).as_record() == case.record
    assert connection.request_id == "req_sim_1"
    assert simulator.requests[0].body == case.request.body


@all_cases
async def test_the_same_comes_through_the_providers_async_client(case: Case, simulator: Simulator) -> None:
    replayed(case, simulator)
    connection = await flavor_of(case.provider, simulator).aopen(case.request)
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


@of_cases(STREAMED)
def test_other_ways_to_write_the_same_events_are_read_alike(case: Case) -> None:
    plain = case.response_file.read_bytes().replace(b"\r\n", b"\n")
    for written in (
        plain.replace(b"\n", b"\r\n"),
        plain.replace(b"\n", b"\r"),
        plain.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
        b"\xef\xbb\xbf" + plain,
        b": hello\n\nretry: 10\nid: 1\n\n" + plain.replace(b"\n\n", b"\n\n:\n\n: keep-alive\n\n"),
    ):
        assert read(case.reader(), [written]).as_record() == case.record


# --- the providers' own clients read the same ---


@pytest.fixture
def openai_client(simulator: Simulator) -> Iterator[openai.OpenAI]:
    with closing(openai.OpenAI(api_key="a key", base_url=simulator.openai_base, max_retries=0)) as client:
        yield client


@pytest.fixture
def azure_client(simulator: Simulator) -> Iterator[openai.AzureOpenAI]:
    endpoint = simulator.azure_endpoint
    with closing(
        openai.AzureOpenAI(api_key="a key", azure_endpoint=endpoint, api_version=API_VERSION, max_retries=0)
    ) as client:
        yield client


@pytest.fixture
def anthropic_client(simulator: Simulator) -> Iterator[anthropic.Anthropic]:
    with closing(anthropic.Anthropic(api_key="a key", base_url=simulator.anthropic_base, max_retries=0)) as client:
        yield client


@of_cases(clean_cases("openai", "azure", is_stream=True))
def test_openais_own_stream_gives_the_same_text_finish_and_usage(
    case: Case, simulator: Simulator, openai_client: openai.OpenAI, azure_client: openai.AzureOpenAI
) -> None:
    replayed(case, simulator)
    client = azure_client if case.provider == "azure" else openai_client
    texts: dict[int, str] = {}
    finishes: dict[int, str | None] = {}
    tokens = None
    with client.chat.completions.create(**case.request.body) as stream:
        for event in stream:
            for choice in event.choices:
                said = choice.delta.content if choice.delta else None
                texts[choice.index] = texts.get(choice.index, "") + (said or "")
                finishes[choice.index] = choice.finish_reason or finishes.get(choice.index)
            if event.usage is not None:
                tokens = (event.usage.prompt_tokens, event.usage.completion_tokens)
    assert_same(case, texts, finishes, tokens)


@of_cases(clean_cases("openai_text", is_stream=True))
def test_openais_own_text_stream_gives_the_same_text_finish_and_usage(
    case: Case, simulator: Simulator, openai_client: openai.OpenAI
) -> None:
    replayed(case, simulator)
    texts: dict[int, str] = {}
    finishes: dict[int, str | None] = {}
    tokens = None
    with openai_client.completions.create(**case.request.body) as stream:
        for event in stream:
            for choice in event.choices:
                texts[choice.index] = texts.get(choice.index, "") + choice.text
                finishes[choice.index] = choice.finish_reason or finishes.get(choice.index)
            if event.usage is not None:
                tokens = (event.usage.prompt_tokens, event.usage.completion_tokens)
    assert_same(case, texts, finishes, tokens)


def assert_same(
    case: Case, texts: dict[int, str], finishes: dict[int, str | None], tokens: tuple[int, int] | None
) -> None:
    record = case.record
    assert texts == {choice["index"]: choice["text"] for choice in record["choices"]}
    assert finishes == {choice["index"]: choice["finish_reason_raw"] for choice in record["choices"]}
    assert tokens == (record["usage"] and (record["usage"]["input_tokens"], record["usage"]["output_tokens"]))


@of_cases(clean_cases("openai", "azure", is_stream=False))
def test_openais_own_completion_gives_the_same_text_finish_and_usage(
    case: Case, simulator: Simulator, openai_client: openai.OpenAI, azure_client: openai.AzureOpenAI
) -> None:
    replayed(case, simulator)
    client = azure_client if case.provider == "azure" else openai_client
    theirs = client.chat.completions.create(**case.request.body)
    ours = case.record
    assert theirs.choices[0].message.content or ours["choices"][0]["text"] == ""
    assert theirs.choices[0].finish_reason == ours["choices"][0]["finish_reason_raw"]
    assert theirs.usage.prompt_tokens == ours["usage"]["input_tokens"]


@of_cases(clean_cases("openai_text", is_stream=False))
def test_openais_own_text_completion_gives_the_same_text_finish_and_usage(
    case: Case, simulator: Simulator, openai_client: openai.OpenAI
) -> None:
    replayed(case, simulator)
    theirs = openai_client.completions.create(**case.request.body)
    assert_same(
        case,
        {choice.index: choice.text for choice in theirs.choices},
        {choice.index: choice.finish_reason for choice in theirs.choices},
        (theirs.usage.prompt_tokens, theirs.usage.completion_tokens),
    )


# Without `no_pieces`: this client hands on what comes, and puts nothing together.
@of_cases([c for c in clean_cases("openai_responses", is_stream=True) if c.folder.name != "no_pieces"])
def test_openais_own_response_events_give_the_same_text_refusal_reasoning_calls_and_usage(
    case: Case, simulator: Simulator, openai_client: openai.OpenAI
) -> None:
    replayed(case, simulator)
    said: dict[str, str] = {}
    last = None
    with openai_client.responses.create(**case.request.body) as stream:
        for event in stream:
            if isinstance(getattr(event, "delta", None), str):
                said[event.type] = said.get(event.type, "") + event.delta
            last = getattr(event, "response", None) or last
    (choice,) = case.record["choices"]
    assert said.get("response.output_text.delta", "") == choice["text"]
    assert said.get("response.refusal.delta", "") == choice["refusal"]
    thought = said.get("response.reasoning_text.delta", "") + said.get("response.reasoning_summary_text.delta", "")
    assert thought == choice["reasoning"].replace("\n\n**Brevity", "**Brevity")
    assert last.id == case.record["response_id"]
    calls = [item.call_id for item in last.output or [] if item.type in ("function_call", "custom_tool_call")]
    assert calls == [call["id"] for call in choice["tool_calls"]]
    usage = case.record["usage"]
    assert (last.usage and last.usage.output_tokens) == (usage and usage["output_tokens"])


@of_cases(clean_cases("openai_responses", is_stream=False))
def test_openais_own_response_gives_the_same_text_calls_and_usage(
    case: Case, simulator: Simulator, openai_client: openai.OpenAI
) -> None:
    replayed(case, simulator)
    theirs = openai_client.responses.create(**case.request.body)
    (choice,) = case.record["choices"]
    assert theirs.output_text == choice["text"]
    calls = [(item.call_id, item.name, item.arguments) for item in theirs.output if item.type == "function_call"]
    assert calls == [tuple(call.values()) for call in choice["tool_calls"]]
    assert theirs.usage.input_tokens == case.record["usage"]["input_tokens"]
    reason = theirs.incomplete_details.reason if theirs.incomplete_details else theirs.status
    assert reason == choice["finish_reason_raw"]


@of_cases(clean_cases("anthropic", "anthropic_text", is_stream=True))
def test_anthropics_own_stream_gives_the_same_text_finish_and_usage(
    case: Case, simulator: Simulator, anthropic_client: anthropic.Anthropic
) -> None:
    replayed(case, simulator)
    body = {name: value for name, value in case.request.body.items() if name != "stream"}
    with anthropic_client.messages.stream(**body) as stream:
        theirs = stream.get_final_message()
    ours = case.record
    assert "".join(block.text for block in theirs.content if block.type == "text") == ours["choices"][0]["text"]
    assert [b.id for b in theirs.content if b.type == "tool_use"] == [c["id"] for c in ours["choices"][0]["tool_calls"]]
    assert theirs.stop_reason == ours["choices"][0]["finish_reason_raw"]
    assert theirs.usage.output_tokens == ours["usage"]["output_tokens"]


@of_cases(clean_cases("anthropic", "anthropic_text", is_stream=False))
def test_anthropics_own_message_gives_the_same_text_finish_and_usage(
    case: Case, simulator: Simulator, anthropic_client: anthropic.Anthropic
) -> None:
    replayed(case, simulator)
    theirs = anthropic_client.messages.create(**case.request.body)
    assert theirs.content[0].text == case.record["choices"][0]["text"]
    assert theirs.stop_reason == case.record["choices"][0]["finish_reason_raw"]


# --- the files ---


def test_every_flavor_has_what_a_stream_can_come_to() -> None:
    for provider in FLAVORS:
        names = {case.folder.name for case in CASES if case.provider == provider}
        assert names >= {"text", "whole", "truncated", "error_midstream"}, provider


def test_every_case_says_where_its_bytes_come_from() -> None:
    assert len(CASES) >= 80
    for case in CASES:
        assert re.search(r"[Mm]ade by hand|[Rr]ecorded", (case.folder / "SOURCE.md").read_text()), case.folder


def test_no_fixture_holds_a_key() -> None:
    secrets = re.compile(rb"sk-[A-Za-z0-9_-]{16}|[Bb]earer [A-Za-z0-9]|api[-_]key", re.ASCII)
    files = [path for path in WIRE.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if secrets.search(path.read_bytes())] == []
