"""Values to render a template with: of recorded calls, and of the test cases of datasets."""

from __future__ import annotations

from typing import Final

import attrs

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.pages.addresses import where
from freeplay_like.server.pages.formats import exact, inline
from freeplay_like.server.state import State
from freeplay_like.server.store.views import DatasetCase, NotFound, Project, Refused

CALLS: Final = 20
DATASETS: Final = 5
CASES: Final = 10
"""How many are offered: the last calls of the template, and the first cases of each of the newest datasets."""

_LABEL_CHARACTERS: Final = 70


@attrs.frozen(kw_only=True)
class Example:
    """Something to take values from: `call:ID` or `case:DATASET:ID`, and what people see."""

    key: str
    label: str


@attrs.frozen(kw_only=True)
class ExampleGroup:
    """Examples of one source."""

    label: str
    examples: tuple[Example, ...]


def examples_of(state: State, project: Project, template_name: str | None) -> tuple[ExampleGroup, ...]:
    """What can be chosen: the last calls of a template, where it has a name already, and test cases."""
    groups = []
    if template_name:
        rows = state.store.calls.page(project.id, where(template=template_name), limit=CALLS).rows
        groups.append(
            ExampleGroup(
                label="Recorded calls",
                examples=tuple(
                    Example(
                        key=f"call:{row.record_id}",
                        label=_short(row.first_user or "(no question)") + f" · {exact(row.started_at)[:16]}",
                    )
                    for row in rows
                ),
            )
        )
    for dataset in state.store.datasets.page(project, "prompt", 0, DATASETS):
        cases = state.store.test_cases.page(project, dataset.id, 0, CASES)
        examples = (Example(key=f"case:{dataset.id}:{case.id}", label=_label(case)) for case in cases)
        groups.append(ExampleGroup(label=f"Dataset {dataset.name}", examples=tuple(examples)))
    return tuple(group for group in groups if group.examples)


def values_of(state: State, project: Project, key: str) -> JsonObject:
    """The values of an example.

    Raises:
        Refused: no such example, or it is not there any more.
    """
    kind, _, name = key.partition(":")
    if kind == "call":
        call = state.store.calls.get(project.id, name)
        if call is not None:
            return call.record.variables
    elif kind == "case":
        dataset_id, _, case_id = name.partition(":")
        try:
            return state.store.test_cases.get(project, dataset_id, case_id).content.inputs
        except NotFound as exc:
            raise Refused(f"the test case is not there any more: {exc}") from exc
    raise Refused(f"there is no example {key[:100]!r} to take values from; choose another one")


def _label(case: DatasetCase) -> str:
    inputs = case.content.inputs
    return _short(", ".join(f"{name}: {inline(value)}" for name, value in inputs.items()) or "(no inputs)")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LABEL_CHARACTERS else f"{line[: _LABEL_CHARACTERS - 1]}…"
