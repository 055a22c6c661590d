"""`freeplay-like demo`, as people and scripts run it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest
import requests

from freeplay_like.local.simulator import Simulator
from support.backend import CLI, BackendProcess
from support.waiting import until

OPENAI = ("--provider", "openai", "--model", "sim:chunks=4")
KEPT_RUNNING = "The backend keeps running. Ctrl-C stops it."


class Demo:
    """Runs the demo with a home of its own; ends what is left of it."""

    def __init__(self, home: Path, simulator: Simulator) -> None:
        self.data = home / "state" / "freeplay_like" / "demo"
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(home / "state"),
            "OPENAI_API_KEY": "not-a-real-key",
            "OPENAI_BASE_URL": simulator.openai_base,
            "ANTHROPIC_API_KEY": "not-a-real-key",
            "ANTHROPIC_BASE_URL": simulator.anthropic_base,
        }
        self.running: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        command = [*CLI, "demo", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=100)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run until it is stopped."""
        process = subprocess.Popen(
            [*CLI, "demo", *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.running.append(process)
        return process


@pytest.fixture
def demo(tmp_path: Path, simulator: Simulator) -> Iterator[Demo]:
    runner = Demo(tmp_path, simulator)
    yield runner
    for process in runner.running:
        with process:
            process.kill()


def read_until(stream: IO[str] | None, wanted: str) -> str:
    """What came up to the line with `wanted` in it; the process's own end ends the wait."""
    assert stream is not None
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if wanted in line:
            return "".join(lines)
    raise AssertionError(f"{wanted!r} did not come; what came: {''.join(lines)!r}")


def is_open(url: str) -> bool:
    """Whether anybody listens there."""
    host, port = url.removeprefix("http://").partition("/")[0].split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.model
@pytest.mark.usefixtures("model_file")
def test_once_with_the_real_model_leaves_two_records_and_one_json_object(demo: Demo) -> None:
    done = demo.run("--once", "--json", "--port", "0")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {"session_id", "record_ids", "model", "text", "usage", "time_to_first_chunk_ms", "url"} <= set(report)
    assert report["model"] == "smollm2-135m-instruct"
    assert report["time_to_first_chunk_ms"] > 0
    assert report["usage"]["output_tokens"] > 1
    assert report["text"] in done.stderr
    assert not is_open(report["url"])
    with BackendProcess(demo.data, project="demo") as backend:
        for call in report["calls"]:
            kept = requests.get(
                f"{backend.project_base}/completions/{call['record_id']}", headers=backend.headers, timeout=10
            ).json()
            assert kept["choices"][0]["text"] == call["text"]
            assert kept["session_id"] == report["session_id"]
            assert kept["outcome"] == "complete"
            assert kept["is_stream"]
    assert [call["record_id"] for call in report["calls"]] == report["record_ids"]


def test_it_keeps_running_shows_the_calls_and_stops_at_ctrl_c(demo: Demo) -> None:
    process = demo.start("--port", "0", *OPENAI)
    shown = read_until(process.stdout, KEPT_RUNNING)
    sign_in, first, second = re.findall(r"http://\S+", shown)
    assert "tok0 tok1 tok2 tok3" in shown
    browser = requests.Session()
    assert browser.get(sign_in, timeout=10).ok
    for url in (first, second):
        page = browser.get(url, timeout=10)
        assert page.ok
        assert "tok0 tok1 tok2 tok3" in page.text
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert not is_open(first)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_outlives_it(demo: Demo, number: signal.Signals, status: int) -> None:
    process = demo.start("--port", "0", *OPENAI)
    url = re.findall(r"http://\S+", read_until(process.stdout, KEPT_RUNNING))[-1]
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(number)
    assert process.wait(30) == status
    until(lambda: not is_open(url), what="the backend's end")
    psutil.wait_procs(children, 20)
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


def test_interrupted_in_the_middle_it_stops_everything_and_says_so_by_its_status(
    demo: Demo, simulator: Simulator
) -> None:
    process = demo.start("--port", "0", "--provider", "openai", "--model", "sim:hang_after=1")
    read_until(process.stderr, "starting the backend")
    simulator.wait_for_requests(1, timeout_s=60)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    psutil.wait_procs(children, 20)
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


def test_a_providers_model_gets_nothing_that_was_set_for_the_small_one(demo: Demo, simulator: Simulator) -> None:
    done = demo.run("--once", "--json", "--port", "0", *OPENAI)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["record_ids"]) == 2
    first, second = (json.loads(seen.content) for seen in simulator.requests)
    assert set(first) == {"model", "messages", "stream", "stream_options"}
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]


def test_anthropic_answers_too(demo: Demo, simulator: Simulator) -> None:
    done = demo.run("--once", "--json", "--port", "0", "--provider", "anthropic", "--model", "sim:chunks=3")
    assert done.returncode == 0, done.stderr
    assert [seen.path for seen in simulator.requests] == ["/v1/messages", "/v1/messages"]
    body = json.loads(simulator.requests[0].content)
    assert body["max_tokens"] == 512
    assert "temperature" not in body
    assert "seed" not in body


def test_a_busy_port_is_one_clear_line_with_the_way_out(demo: Demo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo.run("--once", "--port", str(port), *OPENAI)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(rf"Error: port {port} .*--port 0.*\n", done.stderr)


def test_a_missing_key_is_named(demo: Demo) -> None:
    del demo.environment["OPENAI_API_KEY"]
    del demo.environment["OPENAI_BASE_URL"]
    done = demo.run("--once", "--port", "0", *OPENAI)
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--provider", "openai"), ("--model", "some-model"), ("--provider", "anthropic")]
)
def test_provider_and_model_go_together(demo: Demo, arguments: tuple[str, ...]) -> None:
    done = demo.run("--once", *arguments)
    assert done.returncode == 2
    assert "--model" in done.stderr


def test_a_failed_download_ends_in_a_clear_message(demo: Demo, tmp_path: Path) -> None:
    demo.environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    demo.environment.pop("FREEPLAY_LIKE_MODEL_FILE", None)
    done = demo.run("--once", "--json", "--port", "0")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "pip could not download" in done.stderr
    assert "--model-file" in done.stderr


def test_a_file_of_the_users_own_must_be_a_model(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    done = demo.run("--once", "--port", "0", "--model-file", str(tmp_path / "notes.txt"))
    assert done.returncode == 1
    assert "not a model in GGUF format" in done.stderr


def test_the_command_is_installed() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("freeplay-like")), "demo", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--once" in done.stdout
