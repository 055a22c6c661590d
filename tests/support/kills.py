"""Killing a backend again and again while records come in, and looking for what it acknowledged."""

from __future__ import annotations

import http.client
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import attrs

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.engines.sqlite import DATABASE_NAME
from support.backend import BackendProcess
from support.varied import VariedRecords

SENDERS = 4
PATIENCE_S = 30


@attrs.frozen
class Survived:
    """What was there at the end: ids acknowledged, ids stored (each as often as it is there), SQLite's own check."""

    acknowledged: set[str]
    stored: list[str]
    integrity: str


class _Tally:
    """Counts what was acknowledged, and wakes who waits for more."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self._changed = threading.Condition()

    def add(self, record_ids: list[str]) -> None:
        with self._changed:
            self.acknowledged.update(record_ids)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            wanted = len(self.acknowledged) + count
            if not self._changed.wait_for(lambda: len(self.acknowledged) >= wanted, PATIENCE_S):
                raise AssertionError(f"{len(self.acknowledged)} records were acknowledged, {wanted} awaited")


def survive(backend: BackendProcess, kills: int) -> Survived:
    """Kill the backend that often under load, each time within some records of its last start."""
    tally, is_over = _Tally(), threading.Event()
    draw = random.Random(kills)  # noqa: S311  where a kill falls is no secret
    with ThreadPoolExecutor(SENDERS) as pool:
        running = [pool.submit(_send, backend, seed, tally, is_over) for seed in range(SENDERS)]
        try:
            for _ in range(kills):
                tally.wait_for(draw.randint(1, 400))
                backend.kill()
                backend.start()
            tally.wait_for(1)
        finally:
            is_over.set()
        for future in running:
            future.result(PATIENCE_S)
    backend.kill()
    database = sqlite3.connect(backend.data_dir / DATABASE_NAME)
    try:
        stored = [record_id for (record_id,) in database.execute("SELECT record_id FROM record")]
        (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
    finally:
        database.close()
    return Survived(acknowledged=tally.acknowledged, stored=stored, integrity=integrity)


def _send(backend: BackendProcess, seed: int, tally: _Tally, is_over: threading.Event) -> None:
    """Send singles and batches; whatever was not acknowledged is sent again, as an SDK does."""
    records, number = VariedRecords(backend.project_id, seed=seed), 0
    while not is_over.is_set():
        number += 1
        batch = list(records.make(1 if number % 4 else 40))
        body = to_wire({"records": batch})
        while not _post(backend, body):
            if is_over.is_set():
                return
        tally.add([record.record_id for record in batch])


def _post(backend: BackendProcess, body: bytes) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", int(backend.url.rpartition(":")[2]), timeout=PATIENCE_S)
    try:
        connection.request("POST", f"/api/v2/projects/{backend.project_id}/records:batch", body, backend.headers)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False  # killed, or not there yet
    finally:
        connection.close()
