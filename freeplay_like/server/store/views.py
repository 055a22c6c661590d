"""What the store answers with: values, whole and frozen, that hold no connection."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import attrs
import msgspec

from freeplay_like.core.records import Amendment, Outcome, Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue

Scope = Literal["ingest", "read", "prompts", "deploy", "admin"]
"""What an API key may do in its project: send records, read them, write prompts, move protected environments, make
keys."""

FIRST_LINES_LIMIT = 240
"""The most characters of a question or an answer that a row of a list carries."""


@attrs.frozen(kw_only=True)
class Project:
    """A project. `key` is the store's own number for it, `id` the one the world uses.

    `retention_days` is how long its records are kept, None for ever.
    """

    key: int
    id: str
    name: str
    created_at: datetime
    retention_days: int | None = None


@attrs.frozen(kw_only=True)
class CallRow:
    """One line of the list of calls.

    `seq` counts the records of this store in the order they arrived; it is what lists are ordered and resumed by.
    `template_version` is the label that people read. `first_user` and `first_answer` hold the beginning of the
    last question and of its answer, at most `FIRST_LINES_LIMIT` characters. `cost_nano_usd` is in
    billionths of a dollar, None where it is not known.
    """

    seq: int
    record_id: str
    project_id: str
    session_id: str | None
    template_name: str | None
    template_version: str | None
    template_version_id: str | None
    environment: str | None
    provider: str
    flavor: str
    requested_model: str | None
    model: str | None
    outcome: Outcome
    started_at: datetime
    latency_ms: float | None
    time_to_first_chunk_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    is_stream: bool
    first_user: str
    first_answer: str
    error_type: str | None
    test_run_id: str | None
    test_case_id: str | None
    cost_nano_usd: int | None = None


@attrs.frozen(kw_only=True)
class CallPage:
    """A page of the list, newest first. `older` and `newer` are cursors to hand back, None at either end.

    `is_partial`: looking took too long, and stopped early; the cursor goes on from there.
    """

    rows: tuple[CallRow, ...]
    older: str | None
    newer: str | None
    is_partial: bool = False


@attrs.frozen(kw_only=True)
class StoredCall:
    """One call, whole. `previous_id` and `next_id` are its neighbours in the session, in the order they began."""

    row: CallRow
    record: Record
    amendments: tuple[Amendment, ...]
    received_at: datetime
    previous_id: str | None
    next_id: str | None


@attrs.frozen(kw_only=True)
class SentRecord:
    """A record and what was said of it, in the order it was said: each the JSON that was sent."""

    body: bytes
    amendments: tuple[bytes, ...]


@attrs.frozen(kw_only=True)
class SessionTotals:
    """Sums over the calls of a session. A sum leaves out what a provider did not say.

    `cost_nano_usd` is that of the `priced_calls`, those whose price is known.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    priced_calls: int
    cost_nano_usd: int


@attrs.frozen(kw_only=True)
class SentSession:
    """A session, read back: its newest records, in the order they began, and the sums over all of them.

    `metadata` is that of these records together, where the later one wins; `has_more` says that older ones were
    left out.
    """

    metadata: JsonObject
    totals: SessionTotals
    records: tuple[SentRecord, ...]
    has_more: bool


@attrs.frozen(kw_only=True)
class VersionSummary:
    """One version of a template, without its messages. `version` is the label people read (`3`)."""

    version_id: str
    version: str
    name: str | None
    description: str | None
    provider: str | None
    flavor: str | None
    model: str | None
    created_at: datetime
    environments: tuple[str, ...]


@attrs.frozen(kw_only=True)
class TemplateSummary:
    """A template and its versions, newest first."""

    template_id: str
    name: str
    created_at: datetime
    versions: tuple[VersionSummary, ...]
    description: str | None = None


@attrs.frozen(kw_only=True)
class TemplateVersion:
    """One version of a template, whole. `name` is what its author called this version."""

    template: PromptTemplate
    name: str | None
    created_at: datetime


@attrs.frozen(kw_only=True)
class NearTemplates:
    """What there is instead of a template that was not found: near names, and its environments if the name is right."""

    names: tuple[str, ...]
    environments: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ApiKey:
    """An API key as it is known to the store: never its secret."""

    key_id: str
    project: Project
    scopes: frozenset[Scope]


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A count that a database can keep."""


@attrs.frozen(kw_only=True)
class Sender:
    """What a delivering SDK process says of itself with each batch."""

    sender_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    host: str | None = None
    pid: Count | None = None
    sdk: str | None = None
    dropped: Count = 0
    spooled_bytes: Count = 0
    oldest_unsent_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


@attrs.frozen(kw_only=True)
class KnownSender:
    """A sender, and when it was last heard of."""

    sender: Sender
    seen_at: datetime


@attrs.frozen(kw_only=True)
class Incoming:
    """A record that is to be stored. `index` is its place in the request, `body` its JSON as it came."""

    index: int
    record: Record
    body: bytes


@attrs.frozen(kw_only=True)
class IncomingAmendment:
    """Something said of a record, that is to be stored; as `Incoming`."""

    index: int
    amendment: Amendment
    body: bytes


@attrs.frozen(kw_only=True, eq=False)
class Batch:
    """Records, and what was said of records, that came together.

    Each batch gets its own answer, so two of the same content are not equal. `api_key_id` is the key they came with.
    """

    project_key: int
    records: tuple[Incoming, ...] = ()
    amendments: tuple[IncomingAmendment, ...] = ()
    received_at: datetime
    sender: Sender | None = None
    api_key_id: str | None = None
    size_bytes: int = attrs.field(init=False)
    """How much JSON waits."""

    @size_bytes.default
    def _size_bytes(self) -> int:
        records = sum(len(incoming.body) for incoming in self.records)
        return records + sum(len(incoming.body) for incoming in self.amendments)

    @property
    def count(self) -> int:
        """How many things there are to store."""
        return len(self.records) + len(self.amendments)


@attrs.frozen(kw_only=True)
class StoreResult:
    """What became of a batch. `rejected` holds the index and the reason of each record that was not stored."""

    stored: int = 0
    duplicates: int = 0
    rejected: tuple[tuple[int, str], ...] = ()
    amendments_stored: int = 0
    amendments_duplicates: int = 0
    amendments_rejected: tuple[tuple[int, str], ...] = ()

    def __add__(self, other: StoreResult) -> StoreResult:
        """Both together."""
        return StoreResult(
            stored=self.stored + other.stored,
            duplicates=self.duplicates + other.duplicates,
            rejected=self.rejected + other.rejected,
            amendments_stored=self.amendments_stored + other.amendments_stored,
            amendments_duplicates=self.amendments_duplicates + other.amendments_duplicates,
            amendments_rejected=self.amendments_rejected + other.amendments_rejected,
        )


class StoreUnavailable(Exception):
    """The store cannot write now (disk full, locked, closing): the same request may succeed later."""


class StoreBusy(StoreUnavailable):
    """More waits to be written than may wait."""


class NotFound(Exception):
    """There is no such thing in that project; the message names it, and near ones."""


class Conflict(Exception):
    """What is there already does not allow this; the message says what it is."""


class Refused(Exception):
    """What was asked for makes no sense; the message says why."""


class TooMuch(Exception):
    """More than may be kept or asked for at once."""


class NameTaken(Conflict):
    """There is a project, or in this project a dataset, of that name already."""


DatasetKind = Literal["prompt", "agent"]
"""What the cases of a dataset are for: a prompt's variables, or an agent's input and output."""


@attrs.frozen(kw_only=True)
class DatasetDraft:
    """A dataset that is to be made. `input_names` and `media_input_names` declare the variables of its cases."""

    name: str
    kind: DatasetKind = "prompt"
    description: str = ""
    input_names: tuple[str, ...] = ()
    media_input_names: tuple[str, ...] = ()
    support_history: bool = False


@attrs.frozen(kw_only=True)
class Dataset:
    """A dataset, without its test cases; `cases` is how many it has."""

    key: int
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
class CaseContent:
    """A test case: what goes in, and what is expected to come out.

    `output` is the expectation as text, `output_message` as a message; `media_inputs` are by placeholder
    `{"type": "base64", "data", "content_type"}` or `{"type": "url", "url"}`. A case for an agent has any JSON in
    `inputs["input"]`, and in `agent_output` what is expected of the agent, where that is no text.
    """

    inputs: JsonObject = attrs.field(factory=dict)
    output: str | None = None
    output_message: JsonObject | None = None
    history: tuple[JsonObject, ...] | None = None
    metadata: JsonObject | None = None
    media_inputs: JsonObject | None = None
    agent_output: JsonValue = None


@attrs.frozen(kw_only=True)
class DatasetCase:
    """A test case as it is stored. `source_record_id` is the recorded call it was made from."""

    id: str
    content: CaseContent
    source_record_id: str | None = None


@attrs.frozen(kw_only=True)
class RunDraft:
    """A test run that is to be made, over the cases its dataset has now.

    `template_id` and `template_version_id` say which version is tried, `environment` how it was found, `parameters`
    what is set over its own.
    """

    dataset_name: str
    name: str | None = None
    description: str = ""
    flavor: str | None = None
    template_id: str | None = None
    template_version_id: str | None = None
    environment: str | None = None
    parameters: JsonObject = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class NewRun:
    """A test run that was just made, and its cases, of the kind of its dataset."""

    id: str
    kind: DatasetKind
    cases: tuple[DatasetCase, ...]
