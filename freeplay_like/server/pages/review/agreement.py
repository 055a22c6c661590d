"""How far two reviewers agree on the calls that both judged. Pure.

Cohen's kappa is (observed - by chance) / (1 - by chance): 1 where they always agree, 0 where no more often than two
would by chance who say good as often as these do (J. Cohen, 1960, "A coefficient of agreement for nominal scales").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import attrs

from freeplay_like.core.reviews import VERDICTS, Verdict
from freeplay_like.server.store.records.reviews import Judged

_WORDS: Final = ((0.8, "almost perfect"), (0.6, "substantial"), (0.4, "moderate"), (0.2, "fair"), (0.0, "slight"))
"""What Landis and Koch (1977) call a kappa above each."""


@attrs.frozen(kw_only=True)
class Agreement:
    """How often one reviewer said good (or bad), and the other good (or bad), of the same call."""

    good_good: int = 0
    good_bad: int = 0
    bad_good: int = 0
    bad_bad: int = 0

    @property
    def calls(self) -> int:
        """How many calls both judged."""
        return self.good_good + self.good_bad + self.bad_good + self.bad_bad

    @property
    def agreed(self) -> int:
        """On how many they said the same."""
        return self.good_good + self.bad_bad

    @property
    def observed(self) -> float | None:
        """The share of calls on which they agree; None without calls."""
        return self.agreed / self.calls if self.calls else None

    @property
    def by_chance(self) -> float | None:
        """The share on which two would agree who say good as often as these, of any call; None without calls."""
        if not self.calls:
            return None
        first, second = (self.good_good + self.good_bad) / self.calls, (self.good_good + self.bad_good) / self.calls
        return first * second + (1 - first) * (1 - second)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None without calls, and where both said only one thing, so that chance agrees always."""
        if self.observed is None or self.by_chance is None or self.by_chance == 1:
            return None
        return (self.observed - self.by_chance) / (1 - self.by_chance)

    @property
    def in_words(self) -> str:
        """What the kappa is called."""
        if self.kappa is None:
            return "not defined"
        return next((word for above, word in _WORDS if self.kappa > above), "none")

    def count(self, first: Verdict, second: Verdict) -> int:
        """How often the first reviewer said this, and the second that."""
        counts = {
            ("good", "good"): self.good_good,
            ("good", "bad"): self.good_bad,
            ("bad", "good"): self.bad_good,
            ("bad", "bad"): self.bad_bad,
        }
        return counts[first, second]


@attrs.frozen(kw_only=True)
class VersionAgreement:
    """The agreement on the calls of one version of a template; both None for calls without a template."""

    template: str | None
    version: str | None
    agreement: Agreement


def agreement_of(calls: Iterable[Judged], first: str, second: str) -> Agreement:
    """How far two people, by their ids, agree on the calls that both judged."""
    pairs = [(call.verdicts.get(first), call.verdicts.get(second)) for call in calls]
    good, bad = VERDICTS
    return Agreement(
        good_good=pairs.count((good, good)),
        good_bad=pairs.count((good, bad)),
        bad_good=pairs.count((bad, good)),
        bad_bad=pairs.count((bad, bad)),
    )


def agreement_by_version(calls: Iterable[Judged], first: str, second: str) -> tuple[VersionAgreement, ...]:
    """The same for each version of a template, that of most calls first."""
    groups: dict[tuple[str | None, str | None], list[Judged]] = defaultdict(list)
    for call in calls:
        if first in call.verdicts and second in call.verdicts:
            groups[call.template_name, call.template_version].append(call)
    found = [
        VersionAgreement(template=template, version=version, agreement=agreement_of(those, first, second))
        for (template, version), those in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.agreement.calls, one.template or "", one.version or "")))


@attrs.frozen(kw_only=True)
class VersionVerdicts:
    """How the calls of one version of a template were judged; both None for calls without a template."""

    template: str | None
    version: str | None
    good: int
    bad: int

    @property
    def share(self) -> float:
        """The share of good ones."""
        return self.good / (self.good + self.bad)


def verdicts_by_version(calls: Iterable[Judged]) -> tuple[VersionVerdicts, ...]:
    """The last verdicts on calls, by version, that of most calls first."""
    groups: dict[tuple[str | None, str | None], list[Verdict]] = defaultdict(list)
    for call in calls:
        if call.last is not None:
            groups[call.template_name, call.template_version].append(call.last)
    found = [
        VersionVerdicts(template=template, version=version, good=said.count("good"), bad=said.count("bad"))
        for (template, version), said in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-(one.good + one.bad), one.template or "", one.version or "")))
