"""How what is measured is written for people. Pure."""

from __future__ import annotations

from typing import Final

_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def size(size_bytes: float) -> str:
    """`0 B`, `840 B`, `1.2 kB`, `34 MB`: thousands, as disks are sold."""
    value, sign = abs(size_bytes), "-" if size_bytes < 0 else ""
    place = 0
    while value >= 999.5 and place < len(_SIZES) - 1:
        value, place = value / 1000, place + 1
    digits = 1 if place and value < 10 else 0
    return f"{sign}{value:.{digits}f} {_SIZES[place]}"


def lasting(seconds: float) -> str:
    """`0.02 s`, `1.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    if seconds < 1:
        return f"{seconds:.2f} s" if seconds else "0 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for below, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < below:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} d"


def share(part: float, whole: float) -> str:
    """`0 %`, `0.3 %`, `12 %`; what is there is never 0 %."""
    if not whole or not part:
        return "0 %"
    percent = part / whole * 100
    if percent < 0.1:
        return "under 0.1 %"
    return f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"
