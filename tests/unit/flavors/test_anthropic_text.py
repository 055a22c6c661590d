import pytest

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ConfigurationError
from freeplay_like.flavors.anthropic_text import AnthropicClaudeText

FLAVOR = AnthropicClaudeText("a key")


def body(*messages: Message, **values: object) -> JsonObject:
    layers = [("flavor", FLAVOR.default_parameters), ("call", {"model": "claude", **values})]
    return FLAVOR.format(messages, merge(layers), is_stream=False).body


def user(text: str) -> Message:
    return Message(role="user", content=text)


def test_a_prompt_is_one_message_of_the_user_with_0_1_6s_limit() -> None:
    assert FLAVOR.name == "anthropic_text"
    assert body(user("Tell me of Rome.\n")) == {
        "model": "claude",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Tell me of Rome.\n"}],
    }


@pytest.mark.parametrize("name", ["max_tokens", "max_tokens_to_sample", "max_completion_tokens"])
def test_the_limit_is_taken_under_every_name(name: str) -> None:
    sent = body(user("a"), **{name: 7})
    assert sent["max_tokens"] == 7
    assert "max_tokens_to_sample" not in sent


@pytest.mark.parametrize(
    ("prompt", "system", "turns"),
    [
        ("\n\nHuman: a \n\nAssistant:", None, [("user", "a")]),
        (
            "Be brief.\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:",
            "Be brief.",
            [("user", "a"), ("assistant", "b"), ("user", "c")],
        ),
        ("\n\nHuman: a\n\nAssistant: Sure,", None, [("user", "a"), ("assistant", "Sure,")]),
        ("I quote: Human: a\nAssistant: b", None, [("user", "I quote: Human: a\nAssistant: b")]),
        ("\n\nHumanity is old", None, [("user", "\n\nHumanity is old")]),
    ],
)
def test_the_old_marks_are_turns(prompt: str, system: str | None, turns: list[object]) -> None:

    sent = body(user(prompt))
    assert sent.get("system") == system
    assert [(turn["role"], turn["content"]) for turn in sent["messages"]] == turns


def test_a_history_is_sent_as_it_is() -> None:
    sent = body(
        Message(role="system", content="s"), user("a"), Message(role="assistant", content="\n\nHuman: b"), user("c")
    )
    assert [turn["content"] for turn in sent["messages"]] == ["a", "\n\nHuman: b", "c"]
    assert sent["system"] == "s"


def test_a_prompt_of_marks_alone_is_no_prompt() -> None:
    with pytest.raises(ConfigurationError, match="anthropic_text needs a message"):
        body(user("\n\nHuman: \n\nAssistant:"))
