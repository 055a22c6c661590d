"""Token estimates: near what vocabularies count, and never an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.history import ChatHistory
from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.tokens import MEDIA_TOKENS, MESSAGE_TOKENS, estimate_tokens
from freeplay_like.errors import MessageError


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        (
            "The tide comes in twice a day because the Moon pulls the water on the near side more than the Earth "
            "beneath it, and the Earth more than the water on the far side.",
            36,
        ),
        (
            "Die Flut kommt zweimal am Tag, weil der Mond das Wasser auf der ihm zugewandten Seite stärker anzieht "
            "als die Erde darunter.",
            31,
        ),
        (
            "Прилив приходит дважды в день, потому что Луна притягивает воду на ближней стороне сильнее, "
            "чем саму Землю.",
            32,
        ),
        ("潮汐每天来两次，因为月球对近侧海水的吸引力大于对地球本身的吸引力。", 25),  # noqa: RUF001
        (
            'def tides(day: date, *, place: Place) -> list[Tide]:\n    """The tides of a day."""\n'
            "    return [Tide(at=t, height_m=h) for t, h in table(place, day) if h > 0.5]\n",
            55,
        ),
        (
            '{"city": "Brest", "tides": [{"at": "2026-01-01T04:12:00Z", "height_m": 6.4}, '
            '{"at": "2026-01-01T16:35:00Z", "height_m": 6.1}]}',
            66,
        ),
    ],
    ids=["English", "German", "Russian", "Chinese", "Python", "JSON"],
)
def test_an_estimate_is_near_the_mean_of_what_two_vocabularies_count(text: str, counted: int) -> None:
    assert 0.8 <= estimate_tokens(text) / counted <= 1.35


@given(st.text(alphabet=st.characters(), max_size=200))
def test_every_text_has_an_estimate(text: str) -> None:
    assert bool(text.strip()) <= estimate_tokens(text) <= 4 * len(text)


def test_a_text_of_half_characters_and_nothing_has_one() -> None:
    assert estimate_tokens("\ud83d") > 0
    assert estimate_tokens("") == 0


@pytest.mark.parametrize("character", ["a", "A", "é", "1", ".", " ", "\n", "я", "水", "😀", "\0"])
def test_long_runs_of_one_character_are_counted_to_their_end(character: str) -> None:
    assert estimate_tokens(character * 200_000 + " end") >= estimate_tokens(" end")


def test_a_message_costs_more_than_its_text() -> None:
    said = "Hello there"
    assert estimate_tokens({"role": "user", "content": said}) == estimate_tokens(said) + MESSAGE_TOKENS
    two = ChatHistory(said).with_assistant(said)
    assert estimate_tokens(two) == estimate_tokens(two.messages) > 2 * estimate_tokens(said)
    assert estimate_tokens([]) == 0


def test_media_count_the_same_whatever_their_size() -> None:
    small, large = (Media.from_bytes(b"x" * size, "image/png") for size in (1, 100_000))
    assert estimate_tokens(ChatHistory().with_user("", small)) == MESSAGE_TOKENS + MEDIA_TOKENS
    assert estimate_tokens(ChatHistory().with_user("", large)) == MESSAGE_TOKENS + MEDIA_TOKENS


def test_calls_reasoning_and_blocks_of_a_provider_count() -> None:
    bare = Message(role="assistant")
    call = Message(role="assistant", tool_calls=(ToolCall(id="1", name="look", arguments='{"at": "noon"}'),))
    thought = Message(role="assistant", reasoning="Let me see.", tool_calls=call.tool_calls)
    block = Message(role="assistant", content=({"type": "own", "words": "a b c"},))
    assert estimate_tokens(bare) < estimate_tokens(call) < estimate_tokens(thought)
    assert estimate_tokens(block) > estimate_tokens(bare)


def test_descriptions_of_tools_come_on_top() -> None:
    tools = [{"name": "look", "description": "Look at the sky", "parameters": {"type": "object"}}]
    assert estimate_tokens("hi", tools=tools) > estimate_tokens("hi") + 10


def test_what_is_no_message_is_an_error() -> None:
    with pytest.raises(MessageError, match="message 0 must be a mapping"):
        estimate_tokens([1])  # type: ignore[list-item]
