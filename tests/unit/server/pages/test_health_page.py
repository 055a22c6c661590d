"""The drawings, words and judgements of the page of health."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from freeplay_like.server.pages.health.calls import stretch
from freeplay_like.server.pages.health.drawing import HEIGHT, WIDTH, bars, highest, line, marks
from freeplay_like.server.pages.health.server import Level, rated, sender_row
from freeplay_like.server.pages.health.words import lasting, share, size
from freeplay_like.server.store.derived.rollups import DAY_S, HOUR_S
from freeplay_like.server.store.status import SenderState

NOW = datetime(2026, 11, 21, 14, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "is_stacked", "top"),
    [
        ([[3, 7]], False, 10),
        ([[3, 7], [4, 4]], True, 20),
        ([[0.013, None]], False, 0.02),
        ([[1000.0]], False, 1000),
        ([[0, 0]], False, 0),
        ([[None]], False, 0),
        ([[]], False, 0),
    ],
)
def test_the_top_of_a_drawing_is_a_round_number(rows: list[list[float | None]], is_stacked: bool, top: float) -> None:
    assert highest(rows, is_stacked=is_stacked) == pytest.approx(top)


def test_bars_stand_on_each_other() -> None:
    ((low,), (high,)) = bars([[2.0, None], [3.0, None]], 10)
    assert low.y + low.height == HEIGHT
    assert high.y + high.height == low.y
    assert (low.height, high.height) == (20, 30)
    assert low.x >= 0
    assert low.x + low.width <= WIDTH / 2


def test_a_bar_of_what_is_there_is_seen() -> None:
    ((bar,),) = bars([[1.0]], 1_000_000)
    assert bar.height > 0.5


def test_a_line_is_broken_where_nothing_is_known() -> None:
    assert line([1, None, 1], 1) == "M0.00 1H200.00M400.00 1H600.00"
    assert line([0, 1], 1) == "M0.00 100H300.00V1H600.00"
    assert line([None], 1) == ""
    assert line([5], 0) == ""


@pytest.mark.parametrize("count", [1, 4, 24, 60, 168])
def test_a_few_places_get_words(count: int) -> None:
    places = marks(count)
    assert places[0] == 0
    assert len(places) <= 5
    assert places[-1] < count


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1234, "1.2 kB"),
        (999_600, "1.0 MB"),
        (34_000_000, "34 MB"),
        (2.5e12, "2.5 TB"),
        (-3000, "-3.0 kB"),
    ],
)
def test_sizes_read_well(size_bytes: float, words: str) -> None:
    assert size(size_bytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.02, "0.02 s"), (4.2, "4.2 s"), (90, "90 s"), (600, "10 min"), (20_000, "6 h"), (900_000, "10 d")],
)
def test_lengths_of_time_read_well(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 10, "0 %"), (1, 0, "0 %"), (1, 100_000, "under 0.1 %"), (1, 200, "0.5 %"), (12, 100, "12 %")],
)
def test_shares_read_well(part: float, whole: float, words: str) -> None:
    assert share(part, whole) == words


@pytest.mark.parametrize(
    ("period", "grain_s", "points", "ends_at"),
    [
        ("1h", 60, 60, NOW),
        ("24h", HOUR_S, 25, datetime(2026, 11, 21, 15, tzinfo=UTC)),
        ("7d", HOUR_S, 169, datetime(2026, 11, 21, 15, tzinfo=UTC)),
        ("30d", DAY_S, 31, datetime(2026, 11, 22, tzinfo=UTC)),
        ("today", HOUR_S, 15, datetime(2026, 11, 21, 15, tzinfo=UTC)),
        ("yesterday", HOUR_S, 24, datetime(2026, 11, 21, tzinfo=UTC)),
    ],
)
def test_a_time_range_is_whole_grains(period: str, grain_s: int, points: int, ends_at: datetime) -> None:
    span = stretch(period, NOW)
    assert span.grain_s == grain_s
    assert (span.ends_at - span.begins_at) / grain_s == points
    assert datetime.fromtimestamp(span.ends_at, UTC) == ends_at


def test_today_at_midnight_is_an_hour_and_no_failure() -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    assert stretch("today", midnight).ends_at == midnight.timestamp() + HOUR_S


@pytest.mark.parametrize(("value", "level"), [(0, "good"), (5, "watch"), (60, "bad")])
def test_more_is_worse(value: float, level: Level) -> None:
    assert rated(value, 5, 60) == level


@pytest.mark.parametrize(
    ("lag_s", "spooled_bytes", "dropped", "silent", "level", "word", "about"),
    [
        (2.0, 0, 0, timedelta(seconds=5), "good", "good", "delivers"),
        (400.0, 0, 0, timedelta(seconds=5), "watch", "watch", "its oldest record waited 7 min"),
        (9000.0, 0, 0, timedelta(seconds=5), "bad", "bad", "its oldest record waited 2 h"),
        (2.0, 5_000_000, 0, timedelta(minutes=3), "watch", "watch", "silent with 5.0 MB to deliver"),
        (2.0, 5_000_000, 0, timedelta(seconds=3), "good", "good", "delivers"),
        (9000.0, 0, 0, timedelta(hours=3), "plain", "gone", "not heard of for an hour"),
        (None, 0, 3, timedelta(hours=3), "bad", "bad", "3 records were lost"),
    ],
)
def test_a_sender_is_judged_by_what_it_said_last(
    lag_s: float | None, spooled_bytes: int, dropped: int, silent: timedelta, level: Level, word: str, about: str
) -> None:
    state = SenderState(
        sender_id="s", host="h", pid=1, sdk=None, seen_at=NOW - silent, lag_s=lag_s, spooled_bytes=spooled_bytes,
        dropped=dropped,
    )  # fmt: skip
    row = sender_row(state, NOW)
    assert (row.level, row.word, row.about) == (level, word, about)
