from collections.abc import Iterator

import pytest

from freeplay_like.core.sse import SseError, SseEvent, SseParser


def parse(*pieces: bytes) -> list[tuple[str, bytes]]:
    parser = SseParser()
    return [tuple(event) for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a\n\n", [("message", b"a")]),
        (b"data:a\n\n", [("message", b"a")]),
        (b"data:  a\n\n", [("message", b" a")]),
        (b"data\n\n", [("message", b"")]),
        (b"data:\n\n", [("message", b"")]),
        (b"data: a\r\n\r\n", [("message", b"a")]),
        (b"data: a\r\r", [("message", b"a")]),
        (b"data: a\r\n\ndata: b\n\r\n", [("message", b"a"), ("message", b"b")]),
        (b"data: a\ndata: b\n\n", [("message", b"a\nb")]),
        (b"data: a\ndata\n\n", [("message", b"a\n")]),
        (b": comment\n\ndata: a\n\n", [("message", b"a")]),
        (b": comment\ndata: a\n: more\n\n", [("message", b"a")]),
        (b"event: ping\ndata: a\n\n", [("ping", b"a")]),
        (b"data: a\nevent:ping\n\n", [("ping", b"a")]),
        (b"event:\ndata: a\n\n", [("message", b"a")]),
        (b"event: lost\n\ndata: a\n\n", [("message", b"a")]),
        (b"id: 1\nretry: 10\nfoo: bar\ndata: a\n\n", [("message", b"a")]),
        (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [("message", b"a"), ("message", b"b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("message", b"a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", b"a")]),
        ("data: a\u2028b\x0bc\x85\n\n".encode(), [("message", "a\u2028b\x0bc\x85".encode())]),
        (b"data: a: b\n\n", [("message", b"a: b")]),
        (b" data: a\n\n", []),
    ],
)
def test_events_are_cut_by_the_rules_of_the_standard(data: bytes, events: list[tuple[str, bytes]]) -> None:
    assert parse(data) == events
    assert parse(*(data[i : i + 1] for i in range(len(data)))) == events


def test_a_character_cut_in_two_comes_out_whole() -> None:
    assert parse(b"data: \xf0\x9f", b"\x8c\x8a\n\n") == [("message", "🌊".encode())]


def test_cr_and_lf_of_one_line_end_may_come_apart() -> None:
    assert parse(b"data: a\r", b"\ndata: b\r", b"", b"\n\r", b"\n") == [("message", b"a\nb")]


def test_an_event_counts_as_soon_as_a_lone_cr_ends_it() -> None:
    assert parse(b"data: a\r\r") == [("message", b"a")]


def test_a_block_that_is_not_ended_is_dropped_and_can_be_noticed() -> None:
    parser = SseParser()
    assert list(parser.feed(b"data: a\n\ndata: b\n")) == [("message", b"a")]
    assert parser.rest == b"data: b\n"


def test_nothing_is_left_after_a_clean_end() -> None:
    parser = SseParser()
    assert len(list(parser.feed(b"data: a\n\n"))) == 1
    assert parser.rest == b""


def test_the_bytes_are_taken_even_if_nobody_asks_for_the_events() -> None:
    parser = SseParser()
    parser.feed(b"data: a")
    assert list(parser.feed(b"b\n\n")) == [("message", b"ab")]


def errors_too(events: Iterator[SseEvent]) -> Iterator[object]:
    try:
        yield from events
    except SseError as exc:
        yield exc


@pytest.mark.parametrize("pieces", [[b"data: 0123456789\n\n"], [b"data: 01", b"23456789"]])
def test_an_event_past_the_limit_is_an_error_after_the_events_before_it(pieces: list[bytes]) -> None:
    parser = SseParser(max_event_bytes=10)
    *before, last = (event for piece in [b"data: a\n\n", *pieces] for event in errors_too(parser.feed(piece)))
    assert before == [("message", b"a")]
    assert isinstance(last, SseError)
    assert "larger than 10 bytes" in str(last)
