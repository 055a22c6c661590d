"""A session's calls as one conversation."""

from __future__ import annotations

from freeplay_like.core.messages import Message
from freeplay_like.server.pages.sessions.reading import Said


def say(role: str, text: str) -> Message:
    return Message(role=role, content=text)  # type: ignore[arg-type]  # roles of the tests


SYSTEM = say("system", "be short")


def texts(messages: tuple[Message, ...]) -> list[str]:
    return [message.text for message in messages]


def test_each_message_is_new_once() -> None:
    said = Said()
    first = said.take([SYSTEM, say("user", "hi")], [say("assistant", "hello")])
    assert (texts(first.messages), first.repeated) == (["be short", "hi"], 0)
    again = [SYSTEM, say("user", "hi"), say("assistant", "hello"), say("user", "and?")]
    second = said.take(again, [say("assistant", "well")])
    assert (texts(second.messages), second.repeated) == (["and?"], 3)


def test_a_word_that_is_said_again_is_new_again() -> None:
    said = Said()
    said.take([say("user", "yes")], [say("assistant", "ok")])
    new = said.take([say("user", "yes"), say("assistant", "ok"), say("user", "yes")], [])
    assert texts(new.messages) == ["yes"]


def test_a_history_without_its_beginning_is_known() -> None:
    said = Said()
    said.take([say("user", "1")], [say("assistant", "a")])
    said.take([say("user", "1"), say("assistant", "a"), say("user", "2")], [say("assistant", "b")])
    new = said.take([say("user", "2"), say("assistant", "b"), say("user", "3")], [])
    assert texts(new.messages) == ["3"]


def test_an_answer_that_was_changed_is_shown_with_what_follows() -> None:
    said = Said()
    said.take([say("user", "1")], [say("assistant", "a")])
    changed = [say("user", "1"), say("assistant", "A."), say("user", "2")]
    assert texts(said.take(changed, [say("assistant", "b")]).messages) == ["A.", "2"]
    assert texts(said.take([*changed, say("assistant", "b"), say("user", "3")], []).messages) == ["3"]


def test_a_single_question_asked_twice_is_shown_twice() -> None:
    said = Said()
    said.take([SYSTEM, say("user", "q")], [])
    new = said.take([SYSTEM, say("user", "q")], [])
    assert (texts(new.messages), new.is_again) == (["q"], False)


def test_a_whole_conversation_sent_again_says_so() -> None:
    said = Said()
    sent = [say("user", "1"), say("assistant", "a"), say("user", "2")]
    said.take(sent, [])
    new = said.take(sent, [])
    assert (new.messages, new.is_again, new.repeated) == ((), True, 3)


def test_instructions_are_shown_where_they_change() -> None:
    said = Said()
    said.take([SYSTEM, say("user", "1")], [])
    assert texts(said.take([say("system", "be long"), say("user", "2")], []).messages) == ["be long", "2"]
    assert texts(said.take([SYSTEM, say("user", "3")], []).messages) == ["3"]
