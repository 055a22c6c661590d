"""Counts and times of a running server, in the text format that Prometheus reads (version 0.0.4).

Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/ (read 2026-11). Counts are kept by
one thread each, so that none needs a lock; whoever reads them may see one that is a moment old.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from freeplay_like.server.store.figures import Times

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels: TypeAlias = Mapping[str, str]
Kind = Literal["counter", "gauge", "histogram"]
RouteClass = Literal["intake", "api", "page", "static", "health"]
"""What a request was for."""


@attrs.frozen
class Sample:
    """One line: the end of its name (`_bucket`, or nothing), its labels and its value."""

    value: float
    labels: Labels = attrs.field(factory=dict)
    suffix: str = ""


@attrs.frozen
class Family:
    """All lines of one name."""

    name: str
    kind: Kind
    about: str
    samples: Sequence[Sample]


def single(name: str, kind: Kind, about: str, value: float) -> Family:
    """A name with one line."""
    return Family(name, kind, about, (Sample(value),))


def histogram(times: Times) -> list[Sample]:
    """The lines of counted times: how many were at most each end, then their sum and count."""
    samples, total = [], 0
    for end, count in zip((*times.ends, math.inf), times.counts, strict=True):
        total += count
        samples.append(Sample(total, {"le": _number(end)}, "_bucket"))
    return [*samples, Sample(times.sum_s, {}, "_sum"), Sample(total, {}, "_count")]


class Requests:
    """Counts the requests that were answered. For the event loop."""

    def __init__(self) -> None:
        self._counts: dict[tuple[RouteClass, int], int] = {}

    def count(self, kind: RouteClass, status: int) -> None:
        """One more."""
        key = kind, status
        self._counts[key] = self._counts.get(key, 0) + 1

    def samples(self) -> list[Sample]:
        """Its lines."""
        # a copy: the event loop may add a status while a thread reads
        return [
            Sample(count, {"route": kind, "status": str(status)})
            for (kind, status), count in sorted(self._counts.copy().items())
        ]


def class_of(path: str) -> RouteClass:
    """What a request for a path is for; the intake counts its own."""
    if path.startswith(("/api/", "/v1/")):
        return "api"
    if path.startswith("/static/"):
        return "static"
    if path in {"/healthz", "/readyz", "/metrics"}:
        return "health"
    return "page"


def render(families: Iterable[Family]) -> bytes:
    """The text."""
    lines: list[str] = []
    for family in families:
        lines += (f"# HELP {family.name} {_escaped(family.about)}", f"# TYPE {family.name} {family.kind}")
        lines += (f"{family.name}{each.suffix}{_labels(each.labels)} {_number(each.value)}" for each in family.samples)
    return ("\n".join(lines) + "\n").encode()


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value, is_label=True)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str, *, is_label: bool = False) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if is_label else escaped


def _number(value: float) -> str:
    if value == math.inf:
        return "+Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
