"""A chat makes one call at a time and says so; a plain session may make many at once."""

from __future__ import annotations

import gc

import pytest

from freeplay_like import (
    HistorySlot,
    PromptTemplate,
    ProviderRejected,
    SessionBusyError,
    TemplateMessage,
)
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin
from support.waiting import until

ASSISTANT = PromptTemplate(
    name="assistant", model="fake-1", messages=(HistorySlot(), TemplateMessage(role="user", content="{{question}}"))
)
TIDES = {"question": "What is a tide?"}


def client(twin: Twin, *answers: object) -> tuple[object, FakeFlavor, MemoryRecorder]:
    flavor, recorder = FakeFlavor(*answers), MemoryRecorder()
    return twin.client(flavor, prompts=StaticPrompts(ASSISTANT), recorder=recorder), flavor, recorder


def test_a_second_call_in_the_loop_of_the_first_is_refused_and_harms_nothing(twin: Twin) -> None:
    fp, flavor, recorder = client(twin, ["The ", "moon."], "Twice a day.")
    chat, _, stream = twin.do(fp.start_chat_stream("p", "assistant", TIDES))
    assert twin.next(stream).text == "The "
    with pytest.raises(SessionBusyError, match=f"still in call {stream.record_id}.*close it") as caught:
        twin.do(chat.continue_chat([{"role": "user", "content": "How often?"}]))
    assert caught.value.session_id == chat.session_id
    assert len(flavor.requests) == 1
    assert [chunk.text for chunk in twin.chunks(stream)] == ["moon.", ""]
    assert twin.do(chat.send("How often?")).content == "Twice a day."
    assert [record.outcome for record in recorder.records] == ["complete", "complete"]


def test_a_chat_is_free_again_however_its_call_ended(twin: Twin) -> None:
    fp, _, _ = client(twin, "The moon.", ProviderRejected("no"), ["Tw", "ice"], ["Tw", ProviderRejected("no")], "Yes.")
    chat, _ = twin.do(fp.start_chat("p", "assistant", TIDES))
    with pytest.raises(ProviderRejected):
        twin.do(chat.send("Refused?"))
    twin.close(twin.do(chat.send_stream("Closed?")))
    with pytest.raises(ProviderRejected):
        twin.chunks(twin.do(chat.send_stream("Broken off?")))
    assert twin.do(chat.send("Free?")).content == "Yes."


def test_a_chat_is_free_again_when_its_stream_was_dropped(twin: Twin) -> None:
    fp, _, recorder = client(twin, "The moon.", ["Tw", "ice"], "Yes.")
    chat, _ = twin.do(fp.start_chat("p", "assistant", TIDES))
    stream = twin.do(chat.send_stream("Dropped?"))
    twin.next(stream)
    del stream
    gc.collect()
    until(lambda: len(recorder.records) == 2, what="the dropped stream's record")
    assert recorder.records[1].outcome == "abandoned"
    assert twin.do(chat.send("Free?")).content == "Yes."


def test_a_plain_session_runs_calls_side_by_side_and_counts_them_all(twin: Twin) -> None:
    fp, _, recorder = client(twin, "Yes.")
    session = fp.create_session("p")
    held = [twin.do(session.get_completion_stream("assistant", TIDES)) for _ in range(3)]
    answers = twin.jobs(*[lambda: session.get_completion("assistant", TIDES) for _ in range(20)])
    assert [answer.content for answer in answers] == ["Yes."] * 20
    for stream in held:
        twin.chunks(stream)
    assert session.totals.calls == 23
    assert len(recorder.records) == 23
