"""Cases that come as the text of a file: what it is read as, before any of it is stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from freeplay_like.core.case_files import LEFT_OUT, FileCase, FileFormat, read_text, with_ids
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.pages.trials.cases import content_of
from freeplay_like.server.pages.trials.dataset_contexts import ColumnChoice, ImportContext
from freeplay_like.server.store.views import Dataset, Project

PREVIEW: Final = 5
_EXPECTED: Final = ("expected", "expected_output", "expected output", "ideal", "answer", "completion", "reference")
"""What other tools call the column that is our `output`."""


def form_of(form: Form, text: str) -> FileFormat:
    """What the sender said it is, else what it looks like: JSONL begins with a brace."""
    said = form.get("format")
    if said in ("csv", "jsonl"):
        return "csv" if said == "csv" else "jsonl"
    return "jsonl" if text.lstrip().startswith("{") else "csv"


def choose_columns(form: Form) -> dict[str, str]:
    """What each column is to become, where that was said."""
    columns = [value for name, value in form.fields if name == "column"]
    becomes = [value.strip() for name, value in form.fields if name == "becomes"]
    return dict(zip(columns, becomes, strict=False))


def read_import(
    project: Project, dataset: Dataset, text: str, form: FileFormat, columns: Mapping[str, str]
) -> tuple[tuple[FileCase, ...], ImportContext]:
    """The cases of a text, each with its id, and what is shown of them."""
    chosen = dict(columns)
    found = read_text(text, form, chosen)
    if not chosen:
        chosen = suggested(found.columns)
        found = read_text(text, form, chosen)
    identified = with_ids(found.cases, dataset.id)
    cases = tuple(attrs.evolve(case, fields=fields) for case, fields in zip(found.cases, identified, strict=True))
    shown = ImportContext(
        project=project,
        dataset=dataset,
        text=text,
        form=form,
        columns=tuple(ColumnChoice(name=name, becomes=chosen.get(name, name)) for name in found.columns),
        first=tuple(content_of(case) for case in cases[:PREVIEW]),
        count=len(cases),
        problems=found.problems,
    )
    return cases, shown


def suggested(columns: tuple[str, ...]) -> dict[str, str]:
    """Another tool's name for what is expected, where no column is called `output`; and no column called `id`."""
    chosen = {name: LEFT_OUT for name in columns if name in ("id", "source_record_id")}
    if "output" not in columns:
        other = next((name for name in columns if name.casefold() in _EXPECTED), None)
        if other is not None:
            chosen[other] = "output"
    return chosen
