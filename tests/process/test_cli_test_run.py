"""`freeplay-like dataset` and `freeplay-like test run` as processes, against a real server and a simulated provider."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections import Counter
from pathlib import Path

import pytest

from freeplay_like.core.wire import from_wire
from freeplay_like.local.simulator import Simulator
from support.backend import CLI, BackendProcess
from support.freeplay_061 import ask
from support.plain_records import a_record
from support.waiting import until

COMMAND_S = 60

SCORERS = """
from freeplay_like import CompletionResponse

def length(case, response):
    return {"length": len(response.content), "is_short": len(response.content) < 8}

def broken(case, response):
    if case.variables["question"] == "q1":
        raise ValueError("what is this")
    return True

def long_name(case, response):
    return {"x" * 300: 1}
"""


class Terminal:
    """A shell in a folder, with the keys of a backend and of a simulated provider in its environment."""

    def __init__(self, folder: Path, backend: BackendProcess, simulator: Simulator) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "FREEPLAY_LIKE_API_KEY": backend.api_key,
            "FREEPLAY_LIKE_API_BASE": backend.api_base,
            "FREEPLAY_LIKE_SPOOL_DIR": str(folder / "spool"),
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": simulator.openai_base,
        }

    def run(self, *command: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*CLI, *command], capture_output=True, text=True, timeout=COMMAND_S, cwd=self.folder, env=self.env
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*CLI, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, env=self.env
        )

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name


@pytest.fixture
def terminal(tmp_path: Path, backend: BackendProcess, simulator: Simulator) -> Terminal:
    return Terminal(tmp_path, backend, simulator)


def a_name(kind: str) -> str:
    return f"{kind}-{uuid.uuid4()}"


def a_template(backend: BackendProcess, model: str = "sim:echo", **more: object) -> str:
    name = a_name("cli")
    body = {
        "template_messages": [
            {"role": "system", "content": "Short."},
            {"kind": "history"},
            {"role": "user", "content": "{{question}}"},
        ],
        "model": model,
        "provider": "openai",
        "environments": ["prod"],
        **more,
    }
    made = ask(backend, "POST", f"prompt-templates/name/{name}/versions", body)
    assert made.status_code == 201, made.text
    return name


def a_dataset(backend: BackendProcess, count: int = 0) -> str:
    """A dataset whose cases expect what they ask."""
    name = a_name("cases")
    made = ask(backend, "POST", "prompt-datasets", {"name": name}).json()
    examples = [{"inputs": {"question": f"q{number}"}, "output": f"q{number}"} for number in range(count)]
    if examples:
        ask(backend, "POST", f"datasets/id/{made['id']}/test-cases", {"examples": examples})
    return name


def cases_of(backend: BackendProcess, dataset: str) -> list[dict[str, object]]:
    return ask(backend, "GET", f"datasets/name/{dataset}/test-cases").json()


# --- datasets


def test_a_table_becomes_a_dataset_once_and_comes_back(terminal: Terminal, backend: BackendProcess) -> None:
    name = a_name("table")
    terminal.run("dataset", "create", name, "--description", "from a table")
    history = [{"role": "user", "content": "before, and after"}]
    quoted = json.dumps(history).replace('"', '""')
    text = (
        "question,output,history,metadata.channel\n"
        f'"Why, again?\nReally",Because.,"{quoted}",web\n'
        "Where?,,,\n"
        "Where?,,,\n"
    )
    table = terminal.file("cases.csv", text)
    assert terminal.run("dataset", "add", name, table).stdout == f"3 cases added to '{name}'\n"
    assert "0 cases added" in terminal.run("dataset", "add", name, table).stdout
    terminal.file("cases.csv", text + "When?,,,\n")
    assert "1 cases added" in terminal.run("dataset", "add", name, table).stdout
    first, second, third, fourth = cases_of(backend, name)
    assert (first["values"], first["output"]) == ({"question": "Why, again?\nReally"}, "Because.")
    assert (first["history"], first["metadata"]) == (history, {"channel": "web"})
    assert (second["values"], second["output"], second["history"]) == ({"question": "Where?"}, None, None)
    assert (third["values"], fourth["values"]) == ({"question": "Where?"}, {"question": "When?"})
    terminal.run("dataset", "export", name, "--output", "again.csv")
    other = a_name("again")
    terminal.run("dataset", "create", other)
    terminal.run("dataset", "add", other, "again.csv")
    assert [{**case, "id": 0} for case in cases_of(backend, other)] == [
        {**case, "id": 0} for case in cases_of(backend, name)
    ]
    listed = json.loads(terminal.run("dataset", "list", "--json").stdout)
    assert {each["name"]: each["cases"] for each in listed}[name] == 4


def test_lines_of_json_become_a_dataset_and_come_back(terminal: Terminal, backend: BackendProcess) -> None:
    name, other = a_dataset(backend), a_dataset(backend)
    lines = [
        {"inputs": {"question": "q", "deep": [1]}, "output": "a", "media_inputs": {"pic": {"type": "url", "url": "u"}}},
        {"inputs": {}, "output_message": {"role": "assistant", "content": "b"}, "metadata": {"n": 1}},
    ]
    terminal.file("cases.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    terminal.run("dataset", "add", name, "cases.jsonl")
    written = terminal.run("dataset", "export", name).stdout
    assert [json.loads(line) for line in written.splitlines()] == lines
    terminal.file("again.jsonl", written)
    terminal.run("dataset", "add", other, "again.jsonl")
    assert [case["values"] for case in cases_of(backend, other)] == [line["inputs"] for line in lines]
    refused = terminal.run("dataset", "export", name, "--format", "csv", status=1)
    assert "inputs 'deep' has no place in a table; export JSONL" in refused.stderr


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.csv", "", "a.csv line 1: no header"),
        ("a.csv", "q,q\n1,2\n", "line 1: there are two columns 'q'"),
        ("a.csv", "q,\n1,2\n", "line 1: column 2 has no name"),
        ("a.csv", "q,history\n1,\n2,[{}]\n", "a.csv line 3, column 'history': message 1 has no role"),
        ("a.csv", "q,history\n1,{\n", "a.csv line 2, column 'history': not JSON"),
        ("a.csv", 'q,r\n"1\n2",3\n4\n', "a.csv line 4: 1 cells under 2 columns"),
        ("a.csv", "q\n", "holds no test cases"),
        ("a.jsonl", '{"inputs": {}}\n\n{"inputs": []}', "a.jsonl line 3: 'inputs' is a list; an object is expected"),
        ("a.jsonl", '{"input": {}}', "a.jsonl line 1: unknown field 'input'; known: id, inputs"),
        ("a.jsonl", '{"inputs": {}, "history": [1]}', "line 1, field 'history': message 1 has no role"),
        ("a.jsonl", '{"inputs": {}, "id": "1"}', "line 1: 'id' is '1'; a UUID"),
        ("a.jsonl", "{", "a.jsonl line 1: "),
        ("a.txt", "q", "ends neither in .csv nor in .jsonl"),
    ],
)
def test_a_bad_file_is_refused_by_its_line_and_nothing_is_added(
    terminal: Terminal, backend: BackendProcess, file: str, text: str, message: str
) -> None:
    name = a_dataset(backend)
    refused = terminal.run("dataset", "add", name, terminal.file(file, text), status=1)
    assert message in refused.stderr
    assert cases_of(backend, name) == []


def test_recorded_calls_become_cases_by_their_ids(terminal: Terminal, backend: BackendProcess) -> None:
    name = a_dataset(backend)
    calls = [a_record(backend.project_id, variables={"question": f"q{number}"}, messages=()) for number in range(2)]
    ask(backend, "POST", "records:batch", {"records": calls})
    done = terminal.run("dataset", "from-calls", name, *(call.record_id for call in calls), "made-up")
    assert "2 cases added" in done.stdout
    assert "left out made-up: no record 'made-up'" in done.stderr
    assert [case["values"] for case in cases_of(backend, name)] == [{"question": "q0"}, {"question": "q1"}]
    assert "give record ids, or say which calls" in terminal.run("dataset", "from-calls", name, status=2).stderr


def test_recorded_calls_become_cases_by_a_filter(terminal: Terminal, backend: BackendProcess) -> None:
    template, dataset, name = a_template(backend), a_dataset(backend, 2), a_dataset(backend)
    terminal.run("test", "run", "--template", template, "--dataset", dataset)
    options = ("--template", template, "--outcome", "complete", "--since", "1h")
    assert "2 calls found, 2 cases added" in terminal.run("dataset", "from-calls", name, *options).stdout
    assert Counter(case["output"] for case in cases_of(backend, name)) == {"q0": 1, "q1": 1}


# --- test runs


def test_a_run_asks_every_case_and_its_exit_code_says_what_was_missed(
    terminal: Terminal, backend: BackendProcess, simulator: Simulator
) -> None:
    terminal.file("my_scorers.py", SCORERS)
    template, dataset = a_template(backend), a_dataset(backend, 3)
    options = ("test", "run", "--template", template, "--environment", "prod", "--dataset", dataset, "--json")
    scorers = ("--scorer", "exact_match", "--scorer", "json_valid", "--scorer", "my_scorers:length")
    parameters = ("--param", "temperature=0.5", "--model", "sim:echo,model=other")
    done = terminal.run(*options, *scorers, *parameters, "--min-score", "exact_match=1")
    report = json.loads(done.stdout)
    assert (report["status"], report["cases"], report["failures"]) == ("complete", 3, [])
    scores = {name: score["mean"] for name, score in report["results"]["scores"].items()}
    assert scores == {"exact_match": 1.0, "json_valid": 0.0, "length": 2.0, "is_short": 1.0}
    assert "reached   exact_match: 1, at least 1" in done.stderr
    assert {request.body["model"] for request in simulator.requests} == {"sim:echo,model=other"}
    assert {request.body["temperature"] for request in simulator.requests} == {0.5}
    run = ask(backend, "GET", f"test-runs/id/{report['test_run_id']}").json()
    assert (run["parameters"], run["environment"]) == ({"temperature": 0.5, "model": "sim:echo,model=other"}, "prod")
    missed = terminal.run(*options, *scorers, "--min-score", "length=3", "--compare", run["id"], status=1)
    assert "MISSED    length: 2, at least 3" in missed.stderr
    assert json.loads(missed.stdout)["comparison"]["regressions"] == 0
    never = terminal.run(*options, "--min-score", "exact_match=0", status=1)
    assert "MISSED    exact_match: no answer has it" in never.stderr


def test_a_case_without_an_answer_or_a_score_fails_the_run(
    terminal: Terminal, backend: BackendProcess, simulator: Simulator
) -> None:
    terminal.file("my_scorers.py", SCORERS)
    template, dataset = a_template(backend), a_dataset(backend, 2)
    found = ask(backend, "GET", f"datasets/name/{dataset}").json()
    ask(backend, "POST", f"datasets/id/{found['id']}/test-cases", {"examples": [{"inputs": {"other": "x"}}]})
    options = ("test", "run", "--template", template, "--dataset", dataset, "--scorer", "my_scorers:broken")
    done = terminal.run(*options, "--scorer", "exact_match", "--json", status=1)
    report = json.loads(done.stdout)
    errors = [failure["error"] for failure in report["failures"]]
    assert len(errors) == 2
    assert "scorer 'broken' failed: ValueError: what is this" in errors[0]
    assert errors[1].startswith("MissingVariablesError: ")
    assert report["results"]["scores"]["exact_match"]["count"] == 2
    assert "FAILED    case" in done.stderr


def test_a_version_is_found_by_its_number(terminal: Terminal, backend: BackendProcess, simulator: Simulator) -> None:
    template, dataset = a_template(backend, "sim:text=first"), a_dataset(backend, 1)
    body = {"template_messages": [{"role": "user", "content": "{{question}}"}], "model": "sim:text=second"}
    second = ask(backend, "POST", f"prompt-templates/name/{template}/versions", {**body, "provider": "openai"})
    options = ("test", "run", "--template", template, "--dataset", dataset, "--version")
    for version in ("1", second.json()["prompt_template_version_id"]):
        terminal.run(*options, version)
    assert [request.body["model"] for request in simulator.requests] == ["sim:text=first", "sim:text=second"]
    assert "has no version '7'; its versions: 2, 1" in terminal.run(*options, "7", status=1).stderr


def test_a_case_brings_its_history_and_its_picture(
    terminal: Terminal, backend: BackendProcess, simulator: Simulator
) -> None:
    slot = {"type": "image", "placeholder_name": "pic"}
    messages = [{"kind": "history"}, {"role": "user", "content": "{{question}}", "media_slots": [slot]}]
    template, dataset = a_template(backend, template_messages=messages), a_dataset(backend)
    found = ask(backend, "GET", f"datasets/name/{dataset}").json()
    example = {
        "inputs": {"question": "q"},
        "history": [{"role": "user", "content": "before"}, {"role": "assistant", "content": "yes"}],
        "media_inputs": {"pic": {"type": "url", "url": "https://e.com/x.png"}},
    }
    ask(backend, "POST", f"datasets/id/{found['id']}/test-cases", {"examples": [example]})
    terminal.run("test", "run", "--template", template, "--dataset", dataset)
    (request,) = simulator.requests
    before, yes, question = request.body["messages"]
    assert (before["content"], yes["content"]) == ("before", "yes")
    assert question["content"] == [
        {"type": "text", "text": "q"},
        {"type": "image_url", "image_url": {"url": "https://e.com/x.png"}},
    ]


def questions(simulator: Simulator) -> Counter[str]:
    return Counter(request.body["messages"][-1]["content"] for request in simulator.requests)


def test_a_killed_run_is_resumed_where_it_was(
    terminal: Terminal, backend: BackendProcess, simulator: Simulator
) -> None:
    template, dataset = a_template(backend, "sim:echo,first_delay_ms=100"), a_dataset(backend, 12)
    options = ("--template", template, "--dataset", dataset, "--parallel", "2", "--scorer", "exact_match")
    with terminal.start("test", "run", *options) as process:
        simulator.wait_for_requests(6, COMMAND_S)
        process.kill()
        _, errors = process.communicate(timeout=COMMAND_S)
    run_id = errors.split()[2]
    done = terminal.run("test", "run", "--resume", run_id, "--scorer", "exact_match", "--json")
    report = json.loads(done.stdout)
    assert (report["status"], report["failures"], report["cases"]) == ("complete", [], 12)
    assert report["answered_before"] >= 3
    assert report["results"]["scores"]["exact_match"] == {"count": 12, "mean": 1.0, "pass_rate": 1.0}
    asked = questions(simulator)
    assert set(asked) == {f"q{number}" for number in range(12)}
    assert sum(asked.values()) <= 14  # those that were under way were asked again, and no other
    again = json.loads(terminal.run("test", "run", "--resume", run_id, "--scorer", "exact_match", "--json").stdout)
    assert again["answered_before"] == 12
    assert questions(simulator) == asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(
    terminal: Terminal, backend: BackendProcess, simulator: Simulator, number: signal.Signals
) -> None:
    template, dataset = a_template(backend, "sim:hang"), a_dataset(backend, 3)
    with terminal.start("test", "run", "--template", template, "--dataset", dataset, "--scorer", "contains") as process:
        simulator.wait_for_requests(2, COMMAND_S)
        process.send_signal(number)
        _, errors = process.communicate(timeout=COMMAND_S)
    assert process.returncode == 130, errors
    (line,) = [line for line in errors.splitlines() if line.startswith("interrupted")]
    assert line.endswith(f"freeplay-like test run --resume {errors.split()[2]} --scorer contains")
    until(lambda: ask(backend, "GET", f"test-runs/id/{errors.split()[2]}").status_code == 200)


def test_what_is_used_wrongly_says_so(terminal: Terminal, backend: BackendProcess, simulator: Simulator) -> None:
    template, dataset = a_template(backend), a_dataset(backend, 1)
    run = ("test", "run", "--template", template, "--dataset", dataset)
    for more, status, said in (
        (("--param", "x"), 2, "'x' is not name=value"),
        (("--param", "tag=x"), 2, "'tag' is no parameter of a call"),
        (("--min-score", "good=high"), 2, "'good=high' is not name=number"),
        (("--scorer", "none"), 1, "no scorer 'none'; built in: exact_match"),
        (("--scorer", "json:none"), 1, "scorer 'json:none' cannot be loaded"),
        (("--resume", "r"), 2, "--resume goes on with what the run was begun with"),
        (("--environment", "nowhere"), 1, "no template"),
        (("--compare", "none"), 1, "no test run 'none'"),
        (("--api-base", "http://127.0.0.1:9/api"), 4, "the backend did not answer"),
    ):
        assert said in terminal.run(*run, *more, status=status).stderr, more
    assert "--template and --dataset say what is tried" in terminal.run("test", "run", status=2).stderr
    del terminal.env["OPENAI_API_KEY"], terminal.env["OPENAI_BASE_URL"]
    assert "OPENAI_API_KEY" in terminal.run(*run, status=1).stderr
    assert simulator.requests == []
    runs = ask(backend, "GET", "test-runs?page_size=100").json()["data"]
    assert dataset not in {each["dataset_name"] for each in runs}


def test_records_that_wait_for_the_backend_are_not_lost(
    terminal: Terminal, own_backend: BackendProcess, simulator: Simulator
) -> None:
    """The backend goes away while a run asks: the answers are kept, and the run goes on when it is back."""
    terminal.env |= {"FREEPLAY_LIKE_API_KEY": own_backend.api_key, "FREEPLAY_LIKE_API_BASE": own_backend.api_base}
    template, dataset = a_template(own_backend, "sim:echo,first_delay_ms=50"), a_dataset(own_backend, 4)
    with terminal.start("test", "run", "--template", template, "--dataset", dataset, "--parallel", "1") as process:
        simulator.wait_for_requests(2, COMMAND_S)
        own_backend.stop()
        simulator.wait_for_requests(4, COMMAND_S)
        own_backend.start()
        _, errors = process.communicate(timeout=COMMAND_S)
    assert process.returncode == 0, errors
    state = ask(own_backend, "GET", f"test-runs/id/{errors.split()[2]}")
    assert from_wire(state.content, dict)["finished_test_cases"] == 4
