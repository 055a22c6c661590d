"""A history as a value: what it takes, that no change reaches an older one, rounds, and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from freeplay_like.core.completion import ChatCompletionResponse, Choice, CompletionResponse
from freeplay_like.core.history import ChatHistory
from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message, ToolCall, messages_from
from freeplay_like.core.templates import HistorySlot, PromptTemplate, TemplateMessage
from freeplay_like.errors import MessageError

CALL = ToolCall(id="c1", name="look", arguments='{"at":1}')
ANSWER = CompletionResponse(
    content="",
    is_complete=False,
    choices=(Choice(tool_calls=(CALL,), reasoning="hm", reasoning_blocks=({"type": "thinking", "signature": "s"},)),),
)
TALK = ChatHistory(
    [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
    ]
)


def said(messages: Sequence[Message]) -> list[str]:
    return [f"{message.role[0]}:{message.text}" for message in messages]


def each(messages: Sequence[Message]) -> int:
    return len(messages)


def test_it_is_made_from_text_messages_dicts_answers_and_itself() -> None:
    assert said(ChatHistory("hi")) == ["u:hi"]
    assert said(ChatHistory({"role": "user", "content": "hi"})) == ["u:hi"]
    assert said(ChatHistory(Message(role="user", content="hi"))) == ["u:hi"]
    assert said(ChatHistory(CompletionResponse(content="x", is_complete=True, choices=(Choice(text="x"),)))) == ["a:x"]
    whole = ChatCompletionResponse(content="x", is_complete=True, messages=messages_from("hi"))
    assert said(ChatHistory(whole)) == ["u:hi"]
    assert ChatHistory(TALK) == TALK


def test_it_is_taken_wherever_messages_are() -> None:
    assert messages_from(TALK) == TALK.messages
    template = PromptTemplate(
        name="t", messages=(TemplateMessage(role="system", content="own"), HistorySlot()), syntax="none"
    )
    assert said(template.render({}, TALK)[:2]) == ["s:own", "u:hi"]


def test_a_wrong_message_is_named() -> None:
    with pytest.raises(MessageError, match="message 1 has role 'bogus'") as caught:
        ChatHistory([{"role": "user", "content": "a"}, {"role": "bogus", "content": "b"}])
    assert caught.value.index == 1
    with pytest.raises(MessageError, match="message 7 has role 'bogus'"):
        TALK.with_message({"role": "bogus", "content": "b"})


def test_it_is_always_true_and_has_a_length() -> None:
    assert bool(ChatHistory())
    assert bool(ChatHistory().with_system("rules"))
    assert len(ChatHistory()) == 0
    assert len(TALK) == 7


def test_equal_histories_are_equal_and_have_equal_hashes() -> None:
    other = ChatHistory.from_json(TALK.to_json())
    assert other == TALK
    assert {other, TALK} == {TALK}
    assert TALK.remove(0) != TALK
    assert TALK[1] in TALK
    assert TALK.index(TALK[1]) == 1


def test_no_way_out_leads_back_in() -> None:
    history = ChatHistory([{"role": "user", "content": [{"type": "text", "text": "a"}]}])
    before = history.to_json()
    history.to_chat()[0]["content"][0]["text"] = "b"  # type: ignore[index]
    for exit_ in (history[0], next(iter(history)), history.messages[0], history[:][0], history.rounds[0][0]):
        with pytest.raises(TypeError, match="does not change"):
            exit_.content[0]["text"] = "b"  # type: ignore[index]
    assert history.to_json() == before


MORE = [{"role": "user", "content": "x"}]
CHANGES: dict[str, tuple[Callable[[ChatHistory], ChatHistory], list[str]]] = {
    "with_system": (lambda h: h.with_system("new"), ["s:new", "u:q", "a:w"]),
    "with_system(None)": (lambda h: h.with_system(None), ["u:q", "a:w"]),
    "with_user": (lambda h: h.with_user("more"), ["s:r", "u:q", "a:w", "u:more"]),
    "with_assistant": (lambda h: h.with_assistant("more"), ["s:r", "u:q", "a:w", "a:more"]),
    "with_tool_result": (lambda h: h.with_tool_result("c1", "42"), ["s:r", "u:q", "a:w", "t:42"]),
    "insert": (lambda h: h.insert(1, {"role": "developer", "content": "d"}), ["s:r", "d:d", "u:q", "a:w"]),
    "insert at the end": (lambda h: h.insert(3, {"role": "user", "content": "n"}), ["s:r", "u:q", "a:w", "u:n"]),
    "replace": (lambda h: h.replace(-1, {"role": "assistant", "content": "n"}), ["s:r", "u:q", "a:n"]),
    "remove": (lambda h: h.remove(1), ["s:r", "a:w"]),
    "slice": (lambda h: h[-1:], ["s:r", "a:w"]),
    "slice with the system": (lambda h: h[:2], ["s:r", "u:q"]),
    "text added": (lambda h: h + "more", ["s:r", "u:q", "a:w", "u:more"]),
    "history added": (lambda h: h + ChatHistory("x").with_system("other"), ["s:r", "u:q", "a:w", "u:x"]),
    "list added": (lambda h: h + MORE, ["s:r", "u:q", "a:w", "u:x"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_a_new_history(name: str) -> None:
    change, expected = CHANGES[name]
    history = ChatHistory("q").with_assistant("w").with_system("r")
    changed = change(history)
    assert said(changed) == expected
    assert said(history) == ["s:r", "u:q", "a:w"]


def test_instructions_of_what_is_added_come_first_where_there_are_none() -> None:
    other = ChatHistory([{"role": "developer", "content": "rules"}, {"role": "user", "content": "x"}])
    assert said(ChatHistory("q") + other) == ["d:rules", "u:q", "u:x"]
    assert other.system == "rules"
    assert ChatHistory("q").system is None
    assert (ChatHistory([{"role": "system", "content": "a"}] * 2)).system == "a\n\na"


def test_media_stand_beside_the_text_of_the_user() -> None:
    photo = Media.from_url("https://example.com/cat.png", kind="image")
    assert ChatHistory().with_user("What?", photo)[0].content == ({"type": "text", "text": "What?"}, photo.to_part())
    assert ChatHistory().with_user("", photo)[0].content == (photo.to_part(),)


def test_an_answer_keeps_its_tool_calls_and_reasoning() -> None:
    history = ChatHistory("q").with_response(ANSWER).with_tool_result("c1", "42")
    assert history[1].tool_calls == (CALL,)
    assert history[1].reasoning == "hm"
    assert history[1].reasoning_blocks == ({"type": "thinking", "signature": "s"},)
    assert ChatHistory.from_json(history.to_json()) == history


@pytest.mark.parametrize("index", [7, 99, -8])
@pytest.mark.parametrize(
    "act",
    [
        lambda index: TALK[index],
        lambda index: TALK.remove(index),
        lambda index: TALK.replace(index, {"role": "user", "content": "x"}),
        lambda index: TALK.insert(index + (index > 0), {"role": "user", "content": "x"}),
    ],
    ids=["read", "remove", "replace", "insert"],
)
def test_an_index_without_a_message_is_one_error(act: Callable[[int], object], index: int) -> None:
    with pytest.raises(MessageError, match=r"there is no message -?\d+ in a history of 7") as caught:
        act(index)
    assert isinstance(caught.value, IndexError)
    assert caught.value.index in (index, index + 1)


def test_rounds_begin_with_the_user() -> None:
    assert [said(messages) for messages in TALK.rounds] == [
        ["u:hi", "a:ok"],
        ["u:hi", "a:", "t:sunny", "a:It is sunny."],
    ]
    greeted = ChatHistory([{"role": "assistant", "content": "Welcome"}, {"role": "user", "content": "hi"}])
    assert [said(messages) for messages in greeted.rounds] == [["a:Welcome"], ["u:hi"]]
    assert ChatHistory().rounds == ()


def test_the_last_round_is_taken_off_by_its_place() -> None:
    assert said(TALK.without_last_round()) == ["s:rules", "u:hi", "a:ok"]
    peer = ChatHistory("hi").with_assistant("ok").with_user("hi").with_assistant("x")
    assert said(peer.without_last_round()) == ["u:hi", "a:ok"]
    assert ChatHistory().with_system("r").without_last_round() == ChatHistory().with_system("r")


def test_the_last_rounds_come_with_the_instructions() -> None:
    assert said(TALK.last_rounds(1)) == ["s:rules", "u:hi", "a:", "t:sunny", "a:It is sunny."]
    assert said(TALK.last_rounds(0)) == ["s:rules"]
    assert TALK.last_rounds(2) == TALK.last_rounds(9) == TALK
    with pytest.raises(MessageError, match="the last -1 rounds; ask for 0 or more"):
        TALK.last_rounds(-1)


def test_an_answer_of_a_tool_stays_with_its_call_when_the_user_spoke_between() -> None:
    history = ChatHistory(
        [
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": "2"},
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "user", "content": "hurry"},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "user", "content": "3"},
        ]
    )
    assert [said(messages) for messages in history.rounds] == [
        ["u:1", "a:A"],
        ["u:2", "a:", "u:hurry", "t:sunny"],
        ["u:3"],
    ]


def test_a_system_message_in_the_middle_belongs_to_no_round() -> None:
    history = ChatHistory("a").with_message({"role": "system", "content": "s"}).with_user("b").with_assistant("c")
    assert said(history.last_rounds(1)) == ["s:s", "u:b", "a:c"]


@pytest.mark.parametrize(("max_tokens", "expected"), [(7, 7), (8, 7), (6, 5), (5, 5), (4, 5), (0, 5), (-1, 5)], ids=str)
def test_the_oldest_rounds_go_first_and_the_last_one_stays(max_tokens: int, expected: int) -> None:
    trimmed = TALK.trimmed(max_tokens, each)
    assert len(trimmed) == expected
    assert trimmed[0].text == "rules"
    assert trimmed[-1] == TALK[-1]


def test_trimming_counts_each_message_once_at_most() -> None:
    history = ChatHistory()
    for number in range(300):
        history = history.with_user(str(number)).with_assistant("x")
    counted: list[Message] = []

    def count(messages: Sequence[Message]) -> int:
        counted.extend(messages)
        return len(messages)

    assert len(history.trimmed(100, count)) == 100
    assert len(counted) == 102
    assert len(history.trimmed(2_000)) > len(history.trimmed(1_000)) > 2


def test_messages_are_found_by_role_and_text() -> None:
    assert said(TALK.of_role("system", "tool")) == ["s:rules", "t:sunny"]
    assert TALK.search("SUNNY") == (5, 6)
    with pytest.raises(MessageError, match="role 'robot'; known roles"):
        TALK.of_role("robot")  # type: ignore[arg-type]


def test_json_says_its_version_and_holds_plain_messages() -> None:
    kept = json.loads(TALK.to_json())
    assert kept == {"version": 1, "messages": TALK.to_chat()}
    assert ChatHistory.from_json(TALK.to_json().encode()) == TALK


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a history is a JSON object with 'version' and 'messages'"),
        ("[]", "a history is a JSON object with 'version' and 'messages'"),
        ('{"x": 1}', "a history has version None; expected a number such as 1"),
        ('{"version": true, "messages": []}', "a history has version True"),
        ('{"version": 0, "messages": []}', "a history has version 0"),
        ('{"version": 2, "messages": []}', "a history has version 2, this freeplay_like reads up to 1; upgrade it"),
        ('{"version": 1}', "a history has 'messages' of type NoneType; expected a list"),
        ('{"version": 1, "messages": [{"role": "user"}]}', r"message 0 \(user\) has no content"),
        ('{"version": 1, "messages": [1]}', "message 0 must be a mapping"),
    ],
)
def test_other_json_is_refused(text: str, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        ChatHistory.from_json(text)
