"""No window of time holds more than the limit, and everybody gets a turn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like import RateLimit

S = 1_000_000_000


@given(
    st.integers(1, 5), st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), min_size=1, max_size=40), st.booleans()
)
def test_no_window_holds_more_than_the_limit(calls: int, arrivals: list[tuple[float, int]], has_tokens: bool) -> None:
    limit = RateLimit(calls, 1.0, tokens=50 if has_tokens else None)
    now_ns, starts = 10**12, []
    for gap_s, tokens in arrivals:
        now_ns += int(gap_s * S)
        wait_s = limit.wait_s(now_ns, tokens)
        assert wait_s is not None
        starts.append((now_ns + round(wait_s * S), tokens))
    assert starts == sorted(starts, key=lambda start: start[0])
    for start_ns, _ in starts:
        window = [tokens for at_ns, tokens in starts if start_ns <= at_ns < start_ns + S - 1000]
        assert len(window) <= calls
        assert not has_tokens or sum(window) <= 50


def test_what_is_larger_than_the_limit_goes_alone() -> None:
    limit = RateLimit(None, 1.0, tokens=10)
    assert limit.wait_s(0, 5) == 0
    assert limit.wait_s(0, 100) == 1.0
    assert limit.wait_s(0, 1) == 2.0


def test_no_place_is_taken_by_who_will_not_wait() -> None:
    limit = RateLimit(1, 1.0)
    assert limit.wait_s(0) == 0
    assert limit.wait_s(0, within_s=0.5) is None
    assert limit.wait_s(0, within_s=1.5) == 1.0


def test_threads_share_it() -> None:
    limit = RateLimit(10, 1.0)
    with ThreadPoolExecutor(8) as pool:
        waits = sorted(pool.map(lambda _: limit.wait_s(0), range(100)))
    assert waits == [float(n // 10) for n in range(100)]
