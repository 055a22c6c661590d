"""What the pages that show templates hold."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs

from freeplay_like.core.templates import HistorySlot, Syntax, TemplateMessage
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.server.pages.templates.placeholders import Piece, pieces_of
from freeplay_like.server.store.prompts.figures import NO_CALLS, CallFigures, Thumbs
from freeplay_like.server.store.prompts.views import Environment
from freeplay_like.server.store.views import Project, TemplateSummary, TemplateVersion, VersionSummary

SPARK_HEIGHT: Final = 20
"""How high the little chart of a template is, in its own units; a day is 10 wide."""


@attrs.frozen(kw_only=True)
class Pointer:
    """An environment and the version that it points at."""

    environment: str
    version_id: str
    version: str


@attrs.frozen(kw_only=True)
class TemplateRow:
    """A template of the tree. `label` is the last part of its name, `day_calls` the calls of the last 24 hours."""

    template: TemplateSummary
    label: str
    pointers: tuple[Pointer, ...]
    day_calls: int
    week: CallFigures
    by_day: tuple[int, ...]

    @property
    def newest(self) -> VersionSummary | None:
        """The newest version; None where there is none yet."""
        return self.template.versions[0] if self.template.versions else None

    @property
    def spark(self) -> tuple[tuple[int, float, float], ...]:
        """The bars of the little chart: place, top and height."""
        most = max(self.by_day, default=0)
        heights = [SPARK_HEIGHT * calls / most if most else 0.0 for calls in self.by_day]
        return tuple(
            (10 * place, round(SPARK_HEIGHT - height, 1), round(height, 1)) for place, height in enumerate(heights)
        )


@attrs.frozen(kw_only=True)
class Folder:
    """The templates whose names have the same parts but for the last; `path` is "" for those without a folder."""

    path: str
    rows: tuple[TemplateRow, ...]

    @property
    def depth(self) -> int:
        """How many parts the path has."""
        return self.path.count("/") + 1 if self.path else 0


@attrs.frozen(kw_only=True)
class ForeignTemplate:
    """A template that calls name and that is not stored here: it came from a folder of files, or was put away."""

    name: str
    day_calls: int
    week: CallFigures


@attrs.frozen(kw_only=True)
class TemplatesContext:
    """The templates of a project, those whose names hold the search; `count` is how many there are in all."""

    project: Project
    search: str
    count: int
    folders: tuple[Folder, ...]
    foreign: tuple[ForeignTemplate, ...]
    day_since: datetime
    week_since: datetime
    is_partial: bool
    base_url: str


@attrs.frozen(kw_only=True)
class MessageView:
    """A message of a template; `role` is None where the conversation so far goes, `media` are names and kinds."""

    role: str | None
    content: str
    pieces: tuple[Piece, ...] = ()
    media: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, message: TemplateMessage | HistorySlot, syntax: Syntax) -> MessageView:
        """The view of a message."""
        if isinstance(message, HistorySlot):
            return cls(role=None, content="")
        return cls(
            role=message.role,
            content=message.content,
            pieces=pieces_of(message.content, syntax),
            media=tuple((slot.name, slot.kind) for slot in message.media_slots),
        )


@attrs.frozen(kw_only=True)
class VersionContent:
    """What a version says."""

    version_id: str
    version: str
    name: str | None
    description: str | None
    created_at: datetime
    syntax: Syntax
    messages: tuple[MessageView, ...]
    variables: tuple[str, ...]
    optional_variables: tuple[str, ...]
    provider: str | None
    flavor: str | None
    model: str | None
    parameters: JsonObject
    tools: JsonValue
    output_schema: JsonValue

    @classmethod
    def of(cls, stored: TemplateVersion) -> VersionContent:
        """The content of a version."""
        template = stored.template
        return cls(
            version_id=template.version_id or "",
            version=template.version or "",
            name=stored.name,
            description=template.description,
            created_at=stored.created_at,
            syntax=template.syntax,
            messages=tuple(MessageView.of(message, template.syntax) for message in template.messages),
            variables=template.variables,
            optional_variables=template.optional_variables,
            provider=template.provider,
            flavor=template.flavor_name,
            model=template.model,
            parameters=template.parameters,
            tools=template.tools,
            output_schema=template.output_schema,
        )


@attrs.frozen(kw_only=True)
class VersionRow:
    """A version among those of its template, with its calls. `before_id` is the version before it."""

    summary: VersionSummary
    before_id: str | None
    calls: CallFigures = NO_CALLS
    thumbs: Thumbs


@attrs.frozen(kw_only=True)
class EnvironmentRow:
    """An environment of the project, and the version of this template that it points at."""

    environment: Environment
    at: VersionSummary | None


@attrs.frozen(kw_only=True)
class MoveRow:
    """A move of an environment, as people read it; a version that is None is none at all."""

    environment: str
    from_version: str | None
    from_id: str | None
    to_version: str | None
    to_id: str | None
    moved_at: datetime
    by: str
    reason: str | None


@attrs.frozen(kw_only=True)
class TemplateContext:
    """A template, and one version of it: the newest, or the one that the address names; None where it has none.

    `rows` are versions with their calls, newest first; `further` those whose calls are not counted here. `code` uses
    the version. `said` is what was just done.
    """

    project: Project
    template: TemplateSummary
    content: VersionContent | None
    is_put_away: bool
    rows: tuple[VersionRow, ...]
    further: tuple[VersionSummary, ...]
    environments: tuple[EnvironmentRow, ...]
    moves: tuple[MoveRow, ...]
    code: str
    tag: str | None
    is_partial: bool
    said: str

    @property
    def newest(self) -> VersionSummary | None:
        """The newest version."""
        return self.template.versions[0] if self.template.versions else None

    @property
    def shown(self) -> VersionRow | None:
        """The row of the version that is shown."""
        ids = [row.summary.version_id for row in self.rows]
        return self.rows[ids.index(self.content.version_id)] if self.content else None

    @property
    def next_id(self) -> str | None:
        """The version after the one that is shown; None where that is the newest."""
        ids = [version.version_id for version in self.template.versions]
        place = ids.index(self.content.version_id) if self.content else 0
        return ids[place - 1] if place else None
