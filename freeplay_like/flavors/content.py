"""Content parts of messages, read once for every wire format that has blocks of its own.

The canonical shape is OpenAI's chat API's (see `core.parts`); a part of any other type is in a provider's own words.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

import attrs

from freeplay_like.core.messages import Message
from freeplay_like.core.parts import problem_with_part
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import MessageError

ContentKind = Literal["text", "image", "audio", "video", "file", "own"]
"""What a part is; `own` is a block in a provider's own words."""

_KINDS: Final[Mapping[str, ContentKind]] = {
    "text": "text",
    "image_url": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "video_url": "video",
    "file": "file",
}


@attrs.frozen(kw_only=True)
class Content:
    """One content part, in pieces.

    A medium has either a `url`, or `data` (base64) of a `media_type`, or a `file_id` of the provider's. `raw` is the
    part as it came, a copy of its own.
    """

    kind: ContentKind
    raw: JsonObject
    text: str = ""
    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    filename: str | None = None


def contents_of(message: Message, index: int) -> list[Content]:
    """The parts of a message; text alone is one part.

    Raises:
        MessageError: a part that is not of the shape its type has; names the message by `index`.
    """
    if message.content is None or isinstance(message.content, str):
        text = message.content or ""
        return [Content(kind="text", text=text, raw={"type": "text", "text": text})]
    return [_content(part, message, index) for part in message.content]


def unsayable(content: Content, message: Message, index: int, who: str) -> MessageError:
    """The error for a part that a wire format has no words for."""
    what = content.media_type or content.raw.get("type")
    return MessageError(
        f"message {index} ({message.role}) has a part of type {what!r}, which {who} cannot say", index=index
    )


def _content(part: JsonObject, message: Message, index: int) -> Content:
    problem = problem_with_part(part)
    if problem is not None:
        raise MessageError(f"message {index} ({message.role}) has a part that {problem}", index=index)
    raw = copy.deepcopy(dict(part))
    name = str(part["type"])
    kind = _KINDS.get(name, "own")
    inside = part.get(name)
    if kind == "text":
        return Content(kind=kind, raw=raw, text=str(part["text"]))
    if kind == "own" or not isinstance(inside, Mapping):
        return Content(kind="own", raw=raw)
    said = {key: value for key, value in inside.items() if isinstance(value, str)}
    medium = Content(kind=kind, raw=raw, filename=said.get("filename"), file_id=said.get("file_id"))
    if name == "input_audio" and "data" in said:
        return attrs.evolve(medium, data=said["data"], media_type=f"audio/{said.get('format', 'wav')}")
    address = said.get("url") or said.get("file_url") or said.get("file_data")
    return medium if address is None else _found_at(address, medium, message, index)


def _found_at(address: str, medium: Content, message: Message, index: int) -> Content:
    """The medium with what its address says: a `data:` url holds it, any other is where it lies."""
    scheme = urlsplit(address[:64]).scheme
    if scheme == "data":
        head, comma, data = address[len("data:") :].partition(",")
        media_type, *marks = head.split(";")
        if comma and media_type and "base64" in marks:
            return attrs.evolve(medium, data=data, media_type=media_type.lower())
    elif scheme in ("http", "https"):
        return attrs.evolve(medium, url=address)
    raise MessageError(
        f"message {index} ({message.role}) has a {medium.kind} at {address[:40]!r}; "
        "use an http(s) address or data:<content type>;base64,<data>",
        index=index,
    )
