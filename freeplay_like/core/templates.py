"""Prompt templates: messages with variables in them, and what belongs to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, Protocol, cast, get_args

import attrs

from freeplay_like.core import fstring, mustache
from freeplay_like.core.interpolation import (
    MISSING,
    LimitProblem,
    Rendering,
    SyntaxProblem,
    ValueProblem,
    check_length,
    is_a,
    is_mapping,
)
from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message, without_instructions
from freeplay_like.core.parts import content_of
from freeplay_like.core.records import TemplateRef, TemplateSource
from freeplay_like.core.template_messages import TEMPLATE_ROLES as TEMPLATE_ROLES
from freeplay_like.core.template_messages import HistorySlot as HistorySlot
from freeplay_like.core.template_messages import MediaSlot as MediaSlot
from freeplay_like.core.template_messages import TemplateMessage as TemplateMessage
from freeplay_like.core.template_wire import TemplateReader, message_to_wire
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import MissingVariablesError, TemplateError, TemplateSyntaxError

Syntax = Literal["mustache", "fstring", "none"]
"""How variables are written in a template's text.

- mustache: `{{name}}`, sections and comments, see `core.mustache`
- fstring: `{name}` and nothing more; `{{` and `}}` are braces
- none: the text is sent as it is
"""

SYNTAXES: Final[tuple[str, ...]] = get_args(Syntax)

FORMAT_VERSION: Final = 3
"""The number that Freeplay's template JSON carries for messages of this shape (read from its client 0.6.1)."""


class _Compiled(Protocol):
    """A parsed text of any syntax."""

    @property
    def required(self) -> tuple[str, ...]: ...

    @property
    def optional(self) -> tuple[str, ...]: ...

    def render(self, data: Mapping[str, JsonValue], rendering: Rendering) -> str: ...


_PARSERS: Final[Mapping[Syntax, Callable[[str], _Compiled]]] = {
    "mustache": mustache.parse,
    "fstring": fstring.parse,
    "none": fstring.parse_none,
}


@attrs.frozen(kw_only=True)
class PromptTemplate:
    """One immutable version of a prompt, checked and parsed when it is made.

    `version` is the label people read ("3"); `description` says what this version is about; `parameters` are without
    the model; `flavor_name` is the wire format the template was written for. None means "not said" everywhere.

    Raises:
        TemplateSyntaxError: a text does not parse; names template, message (counted from 1), line and column.
        TemplateError: an unknown role or syntax, a wrong media slot, or more than one history slot.
    """

    name: str
    messages: tuple[TemplateMessage | HistorySlot, ...]
    syntax: Syntax = "mustache"
    project_id: str | None = None
    template_id: str | None = None
    version_id: str | None = None
    version: str | None = None
    environment: str | None = None
    provider: str | None = None
    flavor_name: str | None = None
    model: str | None = None
    parameters: JsonObject = attrs.field(factory=dict)
    tools: JsonValue = None
    output_schema: JsonValue = None
    description: str | None = None
    source: TemplateSource = "inline"
    _compiled: tuple[_Compiled | None, ...] = attrs.field(init=False, eq=False, repr=False)

    @_compiled.default
    def _compile(self) -> tuple[_Compiled | None, ...]:
        if self.syntax not in SYNTAXES:
            known = ", ".join(SYNTAXES)
            raise TemplateError(f"{self._label} has syntax {self.syntax!r}; known: {known}", template=self.name)
        slots = sum(isinstance(message, HistorySlot) for message in self.messages)
        if slots > 1:
            raise TemplateError(f"{self._label} has {slots} history slots; keep one", template=self.name)
        return tuple(self._compile_message(number, message) for number, message in enumerate(self.messages, 1))

    def _compile_message(self, number: int, message: TemplateMessage | HistorySlot) -> _Compiled | None:
        if isinstance(message, HistorySlot):
            return None
        where = f"{self._label}, message {number}"
        if message.role not in TEMPLATE_ROLES:
            known = ", ".join(TEMPLATE_ROLES)
            raise TemplateError(f"{where} has role {message.role!r}; known: {known}", template=self.name)
        for slot in message.media_slots:
            if slot.problem:
                raise TemplateError(f"{where} has {slot.problem}", template=self.name, variables=[slot.name])
        try:
            check_length(message.content)
            return _PARSERS[self.syntax](message.content)
        except SyntaxProblem as exc:
            line, column = _position(message.content, exc.offset)
            raise TemplateSyntaxError(f"{where}, line {line}:{column}: {exc}", template=self.name) from exc
        except LimitProblem as exc:
            raise TemplateSyntaxError(f"{where}: {exc}", template=self.name) from exc

    @property
    def variables(self) -> tuple[str, ...]:
        """The top-level names a caller has to give, those of media among them, in order of first appearance.

        A name that only sections ask for, or that only stands inside sections, is not among them: whether it is
        needed depends on the values, and rendering tells. `optional_variables` has those.
        """
        return _distinct(
            name
            for message, compiled in zip(self.messages, self._compiled, strict=True)
            if compiled and isinstance(message, TemplateMessage)
            for name in (*compiled.required, *(slot.name for slot in message.media_slots))
        )

    @property
    def optional_variables(self) -> tuple[str, ...]:
        """The other top-level names that the template may look at, in order of first appearance."""
        required = self.variables
        names = _distinct(name for compiled in self._compiled if compiled for name in compiled.optional)
        return tuple(name for name in names if name not in required)

    @property
    def ref(self) -> TemplateRef:
        """What a record keeps of the template."""
        return TemplateRef(
            name=self.name,
            template_id=self.template_id,
            version_id=self.version_id,
            version=self.version,
            environment=self.environment,
            source=self.source,
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of all that a call's behaviour depends on: equal for two versions that say the same."""
        said = [
            self.syntax,
            [message_to_wire(message) for message in self.messages],
            [self.provider, self.flavor_name, self.model, self.parameters],
            [self.tools, self.output_schema],
        ]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), default=repr)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def render(self, variables: Mapping[str, JsonValue], history: Sequence[Message] = ()) -> tuple[Message, ...]:
        """The messages with variables filled in and the history in its slot, or at the end where there is none.

        Only the template's own text is rendered: neither values nor history are looked into. A medium is given as a
        variable of its slot's name and becomes a part after the message's text. Instructions in the history (the
        system's messages, and the developer's that open it) give way to the template's own, so that the model never
        hears two. Variables that the template does not use are allowed.

        Raises:
            MissingVariablesError: lists every name that was looked for and found nowhere, over all messages.
            TemplateError: a value is None or not data, or is no `Media` of the kind that its slot takes; names the
                variable.
            TemplateSyntaxError: the text would be longer than allowed.
        """
        if not is_mapping(variables):
            raise TemplateError(
                f"variables of {self._label} must be a mapping of names to values, not {type(variables).__name__}",
                template=self.name,
            )
        rendering = Rendering()
        heard = tuple(history) if not self._instructs else without_instructions(history)
        rendered: list[Message] = []
        for message, compiled in zip(self.messages, self._compiled, strict=True):
            if isinstance(message, HistorySlot) or compiled is None:
                rendered.extend(heard)
            else:
                text = self._render_text(compiled, variables, rendering)
                media = self._render_media(message, variables, rendering)
                rendered.append(Message(role=message.role, content=content_of(text, media)))
        if rendering.missing:
            raise self._missing(tuple(rendering.missing), variables)
        if HistorySlot() not in self.messages:
            rendered.extend(heard)
        return tuple(rendered)

    @property
    def _instructs(self) -> bool:
        """Whether the template has instructions of its own; a developer's message counts wherever it stands."""
        return any(isinstance(m, TemplateMessage) and m.role in ("system", "developer") for m in self.messages)

    def _render_media(
        self, message: TemplateMessage, variables: Mapping[str, JsonValue], rendering: Rendering
    ) -> list[Media]:
        media = []
        for slot in message.media_slots:
            value = variables.get(slot.name, MISSING)
            if value is MISSING:
                rendering.miss(slot.name)
            elif is_a(value, Media) and value.kind == slot.kind:
                media.append(value)
            else:
                raise self._not_for(slot, value)
        return media

    def _not_for(self, slot: MediaSlot, value: object) -> TemplateError:
        found = f"media of kind {value.kind!r}" if is_a(value, Media) else f"of type {type(value).__name__}"
        return TemplateError(
            f"{self._label}: variable {slot.name!r} is {found}, and stands where media of kind {slot.kind!r} goes; "
            "make one with Media.from_url or Media.from_bytes",
            template=self.name,
            variables=[slot.name],
        )

    def _render_text(self, compiled: _Compiled, variables: Mapping[str, JsonValue], rendering: Rendering) -> str:
        try:
            return compiled.render(variables, rendering)
        except ValueProblem as exc:
            raise TemplateError(f"{self._label}: {exc}", template=self.name, variables=[exc.variable]) from exc
        except LimitProblem as exc:
            raise TemplateSyntaxError(f"{self._label}: {exc}", template=self.name) from exc

    def _missing(self, names: tuple[str, ...], variables: Mapping[str, JsonValue]) -> MissingVariablesError:
        word = "variable" if len(names) == 1 else "variables"
        listed = ", ".join(map(repr, names))
        return MissingVariablesError(
            f"no value for {word} {listed} in {self._label}; given: {[str(name) for name in variables]}",
            template=self.name,
            variables=names,
        )

    @property
    def _label(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        return f"template {self.name!r}{version}"

    @classmethod
    def from_wire(cls, obj: JsonObject, *, source: TemplateSource) -> PromptTemplate:
        """A template out of Freeplay's v2 template JSON, with our optional fields `syntax`, `version` and `tools`.

        Raises:
            TemplateError: a field is not of the shape it has there; names the field.
        """
        wire = TemplateReader(obj)
        metadata = wire.inside("metadata")
        parameters = metadata.fields("params")
        model = parameters.pop("model", None)
        return cls(
            name=wire.name,
            messages=wire.messages(),
            syntax=cast("Syntax", wire.text("syntax") or "mustache"),
            project_id=wire.text("project_id"),
            template_id=wire.text("prompt_template_id"),
            version_id=wire.text("prompt_template_version_id"),
            version=wire.text("version") or wire.text("version_name"),
            environment=wire.text("environment"),
            provider=metadata.text("provider"),
            flavor_name=metadata.text("flavor"),
            model=metadata.text("model") or (None if model is None else str(model)),
            parameters=parameters,
            tools=obj.get("tool_schema") if obj.get("tools") is None else obj["tools"],
            output_schema=obj.get("output_schema"),
            description=wire.text("version_description") or None,
            source=source,
        )

    def to_wire(self) -> JsonObject:
        """Freeplay's v2 template JSON, with our optional fields `syntax` and `version`. `source` stays here."""
        return {
            "prompt_template_id": self.template_id,
            "prompt_template_version_id": self.version_id,
            "prompt_template_name": self.name,
            "format_version": FORMAT_VERSION,
            "project_id": self.project_id,
            "environment": self.environment,
            "content": [message_to_wire(message) for message in self.messages],
            "metadata": {
                "provider": self.provider,
                "flavor": self.flavor_name,
                "model": self.model,
                "params": dict(self.parameters),
                "provider_info": None,
            },
            "tool_schema": self.tools,
            "output_schema": self.output_schema,
            "version_name": self.version,
            "version_description": self.description or "",
            "syntax": self.syntax,
            "version": self.version,
        }


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both counted from 1."""
    line_start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - line_start + 1
