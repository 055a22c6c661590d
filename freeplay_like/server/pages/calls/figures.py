"""What a list of calls adds up to: counts by field, sums, quantiles, and the calls over their time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from freeplay_like.server.pages.calls.narrowing import chosen_values, ruled_out_values, without_choice
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.counting import Facets, FacetValue, Summary
from freeplay_like.server.store.derived.filters import METADATA, SCORE, Filter
from freeplay_like.server.store.derived.timeline import Timeline
from freeplay_like.server.store.views import Project

SMALL_STORE: Final = 20_000
"""Up to so many records the figures come with the rows; with more the rows come first."""
VALUES_SHOWN: Final = 6
"""How many values of a field are shown before "more"."""

_VALUES: Final = 30
_OPEN_FIELDS: Final = 6
_RUNS: Final = 200
"""The test runs that have names here: the newest."""

_TITLES: Final = {
    "outcome": "Outcome",
    "template": "Template",
    "version": "Version",
    "environment": "Environment",
    "model": "Model",
    "error": "Error",
    "score.review": "Review",
    "feedback": "User feedback",
    "provider": "Provider",
    "flavor": "Flavor",
    "stream": "Streamed",
    "api_key": "API key",
    "test_run": "Test run",
}
_OPENED: Final = frozenset({"outcome", "template", "version", "environment", "model", "score.review"})
_LABELS: Final = {("stream", "true"): "yes", ("stream", "false"): "no"}


@attrs.frozen(kw_only=True)
class Value:
    """A value of a field: how people call it, how many calls have it, and whether the query speaks of it."""

    value: str
    label: str
    calls: int
    is_chosen: bool
    is_ruled_out: bool


@attrs.frozen(kw_only=True)
class Group:
    """The values of a field, the most common first. `is_open`: they are shown without being asked for."""

    field: str
    title: str
    is_open: bool
    values: tuple[Value, ...]

    @property
    def first(self) -> tuple[Value, ...]:
        """Those that are shown at once: the most common ones, and those that the query speaks of."""
        return tuple(
            value
            for place, value in enumerate(self.values)
            if place < VALUES_SHOWN or value.is_chosen or value.is_ruled_out
        )

    @property
    def further(self) -> tuple[Value, ...]:
        """The others."""
        shown = set(self.first)
        return tuple(value for value in self.values if value not in shown)


@attrs.frozen(kw_only=True)
class Figures:
    """What the calls of a list add up to. `is_partial`: looking took too long, and the counts are at least these."""

    summary: Summary
    groups: tuple[Group, ...]
    timeline: Timeline
    is_partial: bool

    @property
    def error_share(self) -> float:
        """How many of the calls ended in an error, from 0 to 1."""
        return self.summary.errors / self.summary.calls if self.summary.calls else 0.0


def figures_of(state: State, project: Project, query: Filter, which: Filter) -> Figures:
    """The figures of a filter; `query` is what was typed, `which` that and the time range."""
    statistics = state.store.statistics
    # A version's label says little without its template: every template has a version 1.
    names = [name for name in _TITLES if name != "version" or chosen_values(query, "template")]
    found = statistics.facets(project.id, which, names, _VALUES, _OPEN_FIELDS)
    summary, timeline = statistics.summary(project.id, which), statistics.timeline(project.id, which)
    # What could be chosen beside a chosen value is counted as if none were.
    own = {name: _alone(state, project, which, name) for name in found.fields if chosen_values(query, name)}
    counts = {**found.fields, **{name: facets.fields[name] for name, facets in own.items()}}
    labels = _labels(state, project, counts)
    return Figures(
        summary=summary,
        groups=tuple(group for name in counts if (group := _group(query, name, counts[name], labels)).values),
        timeline=timeline,
        is_partial=found.is_partial or summary.is_partial or timeline.is_partial,
    )


def _alone(state: State, project: Project, which: Filter, name: str) -> Facets:
    return state.store.statistics.facets(project.id, without_choice(which, name), [name], _VALUES)


def _group(query: Filter, name: str, counts: tuple[FacetValue, ...], labels: Mapping[tuple[str, str], str]) -> Group:
    chosen, ruled_out = chosen_values(query, name), ruled_out_values(query, name)
    calls = {each.value: each.calls for each in counts}
    calls.update({value: 0 for value in sorted(chosen | ruled_out) if value not in calls})
    values = tuple(
        Value(
            value=value,
            label=labels.get((name, value), value),
            calls=count,
            is_chosen=value in chosen,
            is_ruled_out=value in ruled_out,
        )
        for value, count in calls.items()
    )
    is_open = name in _OPENED or bool(chosen or ruled_out)
    return Group(field=name, title=_title(name), is_open=is_open, values=values)


def _title(name: str) -> str:
    if name in _TITLES:
        return _TITLES[name]
    return name[len(METADATA) :] if name.startswith(METADATA) else f"Score: {name[len(SCORE) :]}"


def _labels(state: State, project: Project, counts: Mapping[str, tuple[FacetValue, ...]]) -> dict[tuple[str, str], str]:
    """What people call values that are ids."""
    labels = dict(_LABELS)
    if counts.get("api_key"):
        keys = state.store.keys.all(project)
        labels.update({("api_key", key.key_id): key.name for key in keys if key.name})
    if counts.get("test_run"):
        runs = state.store.test_runs.page(project, 0, _RUNS)
        labels.update({("test_run", run.id): run.name for run in runs if run.name})
    return labels
