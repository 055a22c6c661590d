"""The example smol_developer as its users run it, with a provider that answers as a test wants."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest
import requests

from examples.smol_developer.simulated import FILES, PROGRAM, SimulatedDeveloper, file_asked_for
from freeplay_like.core.records import Record
from freeplay_like.core.wire import JsonObject, from_wire, to_wire
from freeplay_like.local.simulated_http import SeenRequest
from support.backend import BackendProcess
from support.waiting import until

ROOT = Path(__file__).parents[2]
PROMPT = "a pomodoro timer"
STREAM_BREAKS: JsonObject = {"cut_after": 3}
REFUSED: JsonObject = {"status": 400}
HANGS: JsonObject = {"hang_after": 5}


class Provider(SimulatedDeveloper):
    """Answers like the simulated developer, with what is to go wrong for a file, one fault a request."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: list[Sequence[str]] = [FILES]
        self.faults: dict[str, list[JsonObject]] = {}

    def take_request(self, request: SeenRequest) -> None:
        super().take_request(request)
        faults = self.faults.get(file_asked_for(request.body) or "plan")
        if faults:
            request.script = attrs.evolve(request.script, **faults.pop(0))

    def answer(self, body: JsonObject) -> str:
        if "response_format" in body:
            return json.dumps({"files": self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]})
        path = file_asked_for(body)
        return super().answer(body) if path is None or path in FILES else f"```\n{path}\n```\n"

    @property
    def asked(self) -> list[str]:
        """What was asked for so far, in order: "" is the plan or the list."""
        return [file_asked_for(request.body) or "" for request in self.requests]


class Smol:
    """Runs the program over one folder; ends what is left of it."""

    def __init__(self, home: Path, provider: Provider) -> None:
        self.out = home / "out"
        self.running: list[subprocess.Popen[str]] = []
        mine = {name: value for name, value in os.environ.items() if not name.startswith("FREEPLAY_LIKE_")}
        self.environment = mine | {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": provider.openai_base,
            "FREEPLAY_LIKE_SPOOL_DIR": str(home / "spool"),
        }

    def records_to(self, backend: BackendProcess) -> None:
        self.environment |= {
            "FREEPLAY_LIKE_API_KEY": backend.api_key,
            "FREEPLAY_LIKE_API_BASE": backend.api_base,
            "FREEPLAY_LIKE_PROJECT": backend.project_id,
        }

    def start(self, *arguments: str, prompt: str = PROMPT) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "examples.smol_developer", prompt, "--out", str(self.out), *arguments]
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.running.append(process)
        return process

    def run(self, *arguments: str, prompt: str = PROMPT) -> tuple[int, str]:
        """Run to the end: the exit status, and what was said."""
        process = self.start(*arguments, prompt=prompt)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    @property
    def files(self) -> dict[str, str]:
        """The program's files: path and text."""
        found = (file for file in self.out.rglob("*") if file.is_file())
        paths = {file.relative_to(self.out).as_posix(): file for file in found}
        return {path: file.read_text() for path, file in paths.items() if not path.startswith(".smol_developer/")}

    @property
    def session_id(self) -> str:
        return json.loads((self.out / ".smol_developer" / "run.json").read_text())["session_id"]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture
def smol(tmp_path: Path, provider: Provider) -> Iterator[Smol]:
    runner = Smol(tmp_path, provider)
    yield runner
    for process in runner.running:
        with process:
            process.kill()


def records_of(backend: BackendProcess, session_id: str, count: int) -> list[Record]:
    """The records of a session, as soon as there are so many."""

    def arrived() -> list[JsonObject] | None:
        answer = requests.get(f"{backend.project_base}/sessions/{session_id}", headers=backend.headers, timeout=10)
        records: list[JsonObject] = answer.json()["records"] if answer.ok else []
        return records if len(records) >= count else None

    return [from_wire(to_wire(record), Record) for record in until(arrived, what=f"{count} records")]


def program() -> dict[str, str]:
    return {path: (PROGRAM / path).read_text() for path in FILES}


@pytest.mark.parametrize("arguments", [(), ("--async",)])
def test_a_program_is_one_session_of_a_plan_a_list_and_a_call_a_file(
    smol: Smol, provider: Provider, backend: BackendProcess, arguments: tuple[str, ...]
) -> None:
    smol.records_to(backend)
    status, said = smol.run("--parallel", "2", *arguments)
    assert status == 0, said
    assert smol.files == program()
    assert said.startswith((PROGRAM / "plan.md").read_text())
    records = records_of(backend, smol.session_id, 6)
    assert sorted(r.template.name for r in records if r.template) == ["code"] * 4 + ["paths", "plan"]
    assert {r.outcome for r in records} == {"complete"}
    assert len({str(r.metadata["run_id"]) for r in records}) == 1
    assert {r.variables["file"] for r in records if "file" in r.variables} == set(FILES)
    link = re.search(r"Their records: (\S+)", said)
    assert link is not None
    with requests.Session() as person:
        person.get(backend.sign_in_url(), timeout=10).raise_for_status()
        assert "6 calls" in said
        assert PROMPT in person.get(link[1], timeout=10).text


def test_without_a_key_it_says_that_records_are_not_kept(smol: Smol) -> None:
    status, said = smol.run()
    assert status == 0, said
    assert "kept in memory only" in said
    assert not (smol.out.parent / "spool").exists()


def test_it_runs_from_a_folder_with_nobody_to_ask(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "smol_developer"), "a timer", "--out", "timer", "--simulate"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "timer" / "timer.js").read_text() == (PROGRAM / "timer.js").read_text()


def test_after_a_kill_it_goes_on_where_it_was(
    smol: Smol, provider: Provider, backend: BackendProcess, tmp_path: Path
) -> None:
    smol.records_to(backend)
    provider.faults = {FILES[2]: [HANGS]}
    process = smol.start("--parallel", "1")
    until(lambda: FILES[2] in provider.asked and provider.requests[-1].sent_chunks >= 5, what="the third file's start")
    process.kill()
    process.wait(20)
    assert set(smol.files) == set(FILES[:2])
    before = {path: (smol.out / path).stat().st_ino for path in FILES[:2]}
    provider.clear()

    status, said = smol.run()
    assert status == 0, said
    assert sorted(provider.asked) == sorted(FILES[2:])
    assert smol.files == program()
    assert {path: (smol.out / path).stat().st_ino for path in before} == before
    records = records_of(backend, smol.session_id, 7)
    outcomes = [record.outcome for record in records]
    assert outcomes.count("complete") == 6
    assert outcomes.count("interrupted") == 1
    assert len({str(record.metadata["run_id"]) for record in records}) == 2


@pytest.mark.parametrize("arguments", [(), ("--async",)])
def test_ctrl_c_leaves_the_streams_and_the_next_run_finishes(
    smol: Smol, provider: Provider, backend: BackendProcess, arguments: tuple[str, ...]
) -> None:
    smol.records_to(backend)
    provider.faults = {FILES[0]: [HANGS], FILES[1]: [HANGS]}
    process = smol.start("--parallel", "2", *arguments)
    until(lambda: sum(r.sent_chunks >= 5 for r in provider.requests[2:]) == 2, what="two streams")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1, said
    assert smol.files == {}
    status, said = smol.run()
    assert status == 0, said
    assert smol.files == program()
    outcomes = [record.outcome for record in records_of(backend, smol.session_id, 8)]
    assert outcomes.count("complete") == 6
    assert outcomes.count("cancelled") == 2


HOSTILE = ["../up.txt", "/abs.txt", "C:/x.txt", "a\\..\\b", "nul.txt", "a\x00b", "\x1b[2J", ".git/hooks/pre-commit"]


def test_a_list_that_leads_out_of_the_folder_writes_nothing(smol: Smol, provider: Provider, tmp_path: Path) -> None:
    provider.lists = [HOSTILE]
    status, said = smol.run()
    assert status == 1
    assert len(provider.requests) == 3, "the plan, the list, and one repair"
    assert "no FileList in 2 answers" in said
    assert all(repr(path) in said for path in HOSTILE)
    assert "\x1b" not in said
    assert smol.files == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_list_is_put_right_when_the_model_is_told(smol: Smol, provider: Provider) -> None:
    provider.lists = [HOSTILE, FILES]
    status, said = smol.run()
    assert status == 0, said
    assert smol.files == program()


@pytest.mark.parametrize("arguments", [(), ("--async",)])
def test_a_stream_that_breaks_off_is_begun_again(
    smol: Smol, provider: Provider, backend: BackendProcess, arguments: tuple[str, ...]
) -> None:
    smol.records_to(backend)
    provider.faults = {"timer.js": [STREAM_BREAKS, {"eof_after": 4, "no_done": True}]}
    status, said = smol.run(*arguments)
    assert status == 0, said
    assert smol.files == program()
    assert provider.asked.count("timer.js") == 3
    records = records_of(backend, smol.session_id, 8)
    assert sorted(record.outcome for record in records if record.variables.get("file") == "timer.js") == [
        "complete",
        "error",
        "interrupted",
    ]


@pytest.mark.parametrize("arguments", [(), ("--async",)])
def test_one_file_that_fails_does_not_hold_up_the_others(
    smol: Smol, provider: Provider, arguments: tuple[str, ...]
) -> None:
    provider.lists = [[*FILES, *(f"part{n}.txt" for n in range(20))]]
    provider.faults = {"part7.txt": [REFUSED]}
    status, said = smol.run(*arguments)
    assert status == 1
    assert "part7.txt: failed:" in said
    assert "1 of the files failed" in said
    assert len(smol.files) == 23
    provider.clear()
    status, said = smol.run(*arguments)
    assert status == 0, said
    assert provider.asked == ["part7.txt"]
    assert smol.files["part7.txt"] == "part7.txt\n"


def test_a_call_that_may_succeed_later_is_made_again_and_said(smol: Smol, provider: Provider) -> None:
    provider.faults = {"plan": [{"status": 503, "retry_after": "0"}]}
    status, said = smol.run()
    assert status == 0, said
    assert "trying again in 0.0 s" in said


def test_a_truncated_file_is_continued(smol: Smol, provider: Provider) -> None:
    code = (PROGRAM / "timer.js").read_text()
    half = code.index("function tick")
    provider.faults = {
        "timer.js": [{"text": f"```js\n{code[:half]}", "finish": "length"}, {"text": f"{code[half:]}```"}]
    }
    status, said = smol.run()
    assert status == 0, said
    assert smol.files == program()


def test_what_the_user_wrote_or_changed_is_left(smol: Smol, provider: Provider) -> None:
    (smol.out / "css").mkdir(parents=True)
    (smol.out / "css" / "style.css").write_text("mine")
    assert smol.run()[0] == 0
    (smol.out / "index.html").write_text("changed")
    (smol.out / "timer.js").unlink()
    provider.clear()
    status, said = smol.run()
    assert status == 0, said
    assert provider.asked == ["timer.js"]
    assert smol.files == program() | {"css/style.css": "mine", "index.html": "changed"}
    assert said.count("left as it is") == 2


def test_another_prompt_needs_another_folder(smol: Smol, provider: Provider) -> None:
    assert smol.run()[0] == 0
    provider.clear()
    status, said = smol.run(prompt="a calculator")
    assert status == 1
    assert "--out" in said
    assert provider.requests == []
