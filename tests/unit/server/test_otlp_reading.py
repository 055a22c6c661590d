from __future__ import annotations

import logging
from pathlib import Path

import pytest

from freeplay_like.core.wire import from_wire
from freeplay_like.server import otlp
from freeplay_like.server.auth import Keys
from freeplay_like.server.otlp import Otlp
from freeplay_like.server.spans import otlp_protobuf
from freeplay_like.server.spans.span import Span
from freeplay_like.server.state import Settings, State
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.store import Store

FIXTURE = Path(__file__).parents[3] / "fixtures" / "otlp" / "genai.bin"


def test_a_span_that_cannot_be_read_is_kept_and_said_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(span: Span, project_id: str) -> None:
        raise RecursionError("a reader that fails")

    store = Store(SqliteDatabase(tmp_path / "test.db"))
    project = store.projects.create("first")
    taker = Otlp(State(store=store, settings=Settings(url="http://127.0.0.1:1")), Keys(store))
    spans = otlp_protobuf.decode(FIXTURE.read_bytes()).spans[:3]
    monkeypatch.setattr(otlp, "reading_of", fail)
    with caplog.at_level(logging.ERROR):
        drafts = [taker._draft(span, project) for span in spans]
    assert (taker.unreadable, len(caplog.records)) == (3, 1)
    assert store.spans.save(project, drafts).stored == 3
    tree = store.spans.tree(project.id, spans[0].trace_id)
    assert [from_wire(row.body, Span) for row in tree.spans] == sorted(spans, key=lambda span: span.started_ns)
    store.close()
