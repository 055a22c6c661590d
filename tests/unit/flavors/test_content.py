"""Content parts, read once and put into Anthropic's blocks."""

import base64
import copy

import pytest

from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import MessageError
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.content import contents_of

PNG = base64.b64encode(b"a picture").decode()
PDF = base64.b64encode(b"a document").decode()


def blocks(*parts: JsonObject, role: str = "user") -> object:
    call_id = "1" if role == "tool" else None
    message = Message(role=role, content=parts, tool_call_id=call_id)
    request = AnthropicClaudeChat("key").format(
        (Message(role="user", content="x"), message), merge([("call", {"model": "m"})]), is_stream=True
    )
    return request.body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        ),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": "https://example.org/a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        ),
        (
            {"type": "file", "file": {"file_id": "file_1"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/csv;charset=utf-8;base64,w7w="}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}},
        ),
        (
            {"type": "file", "file": {"file_data": f"data:image/png;base64,{PNG}"}, "cache_control": {"type": "x"}},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                "cache_control": {"type": "x"},
            },
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://example.org"}},
            {"type": "image", "source": {"type": "url", "url": "https://example.org"}},
        ),
        ({"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": "a", "cache_control": {}}),
    ],
)
def test_parts_become_blocks(part: JsonObject, block: JsonObject) -> None:
    before = copy.deepcopy(part)
    assert blocks(part) == [block]
    assert blocks(part, role="tool") == [{"type": "tool_result", "tool_use_id": "1", "content": [block]}]
    assert part == before


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}, "part of type 'audio/wav', which"),
        (Media.from_url("https://example.org/a.mp4", kind="video").to_part(), "part of type 'video_url', which"),
        (Media.from_url("https://example.org/a.mp3", kind="audio").to_part(), "part of type 'audio_url', which"),
        ({"type": "file", "file": {"file_data": "data:application/zip;base64,AA=="}}, "'application/zip', which"),
        ({"type": "image_url", "image_url": {"url": "data:application/pdf;base64,AA=="}}, "'application/pdf', which"),
        ({"type": "image_url", "image_url": {"url": "/home/a.png"}}, r"has a image at '/home/a.png'; use an http"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,AA"}}, "image at 'data:image/png,AA'; use"),
        ({"type": "image_url", "image_url": {"url": "data:;base64,AA"}}, "image at 'data:;base64,AA'; use"),
        ({"type": "file", "file": {"file_data": "JVBERi0"}}, "file at 'JVBERi0'; use"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}, "text/plain file that is not UTF-8"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,!"}}, "text/plain file that is not UTF-8"),
        ({"type": "text"}, "a part that is text, but"),
        ({"type": "input_audio", "input_audio": {}}, "a part that is of type 'input_audio'; expected"),
    ],
)
def test_a_part_that_cannot_be_said_is_named_with_its_message(part: JsonObject, said: str) -> None:
    with pytest.raises(MessageError, match=said) as caught:
        blocks(part)
    assert caught.value.index == 1
    assert "message 1 (user)" in str(caught.value)


def test_a_system_text_has_text_only() -> None:
    image = Media.from_bytes(b"x", "image/png").to_part()
    with pytest.raises(MessageError, match="the system text of anthropic_chat cannot say"):
        AnthropicClaudeChat("key").format(
            (Message(role="system", content=(image,)), Message(role="user", content="x")),
            merge([("call", {"model": "m"})]),
            is_stream=True,
        )


def test_text_alone_is_one_part() -> None:
    for content, text in (("a", "a"), ("", ""), (None, "")):
        (only,) = contents_of(Message(role="assistant", content=content), 0)
        assert (only.kind, only.text, only.raw) == ("text", text, {"type": "text", "text": text})


def test_a_copy_of_a_part_is_nobody_elses() -> None:
    message = Message(role="user", content=({"type": "new_block", "inside": {"a": [1]}},))
    (only,) = contents_of(message, 0)
    assert only.kind == "own"
    only.raw["inside"]["a"].append(2)
    assert message.content == ({"type": "new_block", "inside": {"a": [1]}},)
