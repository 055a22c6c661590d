"""Sends records as fast as a server acknowledges them, over kept-alive connections with one request each at a time.

A process of its own (`intake.py` starts it), and cheap: bodies are built beforehand, all but the ids of their
records. Prints one JSON object at the end.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from freeplay_like.core.wire import to_wire
from support.varied import VariedRecords

POOL: Final = 4_000
"""How many different records there are; they are sent again under other ids."""
WORDS: Final = 12
"""With so many in an answer a record has 3.2 KB."""
_ID: Final = "0" * 36


def requests(host: str, path: str, key: str, project_id: str, batch: int) -> Iterator[Callable[[int], bytes]]:
    """Functions that build a request, given the number of its first record."""
    hour = timedelta(hours=1)
    records = list(VariedRecords(project_id, now=datetime.now(UTC), spread_over=hour, words=WORDS).make(POOL))
    for start in range(0, POOL, batch):
        wired = [to_wire(record).split(record.record_id.encode(), 1) for record in records[start : start + batch]]
        size = sum(len(part) for parts in wired for part in parts) + len(wired) * (len(_ID) + 1) - 1
        around = b'{"records":[', b"]}"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nUser-Agent: load\r\n"
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

    def run(self, address: tuple[str, int], connections: int, seconds: float) -> float:
        """Send for some time, wait for the last answers, and tell how long it took."""
        sockets = {(each := _connected(address)).fileno(): each for _ in range(connections)}
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


def _connected(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--project", default="bench")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    host = f"127.0.0.1:{asked.port}"
    load = Load(list(requests(host, asked.path, asked.key, asked.project, asked.batch)), asked.batch)
    cpu = time.process_time()
    took = load.run(("127.0.0.1", asked.port), asked.connections, asked.seconds)
    waits = sorted(load.waits_ms)
    print(
        json.dumps(
            {
                "acknowledged": load.acknowledged,
                "per_s": load.acknowledged / took,
                "p50_ms": waits[len(waits) // 2],
                "p99_ms": waits[len(waits) * 99 // 100],
                "refused": load.refused,
                "load_cpu": (time.process_time() - cpu) / took,
            }
        )
    )


if __name__ == "__main__":
    main()
