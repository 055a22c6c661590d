from __future__ import annotations

import math

from freeplay_like.server.metrics import Family, Requests, Sample, class_of, histogram, render, single
from freeplay_like.server.store.figures import Figures, Times
from freeplay_like.server.store.views import StoreUnavailable


def test_a_family_is_written_with_its_help_its_kind_and_a_line_for_each_sample() -> None:
    family = Family("calls_total", "counter", "Calls,\nby end \\.", (Sample(3, {"end": 'a "b"\\\n'}), Sample(0.5)))
    assert render([family]).decode() == (
        "# HELP calls_total Calls,\\nby end \\\\.\n"
        "# TYPE calls_total counter\n"
        'calls_total{end="a \\"b\\"\\\\\\n"} 3\n'
        "calls_total 0.5\n"
    )


def test_numbers_are_written_so_that_prometheus_reads_them() -> None:
    text = render(
        [single("a", "gauge", "A.", math.inf), single("b", "gauge", "B.", 2**60), single("c", "gauge", "C.", True)]
    )
    lines = text.decode().splitlines()
    assert [line for line in lines if line[0] != "#"] == ["a +Inf", f"b {2.0**60!r}", "c 1"]


def test_a_histogram_counts_what_was_at_most_each_end() -> None:
    times = Times()
    for seconds in (0.0001, 0.0005, 0.02, 60.0):
        times.add(seconds)
    samples = histogram(times)
    found = {each.labels.get("le", each.suffix): each.value for each in samples}
    assert (found["0.0005"], found["0.01"], found["0.025"], found["10"], found["+Inf"]) == (2, 2, 3, 3, 4)
    assert (found["_count"], found["_sum"]) == (4, 60.0206)


def test_requests_are_counted_by_what_they_were_for_and_their_status() -> None:
    requests = Requests()
    for kind, status in (("api", 200), ("api", 200), ("intake", 429)):
        requests.count(kind, status)
    assert [(each.value, dict(each.labels)) for each in requests.samples()] == [
        (2, {"route": "api", "status": "200"}),
        (1, {"route": "intake", "status": "429"}),
    ]


def test_what_a_request_is_for_is_told_by_its_path() -> None:
    paths = ("/api/v2/projects", "/v1/traces", "/static/app.css", "/healthz", "/metrics", "/projects/x/calls", "/")
    assert [class_of(path) for path in paths] == ["api", "api", "static", "health", "health", "page", "page"]


def test_a_group_that_could_not_be_stored_is_counted_as_that_alone() -> None:
    from datetime import UTC, datetime

    from freeplay_like.server.store.views import Batch, StoreResult

    figures, batch = Figures(), Batch(project_key=1, received_at=datetime.now(UTC))
    figures.count(
        [(batch, StoreUnavailable("full")), (batch, StoreResult(stored=2, duplicates=1, rejected=((0, "x"),)))]
    )
    assert (figures.batches, figures.unavailable) == (2, 1)
    assert (figures.stored, figures.duplicates, figures.rejected) == (2, 1, 1)
