"""Clients that send records to several servers without pause, and what is found of it in the end."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, TypeAlias

import attrs
import psycopg
import requests

from freeplay_like.core.messages import Message
from freeplay_like.core.records import Record
from freeplay_like.core.wire import from_wire, to_wire
from support.backend import BackendProcess
from support.varied import VariedRecords

CLIENTS: Final = 4
BATCH: Final = 10
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.05
"""How long a client rests before it sends its next batch, or tries the next server."""
WORD: Final = "ornithorhynchus"
"""The first record of each batch has it in its question."""


class Writers:
    """Clients, each with one batch on its way; what is not acknowledged is sent again, to the next server.

    Each knows all servers, and begins with another one. `ports` stand in for those of the servers; `timeout_s`: how
    long they wait for an answer.
    """

    def __init__(
        self, servers: Sequence[BackendProcess], *, ports: Sequence[int] | None = None, timeout_s: float = 30.0
    ) -> None:
        self._path = f"/api/v2/projects/{servers[0].project_id}/records:batch"
        self._headers = servers[0].headers
        self._ports = ports or [port_of(server) for server in servers]
        self._project_id = servers[0].project_id
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._is_over = threading.Event()
        self._is_given_up = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._running: list[Future[None]] = []
        self.with_word: set[str] = set()
        self.acknowledged: set[str] = set()
        self.told_again = 0
        """How many records were acknowledged as stored before: the answer to the first time was lost."""
        self.refusals: Counter[int] = Counter()
        self.rejected: list[object] = []
        self.without_retry_after = 0
        self.gap_s = 0.0
        """The longest that a client waited until a batch was acknowledged, all attempts together."""

    def __enter__(self) -> Writers:
        self._running = [self._pool.submit(self._send, number) for number in range(CLIENTS)]
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Send nothing new, and wait until each has an acknowledgement of its last batch."""
        self._is_over.set()
        if kind is not None:
            self._is_given_up.set()
        for future in self._running:
            future.result()
        self._pool.shutdown()

    def wait_for(self, count: int) -> None:
        """Wait until so many more records are acknowledged."""
        with self._changed:
            wanted = len(self.acknowledged) + count
            if not self._changed.wait_for(lambda: len(self.acknowledged) >= wanted, PATIENCE_S):
                raise AssertionError(f"{len(self.acknowledged)} records were acknowledged, {wanted} awaited")

    def wait_for_refusal(self, status: int) -> None:
        """Wait for another answer of this status."""
        with self._changed:
            wanted = self.refusals[status] + 1
            if not self._changed.wait_for(lambda: self.refusals[status] >= wanted, PATIENCE_S):
                raise AssertionError(f"no answer {status}: {self.refusals}")

    def _send(self, number: int) -> None:
        records = VariedRecords(self._project_id, seed=number)
        server = number
        while not self._is_over.is_set():
            first, *others = records.make(BATCH)
            batch = [attrs.evolve(first, messages=(*first.messages, Message(role="user", content=WORD))), *others]
            body = to_wire({"records": batch})
            with self._changed:
                self.with_word.add(first.record_id)
            began = time.monotonic()
            while not self._post(self._ports[server % len(self._ports)], body, batch):
                server += 1
                if self._is_given_up.wait(PAUSE_S):
                    return
                waited_s = time.monotonic() - began
                assert waited_s < PATIENCE_S, f"a batch is not taken for {waited_s:.0f} s: {self.refusals}"
            with self._changed:
                self.gap_s = max(self.gap_s, time.monotonic() - began)
                self._changed.notify_all()
            self._is_over.wait(PAUSE_S)

    def _post(self, port: int, body: bytes, batch: Sequence[Record]) -> bool:
        """Send a batch; False where it was not acknowledged."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=self._timeout_s)
        try:
            connection.request("POST", self._path, body, self._headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            return False  # killed, cut off, or not there yet
        finally:
            connection.close()
        with self._changed:
            if answer.status != 200:
                self.refusals[answer.status] += 1
                self.without_retry_after += answer.getheader("Retry-After") is None
                self._changed.notify_all()
                return False
            result = json.loads(said)
            self.rejected += result["rejected"]
            self.told_again += result["duplicates"]
            self.acknowledged.update(record.record_id for record in batch)
        return True


@attrs.frozen(kw_only=True)
class Reckoning:
    """What became of the records: as many as were acknowledged, not found, and found more than once."""

    acknowledged: int
    lost: int
    doubled: int
    gap_s: float
    refusals: Counter[int]
    told_again: int


Note: TypeAlias = Callable[[str, Reckoning], None]
"""Puts a line into the table of failures, and holds that nothing was lost or doubled."""
StartServers: TypeAlias = Callable[[str, int], list[BackendProcess]]
"""Starts so many servers over the database of an address."""


def reckon(writers: Writers, servers: Sequence[BackendProcess], database_url: str) -> Reckoning:
    """Look for every acknowledged record in the tables, and by every server's API; the writers have stopped."""
    assert writers.rejected == [], "a record that is good was refused for good"
    assert writers.without_retry_after == 0, f"refused without a word when to come again: {writers.refusals}"
    with psycopg.connect(database_url) as connection:
        tables = {
            name: Counter(record_id for (record_id,) in connection.execute(query.encode()))
            for name, query in {
                "record": "SELECT record_id FROM record",
                "record_body": "SELECT record_id FROM record_body JOIN record USING (seq)",
                "record_key": "SELECT record_id FROM record_key JOIN record USING (project_key, record_id, seq)",
            }.items()
        }
    found = [*tables.values(), *(exported(server) for server in servers)]
    for each in found:
        assert each == found[0], "tables and servers differ"
    stored = found[0]
    check_answers(writers, servers, set(stored))
    return Reckoning(
        acknowledged=len(writers.acknowledged),
        lost=len(writers.acknowledged - set(stored)),
        doubled=sum(times - 1 for times in stored.values()),
        gap_s=writers.gap_s,
        refusals=writers.refusals,
        told_again=writers.told_again,
    )


def check_answers(writers: Writers, servers: Sequence[BackendProcess], stored: set[str]) -> None:
    """Hold that every server counts all calls, and finds those with the word."""
    with_word = stored & writers.with_word
    for server in servers:
        counted, found = count(server), search(server)
        assert counted == len(stored), f"{counted} calls are counted, {len(stored)} stored"
        assert found == with_word, f"found: {found - with_word} too many, {with_word - found} missing"


def port_of(server: BackendProcess) -> int:
    """Where it listens."""
    return int(server.url.rpartition(":")[2])


def exported(server: BackendProcess, words: str = "") -> Counter[str]:
    """The ids of all records, or of those with these words, as the export of a server has them."""
    answer = requests.get(
        f"{server.project_base}/export", params={"q": words}, headers=server.headers, timeout=PATIENCE_S
    )
    assert answer.status_code == 200, answer.text
    return Counter(str(from_wire(line, dict[str, object])["record_id"]) for line in answer.content.splitlines())


def count(server: BackendProcess) -> int:
    """How many calls the statistics of a server know."""
    url = f"{server.project_base}/statistics/summary"
    answer = requests.get(url, headers=server.headers, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    found: int = answer.json()["calls"]
    return found


def search(server: BackendProcess) -> set[str]:
    """The ids of the calls in whose text a server finds the word."""
    return set(exported(server, WORD))
