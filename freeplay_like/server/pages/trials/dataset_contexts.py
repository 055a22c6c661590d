"""What the pages of datasets show."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from freeplay_like.core.case_files import FileFormat, LineProblem
from freeplay_like.server.pages.addresses import dataset_address
from freeplay_like.server.pages.trials.cases import NAMES_SHOWN, InputField, expected_of, fields_of, to_object
from freeplay_like.server.store.trials.test_runs import RunInfo
from freeplay_like.server.store.views import CaseContent, Dataset, DatasetCase, Project

CASES_A_PAGE = 50


@attrs.frozen(kw_only=True)
class DatasetsContext:
    """The datasets of a project, newest first, and the last run over each, by the dataset's id."""

    project: Project
    datasets: tuple[Dataset, ...]
    last_runs: Mapping[str, RunInfo]
    page_number: int
    has_next: bool


@attrs.frozen(kw_only=True)
class DatasetContext:
    """A dataset and a page of its cases. `found` counts those that hold the text `q`."""

    project: Project
    dataset: Dataset
    names: tuple[str, ...]
    cases: tuple[DatasetCase, ...]
    q: str
    page_number: int
    found: int
    runs: tuple[RunInfo, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The inputs that have a column of their own."""
        return self.names[:NAMES_SHOWN]

    @property
    def first(self) -> int:
        """The place of the first case shown, from 1."""
        return (self.page_number - 1) * CASES_A_PAGE + 1

    @property
    def newer_address(self) -> str | None:
        """The page before, None on the first."""
        return self._at(self.page_number - 1) if self.page_number > 1 else None

    @property
    def older_address(self) -> str | None:
        """The next page, None on the last."""
        return self._at(self.page_number + 1) if self.page_number * CASES_A_PAGE < self.found else None

    def _at(self, number: int) -> str:
        return dataset_address(self.project.id, self.dataset.id, q=self.q, page=number)

    def expected(self, case: DatasetCase) -> str:
        """What is expected of a case."""
        return expected_of(case.content)

    def rest(self, case: DatasetCase) -> tuple[str, ...]:
        """What else a case has, in words."""
        content = case.content
        more = [name for name in content.inputs if name not in self.columns]
        said = [f"{len(content.history)} messages before"] if content.history else []
        said += ["media"] if content.media_inputs else []
        said += ["metadata"] if content.metadata else []
        return (*more, *said)


@attrs.frozen(kw_only=True)
class CaseContext:
    """A test case, as a form; `case` None: one that is to be made. `is_json`: all of it is one field of JSON."""

    project: Project
    dataset: Dataset
    case: DatasetCase | None
    names: tuple[str, ...]
    is_json: bool

    @property
    def content(self) -> CaseContent:
        """What the form begins with."""
        return CaseContent() if self.case is None else self.case.content

    @property
    def fields(self) -> tuple[InputField, ...]:
        """Its inputs."""
        return fields_of(self.content, self.names)

    @property
    def expected(self) -> str:
        """What is expected of it."""
        return expected_of(self.content)

    @property
    def as_object(self) -> Mapping[str, object]:
        """All of it, in the words of the API."""
        return to_object(self.content)


@attrs.frozen(kw_only=True)
class ColumnChoice:
    """A column of a table, and what it becomes: an input's name, `output`, `history`, `metadata.NAME`, or nothing."""

    name: str
    becomes: str


@attrs.frozen(kw_only=True)
class ImportContext:
    """Cases that somebody is about to add to a dataset: the text, and what it is read as. `text` None: nothing yet."""

    project: Project
    dataset: Dataset
    text: str | None = None
    form: FileFormat = "jsonl"
    columns: tuple[ColumnChoice, ...] = ()
    first: tuple[CaseContent, ...] = ()
    count: int = 0
    problems: tuple[LineProblem, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs of the first cases."""
        return tuple(dict.fromkeys(name for content in self.first for name in content.inputs))

    def expected(self, content: CaseContent) -> str:
        """What is expected of a case."""
        return expected_of(content)


@attrs.frozen(kw_only=True)
class DeleteContext:
    """A dataset that somebody is about to delete."""

    project: Project
    dataset: Dataset
    runs: tuple[RunInfo, ...]
