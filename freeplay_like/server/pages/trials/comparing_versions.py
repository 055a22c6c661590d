"""Versions of templates side by side: what the calls recorded with each come to, and their last test runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import attrs

from freeplay_like.server.pages.addresses import compare_address, diff_address, where
from freeplay_like.server.pages.page import PageProblem
from freeplay_like.server.pages.trials.drawing import Plot, plots
from freeplay_like.server.pages.trials.noise import likely_share
from freeplay_like.server.pages.trials.run_contexts import ListedRun
from freeplay_like.server.pages.trials.runs import listed
from freeplay_like.server.pages.trials.versions import VersionName, named
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.counting import Summary
from freeplay_like.server.store.trials.test_runs import WhichRuns
from freeplay_like.server.store.views import Project

CALLS_DRAWN: Final = 500
"""The distributions are those of so many of a version's newest calls."""
_RUNS: Final = 3


@attrs.frozen(kw_only=True)
class VersionSide:
    """A version among others, in the figures of its calls. `feedback` counts thumbs; `latencies` is how they lie."""

    label: str
    version: VersionName
    summary: Summary
    feedback: Mapping[str, int]
    latencies: Plot | None
    costs: Plot | None
    runs: tuple[ListedRun, ...]

    @property
    def error_share(self) -> float | None:
        """The share of calls that failed."""
        return self.summary.errors / self.summary.calls if self.summary.calls else None

    @property
    def likely_errors(self) -> tuple[float, float] | None:
        """Between which shares that lies, with 95 % confidence."""
        return likely_share(self.summary.errors, self.summary.calls)


@attrs.frozen(kw_only=True)
class VersionsCompared:
    """Two to four versions."""

    project: Project
    sides: tuple[VersionSide, ...]

    kind: Literal["version"] = "version"

    @property
    def swapped_address(self) -> str:
        """The same with the second version first."""
        ids = [side.version.version_id for side in self.sides]
        return compare_address(self.project.id, "version", ids[1], ids[0], *ids[2:])

    def diff_address(self, side: VersionSide) -> str | None:
        """What changed from the first version to another of the same template."""
        first = self.sides[0].version
        if side is self.sides[0] or side.version.template_id != first.template_id:
            return None
        return diff_address(self.project.id, first.template_id, first.version_id, side.version.version_id)


def compare_versions(state: State, project: Project, version_ids: Sequence[str]) -> VersionsCompared:
    """Versions side by side.

    Raises:
        PageProblem: there is no such version.
    """
    known = named(state.store.prompts.summaries(project.id))
    missing = next((each for each in version_ids if each not in known), None)
    if missing is not None:
        raise PageProblem("No such version", f"Project {project.name!r} has no template version {missing[:100]!r}.")
    newest = [
        state.store.calls.page(project.id, where(version_id=each), limit=CALLS_DRAWN).rows for each in version_ids
    ]
    latencies = plots([[row.latency_ms for row in rows if row.latency_ms is not None] for rows in newest])
    costs = plots([[float(row.cost_nano_usd) for row in rows if row.cost_nano_usd is not None] for rows in newest])
    sides = tuple(
        VersionSide(
            label="ABCD"[place],
            version=known[version_id],
            summary=state.store.statistics.summary(project.id, where(version_id=version_id)),
            feedback=_feedback(state, project, version_id),
            latencies=latencies[place] if latencies else None,
            costs=costs[place] if costs else None,
            runs=listed(
                state, project, state.store.test_runs.page(project, 0, _RUNS, WhichRuns(version_id=version_id)), known
            ),
        )
        for place, version_id in enumerate(version_ids)
    )
    return VersionsCompared(project=project, sides=sides)


def _feedback(state: State, project: Project, version_id: str) -> dict[str, int]:
    found = state.store.statistics.facets(project.id, where(version_id=version_id), ("feedback",))
    return {value.value: value.calls for value in found.fields["feedback"]}
