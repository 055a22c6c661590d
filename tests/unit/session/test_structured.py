"""Answers as values: asked for by schema or in words, validated, repaired once; both twins."""

from __future__ import annotations

import attrs
import pytest

from freeplay_like import ConfigurationError, PromptTemplate, ProviderRejected, StructuredOutputError, TemplateMessage
from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.testing import FakeAnswer, FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin

PATHS = PromptTemplate(
    name="paths",
    model="fake-1",
    output_schema={"type": "object"},
    messages=(TemplateMessage(role="user", content="Files of {{app}}?"),),
)
GOOD, BAD = '{"files": ["a.py", "b.py"]}', '{"files": "a.py"}'


@attrs.frozen
class FileList:
    """What is asked for."""

    files: list[str]


class InWords(FakeFlavor):
    """A provider that cannot be bound to a schema."""

    takes_output_schema = False


class Scene:
    def __init__(self, twin: Twin, *answers: FakeAnswer, kind: type[FakeFlavor] = FakeFlavor) -> None:
        self.flavor, self.recorder, self.twin = kind(*answers), MemoryRecorder(), twin
        fp = twin.client(self.flavor, prompts=StaticPrompts(PATHS), recorder=self.recorder)
        self.session = fp.create_session("p")

    def ask(self, schema: object = FileList, **options: object) -> object:
        return self.twin.do(self.session.structured("paths", {"app": "tides"}, schema, **options))

    def asked(self, number: int = -1) -> dict[str, object]:
        return self.flavor.requests[number].body


def test_the_model_is_bound_to_the_schema_and_the_answer_is_a_value(twin: Twin) -> None:
    scene = Scene(twin, GOOD)
    answer = scene.ask(temperature=0.1)
    assert answer.value == FileList(["a.py", "b.py"])
    assert scene.asked()["output_schema"]["properties"]["files"]["type"] == "array"
    assert scene.asked()["temperature"] == 0.1
    assert len(scene.asked()["messages"]) == 1
    (record,) = scene.recorder.records
    assert answer.record_id == record.record_id
    assert record.parameters["output_schema"].layer == "call"


def test_a_plain_schema_and_a_generic_do_too(twin: Twin) -> None:
    schema = {"type": "object", "properties": {"files": {"type": "array"}}, "required": ["files"]}
    assert Scene(twin, GOOD).ask(schema).value == {"files": ["a.py", "b.py"]}
    assert Scene(twin, '["a.py"]').ask(list[str]).value == ["a.py"]


def test_a_flavor_that_cannot_be_bound_is_asked_in_words(twin: Twin) -> None:
    scene = Scene(twin, f"```json\n{GOOD}\n```", kind=InWords)
    assert scene.ask().value.files == ["a.py", "b.py"]
    assert "output_schema" not in scene.asked()
    question, schema = scene.asked()["messages"]
    assert question["content"] == "Files of tides?"
    assert '"files"' in schema["content"]


def test_an_answer_that_does_not_fit_is_repaired_once(twin: Twin) -> None:
    scene = Scene(twin, BAD, GOOD)
    answer = scene.ask()
    assert answer.value.files == ["a.py", "b.py"]
    assert [attempt.content for attempt in answer.attempts] == [BAD, GOOD]
    *_, shown, repair = scene.asked()["messages"]
    assert shown == {"role": "assistant", "content": BAD}
    assert "files" in repair["content"]
    first, second = scene.recorder.records
    assert (first.parent_id, second.parent_id) == (None, first.record_id)


def test_an_answer_that_never_fits_is_an_error_with_the_answer(twin: Twin) -> None:
    scene = Scene(twin, "Sure! Here are your files.")
    with pytest.raises(StructuredOutputError, match="no FileList in 2 answers") as caught:
        scene.ask()
    assert caught.value.text == "Sure! Here are your files."
    assert caught.value.problems
    assert caught.value.response.record_id == scene.recorder.records[1].record_id
    scene = Scene(twin, BAD)
    with pytest.raises(StructuredOutputError, match="in one answer"):
        scene.ask(repairs=0)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([GOOD[:9], CompletionChunk(finish_reason="length")], "cut at its length limit"),
        ([CompletionChunk(refusal="I cannot"), CompletionChunk(finish_reason="stop")], "the model refused: I cannot"),
        (["{", CompletionChunk(finish_reason="content_filter")], "filter stopped"),
    ],
)
def test_what_no_repair_can_help_is_not_repaired(twin: Twin, answer: FakeAnswer, says: str) -> None:
    scene = Scene(twin, answer)
    with pytest.raises(StructuredOutputError, match=says):
        scene.ask()
    assert len(scene.recorder.records) == 1


def test_a_call_that_fails_fails_as_always(twin: Twin) -> None:
    scene = Scene(twin, ProviderRejected("no", status=400))
    with pytest.raises(ProviderRejected):
        scene.ask()
    with pytest.raises(ConfigurationError, match="repairs=-1"):
        scene.ask(repairs=-1)
