"""What holds for every conversation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.history import ChatHistory
from freeplay_like.core.messages import Message, ToolCall

IDS = st.sampled_from(["c1", "c2", "c3", ""])
TEXTS = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
PARTS = st.builds(lambda text, own: ({"type": "text", "text": text}, {"type": "own", "x": own}), TEXTS, JSON)
CALLS = st.lists(
    st.builds(ToolCall, id=IDS, name=st.just("f"), arguments=st.sampled_from(["{}", "not JSON"])), max_size=2
)
MESSAGES = st.one_of(
    st.builds(Message, role=st.sampled_from(["system", "developer", "user"]), content=TEXTS | PARTS),
    st.builds(Message, role=st.just("assistant"), content=st.none() | TEXTS, tool_calls=CALLS.map(tuple)),
    st.builds(Message, role=st.just("tool"), content=TEXTS, tool_call_id=st.sampled_from(["c1", "c2", "c3"])),
)
HISTORIES = st.lists(MESSAGES, max_size=14).map(ChatHistory)


def ids_without_call(history: ChatHistory) -> list[str | None]:
    called: set[str] = set()
    orphans = []
    for message in history:
        called.update(call.id for call in message.tool_calls)
        if message.role == "tool" and message.tool_call_id not in called:
            orphans.append(message.tool_call_id)
    return orphans


@given(HISTORIES)
def test_json_gives_back_the_history_it_was_written_from(history: ChatHistory) -> None:
    assert ChatHistory.from_json(history.to_json()) == history
    assert ChatHistory(history.to_chat()) == history


@given(HISTORIES, st.integers(0, 20))
def test_trimming_never_parts_a_call_from_its_answer(history: ChatHistory, max_tokens: int) -> None:
    trimmed = history.trimmed(max_tokens, len)
    assert len(ids_without_call(trimmed)) <= len(ids_without_call(history))
    assert trimmed.instructions == history.instructions
    assert trimmed.rounds == history.rounds[len(history.rounds) - len(trimmed.rounds) :]
    assert len(trimmed) <= max(max_tokens, len(history.last_rounds(1)))


@given(HISTORIES)
def test_rounds_and_instructions_are_the_whole_history(history: ChatHistory) -> None:
    rounds = [message for messages in history.rounds for message in messages]
    assert sorted(map(id, (*history.instructions, *rounds))) == sorted(map(id, history))
    assert all(messages for messages in history.rounds)
    assert history.last_rounds(len(history.rounds)) == history
    if history.rounds:
        assert history.last_rounds(1).rounds == history.rounds[-1:]
        assert history.without_last_round().rounds == history.rounds[:-1]


@given(HISTORIES, HISTORIES)
def test_two_sources_of_instructions_never_both_speak(first: ChatHistory, second: ChatHistory) -> None:
    both = first + second
    assert both.instructions == (first.instructions or second.instructions)
    assert len(both.with_system("s").instructions) == 1
    assert both.with_system(None).instructions == ()


@given(HISTORIES, st.slices(14))
def test_a_slice_keeps_the_instructions_and_what_it_was_asked_for(history: ChatHistory, part: slice) -> None:
    sliced = history[part]
    assert {id(message) for message in history.instructions} <= {id(message) for message in sliced}
    assert [m for m in history.messages[part] if m.role not in ("system", "developer")] == [
        m for m in sliced if m.role not in ("system", "developer")
    ]
