"""The unmodified client freeplay 0.1.6, with the providers' clients of its day, against a real server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import requests

from freeplay_like.core.messages import Message
from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess
from support.environments import Environment
from support.scripted_http import Asked, Reply, scripted_server

pytestmark = pytest.mark.over("sqlite", "servers")

TIMEOUT_S = 30

CLIENT = """
from freeplay import Freeplay
from freeplay.flavors import OpenAIChat, OpenAIText, AnthropicClaudeText
from freeplay.errors import FreeplayError, AuthorizationError, TemplateNotFoundError
api_base, key, project, openai_base = ARGS[:4]
chat = OpenAIChat(openai_api_key="any", openai_api_base=openai_base)
text = OpenAIText(openai_api_key="any", openai_api_base=openai_base)
fp = Freeplay(flavor=chat, freeplay_api_key=key, api_base=api_base, temperature=0.3)
"""


@attrs.frozen
class Old:
    """The old client, a backend with a project of this test's own, and a simulated provider."""

    environment: Environment
    backend: BackendProcess
    project_id: str
    api_key: str
    simulator: Simulator

    def run(self, code: str, *arguments: object) -> Any:
        base = (self.backend.api_base, self.api_key, self.project_id, self.simulator.openai_base)
        return self.environment.program(CLIENT + code, *base, *arguments)

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        url = f"{self.backend.api_base}/v2/projects/{self.project_id}/{path}"
        data = None if body is None else to_wire(body)
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return requests.request(method, url, data=data, headers=headers, timeout=TIMEOUT_S)

    def template(self, name: str, *messages: dict[str, str], **changes: object) -> None:
        body = {"template_messages": messages, "provider": "openai", "model": "sim:echo", "environments": ["prod"]}
        made = self.ask("POST", f"prompt-templates/name/{name}/versions", {**body, **changes})
        assert made.status_code == 201, made.text

    def records(self, session_id: str) -> list[Record]:
        found = self.ask("GET", f"sessions/{session_id}")
        assert found.status_code == 200, found.text
        return [from_wire(to_wire(each), Record) for each in found.json()["records"]]


@pytest.fixture
def old(freeplay_016: Environment, backend: BackendProcess, simulator: Simulator) -> Old:
    with backend.store() as store:
        project = store.projects.create(f"old {uuid.uuid4()}")
        return Old(freeplay_016, backend, project.id, store.keys.create(project), simulator)


def test_completions_whole_and_streamed_leave_records(old: Old) -> None:
    old.template("greet", {"role": "system", "content": "Set {a}."}, {"role": "user", "content": "Greet {{name}}."})
    session_id, *printed = old.run("""
session = fp.create_session(project, "prod")
whole = session.get_completion("greet", {"name": "Ann"}, max_tokens=20)
streamed = list(session.get_completion_stream("greet", {"name": "Bob"}))
print(json.dumps([session.session_id, whole.content, whole.is_complete, "".join(each.text for each in streamed)]))
""")
    assert printed == ["Greet Ann.", True, "Greet Bob."]
    whole, streamed = old.records(session_id)
    assert whole.messages == (Message(role="system", content="Set {a}."), Message(role="user", content="Greet Ann."))
    assert (whole.text, streamed.text) == ("Greet Ann.", "Greet Bob.")
    assert (whole.model, whole.flavor, whole.provider, whole.outcome) == (
        "sim:echo",
        "openai_chat",
        "openai",
        "complete",
    )
    assert whole.template is not None
    assert (whole.template.name, whole.template.version, whole.template.environment) == ("greet", "1", "prod")
    assert (whole.variables, whole.ended_at is not None) == ({"name": "Ann"}, True)
    assert [asked.body["temperature"] for asked in old.simulator.requests] == [0.3, 0.3]
    assert old.simulator.requests[0].body["max_tokens"] == 20


def test_a_chat_is_started_and_continued_whole_and_streamed(old: Old) -> None:
    old.template(
        "tide", {"role": "system", "content": "Help {{name}}."}, {"role": "user", "content": "What is a tide?"}
    )
    first_id, second_id, *printed = old.run("""
first, started = fp.start_chat(project, "tide", {"name": "Ann"})
continued = first.continue_chat(started.message_history, [{"role": "user", "content": "And?"}])
second, initial, chunks = fp.start_chat_stream(project, "tide", {"name": "Bob"})
said = "".join(each.text for each in chunks)
more = "".join(each.text for each in second.continue_chat_stream(initial, [{"role": "user", "content": "So?"}]))
print(json.dumps([first.session_id, second.session_id, started.content, continued.content, said, more]))
""")
    assert printed == ["What is a tide?", "And?", "What is a tide?", "So?"]
    started, continued = old.records(first_id)
    assert [message.text for message in started.messages] == ["Help Ann.", "What is a tide?"]
    assert [message.role for message in continued.messages] == ["system", "user", "assistant", "user"]
    assert [record.text for record in old.records(second_id)] == ["What is a tide?", "So?"]


def test_texts_of_openai_and_anthropic_are_recorded_under_their_flavors(old: Old) -> None:
    old.template("poem", {"role": "user", "content": "A poem about {{thing}} {braces}."}, flavor="openai_text")
    with old_claude() as url:
        session_id, *printed = old.run(
            """
claude = AnthropicClaudeText("any")
claude.client.api_url = ARGS[4]
session = fp.create_session(project, "prod")
done = session.get_completion("poem", {"thing": "sea"}, flavor=text)
streamed = list(session.get_completion_stream("poem", {"thing": "sun"}, flavor=text))
asked = session.get_completion("poem", {"thing": "moon"}, flavor=claude, model="claude-v1")
chunks = list(session.get_completion_stream("poem", {"thing": "star"}, flavor=claude, model="claude-v1"))
print(json.dumps([
    session.session_id, done.content, "".join(each.text for each in streamed),
    asked.content, "".join(each.text for each in chunks), chunks[-1].is_complete,
]))
""",
            url,
        )
    assert printed == ["A poem about sea {braces}.", "A poem about sun {braces}.", "one two", "one two", True]
    records = old.records(session_id)
    assert [record.flavor for record in records] == ["openai_text", "openai_text", "anthropic_text", "anthropic_text"]
    assert [record.provider for record in records] == ["openai", "openai", "anthropic", "anthropic"]
    assert [record.model for record in records] == ["sim:echo", "sim:echo", "claude-v1", "claude-v1"]
    assert records[0].messages == (Message(role="user", content="A poem about sea {braces}."),)
    assert records[2].messages[0].text == "\n\nHuman: A poem about moon {braces}. \n\nAssistant:"
    assert [record.text for record in records[2:]] == ["one two", "one two"]


def test_a_template_is_run_over_a_playlist(old: Old) -> None:
    old.template("greet", {"role": "user", "content": "Greet {{name}}."})
    dataset = old.ask("POST", "prompt-datasets", {"name": "names"}).json()["id"]
    examples = [{"inputs": {"name": name}} for name in ("Ann", "Bob")]
    old.ask("POST", f"datasets/id/{dataset}/test-cases", {"examples": examples})
    run_id, session_id = old.run("""
run = fp.create_test_run(project, "names")
session = run.create_session(project, "prod")
for inputs in run.get_inputs():
    session.get_completion("greet", inputs)
print(json.dumps([run.test_run_id, session.session_id]))
""")
    records = old.records(session_id)
    assert [(record.text, record.test_run_id) for record in records] == [("Greet Ann.", run_id), ("Greet Bob.", run_id)]
    assert old.ask("GET", f"test-runs/id/{run_id}").json()["status"] == "complete"


def test_a_template_that_the_old_client_cannot_fill_in_is_not_given_to_it(old: Old) -> None:
    old.template("plain", {"role": "user", "content": "Hello."})
    old.template("sections", {"role": "user", "content": "{{#list}}{{name}}{{/list}}"})
    found = old.run("""
session = fp.create_session(project, "prod")
try:
    session.get_completion("sections", {})
except TemplateNotFoundError as exc:
    print(json.dumps(["plain" if session.prompts.templates[0].name == "plain" else "", str(exc)]))
""")
    assert found == ["plain", 'Could not find template with name "sections"']


def test_a_wrong_key_is_refused_and_a_call_cut_short_is_truncated(old: Old) -> None:
    old.template("greet", {"role": "user", "content": "Greet {{name}}."})
    session_id, refused, complete = old.run("""
try:
    Freeplay(flavor=chat, freeplay_api_key="nobody", api_base=api_base).create_session(project, "prod")
except AuthorizationError:
    refused = True
session = fp.create_session(project, "prod")
cut = session.get_completion("greet", {"name": "Ann"}, model="sim:finish=length")
print(json.dumps([session.session_id, refused, cut.is_complete]))
""")
    assert (refused, complete) == (True, False)
    (record,) = old.records(session_id)
    assert (record.outcome, record.model) == ("truncated", "sim:finish=length")


GOOD = {
    "session_id": "s",
    "format_type": "openai_chat",
    "prompt_content": "no json",
    "return_content": None,
    "is_complete": True,
    "start_time": 5,
    "end_time": 3,
}


def test_an_odd_record_is_kept_and_a_wrong_one_refused_by_its_field(old: Old) -> None:
    def post(body: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {old.api_key}"}
        return requests.post(f"{old.backend.api_base}/v1/record", to_wire(body), headers=headers, timeout=TIMEOUT_S)

    kept = post(GOOD)
    assert kept.status_code == 201
    made = from_wire(old.ask("GET", f"completions/{kept.json()['completion_id']}").content, Record)
    assert (made.messages, made.text, made.template) == ((Message(role="user", content="no json"),), "", None)
    wrong = post({**GOOD, "start_time": "yesterday"})
    assert (wrong.status_code, "$.start_time" in wrong.json()["message"]) == (400, True)
    deep = post({**GOOD, "prompt_content": "[" * 200 + "]" * 200})
    assert (deep.status_code, "prompt_content is nested" in deep.json()["message"]) == (400, True)


@contextmanager
def old_claude() -> Iterator[str]:
    """Anthropic's endpoint for texts as it was: each event holds all of the text so far."""

    def answer(asked: Asked) -> Reply:
        whole = {"completion": "one two", "stop_reason": "stop_sequence"}
        if not json.loads(asked.body).get("stream"):
            return Reply(body=to_wire(whole))
        events = [to_wire({"completion": "one", "stop_reason": None}), to_wire(whole), b"[DONE]"]
        return Reply(body=b"".join(b"data: %b\r\n\r\n" % event for event in events))

    with scripted_server(answer) as server:
        yield server.base.removesuffix("/api")
