"""Sends records as fast as servers acknowledge them, over kept-alive connections with one request each at a time.

A process of its own (`ready` starts it), and cheap: bodies are built beforehand, all but the ids of their records. It
says when that is done, begins when it is given a line, and prints one JSON object at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from freeplay_like.core.wire import to_wire
from support.varied import VariedRecords

HOST: Final = "127.0.0.1"
READY: Final = "ready\n"
POOL: Final = 4_000
"""How many different records there are; they are sent again under other ids."""
WORDS: Final = 12
"""With so many in an answer a record has 3.2 KB."""
_ID: Final = "0" * 36


@attrs.frozen
class Address:
    """Where records go: to servers that take them for one project."""

    ports: tuple[int, ...]
    path: str
    key: str = ""
    project_id: str = "bench"


@attrs.frozen
class Sent:
    """What came of it: `cpu_s` is what the sending took."""

    acknowledged: int
    took_s: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    refused: dict[str, int]

    @property
    def per_s(self) -> float:
        """Records acknowledged in a second."""
        return self.acknowledged / self.took_s


@contextmanager
def ready(
    to: Address, batch: int, connections: int, seconds: float, *, core: int | None = None
) -> Iterator[Callable[[], Sent]]:
    """A process that is ready to send, held to one core where that is said: call what is given to let it."""
    options = {
        "--path": to.path, "--key": to.key, "--project": to.project_id,
        "--batch": batch, "--connections": connections, "--seconds": seconds,
    }  # fmt: skip
    command = [sys.executable, __file__, *(str(each) for pair in options.items() for each in pair)]
    command += [f"--port={port}" for port in to.ports]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, preexec_fn=on_core(core)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == READY, "the load generator failed"
        said, answers = process.stdin, process.stdout

        def send() -> Sent:
            print(file=said, flush=True)
            return Sent(**json.loads(answers.readline()))

        yield send


def on_core(number: int | None) -> Callable[[], None] | None:
    """What holds a process that is being started, and all its threads, to one core; None: nothing does."""
    return None if number is None else lambda: os.sched_setaffinity(0, {number})


def requests(path: str, key: str, project_id: str, batch: int) -> Iterator[Callable[[int], bytes]]:
    """Functions that build a request, given the number of its first record."""
    hour = timedelta(hours=1)
    records = list(VariedRecords(project_id, now=datetime.now(UTC), spread_over=hour, words=WORDS).make(POOL))
    for start in range(0, POOL, batch):
        wired = [to_wire(record).split(record.record_id.encode(), 1) for record in records[start : start + batch]]
        size = sum(len(part) for parts in wired for part in parts) + len(wired) * (len(_ID) + 1) - 1
        around = b'{"records":[', b"]}"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key}\r\nUser-Agent: load\r\n"
            f"Accept: */*\r\nContent-Type: application/json\r\nContent-Length: {size + sum(map(len, around))}\r\n\r\n"
        )
        yield _builder(head.encode() + around[0], wired, around[1])


def _builder(head: bytes, wired: Sequence[list[bytes]], tail: bytes) -> Callable[[int], bytes]:
    began = f"{int(time.time() * 1000):012x}"  # another run has other ids
    prefix = f"{began[:8]}-{began[8:]}-7000-8000-"

    def build(number: int) -> bytes:
        bodies = [f"{prefix}{number + i:012x}".encode().join(parts) for i, parts in enumerate(wired)]
        return head + b",".join(bodies) + tail

    return build


class Load:
    """One run: what was acknowledged, and how long each answer took."""

    def __init__(self, builders: Sequence[Callable[[int], bytes]], batch: int) -> None:
        self._builders = builders
        self._batch = batch
        self._number = 0
        self.acknowledged = 0
        self.refused: dict[str, int] = {}
        self.waits_ms: list[float] = []

    def run(self, ports: Sequence[int], connections: int, seconds: float) -> float:
        """Send for some time, wait for the last answers, and tell how long it took."""
        sockets = {(each := _connected(ports[i % len(ports)])).fileno(): each for i in range(connections)}
        poll = select.epoll()
        sent_at: dict[int, float] = {}
        answers: dict[int, bytes] = {}
        began = time.perf_counter()
        for number, each in sockets.items():
            poll.register(number, select.EPOLLIN)
            sent_at[number] = self._send(each)
        until = began + seconds
        while sent_at:
            for number, _ in poll.poll(5):
                each = sockets[number]
                answer = answers.pop(number, b"") + each.recv(65_536)
                if answer and not answer.endswith(b"}"):
                    answers[number] = answer
                    continue
                now = time.perf_counter()
                self.waits_ms.append((now - sent_at.pop(number)) * 1000)
                self._note(answer)
                if now < until and answer:
                    sent_at[number] = self._send(each)
        took = time.perf_counter() - began
        for each in sockets.values():
            each.close()
        return took

    def _send(self, to: socket.socket) -> float:
        data = self._builders[self._number // self._batch % len(self._builders)](self._number)
        self._number += self._batch
        to.sendall(data)
        return time.perf_counter()

    def _note(self, answer: bytes) -> None:
        if answer.startswith(b"HTTP/1.1 200"):
            self.acknowledged += self._batch
        else:
            status = answer[:12].decode("latin-1")
            self.refused[status] = self.refused.get(status, 0) + 1


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, action="append", required=True, help="given again for each server")
    parser.add_argument("--path", required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--project", default="bench")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    load = Load(list(requests(asked.path, asked.key, asked.project, asked.batch)), asked.batch)
    print(READY, end="", flush=True)
    sys.stdin.readline()
    cpu = time.process_time()
    took = load.run(asked.port, asked.connections, asked.seconds)
    waits = sorted(load.waits_ms)
    sent = Sent(
        acknowledged=load.acknowledged,
        took_s=took,
        p50_ms=waits[len(waits) // 2],
        p99_ms=waits[len(waits) * 99 // 100],
        cpu_s=time.process_time() - cpu,
        refused=load.refused,
    )
    print(json.dumps(attrs.asdict(sent)))


if __name__ == "__main__":
    main()
