"""Programs written for Freeplay 0.1.6 run with this SDK after their import lines were changed, and nothing else.

The defects of 0.1.6 that must not come back are held by the tests that `DEFECTS` names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import requests

from freeplay_like import Record
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess
from support.waiting import until

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "fixtures" / "programs"
TIMEOUT_S = 60


@attrs.frozen
class Ran:
    """What a program printed, and the records it left, oldest first."""

    printed: list[str]
    records: list[Record]


@attrs.frozen
class Scene:
    """A project whose templates are written in 0.1.6's syntax, and a provider that echoes what it was told."""

    backend: BackendProcess
    simulator: Simulator
    folder: Path

    def post(self, path: str, body: object) -> requests.Response:
        url = f"{self.backend.project_base}/{path}"
        answer = requests.post(url, data=to_wire(body), headers=self.backend.headers, timeout=TIMEOUT_S)
        assert answer.status_code == 201, answer.text
        return answer

    def template(self, name: str, *messages: dict[str, str]) -> None:
        """A template that 0.1.6 had: `{name}` for a variable, `{{` for a brace, the model among its parameters."""
        version = {"template_messages": messages, "syntax": "fstring", "model": "sim:echo", "provider": "openai"}
        self.post(
            f"prompt-templates/name/{name}/versions",
            {**version, "llm_parameters": {"temperature": 0.9}, "environments": ["prod"]},
        )

    def run(self, program: str) -> Ran:
        """Run a program to its end, with its imports changed."""
        old = (PROGRAMS / f"{program}.py").read_text()
        new = re.sub(r"^from freeplay(\.\w+)? import", "from freeplay_like import", old, flags=re.MULTILINE)
        file = self.folder / f"{program}.py"
        file.write_text(new)
        settings = {
            "FREEPLAY_PROJECT_ID": self.backend.project_id,
            "FREEPLAY_KEY": self.backend.api_key,
            "FREEPLAY_URL": self.backend.api_base,
            "FREEPLAY_LIKE_SPOOL_DIR": str(self.folder / "spool"),
            "OPENAI_KEY": "k",
            "OPENAI_BASE": self.simulator.openai_base,
            "ANTHROPIC_KEY": "k",
            "ANTHROPIC_BASE_URL": self.simulator.anthropic_base,
        }
        command = [sys.executable, str(file)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, env={**os.environ, **settings}
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        records = until(lambda: self.records(len(self.simulator.requests)), what="a record of every request")
        return Ran(done.stdout.splitlines(), records)

    def records(self, count: int) -> list[Record]:
        """The project's records by the time they began, once there are so many."""
        person = requests.Session()
        person.get(self.backend.sign_in_url(), timeout=TIMEOUT_S).raise_for_status()
        listed = person.get(f"{self.backend.url}/projects/{self.backend.project_id}/calls.json", timeout=TIMEOUT_S)
        ids = [row["record_id"] for row in listed.json()["page"]["rows"]]
        if len(ids) < count:
            return []
        answers = [
            requests.get(f"{self.backend.project_base}/completions/{each}", headers=self.backend.headers, timeout=60)
            for each in ids
        ]
        return sorted((from_wire(answer.content, Record) for answer in answers), key=lambda record: record.started_at)


@pytest.fixture
def scene(own_backend: BackendProcess, simulator: Simulator, tmp_path: Path) -> Scene:
    scene = Scene(own_backend, simulator, tmp_path)
    scene.template("greeting", {"role": "user", "content": 'Greet {name} as {{"greeting": "..."}}.'})
    scene.template(
        "assistant", {"role": "system", "content": "You help {name}."}, {"role": "user", "content": "What is a tide?"}
    )
    return scene


def greeting(name: str) -> str:
    return f'Greet {name} as {{"greeting": "..."}}.'


def test_a_program_that_asks_for_completions(scene: Scene) -> None:
    ran = scene.run("completions")
    assert ran.printed[:4] == [
        f"whole: {greeting('Ann')} True",
        f"streamed: {greeting('Bob')} True",
        f"text: {greeting('Cid')} True",
        "claude: True",
    ]
    assert ran.printed[4].startswith("refused: ")
    assert [record.flavor for record in ran.records] == [
        "openai_chat",
        "openai_chat",
        "openai_text",
        "anthropic_text",
        "openai_chat",
    ]
    assert [record.text for record in ran.records[:4]] == [greeting(name) for name in ("Ann", "Bob", "Cid", "Dee")]
    assert [record.variables["name"] for record in ran.records] == ["Ann", "Bob", "Cid", "Dee", "Eve"]
    assert [record.is_stream for record in ran.records] == [False, True, False, True, False]
    assert [record.outcome for record in ran.records] == ["complete"] * 4 + ["error"]
    whole, *_, refused = ran.records
    said = {name: (each.value, each.layer) for name, each in whole.parameters.items() if each.layer != "flavor"}
    assert said == {"model": ("sim:echo", "template"), "temperature": (0.3, "client"), "max_tokens": (20, "call")}
    assert [(earlier.value, earlier.layer) for earlier in whole.parameters["temperature"].overrode] == [
        (0.9, "template")
    ]
    assert (refused.requested_model, refused.error.status) == ("sim:status=400", 400)
    environments = [record.template.environment for record in ran.records]
    assert environments == ["latest", "latest", "prod", "prod", "latest"]
    assert ran.records[2].session_id == ran.records[3].session_id


def test_a_program_that_keeps_the_history_of_a_chat(scene: Scene) -> None:
    ran = scene.run("chat")
    assert ran.printed == [
        "started: What is a tide? True",
        "continued: ['system', 'user', 'assistant', 'user', 'assistant']",
        "streamed: And the moon?",
        "again: 2 What is a tide?",
    ]
    sent = [[message.content for message in record.messages] for record in ran.records]
    ann, bob = ["You help Ann.", "What is a tide?"], ["You help Bob.", "What is a tide?"]
    assert sent == [
        ann,
        [*ann, "What is a tide?", "And the sea?"],
        bob,
        [*bob, "What is a tide?", "And the moon?"],
        bob,
    ]
    assert [record.is_stream for record in ran.records] == [False, False, True, True, True]
    sessions = [record.session_id for record in ran.records]
    assert sessions[0] == sessions[1]
    assert len({sessions[0], *sessions[2:]}) == 2
    assert [record.outcome for record in ran.records] == ["complete"] * 5


def test_a_program_that_runs_a_template_over_a_playlist(scene: Scene) -> None:
    dataset = scene.post("prompt-datasets", {"name": "names"}).json()["id"]
    examples = [{"inputs": {"name": name}} for name in ("Ann", "Bob", "Cid")]
    cases = scene.post(f"datasets/id/{dataset}/test-cases", {"examples": examples}).json()["test_case_ids"]
    ran = scene.run("playlist")
    assert ran.printed[:3] == [f"{name} {greeting(name)}" for name in ("Ann", "Bob", "Cid")]
    count, test_run_id = ran.printed[3].split()
    assert count == "3"
    assert [(record.test_run_id, record.test_case_id) for record in ran.records] == [(test_run_id, c) for c in cases]
    state = requests.get(
        f"{scene.backend.project_base}/test-runs/id/{test_run_id}", headers=scene.backend.headers, timeout=TIMEOUT_S
    )
    assert json.loads(state.content)["status"] == "complete"


DEFECTS = {
    "the end of a streamed chat was taken before it was read": "unit/core/test_records.py::test_a_record_is_given_once",
    "times were whole seconds": "unit/core/test_records.py::test_the_first_chunk_is_the_first_that_carries_something",
    "a stream left early left no record": "contract/test_endings.py::test_a_call_that_ends_so_leaves_this_behind",
    "nor did one that broke off": "unit/session/test_streams.py::test_every_ending_leaves_one_record",
    "nor a refused call": "contract/test_calls.py::test_a_refused_call_raises_and_leaves_its_record_in_every_form",
    "nothing was sent before the first next()": (
        "contract/test_calls.py::test_the_provider_has_the_request_before_anybody_reads"
    ),
    "keys and addresses were global": (
        "contract/test_flavor_connections.py::test_flavors_with_different_keys_never_mix"
    ),
    "returned messages were the session's own": (
        "unit/session/test_chat.py::test_what_a_caller_does_to_returned_messages_changes_nothing"
    ),
    "the record's messages could change later": (
        "unit/session/test_fidelity.py::test_what_a_caller_does_to_its_messages_later_is_neither_sent_nor_recorded"
    ),
    "text that repeats its beginning was lost": (
        "unit/session/test_fidelity.py::test_the_record_has_the_text_to_the_letter"
    ),
    "null content cost the record": (
        "unit/flavors/test_openai_chat.py::test_null_content_and_fields_nobody_knows_are_fine"
    ),
    "any parameters were equal": "unit/core/test_values.py::test_parameters_are_equal_where_they_say_the_same",
    "templates looked attributes up": "unit/core/test_templates.py::test_fstring_takes_names_alone",
    "records had no usage, parameters, finish reason": (
        "unit/session/test_streams.py::test_the_record_says_what_was_sent_and_what_came"
    ),
    "the session forgot streamed answers": (
        "unit/session/test_chat.py::test_a_chat_is_started_and_continued_with_its_own_history"
    ),
    "the backend's refusals were bare exceptions": (
        "contract/test_backend_link.py::test_each_answer_that_is_no_good_has_its_error"
    ),
    "no limits in time": "contract/test_deadlines.py::test_a_first_chunk_that_does_not_come_is_not_waited_for",
    "a connection for each call": "contract/test_flavor_connections.py::test_five_streams_share_one_connection",
    "the end of a stream waited for the backend": (
        "process/test_end_to_end.py::test_ten_calls_while_the_backend_is_down_are_there_when_it_is_up_again"
    ),
    "records of a test run did not name their case": (
        "process/test_old_program.py::test_a_program_that_runs_a_template_over_a_playlist"
    ),
    "whole and streamed calls were recorded by code of their own": (
        "contract/test_endings.py::test_a_call_that_ends_so_leaves_this_behind"
    ),
}
"""What 0.1.6 did wrong, and the test that it is not so here."""


@pytest.mark.parametrize("test", DEFECTS.values(), ids=DEFECTS)
def test_a_defect_of_the_old_sdk_has_a_test_against_it(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE)
