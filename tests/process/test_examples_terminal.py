"""The example programs for the terminal, chat.py and batch.py, as their users run them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import requests

from freeplay_like.local.scripts import Script
from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess
from support.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def with_template(backend: BackendProcess) -> BackendProcess:
    """A backend that has the templates which the examples ask for."""
    for name in ("assistant", "rewrite"):
        version = {
            "template_messages": [{"role": "user", "content": "{{question}}"}],
            "model": "gpt-sim",
            "provider": "openai",
        }
        url = f"{backend.project_base}/prompt-templates/name/{name}/versions"
        requests.post(url, json=version, headers=backend.headers, timeout=10).raise_for_status()
    return backend


class Programs:
    """Starts example programs; ends what is left of them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.running.append(process)
        return process


@pytest.fixture
def programs(simulator: Simulator, with_template: BackendProcess, tmp_path: Path) -> Iterator[Programs]:
    programs = Programs(
        os.environ
        | {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": simulator.openai_base,
            "FREEPLAY_LIKE_API_KEY": with_template.api_key,
            "FREEPLAY_LIKE_API_BASE": with_template.api_base,
            "FREEPLAY_LIKE_PROJECT": with_template.project_id,
            "FREEPLAY_LIKE_SPOOL_DIR": str(tmp_path / "spool"),
        }
    )
    yield programs
    for process in programs.running:
        with process:
            process.kill()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")


def read_until(stream: IO[str] | None, wanted: str) -> str:
    """What came up to and with `wanted`; the process's own end ends the wait."""
    assert stream is not None
    said = ""
    while wanted not in said:
        character = stream.read(1)
        assert character, f"{wanted!r} did not come; what came: {said!r}"
        said += character
    return said


def test_a_chat_remembers_is_left_and_is_gone_on_with(programs: Programs, simulator: Simulator) -> None:
    chat = programs.start("examples/chat.py")
    simulator.enqueue(Script(text="The moon."), Script(chunks=1000, hang_after=3), Script(text="Twice a day."))
    say(chat, "What is a tide?")
    said = read_until(chat.stdout, "out]")
    assert "The moon." in said
    session_id = said.partition("[session ")[2].partition(":")[0]

    say(chat, "Tell me all")
    read_until(chat.stdout, "tok2")
    chat.send_signal(signal.SIGINT)
    read_until(chat.stdout, "[left")
    assert simulator.requests[1].client_left.wait(20), "the provider's connection is still open"

    say(chat, "How often?")
    assert "[session " + session_id + ": 3 calls" in read_until(chat.stdout, "out]")
    sent = ["What is a tide?", "The moon.", "How often?"]
    assert [message["content"] for message in messages_of(simulator, 2)] == sent

    say(chat, "/history")
    assert "user: How often?\nassistant: Twice a day.\n" in read_until(chat.stdout, "day.\n")
    say(chat, "/quit")
    assert chat.wait(20) == 0

    other = programs.start("examples/chat.py")
    simulator.enqueue(Script(text="Yes."))
    say(other, f"/restore {session_id}")
    read_until(other.stdout, "day.\n")
    say(other, "Sure?")
    assert "4 calls" in read_until(other.stdout, "out]")
    assert [message["content"] for message in messages_of(simulator, 3)] == [*sent, "Twice a day.", "Sure?"]
    assert other.stdin is not None
    other.stdin.close()
    assert other.wait(20) == 0


def messages_of(simulator: Simulator, index: int) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = json.loads(simulator.requests[index].content)["messages"]
    return messages


def test_a_chat_tells_what_went_wrong_and_goes_on(programs: Programs, simulator: Simulator) -> None:
    chat = programs.start("examples/chat.py")
    simulator.enqueue(Script(status=400), Script(text="Better."))
    say(chat, "Hello?")
    assert "400" in read_until(chat.stdout, "]\n")
    say(chat, "/restore no-such-session")
    assert "404" in read_until(chat.stdout, "]\n")
    say(chat, "Hello?")
    assert "Better." in read_until(chat.stdout, "out]")


def batch(programs: Programs, *arguments: object) -> tuple[int, str]:
    process = programs.start("examples/batch.py", "rewrite", *map(str, arguments))
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def lines_of(path: Path) -> dict[int, str]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["row"] for line in lines}) == len(lines)
    return {line["row"]: line["text"] for line in lines}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_batch_answers_every_row_once(programs: Programs, simulator: Simulator, tmp_path: Path, suffix: str) -> None:
    simulator.default = Script(echo=True)
    questions = ["one", "two, with a comma", "drei ß", "\u2028 four"]
    source, target = tmp_path / f"in{suffix}", tmp_path / "out.jsonl"
    with source.open("w", newline="", encoding="utf-8") as file:
        if suffix == ".csv":
            csv.writer(file).writerows([["question"], *([question] for question in questions)])
        else:
            file.writelines(json.dumps({"question": question}) + "\n" for question in questions)
    status, said = batch(programs, source, target)
    assert status == 0, said
    assert lines_of(target) == dict(enumerate(questions, start=1))
    status, said = batch(programs, source, target)
    assert "0 answered, 0 failed, 4 were there already" in said
    assert len(simulator.requests) == 4


def test_a_batch_that_was_killed_goes_on(programs: Programs, simulator: Simulator, tmp_path: Path) -> None:
    simulator.enqueue(Script(echo=True), Script(echo=True), Script(hang=True))
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"question": f"q{n}"}) + "\n" for n in range(1, 5)))
    process = programs.start("examples/batch.py", "rewrite", str(source), str(target), "--parallel", "1")
    simulator.wait_for_requests(3, timeout_s=30)
    until(lambda: target.read_text().count("\n") == 2, what="two answers")
    process.kill()
    process.wait(20)
    with target.open("a") as file:
        file.write('{"row": 3, "te')  # the disk was full, or the machine went down
    simulator.clear()
    simulator.default = Script(echo=True)
    status, said = batch(programs, source, target)
    assert status == 0, said
    assert lines_of(target) == {n: f"q{n}" for n in range(1, 5)}
    assert len(simulator.requests) == 2


def test_rows_that_failed_are_tried_by_the_next_run(programs: Programs, simulator: Simulator, tmp_path: Path) -> None:
    simulator.enqueue(Script(status=400))
    simulator.default = Script(text="fine")
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"question": "a"}\n{"question": "b"}\n{"question": "c"}\n')
    status, said = batch(programs, source, target, "--parallel", 1)
    assert status == 1
    assert "2 answered, 1 failed" in said
    assert set(lines_of(target)) == {2, 3}
    status, said = batch(programs, source, target)
    assert status == 0, said
    assert set(lines_of(target)) == {1, 2, 3}


def test_an_answer_that_hits_its_limit_is_continued(programs: Programs, simulator: Simulator, tmp_path: Path) -> None:
    simulator.enqueue(Script(text="one ", finish="length"), Script(text="two"))
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"question": "a"}\n')
    status, said = batch(programs, source, target)
    assert status == 0, said
    assert lines_of(target) == {1: "one two"}
