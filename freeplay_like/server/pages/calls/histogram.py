"""The bars above a list of calls: how high they are drawn, and what is said of them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs

from freeplay_like.server.store.derived.timeline import Bar, Timeline

HEIGHT: Final = 40
STEP: Final = 10
"""What a bar and the gap after it take, in units of the picture."""
_WIDTH: Final = 8
_LEAST: Final = 1.5
"""A bar of a single call among thousands can still be seen."""


@attrs.frozen(kw_only=True)
class Drawn:
    """A bar, from `top` down to the ground; the calls that failed are its lowest part, from `failed_top` down."""

    bar: Bar
    x: int
    top: float
    failed_top: float
    label: str
    width: int = _WIDTH

    @property
    def height(self) -> float:
        """How high it is."""
        return round(HEIGHT - self.top, 2)

    @property
    def failed_height(self) -> float:
        """How high its failed part is."""
        return round(HEIGHT - self.failed_top, 2)


def drawn(timeline: Timeline) -> tuple[Drawn, ...]:
    """The bars that have calls, with their places among all."""
    highest = timeline.highest
    return tuple(
        Drawn(
            bar=bar,
            x=place * STEP,
            top=_top(bar.calls, highest),
            failed_top=_top(bar.errors, highest),
            label=label_of(bar),
        )
        for place, bar in enumerate(timeline.bars)
        if bar.calls
    )


def _top(calls: int, highest: int) -> float:
    if not calls:
        return HEIGHT
    return round(HEIGHT - max(_LEAST, calls / highest * HEIGHT), 2)


def label_of(bar: Bar) -> str:
    """When, and how many: `20 Nov 12:00 to 15:00 UTC: 34 calls, 2 errors`."""
    failed = f", {_counted(bar.errors, 'error')}" if bar.errors else ""
    return f"{_stretch(bar.starts_at, bar.ends_at)}: {_counted(bar.calls, 'call')}{failed}"


def _stretch(starts_at: datetime, ends_at: datetime) -> str:
    if ends_at - starts_at == timedelta(days=1):
        return f"{starts_at.day} {starts_at:%b %Y}"
    if ends_at - starts_at > timedelta(days=1):
        last = ends_at - timedelta(days=1)
        return f"{starts_at.day} {starts_at:%b} to {last.day} {last:%b %Y}"
    form = "%H:%M:%S" if ends_at - starts_at < timedelta(minutes=1) else "%H:%M"
    return f"{starts_at.day} {starts_at:%b} {starts_at:{form}} to {ends_at:{form}} UTC"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
