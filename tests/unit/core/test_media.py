"""Media: what they are made from, and what they become."""

from __future__ import annotations

import json
from typing import cast

import pytest

from freeplay_like.core.media import Media, MediaKind
from freeplay_like.core.parts import problem_with_part
from freeplay_like.core.wire import JsonObject, from_wire, to_wire
from freeplay_like.errors import ConfigurationError

DATA = "aGk="


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (
            Media.from_bytes(b"hi", "image/png"),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        ),
        (Media.from_url("https://x/a", kind="image"), {"type": "image_url", "image_url": {"url": "https://x/a"}}),
        (
            Media.from_bytes(b"hi", "audio/mpeg"),
            {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}},
        ),
        (
            Media.from_base64(DATA, "Audio/WAV; rate=16000"),
            {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}},
        ),
        (Media.from_url("https://x/a", kind="audio"), {"type": "audio_url", "audio_url": {"url": "https://x/a"}}),
        (
            Media.from_bytes(b"hi", "video/mp4"),
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,aGk="}},
        ),
        (
            Media.from_bytes(b"hi", "application/pdf", filename="a.pdf"),
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}},
        ),
        (
            Media.from_bytes(b"hi", "image/png", kind="file"),
            {"type": "file", "file": {"file_data": "data:image/png;base64,aGk="}},
        ),
    ],
)
def test_a_medium_becomes_a_part_that_messages_take(media: Media, part: JsonObject) -> None:
    assert media.to_part() == part
    assert problem_with_part(media.to_part()) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "picture", "url": "https://x"}, "media of kind 'picture'; known: image, audio, video, file"),
        ({"kind": "image"}, "'image' needs either a url or data, and not both"),
        ({"kind": "image", "url": "https://x", "data": DATA}, "needs either a url or data, and not both"),
        ({"kind": "image", "data": DATA}, "has content type None; say what the data is, as in 'image/png'"),
        ({"kind": "image", "data": DATA, "content_type": "png"}, "has content type 'png'"),
        ({"kind": "image", "data": "a b", "content_type": "image/png"}, "is not base64: .*; bytes go through"),
        ({"kind": "image", "data": "å", "content_type": "image/png"}, "is not base64"),
    ],
)
def test_what_is_no_medium_is_refused(fields: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Media(kind=cast("MediaKind", fields.pop("kind")), **fields)


def test_freeplays_media_inputs_are_read_and_written() -> None:
    wire: JsonObject = {"type": "base64", "data": DATA, "content_type": "audio/wav"}
    assert Media.from_wire(wire).kind == "audio"
    assert Media.from_wire(wire, kind="file").kind == "file"
    assert Media.from_wire(wire).to_wire() == wire
    url: JsonObject = {"type": "url", "url": "https://x"}
    assert Media.from_wire(url, kind="video").to_wire() == url


@pytest.mark.parametrize("obj", [{}, {"type": "url", "url": "https://x"}, {"type": "base64", "data": DATA}])
def test_a_wrong_media_input_is_refused(obj: JsonObject) -> None:
    with pytest.raises(ConfigurationError, match=r"a media input has type .*; expected"):
        Media.from_wire(obj)


def test_data_does_not_fill_the_screen() -> None:
    assert len(repr(Media.from_bytes(b"x" * 100_000, "image/png"))) < 200


def test_a_medium_among_variables_is_json_in_a_record() -> None:
    photo = Media.from_bytes(b"hi", "image/png")
    kept = json.loads(to_wire({"photo": photo}))["photo"]
    assert kept == {"kind": "image", "url": None, "data": DATA, "content_type": "image/png", "filename": None}
    assert from_wire(to_wire(kept), Media) == photo
