"""What a recorded call is as a test case."""

from __future__ import annotations

import attrs
import pytest

from freeplay_like.core.completion import Choice
from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.records import Record
from freeplay_like.core.template_messages import HistorySlot, MediaSlot, TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.store.trials.case_sources import case_of
from support.plain_records import a_record

SYSTEM = TemplateMessage(role="system", content="Short.")
QUESTION = TemplateMessage(role="user", content="{{question}}")
TALK = (Message(role="user", content="Hello"), Message(role="assistant", content="Hi"))
TALK_WIRE = ({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"})
VARIABLES = {"question": "Where is Lyon?"}


def a_template(*messages: TemplateMessage | HistorySlot) -> PromptTemplate:
    return PromptTemplate(name="t", messages=messages)


def a_call(template: PromptTemplate, *history: Message, after: tuple[Message, ...] = ()) -> Record:
    return a_record("p", variables=VARIABLES, messages=(*template.render(VARIABLES, history), *after))


@pytest.mark.parametrize("messages", [(SYSTEM, HistorySlot(), QUESTION), (SYSTEM, QUESTION), (QUESTION, HistorySlot())])
def test_the_history_is_what_is_not_the_templates_own(messages: tuple[TemplateMessage | HistorySlot, ...]) -> None:
    template = a_template(*messages)
    first, later = case_of(a_call(template), template), case_of(a_call(template, *TALK), template)
    assert first is not None
    assert (first.inputs, first.history, first.output) == (VARIABLES, None, "In France.")
    assert later is not None
    assert later.history == TALK_WIRE
    assert template.render(later.inputs, TALK) == a_call(template, *TALK).messages


def test_a_later_turn_that_the_template_would_not_send_is_no_case() -> None:
    template = a_template(SYSTEM, HistorySlot(), QUESTION)
    turn = (Message(role="assistant", content="In France."), Message(role="user", content="And Nice?"))
    assert case_of(a_call(template, after=turn), template) is None
    plain = a_template(SYSTEM, QUESTION)
    found = case_of(a_call(plain, after=turn), plain)
    assert found is not None
    assert found.history == tuple(message.to_chat() for message in turn)
    assert case_of(a_record("p", messages=()), template) is None


def test_without_a_template_everything_that_was_sent_is_history() -> None:
    found = case_of(a_record("p", messages=TALK), None)
    assert found is not None
    assert (found.inputs, found.history) == ({}, TALK_WIRE)


@pytest.mark.parametrize("outcome", ["error", "truncated", "interrupted"])
def test_only_a_complete_answer_is_what_is_expected(outcome: str) -> None:
    found = case_of(a_record("p", outcome=outcome), None)
    assert found is not None
    assert (found.output, found.output_message) == (None, None)


def test_a_call_for_tools_is_expected_as_a_message() -> None:
    choice = Choice(tool_calls=(ToolCall(id="c1", name="weather", arguments="{}"),), finish_reason="tool_calls")
    found = case_of(a_record("p", choices=(choice,)), None)
    assert found is not None
    assert found.output_message is not None
    assert found.output_message["tool_calls"][0]["function"] == {"name": "weather", "arguments": "{}"}


def test_a_picture_among_the_variables_is_an_input_of_its_own() -> None:
    slots = (MediaSlot(name="pic", kind="image"), MediaSlot(name="doc", kind="file"))
    template = a_template(attrs.evolve(QUESTION, media_slots=slots))
    media = {
        "pic": Media.from_url("https://e.com/x.png", kind="image"),
        "doc": Media.from_base64("AAAA", "application/pdf"),
    }
    sent = a_record("p", variables={**VARIABLES, **media}, messages=template.render({**VARIABLES, **media}))
    found = case_of(from_wire(to_wire(sent), Record), template)
    assert found is not None
    assert found.inputs == VARIABLES
    assert found.media_inputs == {
        "pic": {"type": "url", "url": "https://e.com/x.png"},
        "doc": {"type": "base64", "data": "AAAA", "content_type": "application/pdf"},
    }
