"""The real llama.cpp server with the real small model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.errors import ContextLengthExceeded, ProviderRejected
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.base import Flavor, Request
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.flavors.openai_client import OpenAIFlavor
from freeplay_like.flavors.openai_responses import OpenAIResponses
from freeplay_like.flavors.openai_text import OpenAIText
from freeplay_like.local.llama import LlamaServer
from freeplay_like.local.model import LocalModelError
from support.waiting import until
from support.wire import Answer, read

pytestmark = pytest.mark.model


FLAVORS: dict[str, type[OpenAIFlavor] | type[AnthropicClaudeChat]] = {
    "openai_chat": OpenAIChat,
    "openai_text": OpenAIText,
    "openai_responses": OpenAIResponses,
    "anthropic_chat": AnthropicClaudeChat,
}

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer", "maximum": 99999999}},
    "required": ["city", "people"],
    "additionalProperties": False,
}


def flavor_at(llama: LlamaServer, name: str) -> Flavor:
    """A flavor that asks the local model, without a key."""
    return FLAVORS[name](None, llama.url.removesuffix("/v1") if name == "anthropic_chat" else llama.url)


def formatted(flavor: Flavor, model: str, question: str, *, is_stream: bool, **parameters: object) -> Request:
    asked = {"model": model, "max_tokens": 24, "temperature": 0, **parameters}
    layers = [("flavor", flavor.default_parameters), ("call", asked)]
    return flavor.format([Message(role="user", content=question)], merge(layers), is_stream=is_stream)


def ask(
    flavor: Flavor, model: str, question: str = "Count to five.", *, is_stream: bool, **parameters: object
) -> Answer:
    request = formatted(flavor, model, question, is_stream=is_stream, **parameters)
    return read(flavor.reader(request), flavor.open(request))


@pytest.mark.parametrize("name", FLAVORS)
def test_it_answers_streamed_and_whole_alike_in_every_wire_format(llama: LlamaServer, name: str) -> None:
    # A connection each: the server may close one after a stream just when it is used again.
    streamed, whole = (ask(flavor_at(llama, name), llama.model, is_stream=is_stream) for is_stream in (True, False))
    assert (streamed.error, whole.error) == (None, None)
    assert streamed.response.text == whole.response.text != ""
    assert streamed.response.finish_reason == whole.response.finish_reason
    for response in (streamed.response, whole.response):
        assert response.model == llama.model
        assert response.response_id
        assert response.usage.input_tokens >= 3
        assert 0 < response.usage.output_tokens <= 24
        assert response.usage.cached_input_tokens <= response.usage.input_tokens


def test_the_wire_formats_of_chat_lead_to_the_same_words(llama: LlamaServer) -> None:
    names = [name for name in FLAVORS if name != "openai_text"]
    texts = {ask(flavor_at(llama, name), llama.model, is_stream=True).response.text for name in names}
    assert len(texts) == 1


@pytest.mark.parametrize("name", FLAVORS)
async def test_it_streams_piece_by_piece_to_async_code(llama: LlamaServer, name: str) -> None:
    flavor = flavor_at(llama, name)
    request = formatted(flavor, llama.model, "Count to five.", is_stream=True)
    reader, chunks = flavor.reader(request), []
    async for data in await flavor.aopen(request):
        chunks += list(reader.feed(data))
    chunks += list(reader.end())
    assert sum(bool(chunk.text) for chunk in chunks) > 1
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] in (["stop"], ["length"])


@pytest.mark.parametrize("name", ["openai_chat", "openai_text", "anthropic_chat"])
def test_it_stops_at_the_limit_and_says_so(llama: LlamaServer, name: str) -> None:
    answer = ask(flavor_at(llama, name), llama.model, is_stream=True, max_tokens=3)
    assert answer.response.finish_reason == "length"


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_schema_binds_its_answer(llama: LlamaServer, *, is_stream: bool) -> None:
    flavor = flavor_at(llama, "openai_chat")
    assert flavor.takes_output_schema
    answer = ask(flavor, llama.model, "Name a city.", is_stream=is_stream, output_schema=CITY, max_tokens=80)
    city = json.loads(answer.response.text)
    assert set(city) == {"city", "people"}
    assert isinstance(city["people"], int)


@pytest.mark.parametrize("is_stream", [True, False])
def test_it_writes_several_texts_with_their_probabilities(llama: LlamaServer, *, is_stream: bool) -> None:
    flavor = flavor_at(llama, "openai_text")
    response = ask(flavor, llama.model, "Once upon", is_stream=is_stream, n=2, logprobs=1, max_tokens=4).response
    assert [choice.index for choice in response.choices] == [0, 1]
    assert all(choice.text and choice.logprobs for choice in response.choices)


@pytest.mark.parametrize("name", [name for name in FLAVORS if name.startswith("openai")])
def test_what_it_does_not_take_is_refused_in_its_own_words(llama: LlamaServer, name: str) -> None:
    flavor = flavor_at(llama, name)
    request = formatted(flavor, llama.model, "Hello", is_stream=True, grammar="no grammar at all")
    with pytest.raises(ProviderRejected, match="grammar") as caught:
        flavor.open(request)
    assert caught.value.status == 400


def test_a_prompt_past_its_context_is_told_from_other_refusals(llama: LlamaServer) -> None:
    for name in FLAVORS:
        flavor = flavor_at(llama, name)
        request = formatted(flavor, llama.model, "many words " * 3000, is_stream=True)
        with pytest.raises(ContextLengthExceeded):
            flavor.open(request)


def test_it_listens_on_loopback_alone(llama: LlamaServer) -> None:
    assert llama.pid is not None
    listening = [c.laddr for c in psutil.Process(llama.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [address.ip for address in listening] == ["127.0.0.1"]
    assert llama.url == f"http://127.0.0.1:{listening[0].port}/v1"


def test_it_tells_its_model(llama: LlamaServer) -> None:
    models = requests.get(f"{llama.url}/models", timeout=10).json()["data"]
    assert [model["id"] for model in models] == ["smollm2-135m-instruct"]


def test_it_stops_and_starts_again(model_file: Path) -> None:
    server = LlamaServer(model_file)
    with server:
        first = server.pid
        assert first is not None
        assert requests.get(f"{server.url}/models", timeout=10).ok
    assert not psutil.pid_exists(first)
    assert (server.url, server.pid) == ("", None)
    with server:
        assert requests.get(f"{server.url}/models", timeout=10).ok


def test_it_ends_with_a_parent_that_was_killed(model_file: Path) -> None:
    program = """
import pathlib, sys, time
from freeplay_like.local.llama import LlamaServer
print(LlamaServer(pathlib.Path(sys.argv[1])).start().pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(model_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="the server's end")


def test_a_file_that_is_no_model_is_said_in_llamas_own_words(model_file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(model_file.read_bytes()[:100_000])
    with pytest.raises(LocalModelError, match="did not start") as caught:
        LlamaServer(broken).start()
    assert str(broken) in str(caught.value)
    assert "failed to load model" in str(caught.value)


def test_a_busy_port_is_named(model_file: Path, llama: LlamaServer) -> None:
    port = int(llama.url.removesuffix("/v1").rpartition(":")[2])
    with pytest.raises(LocalModelError, match=f"--port={port}"):
        LlamaServer(model_file, port=port).start()
