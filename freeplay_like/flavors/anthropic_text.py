"""Text prompts for Anthropic, as 0.1.6 sent them; their endpoint is gone, so they are spoken as messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from freeplay_like.core.messages import Message, Role
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonValue
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.base import Request

_MARK: Final = re.compile(r"\n\n(Human|Assistant):")
_ROLES: Final[Mapping[str, Role]] = {"Human": "user", "Assistant": "assistant"}


class AnthropicClaudeText(AnthropicClaudeChat):
    """A text prompt for Anthropic; arguments as in `AnthropicClaudeChat`.

    A prompt is one message of the user. Where it has the marks of the old text format, each is the beginning of a
    turn, what stands before the first is the system's, and an empty turn at the end is left out.
    """

    name = "anthropic_text"

    @property
    def default_parameters(self) -> Mapping[str, JsonValue]:
        """The limit that 0.1.6 had."""
        return {"max_tokens_to_sample": 100}

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """The prompt as turns; see `AnthropicClaudeChat.format`."""
        turns = [turn for message in messages for turn in _turns(message)]
        return super().format(turns, parameters, is_stream=is_stream)


def _turns(message: Message) -> list[Message]:
    if message.role != "user" or not isinstance(message.content, str):
        return [message]
    before, *marked = _MARK.split(message.content)
    if not marked:
        return [message]
    spoken = [(_ROLES[mark], text.strip()) for mark, text in zip(marked[::2], marked[1::2], strict=True)]
    if before.strip():
        spoken.insert(0, ("system", before.strip()))
    return [attrs.evolve(message, role=role, content=text) for role, text in spoken if text]
