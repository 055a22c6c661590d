"""Images, sounds, videos and files in messages."""

from __future__ import annotations

import base64
import binascii
from typing import Final, Literal, cast, get_args

import attrs

from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ConfigurationError

MediaKind = Literal["image", "audio", "video", "file"]
"""What a medium is to a model; `file` is everything it reads as a document."""

MEDIA_KINDS: Final[tuple[MediaKind, ...]] = get_args(MediaKind)

_AUDIO_FORMATS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a", "mp4": "m4a"}
"""The names that OpenAI's chat API has for kinds of sound, where they are not those of the content type."""


def _short(data: str | None) -> str:
    return "None" if data is None else f"<{len(data)} characters of base64>"


@attrs.frozen(kw_only=True)
class Media:
    """A medium: either the `url` it is found at, or its bytes as base64 in `data`.

    Made by `from_url`, `from_bytes` or `from_base64`. `content_type` is what HTTP calls it ("image/png"); data has to
    have one. `filename` is what the model is told.

    Raises:
        ConfigurationError: not exactly one of url and data, data that is not base64 or has no content type.
    """

    kind: MediaKind
    url: str | None = None
    data: str | None = attrs.field(default=None, repr=_short)
    content_type: str | None = None
    filename: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.kind not in MEDIA_KINDS:
            raise ConfigurationError(f"media of kind {self.kind!r}; known: {', '.join(MEDIA_KINDS)}")
        if bool(self.url) == bool(self.data):
            raise ConfigurationError(f"media of kind {self.kind!r} needs either a url or data, and not both")
        if self.data is None:
            return
        if not self.content_type or "/" not in self.content_type:
            raise ConfigurationError(
                f"media of kind {self.kind!r} has content type {self.content_type!r}; "
                "say what the data is, as in 'image/png'"
            )
        try:
            binascii.a2b_base64(self.data, strict_mode=True)
        except ValueError as exc:
            raise ConfigurationError(
                f"data of media of kind {self.kind!r} is not base64: {exc}; bytes go through Media.from_bytes"
            ) from exc

    @classmethod
    def from_url(
        cls, url: str, *, kind: MediaKind, content_type: str | None = None, filename: str | None = None
    ) -> Media:
        """What is found at an address that the provider can reach."""
        return cls(kind=kind, url=url, content_type=content_type, filename=filename)

    @classmethod
    def from_bytes(
        cls, data: bytes, content_type: str, *, kind: MediaKind | None = None, filename: str | None = None
    ) -> Media:
        """The bytes themselves; without `kind` the content type tells it."""
        return cls.from_base64(base64.b64encode(data).decode("ascii"), content_type, kind=kind, filename=filename)

    @classmethod
    def from_base64(
        cls, data: str, content_type: str, *, kind: MediaKind | None = None, filename: str | None = None
    ) -> Media:
        """The bytes as base64; without `kind` the content type tells it."""
        return cls(kind=kind or _kind_of(content_type), data=data, content_type=content_type, filename=filename)

    @property
    def address(self) -> str:
        """The url, or the data as a `data:` url."""
        return self.url if self.data is None else f"data:{self.content_type};base64,{self.data}"  # type: ignore[return-value]  # one is there

    def to_part(self) -> JsonObject:
        """The part of a message, in the shape of OpenAI's chat API (and, for videos and sounds by url, of the servers
        that speak it: vLLM, OpenRouter); each flavor makes its own of it."""
        if self.kind == "image":
            return {"type": "image_url", "image_url": {"url": self.address}}
        if self.kind == "video":
            return {"type": "video_url", "video_url": {"url": self.address}}
        if self.kind == "audio" and self.data is None:
            return {"type": "audio_url", "audio_url": {"url": self.address}}
        if self.kind == "audio":
            return {"type": "input_audio", "input_audio": {"data": self.data, "format": self._audio_format}}
        file: JsonObject = {"file_data": self.address}
        if self.filename is not None:
            file["filename"] = self.filename
        return {"type": "file", "file": file}

    @property
    def _audio_format(self) -> str:
        name = (self.content_type or "").partition("/")[2].partition(";")[0].strip().lower()
        return _AUDIO_FORMATS.get(name, name)

    def to_wire(self) -> JsonObject:
        """An entry of Freeplay's `media_inputs` (read from its client 0.6.1)."""
        if self.data is None:
            return {"type": "url", "url": self.url}
        return {"type": "base64", "data": self.data, "content_type": self.content_type}

    @classmethod
    def from_wire(cls, obj: JsonObject, *, kind: MediaKind | None = None) -> Media:
        """The medium of an entry of Freeplay's `media_inputs`.

        The entry of a url does not say what is there, so `kind` must; that of data says it in its content type.

        Raises:
            ConfigurationError: not of that shape.
        """
        found = obj.get("type"), obj.get("url"), obj.get("data"), obj.get("content_type")
        match found:
            case ("url", str(url), _, _) if kind is not None:
                return cls.from_url(url, kind=kind)
            case ("base64", _, str(data), str(content_type)):
                return cls.from_base64(data, content_type, kind=kind)
        expected = "{'type': 'base64', 'data', 'content_type'}, or {'type': 'url', 'url'} and its kind"
        raise ConfigurationError(f"a media input has type {obj.get('type')!r} and {sorted(obj)}; expected {expected}")


def _kind_of(content_type: str) -> MediaKind:
    family = content_type.partition("/")[0].strip().lower()
    return cast("MediaKind", family) if family in ("image", "audio", "video") else "file"
