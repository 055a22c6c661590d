"""What the pages show: one frozen value a page, which is also the page's JSON.

Fields are what the JSON holds; properties are derived from them for the template alone.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from freeplay_like.core.records import Amendment
from freeplay_like.core.templates import HistorySlot
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.pages.addresses import calls_address, tail_address
from freeplay_like.server.pages.conversation import Prompt, Turn, added_turns, prompt_of
from freeplay_like.server.pages.formats import pretty
from freeplay_like.server.pages.timeline import Plot, plot_of
from freeplay_like.server.store.pricing.priced import Derivation
from freeplay_like.server.store.views import (
    CallFilter,
    CallPage,
    CallRow,
    FilterValues,
    Project,
    StoredCall,
    TemplateSummary,
    TemplateVersion,
)

RAW_LIMIT_CHARACTERS = 200_000
"""The longest raw JSON that a page holds; a longer one is read from the page's JSON twin."""

REMARKS_LIMIT = 50
"""The most feedback, scores and comments that a page shows; all of them are in the page's JSON twin."""


@attrs.frozen(kw_only=True)
class ProjectsContext:
    """All projects, newest first. `base_url` is the address people use."""

    projects: tuple[Project, ...]
    base_url: str


@attrs.frozen(kw_only=True)
class CallsContext:
    """A page of the list of calls.

    `seen_seq` is the newest record that the page knows of: the live tail goes on from there. `is_first_page` is
    False where the page was reached by a cursor; such a page does not move.
    """

    project: Project
    filter: CallFilter
    page: CallPage
    values: FilterValues
    seen_seq: int
    is_first_page: bool
    base_url: str

    @property
    def is_filtered(self) -> bool:
        """True where some filter is set."""
        return self.filter != CallFilter()

    @property
    def is_new(self) -> bool:
        """True where the project has no calls at all."""
        return self.seen_seq == 0 and not self.page.rows

    @property
    def address(self) -> str:
        """The first page with this filter."""
        return calls_address(self.project.id, self.filter)

    @property
    def older_address(self) -> str | None:
        """The next older page, None at the end."""
        return calls_address(self.project.id, self.filter, before=self.page.older) if self.page.older else None

    @property
    def newer_address(self) -> str | None:
        """The next newer page, None on the first."""
        if self.is_first_page or not self.page.newer:
            return None
        return calls_address(self.project.id, self.filter, after=self.page.newer)

    @property
    def tail_address(self) -> str:
        """Where new rows come from."""
        return tail_address(self.project.id, self.filter, self.seen_seq)


@attrs.frozen(kw_only=True)
class CallContext:
    """One call. `explanation` says in a sentence how it ended; `output_tokens_per_s` counts from the first chunk.

    `cost` is how its cost came about, None where its price is not known.
    """

    project: Project
    call: StoredCall
    cost: Derivation | None
    explanation: str
    output_tokens_per_s: float | None

    @property
    def prompt(self) -> Prompt:
        """The messages that were sent."""
        return prompt_of(self.call.record)

    @property
    def added(self) -> tuple[Turn, ...]:
        """The messages that were added after the answer."""
        return added_turns(self.call.amendments)

    @property
    def remarks(self) -> tuple[Amendment, ...]:
        """Feedback, scores and comments, in the order they were given; the newest where there are very many."""
        said = [each for each in self.call.amendments if each.feedback or each.scores or each.comments]
        return tuple(said[-REMARKS_LIMIT:])

    @property
    def plot(self) -> Plot | None:
        """When the text came, None where too little came to draw."""
        return plot_of(self.call.record)

    @property
    def raw_request(self) -> str | None:
        """The request body as it was sent, None where it is not kept or too long to show."""
        return _shown(self.call.record.request) if self.call.record.request is not None else None

    @property
    def raw_record(self) -> str | None:
        """The whole record, None where it is too long to show."""
        return _shown(self.call.record)


@attrs.frozen(kw_only=True)
class SessionContext:
    """The calls of one session, oldest first, and their sums. A sum leaves out what a provider did not say.

    `cost_nano_usd` is that of the `priced_calls`, those whose price is known.
    """

    project: Project
    session_id: str
    calls: tuple[CallRow, ...]
    input_tokens: int
    output_tokens: int
    priced_calls: int
    cost_nano_usd: int
    latency_ms: float


@attrs.frozen(kw_only=True)
class TemplatesContext:
    """All templates of a project, with their versions."""

    project: Project
    templates: tuple[TemplateSummary, ...]
    base_url: str


@attrs.frozen(kw_only=True)
class TemplateMessageView:
    """A message of a template; `role` is None where the conversation so far goes, `media` are names and kinds."""

    role: str | None
    content: str
    media: tuple[tuple[str, str], ...] = ()


@attrs.frozen(kw_only=True)
class TemplateVersionContext:
    """One version of a template, read-only. `versions` are all of the template, newest first, this one among them."""

    project: Project
    template: TemplateSummary
    version_id: str
    version: str | None
    name: str | None
    description: str | None
    created_at: datetime
    syntax: str
    messages: tuple[TemplateMessageView, ...]
    variables: tuple[str, ...]
    optional_variables: tuple[str, ...]
    provider: str | None
    flavor: str | None
    model: str | None
    parameters: JsonObject
    tools: JsonValue
    output_schema: JsonValue

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that point at this version."""
        return next((v.environments for v in self.template.versions if v.version_id == self.version_id), ())

    @classmethod
    def of(cls, project: Project, summary: TemplateSummary, stored: TemplateVersion) -> TemplateVersionContext:
        """The context of a version."""
        version = stored.template
        return cls(
            project=project,
            template=summary,
            version_id=version.version_id or "",
            version=version.version,
            name=stored.name,
            description=version.description,
            created_at=stored.created_at,
            syntax=version.syntax,
            messages=tuple(
                TemplateMessageView(role=None, content="")
                if isinstance(message, HistorySlot)
                else TemplateMessageView(
                    role=message.role,
                    content=message.content,
                    media=tuple((slot.name, slot.kind) for slot in message.media_slots),
                )
                for message in version.messages
            ),
            variables=version.variables,
            optional_variables=version.optional_variables,
            provider=version.provider,
            flavor=version.flavor_name,
            model=version.model,
            parameters=version.parameters,
            tools=version.tools,
            output_schema=version.output_schema,
        )


@attrs.frozen(kw_only=True)
class MessageContext:
    """A page that only says something: not found, signed out. `commands` are lines for a terminal."""

    title: str
    message: str
    commands: tuple[str, ...] = ()
    is_signed_in: bool = True


def _shown(value: JsonValue) -> str | None:
    text = pretty(value)
    return text if len(text) <= RAW_LIMIT_CHARACTERS else None
