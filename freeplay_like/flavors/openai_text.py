"""OpenAI's text completions, and every server that speaks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonValue
from freeplay_like.errors import MessageError
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.content import contents_of, unsayable
from freeplay_like.flavors.openai_chat import OpenAIChatReader
from freeplay_like.flavors.openai_client import OpenAIFlavor
from freeplay_like.flavors.options import finished, refuse_unsayable, renamed
from freeplay_like.flavors.transport import body_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

_OTHER_NAMES: Final = {
    "max_completion_tokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "stop_sequences": "stop",
}
"""Parameters of other wire formats that this one has under another name."""

_UNSAYABLE: Final = ("tools", "tool_choice", "output_schema", "reasoning")

_SPEAKERS: Final[dict[str, str]] = {"user": "User", "assistant": "Assistant"}


class OpenAIText(OpenAIFlavor):
    """Text completions of OpenAI, or of a compatible server under `openai_api_base`; arguments as in `OpenAIFlavor`.

    The prompt is the texts of the messages, with a blank line between two of them. A conversation, in which the
    assistant has spoken, is written as a script: `User: ` and `Assistant: ` stand before what each says, what the
    system says stands as it is, and a last line `Assistant:` leaves the word to the model.
    """

    name = "openai_text"
    _arguments = frozenset({"model", "prompt", "stream"})

    @property
    def takes_output_schema(self) -> bool:
        """Text has no schema."""
        return False

    @property
    def default_parameters(self) -> Mapping[str, JsonValue]:
        """Token counts of streams are sent only when they are asked for; `stream_options=None` takes that back."""
        return {"stream_options": {"include_usage": True}}

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """The messages as one prompt, and the parameters beside it."""
        refuse_unsayable(parameters, _UNSAYABLE, self.name)
        body = renamed(body_of(parameters, self.name), parameters, _OTHER_NAMES)
        body["prompt"] = _prompt(messages)
        if not is_stream:
            body.pop("stream_options", None)
        return finished(body, parameters, is_stream=is_stream)

    def reader(self, request: Request) -> OpenAIChatReader:
        """A fresh reader for the answer to `request`."""
        return OpenAIChatReader(request, self.provider)

    def _create(self, client: OpenAI | AsyncOpenAI) -> Callable[..., object]:
        return client.completions.with_streaming_response.create


def _prompt(messages: Sequence[Message]) -> str:
    texts = [_text(message, index) for index, message in enumerate(messages)]
    if all(message.role != "assistant" for message in messages):
        return "\n\n".join(texts)
    lines = [
        f"{_SPEAKERS[message.role]}: {text}" if message.role in _SPEAKERS else text
        for message, text in zip(messages, texts, strict=True)
    ]
    return "\n\n".join([*lines, f"{_SPEAKERS['assistant']}:"])


def _text(message: Message, index: int) -> str:
    """The text of a message that is nothing else.

    Raises:
        MessageError: it calls a tool, or has a part that is not text.
    """
    if message.tool_calls or message.role == "tool":
        what = "calls a tool" if message.tool_calls else "is the result of a tool call"
        raise MessageError(f"message {index} ({message.role}) {what}, which openai_text cannot say", index=index)
    parts = contents_of(message, index)
    other = next((part for part in parts if part.kind != "text"), None)
    if other is not None:
        raise unsayable(other, message, index, OpenAIText.name)
    return "".join(part.text for part in parts)
