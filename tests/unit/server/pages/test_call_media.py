"""Parts that are not text."""

from __future__ import annotations

import pytest

from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message
from freeplay_like.server.pages.call.media import (
    IMAGE_LIMIT_CHARACTERS,
    Attachment,
    attachments_of,
    within_limit,
)

PNG = "data:image/png;base64,iVBORw0KGgo="


def attachment(part: dict[str, object]) -> Attachment:
    (found,) = attachments_of(Message(role="user", content=({"type": "text", "text": "t"}, part)))  # type: ignore[dict-item]  # JSON
    return found


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "input_image", "image_url": PNG},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
    ],
    ids=["chat", "responses", "anthropic"],
)
def test_a_small_image_is_shown_in_any_providers_words(part: dict[str, object]) -> None:
    found = attachment(part)
    assert found.source == PNG
    assert found.about == "image/png, 8 B"


@pytest.mark.parametrize(
    ("address", "about"),
    [
        ("https://evil.example/a.png?secret=1", "at evil.example, not loaded"),
        ("//evil.example/a.png", "at evil.example, not loaded"),
        ("data:image/svg+xml;base64,PHN2Zz4=", "image/svg+xml, 5 B"),
        ("data:image/png,<svg onload=alert(1)>", "image/png, 21 B"),
        ('data:image/png;base64,AAAA" onerror="alert(1)', "image/png, 17 B"),
        ("javascript:alert(1)", "a part of type image_url"),
        ("http://[broken", "a part of type image_url"),
    ],
)
def test_anything_else_is_only_named(address: str, about: str) -> None:
    found = attachment({"type": "image_url", "image_url": {"url": address}})
    assert found.source is None
    assert found.about == about


def test_a_large_image_is_only_named() -> None:
    found = attachment({"type": "image_url", "image_url": {"url": PNG[:-12] + "A" * IMAGE_LIMIT_CHARACTERS}})
    assert found.source is None
    assert found.about.startswith("image/png, 1.1 MB")
    assert len(found.body) < 1_000


def test_sounds_and_files_are_named_with_their_size() -> None:
    assert attachment(Media.from_bytes(b"x" * 3000, "audio/wav").to_part()).about == "data, 3.0 kB"
    assert attachment(Media.from_bytes(b"x" * 300, "application/pdf").to_part()).about == "application/pdf, 300 B"


def test_past_the_limit_of_a_page_images_are_described() -> None:
    one = Attachment(kind="image", about="", body="", source="x" * 10)
    assert [each.source for each in within_limit((one, one), 15)] == ["x" * 10, None]
