"""The least that an acknowledged record can cost on this machine: a raw HTTP protocol and one SQLite table.

It decodes the JSON, looks at nothing, and puts each record into one row (`id` unique, JSON as it came) of the same
write-ahead-logged database that the backend uses, with one writer thread and an answer after the commit. It checks no
key, no host and no limit, and can show nothing: it is what ours is measured against.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httptools
import msgspec

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"stored": 1}'


class Writer(threading.Thread):
    """Commits whatever has queued up, then tells those who wait."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(daemon=True)
        self._loop = loop
        self.waiting: queue.SimpleQueue[tuple[list[tuple[str, bytes]], Callable[[], None]]] = queue.SimpleQueue()

        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=4000"):
            self._database.execute(f"PRAGMA {pragma}")
        columns = "seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL"
        self._database.execute(f"CREATE TABLE record ({columns})")

    def run(self) -> None:
        database = self._database
        while True:
            group = [self.waiting.get()]
            while len(group) < 2_000 and not self.waiting.empty():
                group.append(self.waiting.get())
            database.execute("BEGIN IMMEDIATE")
            rows = [row for batch, _ in group for row in batch]
            database.executemany("INSERT OR IGNORE INTO record (id, body) VALUES (?, ?)", rows)
            database.execute("COMMIT")
            self._loop.call_soon_threadsafe(_tell, [tell for _, tell in group])


def _tell(those: Sequence[Callable[[], None]]) -> None:
    for tell in those:
        tell()


class Envelope(msgspec.Struct):
    records: list[msgspec.Raw]


class Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._parser = httptools.HttpRequestParser(self)
        self._parts: list[bytes] = []
        self._decoder = msgspec.json.Decoder(Envelope)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        body, self._parts = b"".join(self._parts), []
        rows = [(msgspec.json.decode(raw)["record_id"], bytes(raw)) for raw in self._decoder.decode(body).records]
        self._writer.waiting.put((rows, self._answer))

    def _answer(self) -> None:
        self._transport.write(ANSWER)


async def serve(path: Path) -> None:
    loop = asyncio.get_running_loop()
    writer = Writer(path, loop)
    writer.start()
    server = await loop.create_server(lambda: Protocol(writer), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]) / "floor.db"))
