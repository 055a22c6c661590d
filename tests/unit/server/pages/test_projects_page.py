"""The small drawing beside each project."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from freeplay_like.server.pages.home import HEIGHT, Hour, ProjectRow, bars_of
from freeplay_like.server.store.views import Project

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PROJECT = Project(key=1, id="p", name="bakery", created_at=NOON)


def hours(*counts: tuple[int, int]) -> tuple[Hour, ...]:
    """Hours one after another: calls, and how many of them failed."""
    return tuple(
        Hour(begins_at=NOON + timedelta(hours=place), calls=calls, errors=errors)
        for place, (calls, errors) in enumerate(counts)
    )


def test_the_busiest_hour_is_as_high_as_the_drawing_and_one_call_can_be_seen() -> None:
    quiet, busy, none = bars_of(hours((1, 0), (1_000, 500), (0, 0)))
    assert (busy.height, busy.failed_height) == (HEIGHT, HEIGHT / 2)
    assert 1 <= quiet.height < 2
    assert (none.height, none.failed_height, quiet.failed_height) == (0, 0, 0)
    assert quiet.x < busy.x < none.x


def test_a_share_of_errors_is_said_so_that_few_are_not_none() -> None:
    def share(calls: int, errors: int) -> str:
        return ProjectRow(project=PROJECT, last_call_at=None, hours=hours((calls, errors))).error_share

    assert [share(0, 0), share(10, 0), share(1_000, 3), share(4, 1)] == ["\N{EN DASH}", "0 %", "0.3 %", "25 %"]


def test_a_share_of_errors_that_is_tiny_is_still_more_than_nothing() -> None:
    row = ProjectRow(project=PROJECT, last_call_at=None, hours=hours((100_000, 1)))
    assert row.error_share == "< 0.1 %"
