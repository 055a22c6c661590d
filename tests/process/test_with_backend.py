"""What the SDK does with the backend beside sending records, over real HTTP; both twins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import requests

from freeplay_like import (
    APIKeyMissingError,
    BackendError,
    ConfigurationError,
    HistorySlot,
    PromptTemplate,
    TemplateMessage,
)
from freeplay_like.clock import SystemClock
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts
from support.backend import BackendProcess
from support.twins import Twin
from support.waiting import until

pytestmark = pytest.mark.timeout(60)

ASSISTANT = PromptTemplate(
    name="assistant",
    messages=(
        TemplateMessage(role="system", content="You know about {{topic}}."),
        HistorySlot(),
        TemplateMessage(role="user", content="{{question}}"),
    ),
)
TIDES = {"topic": "tides", "question": "What is a tide?"}


class Scene:
    """A client of one twin whose templates and records are the real backend's."""

    def __init__(self, twin: Twin, backend: BackendProcess) -> None:
        self.twin, self.backend = twin, backend
        self.flavor = FakeFlavor("The moon.", "Twice a day.", "Yes.")
        self.fp = twin.client(self.flavor, backend.api_key, backend.api_base, model="fake-1")
        self.name = f"assistant-{SystemClock().new_id()}"
        self.publish(ASSISTANT.messages)

    def publish(self, messages: tuple[object, ...]) -> None:
        wire = PromptTemplate(name=self.name, messages=messages).to_wire()
        body = {"template_messages": wire["content"], "model": "fake-1", "provider": "openai"}
        self.post(f"prompt-templates/name/{self.name}/versions", body)

    def post(self, path: str, body: object) -> dict[str, object]:
        made = requests.post(f"{self.backend.project_base}/{path}", json=body, headers=self.backend.headers, timeout=30)
        assert made.status_code == 201, made.text
        return made.json()

    def stored(self, record_id: str) -> dict[str, object]:
        url = f"{self.backend.project_base}/completions/{record_id}"
        until(lambda: requests.get(url, headers=self.backend.headers, timeout=30).ok, what=f"record {record_id}")
        return requests.get(url, headers=self.backend.headers, timeout=30).json()


@pytest.fixture
def scene(twin: Twin, backend: BackendProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("FREEPLAY_LIKE_SPOOL_DIR", str(tmp_path))
    made = Scene(twin, backend)
    yield made
    twin.do(made.fp.close())


def test_a_conversation_goes_on_where_another_process_left_it(scene: Scene, twin: Twin) -> None:
    fp, project_id = scene.fp, scene.backend.project_id
    chat = fp.create_chat_session(project_id, scene.name, TIDES, metadata={"user": "u-1"})
    twin.do(chat.start_chat())
    twin.do(chat.send("How often?"))
    scene.publish((TemplateMessage(role="user", content="Something else."),))

    other = attrs.evolve(ASSISTANT, name="another")
    fp.record(project_id, "Aside.", "No turn.", session_id=chat.session_id, template=other)
    part = attrs.evolve(ASSISTANT, name=scene.name)
    fp.record(project_id, "Go on.", "A part.", session_id=chat.session_id, template=part, parent_id="first")
    restored = twin.do(fp.restore_session(project_id, chat.session_id))
    assert restored.session_id == chat.session_id
    assert restored.history == chat.history
    assert restored.totals.calls == 4
    answer = twin.do(restored.send("Really?"))
    assert answer.content == "Yes."
    sent = scene.flavor.requests[-1].body["messages"]
    assert [m["content"] for m in sent] == [
        "You know about tides.", "What is a tide?", "The moon.", "How often?", "Twice a day.", "Really?",
    ]  # fmt: skip
    twin.do(fp.flush())
    record = scene.stored(answer.record_id)
    assert record["session_id"] == chat.session_id
    assert record["metadata"] == {"user": "u-1"}
    url = f"{scene.backend.project_base}/sessions/{chat.session_id}"
    records = requests.get(url, headers=scene.backend.headers, timeout=30).json()["records"]
    turns = [record for record in records if record["requested_model"]]
    assert len(turns) == 3
    assert len({record["template"]["version_id"] for record in turns}) == 1


def test_a_session_that_is_not_there_or_holds_no_turn_says_so(scene: Scene, twin: Twin) -> None:
    fp, project_id = scene.fp, scene.backend.project_id
    with pytest.raises(BackendError, match="no session"):
        twin.do(fp.restore_session(project_id, SystemClock().new_id()))
    session_id = SystemClock().new_id()
    fp.record(project_id, "What is a tide?", "The moon.", session_id=session_id)
    with pytest.raises(ConfigurationError, match="no turn that ended well and came from a template"):
        twin.do(fp.restore_session(project_id, session_id))


def test_what_is_said_of_a_record_is_found_with_it(scene: Scene, twin: Twin) -> None:
    fp, project_id = scene.fp, scene.backend.project_id
    response = twin.do(fp.get_completion(project_id, scene.name, TIDES))
    fp.feedback(project_id, response.record_id, "negative", reason="too short")
    fp.score(project_id, response.record_id, "tone", 0.5)
    fp.update_record(project_id, response.record_id, new_messages="Thanks.")
    report = twin.do(fp.flush())
    assert report.is_complete
    thumb, score, message = scene.stored(response.record_id)["amendments"]
    assert (thumb["feedback"], thumb["comments"]) == ("negative", {"reason": "too short"})
    assert score["scores"] == {"tone": 0.5}
    assert message["new_messages"][0]["content"] == "Thanks."


def test_each_record_of_a_test_run_names_its_case(scene: Scene, twin: Twin) -> None:
    fp, project_id = scene.fp, scene.backend.project_id
    name = f"questions {SystemClock().new_id()}"
    dataset_id = scene.post("prompt-datasets", {"name": name})["id"]
    inputs = [{"topic": "tides", "question": "Why?"}] * 2
    cases = [{"inputs": case, "output": "expected"} for case in inputs]
    scene.post(f"datasets/id/{dataset_id}/test-cases", {"examples": cases})

    run = twin.do(fp.create_test_run(project_id, name, name="nightly"))
    assert run.inputs == run.get_inputs() == inputs
    assert [case.expected for case in run.cases] == ["expected", "expected"]
    session = run.create_session(project_id)
    ids = [twin.do(session.get_completion(scene.name, case)).record_id for case in run.inputs]
    chosen = run.create_session(project_id, test_case_id=run.cases[1].test_case_id)
    ids.append(twin.do(chosen.get_completion(scene.name, TIDES)).record_id)
    twin.do(fp.flush())
    records = [scene.stored(record_id) for record_id in ids]
    assert {record["test_run_id"] for record in records} == {run.test_run_id}
    first, second = (case.test_case_id for case in run.cases)
    assert [record["test_case_id"] for record in records] == [first, second, second]
    with pytest.raises(ConfigurationError, match="has no case 'nobody'"):
        run.create_session(project_id, test_case_id="nobody")
    with pytest.raises(BackendError, match="no dataset 'nowhere'"):
        twin.do(fp.create_test_run(project_id, "nowhere"))


def test_without_a_backend_it_says_what_is_missing(twin: Twin) -> None:
    fp = twin.client(FakeFlavor(""), prompts=StaticPrompts(ASSISTANT), recorder=MemoryRecorder())
    with pytest.raises(APIKeyMissingError, match="needs the backend"):
        twin.do(fp.restore_session("p", "s"))
