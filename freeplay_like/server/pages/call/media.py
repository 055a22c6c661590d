"""The parts of a message that are not text. Small images are shown; nothing is ever fetched from anywhere. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import attrs

from freeplay_like.core.messages import Message
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.pages.formats import clipped, pretty, size

IMAGE_LIMIT_CHARACTERS: Final = 1_500_000
"""The longest image, as base64, that a page holds."""

PAGE_LIMIT_CHARACTERS: Final = 4_000_000
"""The most of all images together."""

PART_LIMIT_CHARACTERS: Final = 2_000
"""The most of a part's JSON that is shown."""

_IMAGE: Final = re.compile(r"data:(image/(?:png|jpeg|gif|webp));base64,([A-Za-z0-9+/]+={0,2})")
_DATA: Final = re.compile(r"data:([\w.+-]{1,60}/[\w.+-]{1,60})?(?:;[\w=.-]{1,60})*,")
_KEYS: Final = ("url", "file_data", "data", "image_url", "video_url", "audio_url", "input_audio", "file", "source")


@attrs.frozen(kw_only=True)
class Attachment:
    """A part of a message. `source` is an image's own bytes as a `data:` address, where it is shown; `about` says what
    is there instead, `body` is the part's JSON, cut where it is long."""

    kind: str
    about: str
    body: str
    source: str | None = None


def attachments_of(message: Message) -> tuple[Attachment, ...]:
    """The parts of a message that are not text."""
    if message.content is None or isinstance(message.content, str):
        return ()
    return tuple(_attachment(part) for part in message.content if part.get("type") != "text")


def _attachment(part: JsonObject) -> Attachment:
    kind = str(part.get("type", "part"))[:60]
    address = _address(part)
    image = _IMAGE.fullmatch(address) if len(address) <= IMAGE_LIMIT_CHARACTERS else None
    return Attachment(
        kind=kind,
        about=_about(address, part),
        body=clipped(pretty(_shortened(part)), PART_LIMIT_CHARACTERS),
        source=address if image else None,
    )


def _address(part: Mapping[str, JsonValue]) -> str:
    """The address in a part, or its bytes as one; "" where there is neither."""
    data, kind = part.get("data"), part.get("media_type") or part.get("content_type")
    if isinstance(data, str):
        return f"data:{kind};base64,{data}" if isinstance(kind, str) else f"data:;base64,{data}"
    for key in _KEYS:
        value = part.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, Mapping):
            return _address(value)
    return ""


def _about(address: str, part: JsonObject) -> str:
    data = _DATA.match(address)
    if data:
        length = len(address) - data.end()
        if data[0].endswith(";base64,"):
            length = length * 3 // 4 - address.endswith("=") - address.endswith("==")
        return f"{data[1] or 'data'}, {size(length)}"
    try:
        host = urlsplit(address).hostname
    except ValueError:
        host = None
    if host:
        return f"at {host[:100]}, not loaded"
    return f"a part of type {part.get('type', 'part')!s:.60}"


def _shortened(value: JsonValue) -> JsonValue:
    """The same with long texts cut, so that a megabyte of base64 is not laid out to be thrown away."""
    if isinstance(value, str):
        return clipped(value, 200)
    if isinstance(value, Mapping):
        return {name: _shortened(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(inner) for inner in value[:50]]
    return value


def within_limit(attachments: tuple[Attachment, ...], room: int) -> tuple[Attachment, ...]:
    """The same, with the images that are past `room` characters described instead of shown."""
    kept: list[Attachment] = []
    for each in attachments:
        room -= len(each.source or "")
        kept.append(each if room >= 0 else attrs.evolve(each, source=None))
    return tuple(kept)
