from __future__ import annotations

from pathlib import Path

import pytest

from freeplay_like.server.store.disk import MIN_FREE_BYTES, Disk, Room, StoreReadOnly

GIB = 1024**3


class Drive:
    """A disk with as much room as is set."""

    def __init__(self, free_bytes: int, total_bytes: int = 100 * GIB) -> None:
        self.free_bytes = free_bytes
        self.total_bytes = total_bytes

    def __call__(self, folder: Path) -> Room:
        return Room(free_bytes=self.free_bytes, total_bytes=self.total_bytes)


@pytest.mark.parametrize(("total", "least"), [(4 * GIB, MIN_FREE_BYTES), (1000 * GIB, 10 * GIB)])
def test_what_must_stay_free_is_a_quarter_of_a_gib_or_a_hundredth_of_the_disk(total: int, least: int) -> None:
    assert Disk(Path(), None, ask=Drive(total, total)).min_free_bytes == least


def test_a_disk_that_fills_up_takes_nothing_more_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    drive = Drive(1000)
    disk = Disk(Path(), 1000, ask=drive)
    disk.require_room()
    assert disk.problem is None
    drive.free_bytes = 999
    disk.look()
    disk.look()
    with pytest.raises(StoreReadOnly, match="nearly full"):
        disk.require_room()
    assert disk.problem is not None
    assert "--min-free" in disk.problem
    assert len(caplog.records) == 1, "said once, however often it is looked at"


def test_it_takes_again_by_itself_when_a_tenth_more_than_the_least_is_free() -> None:
    drive = Drive(999)
    disk = Disk(Path(), 1000, ask=drive)
    assert disk.is_full
    drive.free_bytes = 1050
    disk.look()
    assert disk.is_full, "at the edge it would go back and forth"
    drive.free_bytes = 1100
    disk.look()
    assert not disk.is_full


def test_a_store_that_was_told_no_least_never_stops_taking() -> None:
    assert not Disk(Path(), 0, ask=Drive(0)).is_full
