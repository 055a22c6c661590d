"""Whether a difference says anything, or chance alone would give it. Pure, exact, and said in words.

A sign test: if nothing had changed, a case that differs would go either way like a tossed coin. Nothing is assumed of
how the numbers lie, and few cases give no verdict.
"""

from __future__ import annotations

import math
from typing import Final, Literal

LIKELY: Final = 0.05
"""A difference that chance alone gives less often than this is taken for one."""
_Z: Final = 1.959964
"""How many standard deviations hold 95 % of a normal distribution."""

Verdict = Literal["better", "worse", "unclear", "same"]


def sign_test(better: int, worse: int) -> float:
    """How often chance alone would part cases so unevenly, or more so, either way (exact, two-sided)."""
    count = better + worse
    if count == 0:
        return 1.0
    tail = sum(math.comb(count, k) for k in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / (1 << count))


def verdict(better: int, worse: int) -> Verdict:
    """What the cases that differ say together."""
    if better == worse == 0:
        return "same"
    if sign_test(better, worse) >= LIKELY:
        return "unclear"
    return "better" if better > worse else "worse"


def said_of(better: int, worse: int) -> str:
    """The verdict in words, with what it rests on."""
    found, chance = verdict(better, worse), sign_test(better, worse)
    if found == "same":
        return "no case in both differs"
    odds = "under 0.1 %" if chance < 0.001 else f"{100 * chance:.{0 if chance >= 0.1 else 1}f} %"
    if found == "unclear":
        return f"within noise: chance alone does this {odds} of the time"
    return f"{found}, beyond noise: chance alone does this {odds} of the time"


def likely_share(hits: int, count: int) -> tuple[float, float] | None:
    """Between which shares the true one lies, with 95 % confidence (Wilson's interval); None of nothing."""
    if count == 0:
        return None
    share, z2 = hits / count, _Z * _Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)
