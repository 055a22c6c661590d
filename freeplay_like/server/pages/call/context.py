"""What the page of a call shows."""

from __future__ import annotations

import functools
from typing import Final

import attrs

from freeplay_like.core.messages import Message
from freeplay_like.core.rates import counts_of
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.templates import HistorySlot, Syntax, TemplateMessage
from freeplay_like.core.wire import JsonValue, to_wire
from freeplay_like.server.pages.call.conversation import (
    Answer,
    Limits,
    Prompt,
    Turn,
    added_turns,
    answer_of,
    prompt_of,
    variables_shown,
)
from freeplay_like.server.pages.call.copying import Copies, copies_of
from freeplay_like.server.pages.call.marks import marks_of
from freeplay_like.server.pages.call.timeline import Plot, Step, longest_pause, plot_of, steps_of
from freeplay_like.server.pages.call.tools import Tools, tools_of
from freeplay_like.server.pages.call.tree import TraceView
from freeplay_like.server.pages.call.view import TABS, Tab, View
from freeplay_like.server.pages.formats import indented
from freeplay_like.server.pages.review.verdict import ReviewView
from freeplay_like.server.pages.templates.placeholders import Piece, pieces_of
from freeplay_like.server.store.live import LiveCall
from freeplay_like.server.store.pricing.priced import Derivation
from freeplay_like.server.store.records.conversations import Place
from freeplay_like.server.store.records.reviews import Holding
from freeplay_like.server.store.records.trace_views import Trace
from freeplay_like.server.store.trials.test_runs import RunInfo
from freeplay_like.server.store.views import CallRow, Project, StoredCall, TemplateVersion

RAW_LIMIT_CHARACTERS: Final = 200_000
"""The longest raw JSON that a page holds; a longer one is read from the page's JSON twin."""

HISTORY_LIMIT: Final = 100
"""The most of what was said of a call that a page shows; all of it is in the page's JSON twin."""


@attrs.frozen(kw_only=True)
class Around:
    """What a call belongs to. None, and nothing, where there is no such thing, or it is not kept.

    `trace` is the SDK's, `otel` that of OpenTelemetry; `replays` are the newest calls that asked this one again, and
    `holding` the datasets that have it as a test case.
    """

    place: Place | None = None
    template: TemplateVersion | None = None
    trace: Trace | None = None
    otel: TraceView | None = None
    run: RunInfo | None = None
    replays: tuple[CallRow, ...] = ()
    holding: tuple[Holding, ...] = ()


@attrs.frozen(kw_only=True)
class TemplateTurn:
    """A message of a template; `is_history` is the place of the conversation so far. `media` are its media slots."""

    role: str
    pieces: tuple[Piece, ...] = ()
    media: tuple[str, ...] = ()
    is_history: bool = False


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
    around: Around
    review: ReviewView
    view: View
    api_base: str

    @property
    def template(self) -> str:
        """The file that shows it."""
        return "call/call.html"

    def at(self, **change: object) -> str:
        """The address of this call, seen otherwise."""
        return _at(self.view, self.call.record, change)

    @property
    def tabs(self) -> tuple[Tab, ...]:
        """What can stand beside the conversation."""
        return TABS

    # --- the conversation ---------------------------------------------------------------------------------

    @functools.cached_property
    def prompt(self) -> Prompt:
        """The messages that were sent."""
        template = None if self.around.template is None else self.around.template.template
        return prompt_of(self.call.record, marks_of(self.call.record, template), is_whole=self.view.is_whole)

    @property
    def source(self) -> tuple[TemplateTurn, ...]:
        """The messages of the template's version, before anything was filled in."""
        if self.around.template is None:
            return ()
        template = self.around.template.template
        return tuple(_template_turn(message, template.syntax) for message in template.messages)

    @property
    def marked(self) -> tuple[str, ...]:
        """The variables whose values are marked in the messages."""
        return variables_shown(self.prompt.groups)

    @property
    def added(self) -> tuple[Turn, ...]:
        """The messages that were added after the answer."""
        limits = Limits.for_page(self.call.record, is_whole=self.view.is_whole)
        return added_turns(self.call.amendments[-HISTORY_LIMIT:], limits)

    @functools.cached_property
    def answer(self) -> Answer | None:
        """The answer that is shown, None where there is none."""
        choices = self.call.record.choices
        if not choices:
            return None
        choice = choices[min(self.view.choice, len(choices)) - 1]
        return answer_of(choice, added=self._added_messages, is_whole=self.view.is_whole)

    @property
    def _added_messages(self) -> tuple[Message, ...]:
        return tuple(message for said in self.call.amendments for message in said.new_messages)

    # --- beside it ----------------------------------------------------------------------------------------

    @property
    def remarks(self) -> tuple[Amendment, ...]:
        """Feedback, scores and comments that no reviewer gave, in the order they were given; the newest of many."""
        said = [each for each in self.call.amendments if each.feedback or each.scores or each.comments]
        return tuple(each for each in said[-HISTORY_LIMIT:] if each.reviewer_id is None)

    @property
    def history(self) -> tuple[Amendment, ...]:
        """Everything that was said of the call, the newest first."""
        return self.call.amendments[::-1][:HISTORY_LIMIT]

    @property
    def plot(self) -> Plot | None:
        """When the text came, None where too little came to draw."""
        return plot_of(self.call.record)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Where the time went."""
        return steps_of(self.call.record)

    @property
    def longest_pause(self) -> tuple[float, float] | None:
        """The longest silence between two chunks: when, and how long."""
        return longest_pause(self.call.record)

    @functools.cached_property
    def tools(self) -> Tools:
        """The tools that were offered and called."""
        return tools_of(self.call.record)

    @property
    def why_unpriced(self) -> str:
        """Why nothing is known of the cost."""
        usage = self.call.record.usage
        if usage is None:
            return "The provider did not say how many tokens there were."
        if counts_of(usage) is None:
            return "The numbers of tokens are not whole, or contradict one another."
        return "No price is known for this model, or for something that the call used, on that day."

    @functools.cached_property
    def copies(self) -> Copies:
        """The call as programs."""
        return copies_of(self.call.record, self.api_base)

    @property
    def raw_request(self) -> str | None:
        """The request body as it was sent, None where it is not kept or too long to show."""
        return _shown(self.call.record.request) if self.call.record.request is not None else None

    @property
    def raw_response(self) -> str | None:
        """What was answered, None where it is too long to show."""
        record = self.call.record
        answered = {
            "model": record.model,
            "response_id": record.response_id,
            "request_id": record.request_id,
            "choices": record.choices,
            "usage": record.usage,
            "error": record.error,
            "headers": record.headers,
        }
        return _shown({name: value for name, value in answered.items() if value})

    @property
    def raw_record(self) -> str | None:
        """The whole record, None where it is too long to show."""
        return _shown(self.call.record)


@attrs.frozen(kw_only=True)
class LiveContext:
    """A call that still runs: what it began with, and its text so far."""

    project: Project
    live: LiveCall
    view: View

    @property
    def template(self) -> str:
        """The file that shows it."""
        return "call/running.html"

    def at(self, **change: object) -> str:
        """The address of this call, seen otherwise."""
        return _at(self.view, self.live.record, change)

    @functools.cached_property
    def prompt(self) -> Prompt:
        """The messages that were sent."""
        return prompt_of(self.live.record, is_whole=self.view.is_whole)


@attrs.frozen(kw_only=True)
class CallDeletionContext:
    """A call that somebody may want to be gone."""

    project: Project
    call: StoredCall


def _template_turn(message: TemplateMessage | HistorySlot, syntax: Syntax) -> TemplateTurn:
    if isinstance(message, HistorySlot):
        return TemplateTurn(role="history", is_history=True)
    return TemplateTurn(
        role=message.role,
        pieces=pieces_of(message.content, syntax),
        media=tuple(f"{slot.name} ({slot.kind})" for slot in message.media_slots),
    )


def _at(view: View, record: Record, change: dict[str, object]) -> str:
    return attrs.evolve(view, **change).address(record.project_id, record.record_id)  # type: ignore[arg-type]  # fields of it


def _shown(value: JsonValue) -> str | None:
    wire = to_wire(value)
    if len(wire) > RAW_LIMIT_CHARACTERS:
        return None  # before it is laid out: that takes a second for some megabytes
    text = indented(wire).decode()
    return text if len(text) <= RAW_LIMIT_CHARACTERS else None
