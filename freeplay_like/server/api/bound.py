"""A version with its variables filled in: the messages that would be sent, also in a provider's own words.

What providers want is said in full by the flavors of the SDK; here it is text, tool calls, images and documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, TypeAlias

import attrs
from msgspec import Meta
from starlette.exceptions import HTTPException

from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message, message_from
from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire
from freeplay_like.errors import ConfigurationError, MessageError
from freeplay_like.server.api.prompt_bodies import check_nesting, template_wire
from freeplay_like.server.store.views import TemplateVersion

Format: TypeAlias = Callable[[Sequence[Message]], list[JsonObject]]


@attrs.frozen(kw_only=True)
class Bind:
    """What fills a version in. `history` is messages with roles; `media_inputs` is by the name of the place."""

    variables: JsonObject = attrs.field(factory=dict)
    history: Annotated[list[JsonObject], Meta(max_length=1_000)] | None = None
    media_inputs: dict[str, JsonObject] | None = None


def format_of(name: str | None) -> Format | None:
    """What puts messages into a provider's words, None where nobody asked for that.

    Raises:
        HTTPException: 400, no provider has that name.
    """
    if name is None:
        return None
    found = _FORMATS.get(name)
    if found is None:
        raise HTTPException(400, f"no format {name[:100]!r}; known: {', '.join(_FORMATS)}")
    return found


def bind(version: TemplateVersion, body: Bind, form: Format | None) -> JsonObject:
    """The template's JSON with the messages as they would be sent.

    `content` has them in chat shape; `formatted_content` in the provider's, None where no format was asked for;
    `system_content` is the system's text.

    Raises:
        MissingVariablesError: lists every name that has no value.
        TemplateError, MessageError: a value, or a message of the history, is of no use; says which.
        HTTPException: 400, a medium is of no use, or the provider has no words for something.
    """
    check_nesting(body, "variables", "history", "media_inputs")
    template = version.template
    history = [message_from(message, index=index) for index, message in enumerate(body.history or ())]
    messages = template.render({**body.variables, **_media(template, body.media_inputs or {})}, history)
    system = [message.text for message in messages if message.role == "system"]
    return {
        **template_wire(version),
        "content": [message.to_chat() for message in messages],
        "formatted_content": None if form is None else form(messages),
        "system_content": "\n\n".join(system) if system else None,
    }


def _media(template: PromptTemplate, inputs: Mapping[str, JsonObject]) -> dict[str, Media]:
    slots = (
        slot for message in template.messages if isinstance(message, TemplateMessage) for slot in message.media_slots
    )
    try:
        return {slot.name: Media.from_wire(inputs[slot.name], kind=slot.kind) for slot in slots if slot.name in inputs}
    except ConfigurationError as exc:
        raise HTTPException(400, f"media_inputs: {exc}") from exc


# --- providers' words -------------------------------------------------------------------------------------


def _openai(messages: Sequence[Message]) -> list[JsonObject]:
    return [{**message.to_chat()} for message in messages]


def _anthropic(messages: Sequence[Message]) -> list[JsonObject]:
    """Without the system's, whose text goes apart; what tools said is the user's to say."""
    turns: list[JsonObject] = []
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            continue
        role = "user" if message.role == "tool" else message.role
        turns.append({"role": role, "content": _anthropic_content(message, index)})
    return turns


def _anthropic_content(message: Message, index: int) -> str | list[JsonObject]:
    if message.role == "tool":
        content = message.content if isinstance(message.content, str) else _blocks(message, index)
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content}]
    if not message.tool_calls and isinstance(message.content, str):
        return message.content
    blocks = _blocks(message, index)
    for call in message.tool_calls:
        try:
            arguments = from_wire(call.arguments or "{}", dict)
        except WireError as exc:
            raise MessageError(f"message {index} calls {call.name!r} with what is no JSON object", index=index) from exc
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": arguments})
    return blocks


def _blocks(message: Message, index: int) -> list[JsonObject]:
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    return [_block(part, index) for part in message.content or ()]


def _block(part: Mapping[str, JsonValue], index: int) -> JsonObject:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return {"type": "image", "source": _source(url)}
        case {"type": "file", "file": {"file_data": str(url)}}:
            return {"type": "document", "source": _source(url)}
    raise MessageError(
        f"message {index} has a part of type {part.get('type')!r}, which anthropic does not take", index=index
    )


def _source(url: str) -> JsonObject:
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "base64", "media_type": media_type, "data": data}


_FORMATS: Final[Mapping[str, Format]] = {
    "openai": _openai,
    "openai_chat": _openai,
    "azure_openai_chat": _openai,
    "anthropic": _anthropic,
    "anthropic_chat": _anthropic,
}
