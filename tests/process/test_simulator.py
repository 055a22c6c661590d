"""The simulated provider: as a process, over HTTP, and as the providers' own clients see it."""

import asyncio
import json
import resource
import socket
from collections.abc import Iterator

import anthropic
import openai
import pytest
import requests

from freeplay_like.local.scripts import Script
from freeplay_like.local.simulator import Simulator
from support.waiting import until


def test_the_simulator_runs_as_a_process_and_tells_what_it_saw(simulator_process: dict[str, str]) -> None:
    with requests.Session() as session:
        url = simulator_process["openai_base"] + "/chat/completions"
        answer = session.post(url, json={"model": "sim:chunks=1"}, timeout=10)
        seen = session.get(simulator_process["url"] + "/seen", timeout=10).json()
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == " tok0"
    assert seen["requests"][-1]["body"] == {"model": "sim:chunks=1"}


@pytest.mark.parametrize(
    ("model", "said"), [("sim:nonsense", b"known: chunks"), ("sim:raw=/no/file", b"cannot be read")]
)
def test_a_script_that_cannot_be_played_is_a_bad_request(simulator: Simulator, model: str, said: bytes) -> None:
    url = simulator.openai_base + "/chat/completions"
    answer = requests.post(url, json={"model": model, "stream": True}, timeout=10)
    assert answer.status_code == 400
    assert said in answer.content


def test_other_addresses_are_not_found(simulator: Simulator) -> None:
    assert requests.post(simulator.url + "/elsewhere", json={}, timeout=10).status_code == 404


def test_what_is_not_http_is_answered_with_400(simulator: Simulator) -> None:
    with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2]))) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_stopping_closes_what_is_open_and_may_be_done_twice() -> None:
    simulator = Simulator().start()
    with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2]))) as connection:
        until(lambda: simulator.connections == 1)
        simulator.stop()
        simulator.stop()
        assert connection.recv(10) == b""


def test_enqueued_scripts_come_first_and_in_order(simulator: Simulator) -> None:
    simulator.enqueue("text=one", "text=two")
    simulator.default = Script(text="rest")
    texts = []
    for _ in range(3):
        answer = requests.post(simulator.openai_base + "/chat/completions", json={"model": "gpt"}, timeout=10)
        texts.append(answer.json()["choices"][0]["message"]["content"])
    assert texts == ["one", "two", "rest"]
    assert len(simulator.wait_for_requests(3)) == 3
    with pytest.raises(TimeoutError, match="4 were awaited"):
        simulator.wait_for_requests(4, timeout_s=0.01)


def test_comments_may_be_all_that_comes_until_the_client_leaves(simulator: Simulator) -> None:
    url = simulator.openai_base + "/chat/completions"
    body = {"model": "sim:idle_after=1,delay_ms=1", "stream": True}
    with requests.post(url, json=body, stream=True, timeout=10) as answer:
        lines = answer.iter_lines()
        said = [next(lines) for _ in range(20)]
    assert said.count(b": keep-alive") > 5
    assert sum(b"tok0" in line for line in said) == 1
    assert simulator.requests[0].client_left.wait(5)


# --- as the providers' own clients see it ---

SCRIPTS = ["chunks=2", "chunks=0", "echo", "comments,chunks=2", "batch=3", "text=The river bends,chunks=3"]


@pytest.fixture
def client(simulator: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="a key", base_url=simulator.openai_base, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("script", [*SCRIPTS, "tools=2", "refusal,chunks=2", "reasoning=2", "finish=length"])
@pytest.mark.parametrize("is_azure", [False, True])
def test_openais_client_reads_the_same_chat_streamed_and_whole(
    simulator: Simulator, client: openai.OpenAI, script: str, *, is_azure: bool
) -> None:
    if is_azure:
        client = openai.AzureOpenAI(api_key="a key", azure_endpoint=simulator.azure_endpoint, api_version="2024-10-21")
    body = {"model": f"sim:{script}", "messages": [{"role": "user", "content": "you there"}], "n": 2}
    whole = client.chat.completions.create(**body)
    with client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}) as stream:
        events = list(stream)
    deltas = [c.delta for event in events for c in event.choices if c.index == 1 and c.delta is not None]
    message = whole.choices[1].message
    assert "".join(delta.content or "" for delta in deltas) == (message.content or "")
    assert "".join(delta.refusal or "" for delta in deltas) == (message.refusal or "")
    pieces = [call.function.arguments for delta in deltas for call in delta.tool_calls or []]
    assert "".join(pieces) == "".join(call.function.arguments for call in message.tool_calls or [])
    assert events[-1].usage is not None
    assert [event.choices[0].finish_reason for event in events[:-1] if event.choices][-1] == (
        whole.choices[1].finish_reason
    )
    client.close()


@pytest.mark.parametrize("script", [*SCRIPTS, "finish=length", "usage=every", "no_done"])
def test_openais_client_reads_the_same_text_streamed_and_whole(client: openai.OpenAI, script: str) -> None:
    body = {"model": f"sim:{script}", "prompt": "you there", "n": 2, "logprobs": 1}
    whole = client.completions.create(**body)
    with client.completions.create(**body, stream=True) as stream:
        choices = [choice for event in stream for choice in event.choices if choice.index == 1]
    assert "".join(choice.text for choice in choices) == whole.choices[1].text
    assert choices[-1].finish_reason == whole.choices[1].finish_reason
    tokens = [token for choice in choices for token in (choice.logprobs.tokens if choice.logprobs else [])]
    offsets = [n for choice in choices for n in (choice.logprobs.text_offset if choice.logprobs else [])]
    assert (tokens, offsets) == (whole.choices[1].logprobs.tokens, whole.choices[1].logprobs.text_offset)


@pytest.mark.parametrize(
    "script",
    [
        *SCRIPTS,
        "tools=2",
        "refusal,chunks=2",
        "reasoning=2",
        "reasoning=2,reasoning_field=summary",
        "tools=1,reasoning=1",
    ],
)
def test_openais_client_puts_a_streamed_response_together_as_it_comes_whole(client: openai.OpenAI, script: str) -> None:
    body = {"model": f"sim:{script}", "input": "you there", "include": ["message.output_text.logprobs"]}
    whole = client.responses.create(**body)
    snapshots = []
    with client.responses.stream(**body) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        streamed = stream.get_final_response()
    assert streamed.output_text == whole.output_text == (snapshots[-1] if snapshots else "")
    assert streamed.usage == whole.usage
    assert [
        item.model_dump(exclude={"content": {"__all__": {"parsed"}}, "parsed_arguments": True})
        for item in streamed.output
    ] == [item.model_dump() for item in whole.output]


@pytest.mark.parametrize(
    ("script", "last", "status"),
    [
        ("finish=max_output_tokens", "response.incomplete", "incomplete"),
        ("finish=content_filter", "response.incomplete", "incomplete"),
        ("finish=failed", "response.failed", "failed"),
    ],
)
def test_a_response_may_end_badly(client: openai.OpenAI, script: str, last: str, status: str) -> None:
    with client.responses.create(model=f"sim:{script}", input="you there", stream=True) as stream:
        events = list(stream)
    assert (events[-1].type, events[-1].response.status) == (last, status)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert client.responses.create(model=f"sim:{script}", input="you there").status == status


@pytest.mark.parametrize("script", [*SCRIPTS, "tools=2", "refusal", "reasoning=2", "finish=max_tokens"])
def test_anthropics_client_puts_a_streamed_message_together_as_it_comes_whole(
    simulator: Simulator, script: str
) -> None:
    body = {"model": f"sim:{script}", "max_tokens": 9, "messages": [{"role": "user", "content": "you there"}]}
    with anthropic.Anthropic(api_key="a key", base_url=simulator.anthropic_base, max_retries=0) as client:
        whole = client.messages.create(**body)
        with client.messages.stream(**body) as stream:
            streamed = stream.get_final_message()
    assert [block.model_dump(exclude={"parsed_output"}) for block in streamed.content] == [
        block.model_dump() for block in whole.content
    ]
    assert streamed.stop_reason == whole.stop_reason


@pytest.mark.parametrize("endpoint", ["chat", "text", "responses"])
def test_failures_in_a_stream_are_what_openais_client_takes_for_them(client: openai.OpenAI, endpoint: str) -> None:
    def stream(script: str) -> openai.Stream:
        if endpoint == "chat":
            return client.chat.completions.create(model=f"sim:{script}", messages=[], stream=True)
        if endpoint == "text":
            return client.completions.create(model=f"sim:{script}", prompt="", stream=True)
        return client.responses.create(model=f"sim:{script}", input="", stream=True)

    with pytest.raises(openai.APIConnectionError):
        list(stream("cut_after=1"))
    with pytest.raises(json.JSONDecodeError):
        list(stream("bad_json_after=1"))
    with pytest.raises(openai.InternalServerError):
        stream("status=503")
    if endpoint == "responses":
        assert list(stream("error_after=1"))[-1].type == "error"
    else:
        with pytest.raises(openai.APIError, match="The server had an error"):
            list(stream("error_after=1"))


# --- many at once ---


async def test_a_thousand_streams_at_once_all_come_to_their_end(simulator_process: dict[str, str]) -> None:
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    paths = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
    all_begun = asyncio.Barrier(1000)
    port = int(simulator_process["url"].rpartition(":")[2])

    async def stream(path: str) -> bytes:
        body = json.dumps({"model": "sim:chunks=10,delay_ms=10,first_delay_ms=10", "stream": True}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await all_begun.wait()
        writer.write(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (path.encode(), len(body), body))
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()
        return answer

    try:
        answers = await asyncio.gather(*(stream(paths[n % 4]) for n in range(1000)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    assert sum(b" tok9" in answer for answer in answers) == 1000
