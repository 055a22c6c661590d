"""Calls made elsewhere are recorded, and things are said of records afterwards; the same in both twins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from freeplay_like import ConfigurationError, MessageError, ParameterError, PromptTemplate, TemplateMessage, Usage
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin

GREETING = PromptTemplate(name="greeting", version="3", messages=(TemplateMessage(role="user", content="Greet."),))
QUESTION = [{"role": "user", "content": "What is a tide?"}]


@pytest.fixture
def recorder() -> MemoryRecorder:
    return MemoryRecorder()


@pytest.fixture
def fp(twin: Twin, recorder: MemoryRecorder) -> object:
    return twin.client(FakeFlavor(""), prompts=StaticPrompts(GREETING), recorder=recorder)


def test_a_call_of_ones_own_becomes_a_record(fp: object, recorder: MemoryRecorder) -> None:
    record_id = fp.record(
        "p",
        QUESTION,
        "The moon.",
        session_id="s",
        template=GREETING,
        variables={"name": "Ann"},
        provider="openai",
        model="gpt-4o",
        parameters={"temperature": 0.2},
        usage=Usage(input_tokens=5, output_tokens=3),
        latency_ms=1500,
        metadata={"user": "u-1"},
    )
    (record,) = recorder.records
    assert (record.record_id, record.project_id, record.session_id) == (record_id, "p", "s")
    assert (record.text, record.outcome, record.model, record.provider) == ("The moon.", "complete", "gpt-4o", "openai")
    assert record.template.version == "3"
    assert record.parameters["temperature"].layer == "call"
    assert record.ended_at - record.started_at == timedelta(milliseconds=1500)
    assert record.choices[0].finish_reason == "stop"


def test_an_answer_may_be_a_message_a_response_or_not_there_yet(
    fp: object, recorder: MemoryRecorder, twin: Twin
) -> None:
    call = {"id": "c1", "name": "tide_table", "arguments": "{}"}
    fp.record("p", QUESTION, {"role": "assistant", "content": None, "tool_calls": [call]})
    assert recorder.records[0].choices[0].tool_calls[0].name == "tide_table"
    assert recorder.records[0].choices[0].finish_reason == "tool_calls"
    response = twin.do(fp.get_completion("p", "greeting", {}, model="fake-1"))
    fp.record("p", "What is a tide?", response)
    assert recorder.records[2].model == "fake-1"
    record_id = fp.record("p", QUESTION, None)
    fp.update_record("p", record_id, new_messages={"role": "assistant", "content": "The moon."})
    assert recorder.records[3].choices == ()
    assert recorder.amendments[0].record_id == record_id
    assert recorder.amendments[0].new_messages[0].content == "The moon."


def test_a_start_may_be_given(fp: object, recorder: MemoryRecorder) -> None:
    started_at = datetime(2026, 11, 21, tzinfo=UTC)
    fp.record("p", QUESTION, "The moon.", started_at=started_at, outcome="truncated")
    assert recorder.records[0].started_at == started_at
    assert recorder.records[0].choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("error", "says", "act"),
    [
        (ConfigurationError, "outcome 'fine'", lambda fp: fp.record("p", QUESTION, "a", outcome="fine")),
        (ConfigurationError, "latency_ms=-1", lambda fp: fp.record("p", QUESTION, "a", latency_ms=-1)),
        (
            ConfigurationError,
            "no time zone",
            lambda fp: fp.record("p", QUESTION, "a", started_at=datetime(2026, 11, 21)),  # noqa: DTZ001 - that is it
        ),
        (ConfigurationError, "role 'user'", lambda fp: fp.record("p", QUESTION, QUESTION[0])),
        (MessageError, "'tutor'", lambda fp: fp.record("p", [{"role": "tutor", "content": ""}], "a")),
        (ParameterError, "temperature", lambda fp: fp.record("p", QUESTION, "a", parameters={"temperature": 9})),
        (ConfigurationError, "record_id is blank", lambda fp: fp.feedback("p", "", "positive")),
        (ConfigurationError, "feedback 'good'", lambda fp: fp.feedback("p", "r", "good")),
        (ConfigurationError, "nothing was said", lambda fp: fp.feedback("p", "r")),
        (ConfigurationError, "nothing was said", lambda fp: fp.update_record("p", "r")),
        (ConfigurationError, "score 'tone'", lambda fp: fp.score("p", "r", "tone", ["bad"])),
        (ConfigurationError, "finite", lambda fp: fp.score("p", "r", "tone", float("nan"))),
    ],
)
def test_what_is_not_right_is_named_and_nothing_is_kept(
    fp: object, recorder: MemoryRecorder, error: type[Exception], says: str, act: Callable[[object], object]
) -> None:
    with pytest.raises(error, match=says):
        act(fp)
    assert recorder.records == []
    assert recorder.amendments == []


def test_feedback_and_scores_are_kept_beside_the_record(fp: object, recorder: MemoryRecorder) -> None:
    fp.feedback("p", "r", "negative", reason="too long", stars=2)
    fp.feedback("p", "r", comment="no thumb")
    fp.score("p", "r", "tone", 0.75)
    fp.update_record("p", "r", scores={"safe": True, "grade": "B"})
    thumb, comment, tone, both = recorder.amendments
    assert (thumb.feedback, thumb.comments) == ("negative", {"reason": "too long", "stars": 2})
    assert (comment.feedback, comment.comments) == (None, {"comment": "no thumb"})
    assert tone.scores == {"tone": 0.75}
    assert both.scores == {"safe": True, "grade": "B"}
    assert len({amendment.amendment_id for amendment in recorder.amendments}) == 4
