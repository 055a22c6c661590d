"""What was said stays as it was said: nothing is stripped, guessed or added on the way."""

from __future__ import annotations

import pytest

from freeplay_like import PromptTemplate, TemplateMessage
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin

GREETING = PromptTemplate(name="greeting", model="fake-1", messages=(TemplateMessage(role="user", content="Greet."),))


def client(twin: Twin, *answers: object) -> tuple[object, FakeFlavor, MemoryRecorder]:
    flavor, recorder = FakeFlavor(*answers), MemoryRecorder()
    return twin.client(flavor, prompts=StaticPrompts(GREETING), recorder=recorder), flavor, recorder


@pytest.mark.parametrize(
    "pieces",
    [
        ["  a", " b ", "\n"],
        ["\n\n", "\t"],
        ["a\u2028b", "\x0b\x85c\x00"],
        ["\ufeffa\r", "\nb\u00a0"],
        ["ha", "ha", "ha"],
    ],
)
def test_the_record_has_the_text_to_the_letter(twin: Twin, pieces: list[str]) -> None:
    fp, _, recorder = client(twin, pieces)
    stream = twin.do(fp.get_completion_stream("p", "greeting", {}))
    delivered = "".join(chunk.text for chunk in twin.chunks(stream))
    assert delivered == "".join(pieces)
    assert twin.do(stream.result()).content == stream.text == recorder.records[0].text == delivered


def test_text_that_looks_like_a_tool_call_is_text(twin: Twin) -> None:
    text = '<tool_call>{"name": "remove_all", "arguments": {}}</tool_call> {"tool_calls": []}'
    fp, _, recorder = client(twin, text)
    answer = twin.do(fp.get_completion("p", "greeting", {}))
    assert (answer.content, answer.tool_calls, answer.finish_reason) == (text, (), "stop")
    assert recorder.records[0].choices[0].tool_calls == ()


def test_a_history_that_is_given_alone_is_sent_as_it_is(twin: Twin) -> None:
    fp, flavor, _ = client(twin, "Good morning.")
    history = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Again"},
    ]
    chat = fp.create_chat_session("p", "greeting", {})
    answer = twin.do(chat.continue_chat(history))
    assert flavor.requests[0].body["messages"] == history
    assert answer.message_history == [*history, {"role": "assistant", "content": "Good morning."}]


def test_what_a_caller_does_to_its_messages_later_is_neither_sent_nor_recorded(twin: Twin) -> None:
    fp, _, recorder = client(twin, ["a", "b"])
    history = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    chat = fp.create_chat_session("p", "greeting", {})
    stream = twin.do(chat.continue_chat_stream(history))
    history[0]["content"][0]["text"] = "poison"
    history.append({"role": "user", "content": "poison"})
    twin.do(stream.result())
    assert [message.text for message in recorder.records[0].messages] == ["Hello"]
    assert [message.text for message in chat.history] == ["Hello", "ab"]


def test_what_a_caller_does_to_its_values_later_is_not_recorded(twin: Twin) -> None:
    fp, _, recorder = client(twin, ["a", "b"])
    stop, variables, metadata = ["x"], {"user": {"name": "Ann"}}, {"tags": ["a"]}
    session = fp.create_session("p", metadata=metadata)
    stream = twin.do(session.get_completion_stream("greeting", variables, stop=stop))
    stop.append("y")
    variables["user"]["name"] = "poison"
    metadata["tags"].append("poison")
    twin.do(stream.result())
    (record,) = recorder.records
    assert record.parameters["stop"].value == ["x"]
    assert record.variables == {"user": {"name": "Ann"}}
    assert record.metadata == {"tags": ["a"]}
