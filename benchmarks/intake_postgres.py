"""How many records a second do one, two and four servers over one PostgreSQL acknowledge, beside a raw COPY?

Servers and load generator are processes of their own, over a cluster that waits for the disk with each commit; nothing
is held to a core. A record is acknowledged after the commit that holds it. Afterwards the rows are counted: each
acknowledged record must be there, once.

The floor is one connection that copies the same rows, 500 a transaction, into the same tables with all their indexes;
below it one into a table that has none. CPU of one record says where the time goes: where a further server adds
nothing, the cores are busy.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import attrs
import psutil
import psycopg
from psycopg.sql import SQL, Composed, Identifier

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

from intake import KINDS, WARM_UP_S, address_of, wait_until_idle
from load import Address, ready
from places import CLI, POSTGRES, Place, project_in
from support.postgres import Cluster

TABLES: Final = ("record", "record_body", "record_key")
"""Where a record goes in the transaction that takes it in."""
FLOOR: Final = "COPY, the same tables"
SAMPLE: Final = 4_000
"""How many different rows the floor copies, again and again under other numbers and ids."""
COPIED_AT_ONCE: Final = 500

Row: TypeAlias = tuple[object, ...]


@attrs.frozen
class Cpu:
    """What was used up since the processes began, in seconds: all of the machine's, and ours of it."""

    servers: float
    postgres: float
    machine: float

    @classmethod
    def now(cls, servers: Sequence[psutil.Process], cluster: Cluster) -> Cpu:
        """So far."""
        machine = psutil.cpu_times()
        return cls(
            servers=sum(sum(each.cpu_times()[:2]) for each in servers),
            postgres=_cpu_of_tree(int((cluster.data / "postmaster.pid").read_text().split()[0])),
            machine=sum(machine) - machine.idle - machine.iowait,
        )

    def since(self, before: Cpu) -> Cpu:
        """What was used up after another moment."""
        return Cpu(self.servers - before.servers, self.postgres - before.postgres, self.machine - before.machine)


@attrs.frozen
class Measured:
    """One run: CPU is in microseconds a record, `cores` is how many were busy with it, `others` with something else."""

    per_s: float
    p50_ms: float | None
    p99_ms: float | None
    servers_us: float
    postgres_us: float
    client_us: float
    cores: float
    others: float

    @classmethod
    def of(
        cls,
        records: int,
        took_s: float,
        cpu: Cpu,
        client_s: float,
        p50_ms: float | None = None,
        p99_ms: float | None = None,
    ) -> Measured:
        """What it comes to."""
        ours = cpu.servers + cpu.postgres + client_s
        return cls(
            per_s=records / took_s,
            p50_ms=p50_ms,
            p99_ms=p99_ms,
            servers_us=cpu.servers / records * 1e6,
            postgres_us=cpu.postgres / records * 1e6,
            client_us=client_s / records * 1e6,
            cores=ours / took_s,
            others=max(0.0, cpu.machine - ours) / took_s,
        )


def _cpu_of_tree(pid: int) -> float:
    """CPU of a process, of those that it started, and of those of them that have ended."""
    root = psutil.Process(pid)
    total = sum(root.cpu_times()[:4])
    for each in root.children(recursive=True):
        try:
            total += sum(each.cpu_times()[:2])
        except psutil.NoSuchProcess:  # it ended meanwhile: counted with its parent the next time
            continue
    return total


@contextmanager
def servers_over(place: Place, count: int) -> Iterator[tuple[Address, list[psutil.Process]]]:
    """Servers over one database: where they take records, and their processes."""
    made = project_in(place)
    with ExitStack() as running:
        urls, processes = [], []
        for _ in range(count):
            command = [*CLI, "serve", *place.options, "--port", "0", "--json"]
            process = running.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            running.callback(process.send_signal, signal.SIGTERM)
            assert process.stdout is not None
            urls.append(json.loads(process.stdout.readline())["url"])
            processes.append(psutil.Process(process.pid))
        yield address_of(made, urls), processes


def measure(cluster: Cluster, url: str, count: int, kind: str, seconds: float) -> Measured:
    """One run over an empty database, and a count of what it left; before it, one that wakes everything up."""
    batch, connections = KINDS[kind]
    with servers_over(Place.at(url), count) as (address, processes):
        with ready(address, batch, connections, WARM_UP_S) as send:
            send()
        with ready(address, batch, connections, seconds) as send:
            wait_until_idle(processes)
            cluster.execute("CHECKPOINT")
            rows_before, cpu_before = rows_in(url), Cpu.now(processes, cluster)
            sent = send()
            cpu = Cpu.now(processes, cluster).since(cpu_before)
        stored = rows_in(url) - rows_before
        if sent.refused or stored != sent.acknowledged:
            raise AssertionError(f"{sent.acknowledged} acknowledged, {stored} stored, refused: {sent.refused}")
        return Measured.of(sent.acknowledged, sent.took_s, cpu, sent.cpu_s, sent.p50_ms, sent.p99_ms)


def rows_in(url: str) -> int:
    """How many records there are, each once and whole."""
    with psycopg.connect(url) as connection:
        counts = [
            connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table))).fetchone() for table in TABLES
        ]
    (number,) = {row[0] for row in counts if row is not None}
    return int(number)


# --- the floor ----------------------------------------------------------------------------------------------


def sample_of(url: str) -> dict[str, list[Row]]:
    """Rows as servers stored them, by table."""
    with psycopg.connect(url) as connection:
        return {table: connection.execute(_select(table)).fetchall() for table in TABLES}


def _select(table: str) -> Composed:
    return SQL("SELECT * FROM {} ORDER BY seq LIMIT {}").format(Identifier(table), SAMPLE)


def floor(cluster: Cluster, url: str, sample: Mapping[str, Sequence[Row]], count: int, *, is_bare: bool) -> Measured:
    """Copy so many records over one connection, into the tables of a store or into copies of them without indexes."""
    with psycopg.connect(url) as connection:
        copies = {table: _Copy.into(connection, table, is_bare=is_bare) for table in TABLES}
        batches = [_batch(sample, first, copies) for first in range(1, count, COPIED_AT_ONCE)]
        connection.commit()
        cluster.execute("CHECKPOINT")
        cpu_before, client_before, began = Cpu.now([], cluster), time.process_time(), time.perf_counter()
        for batch in batches:
            for table, rows in batch.items():
                with connection.cursor().copy(copies[table].statement) as copy:
                    copy.set_types(copies[table].types)
                    for row in rows:
                        copy.write_row(row)
            connection.commit()
        took_s, client_s = time.perf_counter() - began, time.process_time() - client_before
        cpu = Cpu.now([], cluster).since(cpu_before)
    return Measured.of(len(batches) * COPIED_AT_ONCE, took_s, cpu, client_s)


@attrs.frozen
class _Copy:
    """How rows of a table are copied: where their number and their id are in them, the statement, and their types."""

    number_at: int
    id_at: int | None
    statement: Composed
    types: list[int]

    @classmethod
    def into(cls, connection: psycopg.Connection, table: str, *, is_bare: bool) -> _Copy:
        """Into a table of the store, or into a new one that is like it, without indexes and partitions."""
        name = f"bare_{table}" if is_bare else table
        if is_bare:
            connection.execute(SQL("CREATE TABLE {} (LIKE {})").format(Identifier(name), Identifier(table)))
        columns = connection.execute(SQL("SELECT * FROM {} LIMIT 0").format(Identifier(table))).description or []
        names = [column.name for column in columns]
        fields = SQL(", ").join(map(Identifier, names))
        return cls(
            number_at=names.index("seq"),
            id_at=names.index("record_id") if "record_id" in names else None,
            statement=SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(Identifier(name), fields),
            types=[column.type_code for column in columns],
        )

    def renumbered(self, row: Row, number: int) -> Row:
        """A row as another record's."""
        fields = list(row)
        fields[self.number_at] = number
        if self.id_at is not None:
            fields[self.id_at] = f"{number:036d}"
        return tuple(fields)


def _batch(sample: Mapping[str, Sequence[Row]], first: int, copies: Mapping[str, _Copy]) -> dict[str, list[Row]]:
    numbers = range(first, first + COPIED_AT_ONCE)
    return {
        table: [copy.renumbered(sample[table][number % len(sample[table])], number) for number in numbers]
        for table, copy in copies.items()
    }


# --- all of it ----------------------------------------------------------------------------------------------


def run_round(cluster: Cluster, asked: argparse.Namespace) -> dict[str, Measured]:
    """Everything once, each over a database of its own."""
    found: dict[str, Measured] = {}
    sample: dict[str, list[Row]] = {}
    for kind in KINDS:
        for count in asked.servers:
            with _database(cluster) as url:
                found[f"{kind}, servers: {count}"] = measure(cluster, url, count, kind, asked.seconds)
                sample = sample or sample_of(url)
    for name, is_bare in (("COPY, bare tables", True), (FLOOR, False)):
        with _database(cluster) as url:
            project_in(Place.at(url))
            found[name] = floor(cluster, url, sample, asked.copied, is_bare=is_bare)
    return found


@contextmanager
def _database(cluster: Cluster) -> Iterator[str]:
    yield cluster.create_database("intake")
    cluster.drop_database("intake")


def _print(rounds: Sequence[Mapping[str, Measured]]) -> None:
    print("| | records/s | of the floor | p50 | p99 | servers | PostgreSQL | client | cores busy | with others |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in rounds[0]:
        runs = [each[name] for each in rounds]
        ratio = statistics.median(each[name].per_s / each[FLOOR].per_s for each in rounds)

        def median(field: str, runs: Sequence[Measured] = runs) -> float:
            return statistics.median(getattr(run, field) for run in runs)

        waits = " | ".join("" if runs[0].p50_ms is None else f"{median(each):.0f} ms" for each in ("p50_ms", "p99_ms"))
        cpu = " | ".join(f"{median(each):.0f} µs" for each in ("servers_us", "postgres_us", "client_us"))
        busy = f"{median('cores'):.2f} | {median('others'):.2f}"
        print(f"| {name} | {median('per_s'):,.0f} | {ratio:.2f} | {waits} | {cpu} | {busy} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--servers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--copied", type=int, default=40_000, help="how many records the floor copies")
    parser.add_argument("--short", action="store_true", help="only to see that it runs")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.short:
        asked.rounds, asked.seconds, asked.servers, asked.copied = 1, 0.5, [1, 2], 2 * COPIED_AT_ONCE
    with Cluster(fsync=True, settings=POSTGRES) as cluster:
        rounds = [run_round(cluster, asked) for _ in range(asked.rounds)]
    if asked.json:
        print(json.dumps([{name: attrs.asdict(one) for name, one in each.items()} for each in rounds]))
    else:
        _print(rounds)


if __name__ == "__main__":
    main()
