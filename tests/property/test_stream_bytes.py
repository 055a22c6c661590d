from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from freeplay_like.core.sse import SseParser
from support.wire import CASES, FLAVORS, Case, all_cases, read

LINES = st.lists(
    st.sampled_from(
        [b"data: a", b"data:b", b"data", b"event: x", b": c", b"", b"", b"\xef\xbb\xbf", "é\u2028".encode()]
    ),
    max_size=12,
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    return b"".join(line + draw(ENDS) for line in draw(LINES))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


PLACES = st.lists(st.integers(min_value=0, max_value=100_000), max_size=40)


@given(streams(), PLACES)
def test_any_cut_of_the_bytes_gives_the_same_events(data: bytes, places: list[int]) -> None:
    whole, pieces = SseParser(), SseParser()
    expected = list(whole.feed(data))
    assert [event for piece in cut(data, places) for event in pieces.feed(piece)] == expected
    assert pieces.rest == whole.rest


@all_cases
@settings(max_examples=10)
@given(places=PLACES)
def test_any_cut_of_a_recorded_answer_gives_the_same_completion(case: Case, places: list[int]) -> None:
    data = case.response_file.read_bytes()
    assert read(case.reader(), cut(data, places)).as_record() == case.record


@given(st.sampled_from(CASES), st.integers(min_value=0, max_value=100_000))
def test_a_truncated_answer_gives_a_beginning_of_its_text(case: Case, place: int) -> None:
    data = case.response_file.read_bytes()
    answer = read(case.reader(), [data[: place % (len(data) + 1)]])
    whole = read(case.reader(), [data]).response
    assert whole.text.startswith(answer.response.text)
    assert answer.response.finish_reason in (None, whole.finish_reason)


@given(st.sampled_from(list(FLAVORS)), st.lists(st.binary(max_size=60), max_size=8))
def test_bytes_that_are_no_answer_never_break_the_reader(provider: str, pieces: list[bytes]) -> None:
    case = next(case for case in CASES if case.provider == provider and case.folder.name == "text")
    answer = read(case.reader(), pieces)
    assert answer.response.finish_reason is None
