"""What `/metrics` shows: every name it has is made here, and stands in docs/operations.md."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from freeplay_like import __version__
from freeplay_like.server.metrics import Family, Kind, Sample, histogram, single
from freeplay_like.server.state import State
from freeplay_like.server.store.engines.database import ClusterFigures
from freeplay_like.server.store.status import Status, StoreStatus
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
    yield from _reading(state.store.status)
    cluster = state.store.status.cluster()
    if cluster is not None:
        yield from _cluster(cluster)
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


def _reading(status: Status) -> Iterator[Family]:
    places = {"primary": status.pool}
    standby = status.standby
    if standby is not None:
        places["standby"] = standby.pool
    for name, kind, about, values in (
        ("questions_total", "counter", "Questions to the database.", [pool.asked for pool in places.values()]),
        (
            "questions_turned_away_total", "counter", "Those that waited too long for their turn.",
            [pool.turned_away for pool in places.values()],
        ),
        ("questions_now", "gauge", "Those that are being answered.", [pool.used for pool in places.values()]),
        ("questions_limit", "gauge", "How many are answered at once.", [pool.size for pool in places.values()]),
        ("questions_waiting", "gauge", "Those that wait for their turn.", [pool.waiting for pool in places.values()]),
    ):  # fmt: skip
        samples = [Sample(value, {"place": place}) for place, value in zip(places, values, strict=True)]
        yield Family(f"{_P}_{name}", cast("Kind", kind), about, samples)
    if standby is not None:
        about = "1 where lists are read from the standby, 0 where it is too far behind or does not answer."
        yield single(f"{_P}_read_standby_used", "gauge", about, standby.is_used)
        about = "How long ago all was stored that the standby has; infinite where it does not answer."
        yield single(f"{_P}_read_standby_lag_seconds", "gauge", about, standby.lag_s)


def _cluster(cluster: ClusterFigures) -> Iterator[Family]:
    about = "1 for the server that answers, by its machine and process."
    yield Family(f"{_P}_server_info", "gauge", about, [Sample(1, {"server": cluster.server})])
    for name, about, value in (
        ("servers", "Servers that are connected to the database.", len(cluster.servers)),
        ("database_connections", "Connections to the database's whole cluster.", cluster.connections),
        ("database_connections_limit", "How many it takes.", cluster.max_connections),
        ("oldest_transaction_seconds", "How long the oldest transaction has been open.", cluster.oldest_transaction_s),
        ("partitions_ahead", "Partitions that are there for records to come.", cluster.partitions_ahead),
        ("unsettled_records", "Numbers given out of which it is not known what becomes.", cluster.unsettled),
        (
            "standbys_synchronous",
            "Standbys that a commit may wait for.",
            sum(x.is_synchronous for x in cluster.standbys),
        ),
        ("standbys_wanted", "1 where a commit is to wait for a standby.", cluster.is_synchronous),
    ):
        yield single(f"{_P}_{name}", "gauge", about, value)
    about = "What each table takes with its indexes, in bytes."
    sizes = [Sample(size, {"table": name}) for name, size in cluster.tables.items()]
    yield Family(f"{_P}_table_bytes", "gauge", about, sizes)
    for name, about, values in (
        (
            "standby_lag_bytes",
            "How much of the log a standby has not replayed.",
            [x.lag_bytes for x in cluster.standbys],
        ),
        (
            "standby_lag_seconds",
            "How long it took lately to replay what was written.",
            [x.lag_s for x in cluster.standbys],
        ),
    ):
        labels = [{"standby": each.name} for each in cluster.standbys]
        samples = [Sample(v, label) for v, label in zip(values, labels, strict=True) if v is not None]
        yield Family(f"{_P}_{name}", "gauge", about, samples)


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
