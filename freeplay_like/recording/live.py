"""Calls that have not ended yet, told to the backend while they grow, so that people can watch them.

Best effort, and beside what is kept: nothing of this is written, tried again, or sent while a record waits. A call
that ends soon is never told of.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

import attrs

from freeplay_like.clock import Clock
from freeplay_like.core.records import Record
from freeplay_like.core.wire import to_wire

LIVE_VARIABLE: Final = "FREEPLAY_LIKE_LIVE"

TOLD_AFTER_S: Final = 0.7
"""How long a call runs before it is told of."""
EVERY_S: Final = 1.0
"""How often the backend is told, at most."""
BEAT_S: Final = 10.0
"""How often it is told that a call which says nothing still runs; three of these missed, it is taken for lost."""
RESTLESS_S: Final = 5.0
"""How long after a call began the next is looked for without being told: a busy program need not wake the thread."""
AFTER_A_FAILURE_S: Final = 30.0
CALLS_LIMIT: Final = 50
"""The most calls at once; those beyond are not told of."""
TEXT_LIMIT: Final = 256 * 1024
"""The most characters that are told of a call."""
BODY_LIMIT_BYTES: Final = 1024 * 1024
RECORDS_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""The most that the beginnings of these calls may take in memory."""

Heard = Literal["heard", "deaf", "away"]
"""The backend took it; it knows no running calls, as an older one; or it could not be asked."""


class Teller(Protocol):
    """Tells a backend of running calls."""

    def tell(self, project_id: str, calls: Sequence[bytes]) -> tuple[Heard, frozenset[str]]:
        """Post the calls, each its JSON; answers the ids of those that it wants to be told whole. Never raises for
        what a network or a backend can do."""
        ...


def is_wanted(said: bool | None, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether running calls are told of: as it was said, else as the environment says, else yes."""
    if said is not None:
        return said
    return environment.get(LIVE_VARIABLE, "").strip().lower() not in {"0", "false", "no", "off"}


@attrs.define(eq=False)
class _Call:
    """A call that runs. The last four belong to the thread that tells of it."""

    record_id: str
    project_id: str
    data: bytes
    began_s: float
    pieces: list[str] = attrs.field(factory=list)
    length: int = 0
    told_pieces: int = 0
    told_length: int = 0
    is_told: bool = False
    told_at_s: float = float("-inf")

    @property
    def size_bytes(self) -> int:
        """About how large the next word of it is."""
        return self.length - self.told_length + (0 if self.is_told else len(self.data))

    def forget(self) -> None:
        """Begin again with the whole."""
        self.is_told, self.told_pieces, self.told_length = False, 0, 0

    def is_due(self, now_s: float) -> bool:
        """Whether there is something to say of it."""
        if not self.is_told:
            return now_s >= self.began_s + TOLD_AFTER_S
        return len(self.pieces) > self.told_pieces or now_s >= self.told_at_s + BEAT_S

    def take(self, now_s: float) -> bytes:
        """What is to be said of it, as JSON, and is then taken for said."""
        pieces = self.pieces[self.told_pieces :]
        text = "".join(pieces)
        said = {"record_id": self.record_id, "at": self.told_length, "text": text}
        body = to_wire(said)
        if not self.is_told:
            body = b'%b,"record":%b}' % (body[:-1], self.data)
        self.is_told, self.told_at_s = True, now_s
        self.told_pieces += len(pieces)
        self.told_length += len(text)
        return body


class RunningCalls:
    """The calls of this process that run now. For any thread; each step is one that needs no lock."""

    def __init__(self, clock: Clock) -> None:
        self.last_began_s = float("-inf")
        self._clock = clock
        self._calls: dict[str, _Call] = {}
        self._size_bytes = 0

    def began(self, record: Record, data: bytes) -> None:
        """A call is about to be made; `data` is its record as it may be written."""
        now_s = self._clock.monotonic_ns() / 1e9
        has_room = len(self._calls) < CALLS_LIMIT and self._size_bytes + len(data) <= RECORDS_LIMIT_BYTES
        if has_room and len(data) < BODY_LIMIT_BYTES // 2:
            self._size_bytes += len(data)
            self._calls[record.record_id] = _Call(record.record_id, record.project_id, data, now_s)
            self.last_began_s = now_s

    def grew(self, record_id: str, text: str) -> None:
        """There is more of its text."""
        call = self._calls.get(record_id)
        if call is not None and call.length < TEXT_LIMIT:
            call.length += len(text)
            call.pieces.append(text)

    def ended(self, record_id: str) -> None:
        """It has ended."""
        call = self._calls.pop(record_id, None)
        if call is not None:
            self._size_bytes -= len(call.data)

    def now(self) -> list[_Call]:
        """Those that run at this moment."""
        return list(self._calls.copy().values())  # a copy: others come and go meanwhile


class Broadcast:
    """Tells of the running calls. For the thread that delivers."""

    def __init__(self, calls: RunningCalls, teller: Teller, *, is_on: bool) -> None:
        self._calls = calls
        self._teller = teller
        self._is_on = is_on
        self._deaf: set[str] = set()
        self._next_s = float("-inf")

    def due_s(self, now_s: float) -> float:
        """When to come again; infinite where a call that begins has to wake the thread."""
        if not self._is_on:
            return float("inf")
        calls = self._heard_of()
        if calls:
            first_s = min(now_s + EVERY_S if call.is_told else call.began_s + TOLD_AFTER_S for call in calls)
            return max(self._next_s, first_s)
        is_restless = now_s < self._calls.last_began_s + RESTLESS_S
        return now_s + EVERY_S if is_restless else float("inf")

    def step(self, now_s: float) -> bool:
        """Tell of what is due in one project, those first that waited longest; False where there is nothing."""
        if not self._is_on or now_s < self._next_s:
            return False
        due = sorted((call for call in self._heard_of() if call.is_due(now_s)), key=lambda call: call.told_at_s)
        if not due:
            return False
        self._next_s = now_s + EVERY_S
        self._tell([call for call in due if call.project_id == due[0].project_id], now_s)
        return True

    def _heard_of(self) -> list[_Call]:
        return [call for call in self._calls.now() if call.project_id not in self._deaf]

    def _tell(self, calls: Sequence[_Call], now_s: float) -> None:
        project_id = calls[0].project_id
        told: list[_Call] = []
        bodies: list[bytes] = []
        size_bytes = 0
        for call in calls:
            if size_bytes + call.size_bytes > BODY_LIMIT_BYTES and told:
                break
            bodies.append(call.take(now_s))
            told.append(call)
            size_bytes += len(bodies[-1])
        heard, unknown = self._teller.tell(project_id, bodies)
        if heard == "deaf":
            self._deaf.add(project_id)
        elif heard == "away":
            self._next_s = now_s + AFTER_A_FAILURE_S
        for call in told:
            if heard == "away" or call.record_id in unknown:
                call.forget()
