"""Chats and sessions: what is sent, what is remembered, what is refused."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from freeplay_like import (
    APIKeyMissingError,
    AsyncFreeplay,
    ConfigurationError,
    Freeplay,
    HistorySlot,
    MissingVariablesError,
    ParameterError,
    PromptTemplate,
    ProviderUnavailable,
    Retry,
    TemplateMessage,
    TemplateNotFoundError,
    ToolCallDelta,
    Usage,
)
from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.testing import CUT, FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin

ASSISTANT = PromptTemplate(
    name="assistant",
    model="fake-1",
    parameters={"temperature": 0.2},
    messages=(
        TemplateMessage(role="system", content="You help {{name}}."),
        HistorySlot(),
        TemplateMessage(role="user", content="{{question}}"),
    ),
)
VARIABLES = {"name": "Ann", "question": "What is a tide?"}


def client(flavor: FakeFlavor, recorder: MemoryRecorder | None = None, **parameters: object) -> Freeplay:
    return Freeplay(flavor, prompts=StaticPrompts(ASSISTANT), recorder=recorder or MemoryRecorder(), **parameters)


def test_a_chat_is_started_and_continued_with_its_own_history() -> None:
    flavor, recorder = FakeFlavor("The moon.", "Twice a day."), MemoryRecorder()
    chat, messages, stream = client(flavor, recorder).start_chat_stream("p", "assistant", VARIABLES)
    assert messages == [
        {"role": "system", "content": "You help Ann."},
        {"role": "user", "content": "What is a tide?"},
    ]
    assert len(chat.history) == 0
    assert stream.result().content == "The moon."
    assert chat.history.to_chat() == [*messages, {"role": "assistant", "content": "The moon."}]
    answer = chat.send("How often?")
    assert answer.content == "Twice a day."
    assert answer.message_history == chat.history.to_chat()
    assert [m["content"] for m in flavor.requests[1].body["messages"]] == [  # type: ignore[attr-defined]
        "You help Ann.",
        "What is a tide?",
        "The moon.",
        "How often?",
    ]
    assert {record.session_id for record in recorder.records} == {chat.session_id}
    assert chat.totals.calls == 2
    assert chat.totals.output_tokens == 2


def test_a_caller_may_keep_the_history() -> None:
    flavor = FakeFlavor("The moon.", "Twice a day.")
    chat, first = client(flavor).start_chat("p", "assistant", VARIABLES)
    history = first.message_history
    second = chat.continue_chat(history, [{"role": "user", "content": "How often?"}], temperature=None)
    assert second.message_history[:-2] == history
    assert second.message_history[-1] == {"role": "assistant", "content": "Twice a day."}
    assert "temperature" not in flavor.requests[1].body
    stream = chat.continue_chat_stream(second.message_history, {"role": "user", "content": "Why?"})
    assert stream.result().content == "Twice a day."
    assert len(flavor.requests[2].body["messages"]) == 6  # type: ignore[arg-type]


def test_what_a_caller_does_to_returned_messages_changes_nothing() -> None:
    flavor = FakeFlavor("a")
    chat, messages, stream = client(flavor).start_chat_stream("p", "assistant", VARIABLES)
    messages.append({"role": "user", "content": "poison"})
    messages[0]["content"] = "poison"
    stream.result()
    chat.history.to_chat().clear()
    assert "poison" not in str(flavor.requests) + str(chat.history)
    assert len(chat.history) == 3


def test_a_failed_turn_is_not_remembered() -> None:
    recorder = MemoryRecorder()
    chat, first = client(FakeFlavor("a", ["b", ProviderUnavailable("gone")], "c"), recorder).start_chat(
        "p", "assistant", VARIABLES
    )
    before = chat.history
    stream = chat.send_stream("again?")
    with pytest.raises(ProviderUnavailable) as caught:
        stream.result()
    assert caught.value.partial is not None
    assert caught.value.partial.content == "b"
    assert chat.history == before
    assert before.to_chat() == first.message_history
    assert chat.send("again!").message_history[-2:] == [
        {"role": "user", "content": "again!"},
        {"role": "assistant", "content": "c"},
    ]
    assert [record.outcome for record in recorder.records] == ["complete", "error", "complete"]


def test_a_turn_that_was_left_early_is_not_remembered() -> None:
    chat, _ = client(FakeFlavor("a", ["b", "c"])).start_chat("p", "assistant", VARIABLES)
    before = chat.history
    with chat.send_stream("again?") as stream:
        next(stream)
    assert chat.history == before


def test_a_chat_that_never_began_cannot_be_continued() -> None:
    chat, _, _stream = client(FakeFlavor("a")).start_chat_stream("p", "assistant", VARIABLES)
    with pytest.raises(ConfigurationError, match="start it first"):
        chat.send("and?")


def test_nothing_is_sent_or_recorded_when_the_call_is_wrong() -> None:
    flavor, recorder = FakeFlavor("a"), MemoryRecorder()
    fp = client(flavor, recorder)
    with pytest.raises(MissingVariablesError) as caught:
        fp.start_chat("p", "assistant", {"country": "x"})
    assert caught.value.variables == ("name", "question")
    with pytest.raises(ParameterError, match="'temperature' must be"):
        fp.start_chat("p", "assistant", VARIABLES, temperature=7)
    with pytest.raises(TemplateNotFoundError, match="'assistent'"):
        fp.start_chat("p", "assistent", VARIABLES)
    assert flavor.requests == []
    assert recorder.records == []
    assert recorder.started == {}


def test_a_client_without_a_key_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FREEPLAY_LIKE_API_KEY", raising=False)
    for key in (None, "", "  "):
        with pytest.raises(APIKeyMissingError, match="FREEPLAY_LIKE_API_KEY"):
            Freeplay(FakeFlavor("a"), key)


def test_a_template_without_a_flavor_needs_one_from_the_client() -> None:
    fp = Freeplay(prompts=StaticPrompts(ASSISTANT), recorder=MemoryRecorder())
    with pytest.raises(ConfigurationError, match="no flavor for template 'assistant'"):
        fp.start_chat("p", "assistant", VARIABLES)


def test_a_call_s_own_flavor_wins() -> None:
    usual, special = FakeFlavor("usual"), FakeFlavor("special")
    assert client(usual).get_completion("p", "assistant", VARIABLES, "prod", special).content == "special"
    assert usual.requests == []


def test_a_prompt_does_not_change_in_the_middle_of_a_session() -> None:
    prompts = StaticPrompts(ASSISTANT)
    flavor = FakeFlavor("a", "b")
    fp = Freeplay(flavor, prompts=prompts, recorder=MemoryRecorder())
    chat, _ = fp.start_chat("p", "assistant", VARIABLES)
    prompts.templates["assistant"] = PromptTemplate(
        name="assistant", model="fake-2", messages=(TemplateMessage(role="user", content="x"),)
    )
    chat.send("on")
    assert flavor.requests[1].model == "fake-1"
    fp.start_chat("p", "assistant", VARIABLES)
    assert flavor.requests[2].model == "fake-2"


async def test_the_async_twin_does_the_same() -> None:
    flavor, recorder = FakeFlavor("The moon.", "Twice a day.", "Because.", "Yes."), MemoryRecorder()
    async with AsyncFreeplay(flavor, prompts=StaticPrompts(ASSISTANT), recorder=recorder) as fp:
        chat, messages, stream = await fp.start_chat_stream("p", "assistant", VARIABLES)
        assert [chunk.text async for chunk in stream] == ["The moon.", ""]
        answer = await chat.send("How often?")
        assert answer.message_history == chat.history.to_chat()
        assert chat.history[: len(messages)].to_chat() == messages
        assert (await (await chat.send_stream("Why?"))).content == "Because."
        kept = await chat.continue_chat(chat.history, "Sure?")
        assert kept.content == "Yes."
        assert (await (await chat.continue_chat_stream(kept.message_history, "Sure?"))).content == "Yes."
        assert (await fp.get_completion("p", "assistant", VARIABLES)).content == "Yes."
        report = await fp.flush()
    assert report.is_complete
    assert [record.outcome for record in recorder.records] == ["complete"] * 6


WEATHER = CompletionChunk(tool_calls=(ToolCallDelta(index=0, id="c1", name="weather", arguments='{"city": "Oslo"}'),))
ASKS = CompletionChunk(finish_reason="tool_calls", finish_reason_raw="tool_calls")


def test_a_tools_answer_goes_back_into_the_conversation(twin: Twin) -> None:
    flavor, recorder = FakeFlavor([WEATHER, ASKS], "Rain."), MemoryRecorder()
    fp = twin.client(flavor, prompts=StaticPrompts(ASSISTANT), recorder=recorder)
    chat, first = twin.do(fp.start_chat("p", "assistant", VARIABLES))
    (call,) = first.tool_calls
    assert (call.name, call.arguments) == ("weather", '{"city": "Oslo"}')
    answer = twin.do(chat.send([{"role": "tool", "tool_call_id": call.id, "content": "8 mm"}]))
    assert answer.content == "Rain."
    asked, told = flavor.requests[1].body["messages"][-2:]
    assert asked["tool_calls"][0]["id"] == told["tool_call_id"] == "c1"
    assert [message.role for message in chat.history][-3:] == ["assistant", "tool", "assistant"]


def test_a_prompt_changes_in_a_session_only_when_asked(twin: Twin) -> None:
    flavor, prompts = FakeFlavor("Yes."), StaticPrompts(ASSISTANT)
    fp = twin.client(flavor, prompts=prompts, recorder=MemoryRecorder())
    session = fp.create_session("p")
    twin.do(session.get_completion("assistant", VARIABLES))
    prompts.templates["assistant"] = attrs.evolve(ASSISTANT, parameters={"temperature": 0.9})
    twin.do(session.get_completion("assistant", VARIABLES))
    session.refresh_templates()
    twin.do(session.get_completion("assistant", VARIABLES))
    assert [request.body["temperature"] for request in flavor.requests] == [0.2, 0.2, 0.9]


def test_totals_count_tokens_and_know_what_they_cost(twin: Twin) -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cached_input_tokens=200)
    told = CompletionChunk(finish_reason="stop", usage=usage, model="gpt-4o")
    untold = CompletionChunk(finish_reason="stop", model="gpt-4o")
    flavor = FakeFlavor(["Yes.", told], ProviderUnavailable("boom"), ["Yes.", untold])
    flavor.provider = "openai"
    fp = twin.client(flavor, prompts=StaticPrompts(ASSISTANT), recorder=MemoryRecorder(), retry=Retry(attempts=1))
    session = fp.create_session("p")
    assert session.totals.cost_usd == 0
    twin.do(session.get_completion("assistant", VARIABLES))
    assert session.totals.cost_usd == Decimal("0.00325")
    with pytest.raises(ProviderUnavailable):
        twin.do(session.get_completion("assistant", VARIABLES))
    totals = session.totals
    assert (totals.calls, totals.input_tokens, totals.output_tokens, totals.cached_input_tokens) == (2, 1000, 100, 200)
    assert totals.cost_usd == Decimal("0.00325")
    twin.do(session.get_completion("assistant", VARIABLES))
    assert session.totals.cost_usd is None


def test_an_answer_knows_how_long_it_took(twin: Twin) -> None:
    recorder = MemoryRecorder()
    fp = twin.client(FakeFlavor(["Ye", "s."]), prompts=StaticPrompts(ASSISTANT), recorder=recorder)
    _, answer = twin.do(fp.start_chat("p", "assistant", VARIABLES))
    (record,) = recorder.records
    assert (answer.latency_ms, answer.time_to_first_chunk_ms) == (record.latency_ms, record.time_to_first_chunk_ms)
    assert 0 <= answer.time_to_first_chunk_ms <= answer.latency_ms


def test_an_answer_that_may_be_incomplete_is_a_turn(twin: Twin) -> None:
    fp = twin.client(
        FakeFlavor(["Yes", CUT]), prompts=StaticPrompts(ASSISTANT), recorder=MemoryRecorder(), allow_incomplete=True
    )
    chat, answer = twin.do(fp.start_chat("p", "assistant", VARIABLES))
    assert answer.content == "Yes"
    assert chat.history[-1].text == "Yes"
