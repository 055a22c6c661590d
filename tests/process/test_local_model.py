"""The real llama.cpp server with the real small model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from freeplay_like import AnthropicClaudeChat, OpenAIChat
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.flavors.base import Flavor
from freeplay_like.local.llama import LlamaServer
from freeplay_like.local.model import LocalModelError
from support.waiting import until

pytestmark = pytest.mark.model


def ask(flavor: Flavor, model: str) -> tuple[str, int]:
    """The text of a streamed answer, and how many pieces it came in."""
    asked = {"model": model, "max_tokens": 24, "temperature": 0}
    parameters = merge([("flavor", flavor.default_parameters), ("call", asked)])
    request = flavor.format([Message(role="user", content="Count to five.")], parameters, is_stream=True)
    reader, texts = flavor.reader(request), []
    for data in flavor.open(request):
        texts += [chunk.text for chunk in reader.feed(data) if chunk.text]
    texts += [chunk.text for chunk in reader.end() if chunk.text]
    return "".join(texts), len(texts)


def test_it_streams_in_both_wire_formats(llama: LlamaServer) -> None:
    text, pieces = ask(OpenAIChat("not-needed", llama.url), llama.model)
    assert text
    assert pieces > 1
    other, _ = ask(AnthropicClaudeChat("not-needed", llama.url.removesuffix("/v1")), llama.model)
    assert other == text


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
