"""A recorder that keeps records where a test can look at them."""

from __future__ import annotations

from freeplay_like.core.records import Amendment, Record
from freeplay_like.recording.base import FlushReport


class MemoryRecorder:
    """Keeps records in lists. Nothing is redacted, delivered or dropped.

    `records` are those that have ended, in that order; `started` every call's first record by its id; `progressed`
    the texts that arrived while it ran; `amendments` what was said of records afterwards.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.started: dict[str, Record] = {}
        self.progressed: dict[str, list[str]] = {}
        self.amendments: list[Amendment] = []
        self.is_closed = False

    def start(self, record: Record) -> None:
        """A call is about to be made."""
        self.started[record.record_id] = record

    def progress(self, record_id: str, text: str) -> None:
        """Text has arrived."""
        self.progressed.setdefault(record_id, []).append(text)

    def submit(self, record: Record) -> None:
        """A call has ended."""
        self.records.append(record)

    def amend(self, amendment: Amendment) -> None:
        """Something was said of a record."""
        self.amendments.append(amendment)

    @property
    def in_flight(self) -> list[Record]:
        """The calls that have started and not ended."""
        ended = {record.record_id for record in self.records}
        return [record for record_id, record in self.started.items() if record_id not in ended]

    def flush(self, timeout_s: float = 10.0) -> FlushReport:
        """Nothing is ever pending here."""
        return FlushReport(sent=len(self.records) + len(self.amendments))

    def close(self, timeout_s: float = 2.0) -> FlushReport:
        """Nothing to let go of; what was recorded stays."""
        self.is_closed = True
        return self.flush(timeout_s)
