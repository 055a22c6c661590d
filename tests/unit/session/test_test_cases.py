"""Which case of a test run a call belongs to."""

from __future__ import annotations

import pytest

from freeplay_like import AsyncTestRun, Message, PromptTemplate, TemplateError, TemplateMessage, TestRun
from freeplay_like.core.template_messages import HistorySlot, MediaSlot
from freeplay_like.session.test_cases import TestCase, TestCases
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin

SAME = [TestCase(test_case_id=name, variables={"question": "Why?"}) for name in ("first", "second")]
OTHER = TestCase(test_case_id="other", variables={"question": "When?"})


def test_the_very_same_variables_tell_equal_cases_apart() -> None:
    cases = TestCases(test_run_id="r", cases=(*SAME, OTHER))
    assert cases.case_id_for(SAME[1].variables) == "second"
    assert cases.case_id_for({"question": "Why?"}) == "first"
    assert cases.case_id_for({"question": "When?"}) == "other"
    assert cases.case_id_for({"question": "Who?"}) is None


def test_a_case_that_was_chosen_needs_no_match() -> None:
    assert TestCases(test_run_id="r", cases=(OTHER,)).case_id_for({"question": "Who?"}) == "other"


def test_a_case_is_asked_with_its_history_and_its_media(twin: Twin) -> None:
    slot = MediaSlot(name="pic", kind="image")
    question = TemplateMessage(role="user", content="{{question}}", media_slots=(slot,))
    template = PromptTemplate(name="look", messages=(HistorySlot(), question))
    recorder = MemoryRecorder()
    client = twin.client(FakeFlavor("Blue."), prompts=StaticPrompts(template), recorder=recorder)
    case = TestCase(
        test_case_id="c1",
        variables={"question": "Which colour?"},
        history=(Message(role="user", content="Look."),),
        media={"pic": {"type": "url", "url": "https://e.com/x.png"}, "other": {"type": "url", "url": "u"}},
    )
    run_of = TestRun if twin.name == "sync" else AsyncTestRun
    run = run_of(client, TestCases(test_run_id="r1", cases=(case, OTHER)))
    answer = twin.do(run.get_completion("p", case, "look", model="fake-1"))
    (record,) = recorder.records
    assert (answer.content, record.test_run_id, record.test_case_id) == ("Blue.", "r1", "c1")
    assert [message.text for message in record.messages] == ["Look.", "Which colour?"]
    assert "https://e.com/x.png" in str(record.messages[1].content)
    assert record.parameters["model"].layer == "call"


def test_a_medium_that_is_none_is_the_templates_to_refuse(twin: Twin) -> None:
    slot = MediaSlot(name="pic", kind="image")
    template = PromptTemplate(
        name="look", messages=(TemplateMessage(role="user", content="See:", media_slots=(slot,)),)
    )
    case = TestCase(test_case_id="c1", variables={}, media={"pic": {"type": "base64", "data": "AA=="}})
    assert case.variables_for(template) == {"pic": {"type": "base64", "data": "AA=="}}
    with pytest.raises(TemplateError, match="pic"):
        template.render(case.variables_for(template))
