"""What recording adds to a call: CPU on the caller's thread and of the whole process, journal and delivery included.

The provider is a fake without any I/O, so that what is left is ours: template, merge, record, journal, delivery. The
floor is the same call into a recorder that keeps nothing.
"""

from __future__ import annotations

import statistics
import time

from freeplay_like import Freeplay, PromptTemplate, TemplateMessage
from freeplay_like.core.records import Record
from freeplay_like.recording.base import FlushReport
from freeplay_like.testing import FakeFlavor, StaticPrompts
from peers import backend

TEXT = "The sea rises and falls because of the moon. " * 60
TEMPLATE = PromptTemplate(
    name="bench", model="fake", messages=(TemplateMessage(role="user", content="Explain {{topic}} to {{name}}."),)
)


class Nowhere:
    """A recorder that keeps nothing."""

    def start(self, record: Record) -> None: ...
    def progress(self, record_id: str, text: str) -> None: ...
    def submit(self, record: Record) -> None: ...
    def flush(self, timeout_s: float = 0) -> FlushReport:
        return FlushReport()

    def close(self, timeout_s: float = 0) -> FlushReport:
        return FlushReport()


def measure(fp: Freeplay, project_id: str, calls: int) -> tuple[float, float]:
    """CPU microseconds a call: on this thread, and in all."""
    thread, process = time.thread_time(), time.process_time()
    for _ in range(calls):
        fp.get_completion_stream(project_id, "bench", {"topic": "tides", "name": "Ann"}).result()
    thread = time.thread_time() - thread
    fp.flush(60)
    return thread * 1e6 / calls, (time.process_time() - process) * 1e6 / calls


def main(calls: int = 500, rounds: int = 7) -> None:
    with backend() as (api_base, project_id, key):
        prompts = StaticPrompts(TEMPLATE)
        recorded = Freeplay(FakeFlavor(TEXT), key, api_base, prompts=prompts)
        floor = Freeplay(FakeFlavor(TEXT), key, api_base, prompts=prompts, recorder=Nowhere())
        measure(floor, project_id, 50), measure(recorded, project_id, 50)
        pairs = [(measure(floor, project_id, calls), measure(recorded, project_id, calls)) for _ in range(rounds)]
        for name, column in (("caller's thread", 0), ("whole process", 1)):
            low = statistics.median(a[column] for a, _ in pairs)
            high = statistics.median(b[column] for _, b in pairs)
            print(f"{name:16} not recorded {low:7.1f} us a call   recorded {high:7.1f}   added {high - low:7.1f}")
        report = recorded.flush(60)
        print(f"records: {report.sent} sent, {report.pending} pending, {report.dropped} dropped")
        recorded.close()


if __name__ == "__main__":
    main()
