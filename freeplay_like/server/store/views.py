"""What the store answers with: values, whole and frozen, that hold no connection."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import attrs
import msgspec

from freeplay_like.core.records import Outcome, Record
from freeplay_like.core.templates import PromptTemplate

Scope = Literal["ingest", "read", "prompts", "admin"]
"""What an API key may do in its project: send records, read them, write prompts, make keys."""

FIRST_LINES_LIMIT = 240
"""The most characters of a question or an answer that a row of a list carries."""


@attrs.frozen(kw_only=True)
class Project:
    """A project. `key` is the store's own number for it, `id` the one the world uses."""

    key: int
    id: str
    name: str
    created_at: datetime


@attrs.frozen(kw_only=True)
class CallRow:
    """One line of the list of calls.

    `seq` counts the records of this store in the order they arrived; it is what lists are ordered and resumed by.
    `template_version` is the label that people read. `first_user` and `first_answer` hold the beginning of the
    last question and of its answer, at most `FIRST_LINES_LIMIT` characters.
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


@attrs.frozen(kw_only=True)
class CallFilter:
    """Which calls: every field that is not None must hold.

    `model` is the name that answered or the one asked for; `text` a part of the question, the answer or the error,
    upper and lower case alike.
    """

    model: str | None = None
    outcome: str | None = None
    text: str | None = None
    template: str | None = None
    session_id: str | None = None


@attrs.frozen(kw_only=True)
class CallPage:
    """A page of the list, newest first. `older` and `newer` are cursors to hand back, None at either end."""

    rows: tuple[CallRow, ...]
    older: str | None
    newer: str | None


@attrs.frozen(kw_only=True)
class StoredCall:
    """One call, whole. `previous_id` and `next_id` are its neighbours in the session, in the order they began."""

    row: CallRow
    record: Record
    received_at: datetime
    previous_id: str | None
    next_id: str | None


@attrs.frozen(kw_only=True)
class FilterValues:
    """The values that a project's calls have, for the filters to offer. Each sorted, at most 200."""

    models: tuple[str, ...]
    outcomes: tuple[str, ...]
    templates: tuple[str, ...]


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


@attrs.frozen(kw_only=True, eq=False)
class Batch:
    """Records that came together. Each batch gets its own answer, so two of the same content are not equal."""

    project_key: int
    records: tuple[Incoming, ...]
    received_at: datetime
    sender: Sender | None = None

    @property
    def size_bytes(self) -> int:
        """How much JSON waits."""
        return sum(len(incoming.body) for incoming in self.records)


@attrs.frozen(kw_only=True)
class StoreResult:
    """What became of a batch. `rejected` holds the index and the reason of each record that was not stored."""

    stored: int = 0
    duplicates: int = 0
    rejected: tuple[tuple[int, str], ...] = ()


class StoreUnavailable(Exception):
    """The store cannot write now (disk full, locked, closing): the same request may succeed later."""


class StoreBusy(StoreUnavailable):
    """More waits to be written than may wait."""


class NameTaken(Exception):
    """There is a project of that name already."""
