"""What `/metrics` shows: every name it has is made here, and stands in docs/operations.md."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from freeplay_like import __version__
from freeplay_like.server.metrics import Family, Sample, histogram, single
from freeplay_like.server.state import State
from freeplay_like.server.store.status import StoreStatus
from freeplay_like.server.store.store import Store

_P: Final = "freeplay_like"
_PROC: Final = Path("/proc/self")
_CURSORS: Final = {"derived_seq": "derived", "indexed_seq": "text"}


def families(state: State, keeper_failures: int) -> Iterator[Family]:
    """All of it. Blocks: it asks the database."""
    yield Family(f"{_P}_build_info", "gauge", "The version that runs.", (Sample(1, {"version": __version__}),))
    yield from _intake(state.store)
    yield Family(
        f"{_P}_requests_total", "counter", "Requests answered, by what they were for and their status.",
        state.requests.samples(),
    )  # fmt: skip
    yield from _store(state.store.status.now())
    yield from _disk(state.store)
    about = "Rounds of housekeeping that failed."
    yield single(f"{_P}_housekeeping_failures_total", "counter", about, keeper_failures)
    yield from _process()


def _intake(store: Store) -> Iterator[Family]:
    figures = store.figures
    yield Family(
        f"{_P}_intake_records_total", "counter", "Records that came, by what became of them.",
        [
            Sample(figures.stored, {"result": "stored"}),
            Sample(figures.duplicates, {"result": "duplicate"}),
            Sample(figures.rejected, {"result": "rejected"}),
        ],
    )  # fmt: skip
    for name, about, value in (
        ("intake_amendments_total", "Amendments stored.", figures.amendments),
        ("intake_batches_total", "Batches that came to the store.", figures.batches),
        ("intake_bytes_total", "JSON of records and amendments that was stored, in bytes.", figures.size_bytes),
        ("intake_unavailable_total", "Batches that could not be stored when they came.", figures.unavailable),
        ("commits_total", "Groups of batches that were committed.", store.commits),
        ("writer_failures_total", "Transactions of the writer that failed.", store.writer_failures),
    ):
        yield single(f"{_P}_{name}", "counter", about, value)
    yield Family(
        f"{_P}_commit_seconds", "histogram", "How long a group of batches took to store and commit.",
        histogram(store.commit_times),
    )  # fmt: skip
    yield single(f"{_P}_queue_bytes", "gauge", "JSON that waits to be stored, in bytes.", store.pending_bytes)


def _store(status: StoreStatus) -> Iterator[Family]:
    for name, about, values in (
        ("lag_records", "How many records a part that follows them is behind.", [x.records for x in status.lags]),
        ("lag_seconds", "How long the first of those records has waited.", [x.waiting_s for x in status.lags]),
    ):
        labels = [{"part": _CURSORS[lag.cursor]} for lag in status.lags]
        samples = [Sample(value, label) for value, label in zip(values, labels, strict=True)]
        yield Family(f"{_P}_{name}", "gauge", about, samples)
    senders = status.senders
    for name, about, value in (
        ("senders", "Processes that delivered within the last hour.", senders.count),
        ("senders_oldest_unsent_seconds", "Age of the oldest record one of them has.", senders.oldest_unsent_s),
        ("senders_dropped", "Records that they say they had to drop.", senders.dropped),
        ("senders_spooled_bytes", "What they say waits on their disks, in bytes.", senders.spooled_bytes),
        ("database_bytes", "The database file, in bytes.", status.files.database_bytes),
        ("database_free_bytes", "What of it holds nothing, in bytes.", status.files.free_bytes),
        ("database_log_bytes", "The write-ahead log beside it, in bytes.", status.files.log_bytes),
    ):  # fmt: skip
        yield single(f"{_P}_{name}", "gauge", about, value)


def _disk(store: Store) -> Iterator[Family]:
    disk = store.disk
    if disk.room is None:
        return
    yield single(f"{_P}_disk_free_bytes", "gauge", "What the database's disk has left, in bytes.", disk.room.free_bytes)
    yield single(f"{_P}_disk_min_free_bytes", "gauge", "What must stay free, in bytes.", disk.min_free_bytes)
    yield single(f"{_P}_read_only", "gauge", "1 where nothing is taken because the disk is nearly full.", disk.is_full)


def _process() -> Iterator[Family]:
    """The names that every Prometheus client has for these."""
    yield single("process_cpu_seconds_total", "counter", "Processor time used.", time.process_time())
    yield single("process_resident_memory_bytes", "gauge", "Memory in use.", resident_bytes())
    if _PROC.exists():
        yield single("process_open_fds", "gauge", "Open files.", len(os.listdir(_PROC / "fd")))
    yield single("process_max_fds", "gauge", "How many may be open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def resident_bytes() -> int:
    """The memory this process holds; where the system does not tell, the most it ever held."""
    try:
        pages = int((_PROC / "statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
