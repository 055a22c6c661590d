"""Content parts: what stands in a message beside plain text.

The shape of OpenAI's chat API is the canonical one, because most servers read it and every flavor can turn it into its
own. A block that only one provider knows passes as it is: its flavor, or the provider, judges it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from freeplay_like.core.media import Media
from freeplay_like.core.wire import MAX_DEPTH, JsonObject

_INSIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "image_url": ("url",),
    "audio_url": ("url",),
    "video_url": ("url",),
    "input_audio": ("data", "url"),
    "file": ("file_data", "file_id", "file_url"),
}
"""The kinds that hold an object named like themselves, and the texts of which it needs one."""


def content_of(text: str, media: Sequence[Media]) -> str | tuple[JsonObject, ...]:
    """The content of a message: its text, and media after it. An empty text is no part, for providers refuse one."""
    if not media:
        return text
    return (*([{"type": "text", "text": text}] if text else ()), *(medium.to_part() for medium in media))


def part_of(value: object) -> object:
    """What a caller gave as a part, as a mapping where it can be one: `Media`, or a block of a provider's client."""
    return value.to_part() if isinstance(value, Media) else plain(value)


def plain(value: object) -> object:
    """An object of a provider's client (a pydantic model) as plain JSON; anything else as it is."""
    dump = None if isinstance(value, (type, Mapping)) else getattr(value, "model_dump", None)
    return dump(mode="json", exclude_none=True, warnings=False) if callable(dump) else value


def problem_with_part(part: object) -> str | None:
    """What is wrong with a content part, as the end of the sentence "a part that ..."; None where nothing is."""
    if not isinstance(part, Mapping):
        return f"is not a mapping but {type(part).__name__}; expected {{'type': 'text', 'text': ...}} or Media"
    kind = part.get("type")
    if not isinstance(kind, str) or not kind:
        return f"has type {kind!r}; expected one such as 'text', 'image_url', 'input_audio' or 'file'"
    if kind == "text" and not isinstance(part.get("text"), str):
        return f"is text, but its 'text' is {type(part.get('text')).__name__}; expected text"
    needed = _INSIDE.get(kind)
    inside = part.get(kind)
    if needed and not (isinstance(inside, Mapping) and any(isinstance(inside.get(name), str) for name in needed)):
        return f"is of type {kind!r}; expected {{'type': {kind!r}, {kind!r}: {{{needed[0]!r}: ...}}}}"
    return _problem_with_json(part, 0)


def _problem_with_json(value: object, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH}"
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return "has a name that is not text"
        return _first_problem(value.values(), depth)
    if isinstance(value, (list, tuple)):
        return _first_problem(value, depth)
    if isinstance(value, float) and not math.isfinite(value):
        return f"holds {value!r}, which JSON has no word for"
    if value is None or isinstance(value, (str, int, float)):
        return None
    return f"holds {type(value).__name__}, which is not JSON; bytes go through Media.from_bytes"


def _first_problem(values: Iterable[object], depth: int) -> str | None:
    return next((problem for value in values if (problem := _problem_with_json(value, depth + 1))), None)
