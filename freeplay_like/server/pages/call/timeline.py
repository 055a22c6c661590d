"""How a call went in time: its tries and waits as bars, and when the text came as a line. Pure: numbers in, SVG out."""

from __future__ import annotations

from typing import Final, Literal

import attrs

from freeplay_like.core.records import Record

WIDTH, HEIGHT = 600, 72
"""The drawing's own units; the page stretches it."""

BAR_WIDTH: Final = 1_000
"""The units of a bar's drawing."""

Kind = Literal["failed", "pause", "wait", "stream", "span", "here"]


@attrs.frozen(kw_only=True)
class Plot:
    """A step line of characters over milliseconds. `first_x` is where the first chunk came, None where unknown."""

    line: str
    area: str
    first_x: float | None
    total_ms: float
    characters: int


@attrs.frozen(kw_only=True)
class Step:
    """Something that took time: what, from when on, and for how long; `x` and `width` are its bar's."""

    kind: Kind
    label: str
    started_ms: float
    took_ms: float
    x: float
    width: float
    about: str = ""


def plot_of(record: Record) -> Plot | None:
    """The drawing of a record's timeline, None where fewer than two points came."""
    if len(record.timeline) < 2:
        return None
    total_ms = max(record.latency_ms or 0.0, record.timeline[-1][0])
    characters = max(characters for _, characters in record.timeline)
    if total_ms <= 0 or characters <= 0:
        return None

    def x(ms: float) -> float:
        return round(min(max(ms, 0.0), total_ms) / total_ms * WIDTH, 1)

    def y(so_far: int) -> float:
        return round(HEIGHT - max(so_far, 0) / characters * (HEIGHT - 2), 1)

    steps: list[str] = [f"0,{HEIGHT}"]
    before = 0
    for ms, so_far in record.timeline:
        steps += (f"{x(ms)},{y(before)}", f"{x(ms)},{y(so_far)}")
        before = so_far
    steps.append(f"{WIDTH},{y(before)}")
    first = record.time_to_first_chunk_ms
    return Plot(
        line=" ".join(steps),
        area=" ".join([*steps, f"{WIDTH},{HEIGHT}"]),
        first_x=None if first is None else x(first),
        total_ms=total_ms,
        characters=characters,
    )


def bar(started_ms: float, took_ms: float, total_ms: float) -> tuple[float, float]:
    """Where a bar begins and how wide it is, inside the drawing whatever the numbers are, and never invisible."""
    if total_ms <= 0:
        return 0.0, float(BAR_WIDTH)
    x = min(max(started_ms, 0.0), total_ms) / total_ms * BAR_WIDTH
    width = max(took_ms, 0.0) / total_ms * BAR_WIDTH
    x = min(x, BAR_WIDTH - 4.0)
    return round(x, 1), round(min(max(width, 4.0), BAR_WIDTH - x), 1)


def steps_of(record: Record) -> tuple[Step, ...]:
    """Each try that failed and the pause after it, the wait for the first chunk, and the answer as it came."""
    spans: list[tuple[Kind, str, float, float, str]] = []
    begin = 0.0
    for attempt in record.attempts:
        status = f"{attempt.error} {attempt.status}" if attempt.status else attempt.error
        spans.append(("failed", f"Try {attempt.number}", attempt.started_ms, attempt.latency_ms, status))
        begin = attempt.started_ms + attempt.latency_ms
        if attempt.waited_ms:
            spans.append(("pause", "Pause", begin, attempt.waited_ms, ""))
            begin += attempt.waited_ms
    end, first = record.latency_ms, record.time_to_first_chunk_ms
    if first is not None:
        spans.append(("wait", "Wait for the first chunk", begin, max(0.0, first - begin), ""))
        if end is not None:
            spans.append(("stream", "Answer", first, max(0.0, end - first), ""))
    elif end is not None:
        spans.append(("wait", "Answer, not streamed" if not record.is_stream else "Wait", begin, end - begin, ""))
    total_ms = max((started + took for _, _, started, took, _ in spans), default=0.0)
    return tuple(_step(kind, label, started, took, total_ms, about) for kind, label, started, took, about in spans)


def _step(kind: Kind, label: str, started_ms: float, took_ms: float, total_ms: float, about: str) -> Step:
    x, width = bar(started_ms, took_ms, total_ms)
    return Step(kind=kind, label=label, started_ms=started_ms, took_ms=max(took_ms, 0.0), x=x, width=width, about=about)


def longest_pause(record: Record) -> tuple[float, float] | None:
    """The longest silence between two points of the timeline: when it began, and how long it was, in milliseconds."""
    pairs = zip(record.timeline, record.timeline[1:], strict=False)
    gaps = [(later - earlier, earlier) for (earlier, _), (later, _) in pairs]
    if not gaps:
        return None
    took_ms, at_ms = max(gaps)
    return at_ms, took_ms
