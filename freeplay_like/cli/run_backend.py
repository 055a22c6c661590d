"""Datasets and test runs of a project, as the commands ask the backend for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Final, TypeVar

import attrs

from freeplay_like.backend_link import BackendLink, project_path, segment
from freeplay_like.cli.place import project_of
from freeplay_like.core.records import Record, ScoreValue
from freeplay_like.core.run_results import Spread
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import BackendError
from freeplay_like.session.test_runs import WireCase

T = TypeVar("T")

CASES_A_REQUEST: Final = 500
CALLS_A_REQUEST: Final = 100
_TIMEOUT_S: Final = 60.0
_PAGE_SIZE: Final = 100


@attrs.frozen(kw_only=True)
class KnownDataset:
    """A dataset as the backend lists it."""

    id: str
    name: str
    kind: str
    description: str
    cases: int


@attrs.frozen(kw_only=True)
class Taken:
    """What became of recorded calls that were to be test cases."""

    test_case_ids: list[str]
    skipped: list[dict[str, str]]


@attrs.frozen(kw_only=True)
class RunScore:
    """A score over a run."""

    count: int
    mean: float | None = None
    pass_rate: float | None = None


@attrs.frozen(kw_only=True)
class RunResults:
    """A run, summed up by the backend."""

    results: int
    outcomes: dict[str, int]
    scores: dict[str, RunScore]
    latency_ms: Spread
    input_tokens: Spread
    output_tokens: Spread
    cost_usd: Spread


@attrs.frozen(kw_only=True)
class KnownRun:
    """A run as the backend has it."""

    id: str
    name: str
    status: str
    dataset_name: str
    prompt_template_id: str | None = None
    prompt_template_version_id: str | None = None
    environment: str | None = None
    parameters: JsonObject = attrs.field(factory=dict)
    test_cases: int
    finished_test_cases: int
    results: RunResults


@attrs.frozen(kw_only=True)
class KnownCall:
    """A call of a case."""

    record_id: str
    outcome: str
    has_ended: bool
    scores: dict[str, ScoreValue]


@attrs.frozen(kw_only=True)
class TriedCase(WireCase):
    """A case of a run and its calls, in the order they began."""

    records: list[KnownCall]


@attrs.frozen(kw_only=True)
class _Pagination:
    has_next: bool = False


@attrs.frozen(kw_only=True)
class _Page:
    data: list[JsonObject]
    pagination: _Pagination


@attrs.frozen(kw_only=True)
class _FoundCall:
    completion_id: str


class RunBackend:
    """Datasets and test runs of the project that a key belongs to.

    Raises:
        AuthorizationError: the backend does not take the key.
        BackendError: not reached, or no answer that can be used. So do all methods.
    """

    def __init__(self, link: BackendLink, project_id: str | None) -> None:
        self.link = link
        self.project_id = project_id or project_of(link)
        self._path = project_path(self.project_id)

    def datasets(self) -> list[KnownDataset]:
        """All datasets, newest first, those for prompts before those for agents."""
        paths = (f"{self._path}/prompt-datasets", f"{self._path}/agent-datasets")
        return [_value(row, KnownDataset, path) for path in paths for row in self._pages(path)]

    def dataset(self, name: str) -> KnownDataset:
        """A dataset by its name."""
        path = f"{self._path}/datasets/name/{segment(name, 'dataset name')}"
        return _value(self.link.get(path), KnownDataset, path)

    def create_dataset(self, name: str, description: str, kind: str) -> KnownDataset:
        """A new dataset."""
        path = f"{self._path}/{kind}-datasets"
        return _value(self.link.post(path, {"name": name, "description": description}), KnownDataset, path)

    def add_cases(self, dataset_id: str, cases: Sequence[JsonObject]) -> None:
        """Put test cases, at most `CASES_A_REQUEST`, at the end of a dataset; those that are there stay as they are."""
        self.link.post(f"{self._path}/datasets/id/{segment(dataset_id, 'dataset id')}/test-cases", {"examples": cases})

    def add_calls(self, dataset_id: str, record_ids: Sequence[str]) -> Taken:
        """Make recorded calls, at most `CALLS_A_REQUEST`, test cases of a dataset."""
        path = f"{self._path}/datasets/id/{segment(dataset_id, 'dataset id')}/from-calls"
        return _value(self.link.post(path, {"record_ids": list(record_ids)}), Taken, path)

    def cases(self, dataset: KnownDataset) -> Iterator[JsonObject]:
        """The test cases of a dataset, in its order."""
        kind, dataset_id = segment(dataset.kind, "kind"), segment(dataset.id, "dataset id")
        return self._pages(f"{self._path}/{kind}-datasets/{dataset_id}/test-cases")

    def find_calls(self, filters: JsonValue, limit: int) -> list[str]:
        """The ids of recorded calls that a filter finds, newest first, at most `limit`."""
        path, found = f"{self._path}/search/completions", list[str]()
        for number in count(1):
            asked = {"page": str(number), "page_size": str(_PAGE_SIZE)}
            answer = self.link.ask("POST", path, params=asked, body={"filters": filters}).json()
            page = _value(answer, _Page, path)
            found += [_value(row, _FoundCall, path).completion_id for row in page.data]
            if len(found) >= limit or not page.pagination.has_next:
                break
        return found[:limit]

    def run(self, run_id: str) -> KnownRun:
        """A run and what it comes to."""
        path = f"{self._path}/test-runs/id/{segment(run_id, 'test run id')}"
        return _value(self.link.get(path), KnownRun, path)

    def run_cases(self, run_id: str) -> list[TriedCase]:
        """The cases of a run, each with its calls."""
        path = f"{self._path}/test-runs/id/{segment(run_id, 'test run id')}/cases"
        return [_value(row, TriedCase, path) for row in self._pages(path)]

    def record(self, record_id: str) -> Record:
        """A recorded call."""
        path = f"{self._path}/completions/{segment(record_id, 'record id')}"
        return _value(self.link.get(path), Record, path)

    def compare(self, before: str, after: str) -> JsonObject:
        """Two runs side by side, with the cases that got worse the most."""
        asked = {"runs": f"{before},{after}", "page_size": "20"}
        path = f"{self._path}/test-runs/compare"
        return _value(self.link.get(path, asked), dict[str, object], path)

    def _pages(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[JsonObject]:
        for number in count(1):
            asked = {**(params or {}), "page": str(number), "page_size": str(_PAGE_SIZE)}
            page = _value(self.link.get(path, asked), _Page, path)
            yield from page.data
            if not page.pagination.has_next:
                return


@contextmanager
def run_backend(api_base: str, api_key: str, project_id: str | None) -> Iterator[RunBackend]:
    """The backend at an address; errors as `RunBackend` has them."""
    link = BackendLink(api_base, api_key, _TIMEOUT_S)
    try:
        yield RunBackend(link, project_id)
    finally:
        link.close()


def _value(answer: JsonValue, kind: type[T], path: str) -> T:
    try:
        return from_wire(to_wire(answer), kind)
    except WireError as exc:
        raise BackendError(f"the backend's answer at {path} is not what was expected: {exc}", url=path) from exc
