"""How many records a second does the backend acknowledge, singly and in batches, beside a floor in the same run?

Server and load generator are processes of their own, each held to one core. A record is acknowledged after the
commit that holds it. Afterwards the rows in the database are counted: each acknowledged record must be there.

The ratio that moves least between machines is CPU of the server process for one record.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from load import Address, on_core, ready

HERE: Final = Path(__file__).parent
CLI: Final = (sys.executable, "-m", "freeplay_like.cli")
KINDS: Final = {"singles": (1, 64), "batches of 100": (100, 16)}
"""Records in a request, and connections."""
WARM_UP_S: Final = 1.0
IDLE_PERCENT: Final = 10
"""Below so much of a core a server has done what it does behind its answers."""
IDLE_WINDOW_S: Final = 0.5


@attrs.frozen
class Target:
    """A server that runs: where it takes records, and what its database is."""

    address: Address
    database: Path
    process: psutil.Process


@attrs.frozen
class Measured:
    """One run."""

    acknowledged: int
    per_s: float
    p50_ms: float
    p99_ms: float
    load_cpu: float
    cpu_us: float
    rss_mib: float


@contextmanager
def floor() -> Iterator[Target]:
    """The raw protocol over one table."""
    with tempfile.TemporaryDirectory() as data, _running(sys.executable, HERE / "floors.py", data) as (said, process):
        yield Target(Address((int(said["port"]),), "/records"), Path(data) / "floor.db", process)


@contextmanager
def backend() -> Iterator[Target]:
    """Ours."""
    with tempfile.TemporaryDirectory() as data:
        init = [*CLI, "init", "--data", data, "--project", "bench", "--json"]
        made = json.loads(subprocess.run(init, check=True, capture_output=True, text=True).stdout)
        with _running(*CLI, "serve", "--data", data, "--port", "0", "--json") as (said, process):
            address = address_of(made, [said["url"]])
            yield Target(address, Path(data) / "freeplay_like.db", process)


def address_of(made: Mapping[str, str], urls: Sequence[str]) -> Address:
    """Where servers take the records of a project that `freeplay-like init` made."""
    ports = tuple(int(url.rpartition(":")[2]) for url in urls)
    project_id = made["project_id"]
    return Address(ports, f"/api/v2/projects/{project_id}/records:batch", made["api_key"], project_id)


@contextmanager
def _running(*command: str | Path) -> Iterator[tuple[dict[str, str], psutil.Process]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=on_core(0)) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def measure(target: Target, kind: str, seconds: float) -> Measured:
    """One run of the load generator, and a count of what it left; before it, one that wakes everything up."""
    batch, connections = KINDS[kind]
    with ready(target.address, batch, connections, WARM_UP_S, core=1) as send:
        send()
    with ready(target.address, batch, connections, seconds, core=1) as send:
        wait_until_idle([target.process])
        before, cpu_before = _rows(target), sum(target.process.cpu_times()[:2])
        sent = send()
        cpu_s = sum(target.process.cpu_times()[:2]) - cpu_before
    if sent.refused or _rows(target) - before != sent.acknowledged:
        raise AssertionError(f"{sent.acknowledged} acknowledged, {_rows(target) - before} stored: {sent.refused}")
    return Measured(
        acknowledged=sent.acknowledged,
        per_s=sent.per_s,
        p50_ms=sent.p50_ms,
        p99_ms=sent.p99_ms,
        load_cpu=sent.cpu_s / sent.took_s,
        cpu_us=cpu_s / sent.acknowledged * 1e6,
        rss_mib=target.process.memory_info().rss / 2**20,
    )


def wait_until_idle(processes: Sequence[psutil.Process]) -> None:
    """Wait until servers have done what they do behind their answers."""
    while any([process.cpu_percent(IDLE_WINDOW_S / len(processes)) > IDLE_PERCENT for process in processes]):
        pass


def _rows(target: Target) -> int:
    connection = sqlite3.connect(f"file:{target.database}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM record").fetchone()[0])
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", choices=["floor", "ours"])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("this needs two cores: one for the server, one for the load")
    servers = {"floor": floor, "ours": backend}
    runs: dict[tuple[str, str], list[Measured]] = {}
    for _ in range(asked.rounds):
        for name, start in servers.items():
            if asked.only in (None, name):
                for kind in KINDS:
                    with start() as target:
                        runs.setdefault((kind, name), []).append(measure(target, kind, asked.seconds))
    if asked.json:
        print(json.dumps({f"{kind}, {name}": [attrs.asdict(m) for m in all_] for (kind, name), all_ in runs.items()}))
        return
    for (kind, name), measured in runs.items():
        print(f"{kind:15} {name:6} {_line(measured)}{_ratio(measured, runs.get((kind, 'floor')))}")


def _line(runs: list[Measured]) -> str:
    def median(field: str) -> float:
        return statistics.median(getattr(run, field) for run in runs)

    return (
        f"{median('per_s'):8,.0f} records/s  {median('cpu_us'):6.0f} us CPU each  p50 {median('p50_ms'):6.1f} ms  "
        f"p99 {median('p99_ms'):6.1f} ms  {median('rss_mib'):5.0f} MiB  (load's core {median('load_cpu'):.0%} busy)"
    )


def _ratio(ours: list[Measured], floors: list[Measured] | None) -> str:
    if not floors or ours is floors:
        return ""
    return f"  {statistics.median(o.per_s / f.per_s for o, f in zip(ours, floors, strict=True)):.2f} of the floor"


if __name__ == "__main__":
    main()
