"""What the readers of all flavors do alike with failures."""

import json

import pytest

from freeplay_like.errors import (
    ContextLengthExceeded,
    ProviderDenied,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResponseError,
    ProviderUnavailable,
)
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.flavors.reading import error_for_status
from support.wire import read


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, ProviderRejected),
        (401, ProviderDenied),
        (403, ProviderDenied),
        (408, ProviderUnavailable),
        (409, ProviderUnavailable),
        (422, ProviderRejected),
        (425, ProviderUnavailable),
        (429, ProviderRateLimited),
        (500, ProviderUnavailable),
        (529, ProviderUnavailable),
    ],
)
def test_a_status_has_an_error_of_its_own(status: int, expected: type[ProviderError]) -> None:
    assert error_for_status(status) is expected


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "This model's maximum context length is 8192 tokens.",
        "Your input exceeds the context window of this model.",
    ],
)
def test_a_text_too_long_is_known_by_its_words_where_it_has_no_code(message: str) -> None:
    assert error_for_status(400, None, "invalid_request_error", message=message) is ContextLengthExceeded
    assert error_for_status(429, None, "rate_limit_error", message=message) is ProviderRateLimited


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": "m", "code": "context_length_exceeded"}, ContextLengthExceeded),
        ({"message": "prompt is too long", "type": "invalid_request_error"}, ContextLengthExceeded),
        ({"message": "m", "type": "authentication_error"}, ProviderDenied),
        ({"message": "m", "code": 403}, ProviderDenied),
    ],
)
def test_a_failure_told_in_the_answer_is_told_apart_like_one_in_its_status(
    error: dict[str, object], expected: type[ProviderError]
) -> None:
    reader = OpenAIChat("key").reader(Request(body={}, is_stream=True))
    caught = read(reader, [b"data: " + json.dumps({"error": error}).encode() + b"\n\n"]).error
    assert type(caught) is expected
    assert not caught.retryable


@pytest.mark.parametrize("is_stream", [True, False])
def test_what_is_no_answer_keeps_its_status_and_its_beginning(*, is_stream: bool) -> None:
    reader = OpenAIChat("key").reader(Request(body={"model": "m"}, is_stream=is_stream))
    page = b"<html>" + b"x" * 1000
    caught = read(reader, [b"data: " + page + b"\n\n" if is_stream else page]).error
    assert type(caught) is ProviderResponseError
    assert (caught.status, caught.model, caught.retryable) == (200, "m", False)
    assert "<html>xxx" in str(caught)
    assert len(str(caught)) < 600
