"""What has become of each template in a folder and in a backend, since the two last said the same.

Three states are compared: the file here, the version there, and the last one that both had. Only so can be told whether
a difference is an edit here, an edit there, or both, which is a conflict that nobody but a person can settle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import attrs

from freeplay_like.core.templates import PromptTemplate

Status = Literal[
    "same", "changed_here", "changed_there", "new_here", "new_there", "deleted_here", "deleted_there", "conflict"
]
"""What became of a template. `conflict`: both sides have changed it, and do not say the same."""

SAID: Final[Mapping[Status, str]] = {
    "same": "the same here and there",
    "changed_here": "changed here",
    "changed_there": "changed there",
    "new_here": "new here",
    "new_there": "new there",
    "deleted_here": "deleted here",
    "deleted_there": "put away there",
    "conflict": "changed here and there",
}


@attrs.frozen(kw_only=True)
class Common:
    """The last state that a file and a backend had in common: a version, and the fingerprint of what it says."""

    version_id: str
    fingerprint: str

    @classmethod
    def of(cls, version: PromptTemplate) -> Common:
        """The state of a version of the backend's."""
        return cls(version_id=version.version_id or "", fingerprint=version.fingerprint)


@attrs.frozen(kw_only=True)
class Compared:
    """One template, on both sides; None where a side has none."""

    name: str
    status: Status
    here: PromptTemplate | None
    there: PromptTemplate | None


def compare_all(
    here: Mapping[str, PromptTemplate], there: Mapping[str, PromptTemplate], common: Mapping[str, Common]
) -> tuple[Compared, ...]:
    """Each template of either side, or of both once, by name. Descriptions are not looked at."""
    return tuple(
        Compared(
            name=name,
            status=status_of(here.get(name), there.get(name), common.get(name)),
            here=here.get(name),
            there=there.get(name),
        )
        for name in sorted({*here, *there, *common})
    )


def status_of(here: PromptTemplate | None, there: PromptTemplate | None, common: Common | None) -> Status:
    """What became of one template."""
    mine = here.fingerprint if here else None
    theirs = there.fingerprint if there else None
    base = common.fingerprint if common else None
    if mine == theirs:
        return "same"
    if theirs == base:
        return "deleted_here" if mine is None else "new_here" if base is None else "changed_here"
    if mine == base:
        return "deleted_there" if theirs is None else "new_there" if base is None else "changed_there"
    return "conflict"
