"""What the addresses of datasets take and answer, in Freeplay's words, for datasets of both kinds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Generic, TypeAlias, TypeVar

import attrs
from msgspec import UNSET, Meta, UnsetType
from starlette.exceptions import HTTPException

from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.store.trials.datasets import DatasetChange
from freeplay_like.server.store.views import CaseContent, Dataset, DatasetCase, DatasetDraft, DatasetKind

T = TypeVar("T")

CASES_A_REQUEST: Final = 500
BULK_LIMIT: Final = 100

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Text: TypeAlias = Annotated[str, Meta(max_length=10_000)]
Names: TypeAlias = Annotated[tuple[Name, ...], Meta(max_length=200)]
CaseId: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""The id of a test case: a UUID in small letters."""
RecordId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
StoredId: TypeAlias = Annotated[str, Meta(max_length=36)]


@attrs.frozen(kw_only=True)
class NewDataset:
    """The body that makes a dataset."""

    name: Name
    description: Text | None = None
    input_names: Names | None = None
    media_input_names: Names | None = None
    support_history: bool = False


@attrs.frozen(kw_only=True)
class ChangedDataset:
    """The body that says something else of a dataset; what is left out stays as it is."""

    name: Name | None = None
    description: Text | None = None
    input_names: Names | None = None
    media_input_names: Names | None = None
    support_history: bool | None = None


@attrs.frozen(kw_only=True)
class DatasetInfo:
    """A dataset as it is answered; `cases` is how many test cases it has."""

    id: str
    name: str
    kind: DatasetKind
    description: str
    input_names: tuple[str, ...]
    media_input_names: tuple[str, ...]
    support_history: bool
    created_at: datetime
    cases: int


@attrs.frozen(kw_only=True)
class NewCase:
    """A test case for a prompt. With an `id` of the sender's own it can be sent again and is there once."""

    inputs: JsonObject = attrs.field(factory=dict)
    output: str | None = None
    output_message: JsonObject | None = None
    history: list[JsonObject] | None = None
    metadata: JsonObject | None = None
    media_inputs: JsonObject | None = None
    id: CaseId | None = None

    @property
    def content(self) -> CaseContent:
        """What is stored."""
        return CaseContent(
            inputs=self.inputs,
            output=self.output,
            output_message=self.output_message,
            history=None if self.history is None else tuple(self.history),
            metadata=self.metadata,
            media_inputs=self.media_inputs,
        )


@attrs.frozen(kw_only=True)
class ChangedCase:
    """What a test case for a prompt is to say instead; what is left out stays as it is."""

    inputs: JsonObject | UnsetType = UNSET
    output: str | UnsetType | None = UNSET
    output_message: JsonObject | UnsetType | None = UNSET
    history: list[JsonObject] | UnsetType | None = UNSET
    metadata: JsonObject | UnsetType | None = UNSET
    media_inputs: JsonObject | UnsetType | None = UNSET

    def over(self, content: CaseContent) -> CaseContent:
        """The content with this in the place of what it said."""
        given = {name: value for name, value in attrs.asdict(self, recurse=False).items() if value is not UNSET}
        if isinstance(given.get("history"), list):
            given["history"] = tuple(given["history"])
        return attrs.evolve(content, **given)


@attrs.frozen(kw_only=True)
class NewAgentCase:
    """A test case for an agent: any JSON goes in, any is expected to come out."""

    inputs: JsonValue
    outputs: JsonValue = None
    metadata: JsonObject | None = None
    id: CaseId | None = None

    @property
    def content(self) -> CaseContent:
        """What is stored."""
        return _expecting(CaseContent(inputs={"input": self.inputs}, metadata=self.metadata), self.outputs)


@attrs.frozen(kw_only=True)
class ChangedAgentCase:
    """What a test case for an agent is to say instead; what is left out stays as it is."""

    inputs: JsonValue = UNSET
    outputs: JsonValue = UNSET
    metadata: JsonObject | UnsetType | None = UNSET

    def over(self, content: CaseContent) -> CaseContent:
        """The content with this in the place of what it said."""
        if self.inputs is not UNSET:
            content = attrs.evolve(content, inputs={"input": self.inputs})
        if self.outputs is not UNSET:
            content = _expecting(content, self.outputs)
        return content if isinstance(self.metadata, UnsetType) else attrs.evolve(content, metadata=self.metadata)


@attrs.frozen(kw_only=True)
class Bulk(Generic[T]):
    """Up to 100 at once."""

    data: Annotated[list[T], Meta(max_length=BULK_LIMIT)]


@attrs.frozen(kw_only=True)
class CaseIds:
    """Test cases by their ids, up to 100 at once."""

    test_case_ids: Annotated[list[StoredId], Meta(min_length=1, max_length=BULK_LIMIT)]


@attrs.frozen(kw_only=True)
class FromCalls:
    """Recorded calls by their ids, up to 100 at once."""

    record_ids: Annotated[list[RecordId], Meta(min_length=1, max_length=BULK_LIMIT)]


@attrs.frozen(kw_only=True)
class SkippedCall:
    """A recorded call that was left out, and why."""

    record_id: str
    message: str


@attrs.frozen(kw_only=True)
class TakenCalls:
    """The test cases that recorded calls are in the dataset now, and what was left out."""

    test_case_ids: tuple[str, ...]
    skipped: tuple[SkippedCall, ...]


@attrs.frozen(kw_only=True)
class AddedCases:
    """The ids of test cases, in the order they were sent."""

    message: str
    test_case_ids: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Done:
    """That something was done."""

    message: str


def draft_of(body: NewDataset, kind: DatasetKind) -> DatasetDraft:
    """The dataset that a body asks for; 400 where its names are none."""
    return DatasetDraft(
        name=_checked_name(body.name),
        kind=kind,
        description=_checked_text("description", body.description) or "",
        input_names=_checked_names("input_names", body.input_names) or (),
        media_input_names=_checked_names("media_input_names", body.media_input_names) or (),
        support_history=body.support_history,
    )


def change_of(body: ChangedDataset) -> DatasetChange:
    """What a body asks to say of a dataset; 400 where its names are none."""
    return DatasetChange(
        name=None if body.name is None else _checked_name(body.name),
        description=_checked_text("description", body.description),
        input_names=_checked_names("input_names", body.input_names),
        media_input_names=_checked_names("media_input_names", body.media_input_names),
        support_history=body.support_history,
    )


def info_of(dataset: Dataset) -> DatasetInfo:
    """A dataset as it is answered."""
    return DatasetInfo(**attrs.asdict(dataset, filter=lambda field, _: field.name != "key"))


def check_messages(where: str, content: CaseContent) -> None:
    """400 where a message of a test case has no role: it is kept as it was sent, and that is all that is asked."""
    messages = [(f"history[{place}]", message) for place, message in enumerate(content.history or ())]
    if content.output_message is not None:
        messages.append(("output_message", content.output_message))
    for field, message in messages:
        if not isinstance(message.get("role"), str):
            raise HTTPException(400, f"{where}{field} has no role; a message is {{'role', 'content'}}")


def case_to_wire(case: DatasetCase) -> JsonObject:
    """A test case for a prompt, as its own addresses answer it."""
    content = case.content
    return {
        "id": case.id,
        "inputs": content.inputs,
        "output": content.output,
        "output_message": content.output_message,
        "history": content.history,
        "metadata": content.metadata,
        "media_inputs": content.media_inputs,
        "source_record_id": case.source_record_id,
    }


def example_to_wire(case: DatasetCase) -> JsonObject:
    """A test case as the addresses that the SDK knows answer it, where the inputs are called values."""
    wire = case_to_wire(case)
    return {**wire, "values": wire.pop("inputs")}


def agent_case_to_wire(case: DatasetCase) -> JsonObject:
    """A test case for an agent, as its own addresses answer it."""
    return {
        "id": case.id,
        "input": agent_input(case.content),
        "output": agent_output(case.content),
        "metadata": case.content.metadata,
    }


def agent_input(content: CaseContent) -> JsonValue:
    """What an agent is given: one that was uploaded in the words of a prompt has all of its inputs."""
    return content.inputs["input"] if content.inputs.keys() == {"input"} else content.inputs


def agent_output(content: CaseContent) -> JsonValue:
    """What is expected of an agent."""
    return content.output if content.agent_output is None else content.agent_output


def as_text(value: JsonValue) -> str:
    """JSON for a client that knows text alone."""
    return value if isinstance(value, str) else to_wire(value).decode()


def _expecting(content: CaseContent, output: JsonValue) -> CaseContent:
    """The content with what is expected of an agent."""
    if output is None or isinstance(output, str):
        return attrs.evolve(content, output=output, agent_output=None)
    return attrs.evolve(content, output=None, agent_output=output)


def _checked_name(name: str) -> str:
    stripped = name.strip()
    if not is_name(stripped):
        raise HTTPException(400, f"a dataset's {said_of_name(stripped)}")
    return stripped


def _checked_names(field: str, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for name in names or ():
        if not is_name(name):
            raise HTTPException(400, f"{field}: a variable's {said_of_name(name)}")
    return names


def _checked_text(field: str, text: str | None) -> str | None:
    if text is not None and "\x00" in text:
        raise HTTPException(400, f"{field} holds a NUL character, which no text has")
    return text
